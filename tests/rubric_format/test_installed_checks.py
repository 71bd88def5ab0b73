"""Checks that installed packages bring along: which there are, whose they are, what they say of an argument."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from evaluator.model.rubric import CheckName
from evaluator.rubric_format import installed_checks as module
from evaluator.rubric_format.installed_checks import check_clashes, check_version, installed_checks, plugin_fault
from tests.plugin_packages import Package, installed

SHOUTS = """
    def shouts(value, *, argument, content):
        return str(value).isupper()

    def _fault(argument):
        return None if argument is None else "takes no value"

    shouts.fault = _fault
"""
ACME = Package("acme-checks", SHOUTS, {"shouts": "shouts"}, "1.2")


def faulty(body: str) -> Package:
    source = f"def check(value, *, argument, content):\n    return True\n\ndef fault(argument):\n    {body}\n\n"
    return Package("faulty-checks", source + "check.fault = fault\n", {"faulty": "check"})


def test_without_packages_there_are_the_built_in_checks() -> None:
    assert set(CheckName) <= set(installed_checks())


def test_a_package_adds_its_check_and_none_of_its_code_is_loaded(tmp_path: Path) -> None:
    with installed(tmp_path, ACME):
        assert installed_checks()[-1] == "shouts"
        assert check_version("shouts") == "acme-checks 1.2"
        assert "acme_checks" not in sys.modules
    assert "shouts" not in installed_checks()


def test_built_in_and_unknown_checks_have_no_version() -> None:
    assert check_version("regex") is None
    assert check_version("nobody-has-this") is None


def test_of_two_packages_the_first_by_name_is_used_and_it_is_told(tmp_path: Path) -> None:
    other = Package("zeta-checks", SHOUTS, {"shouts": "shouts"})
    with installed(tmp_path, other, ACME):
        assert check_version("shouts") == "acme-checks 1.2"
        assert check_clashes() == {
            "shouts": "check shouts is brought along by acme-checks 1.2 and zeta-checks 1.0; "
            "that of acme-checks is used"
        }


def test_no_package_replaces_a_built_in_check_and_it_is_told(tmp_path: Path) -> None:
    with installed(tmp_path, Package("acme-checks", SHOUTS, {"regex": "shouts"})):
        assert installed_checks().count("regex") == 1
        assert check_version("regex") is None
        assert check_clashes()["regex"].endswith("acme-checks 1.0; the built-in one is used")


def test_a_package_says_what_is_wrong_with_an_argument(tmp_path: Path) -> None:
    with installed(tmp_path, ACME):
        assert plugin_fault("shouts", "loud") == "takes no value"
        assert plugin_fault("shouts", None) is None


def test_a_package_need_not_say_anything_of_arguments(tmp_path: Path) -> None:
    source = (
        "class Check:\n    def __call__(self, value, *, argument, content):\n        return True\ncheck = Check()\n"
    )
    with installed(tmp_path, Package("quiet-checks", source, {"quiet": "check"})):
        assert plugin_fault("quiet", object) is None
    assert plugin_fault("regex", "(") is None


@pytest.mark.parametrize(
    ("package", "told"),
    [
        (faulty("raise KeyError('secret')"), "the check cannot say whether it takes this value: KeyError"),
        (faulty("raise SystemExit"), "the check cannot say whether it takes this value: SystemExit"),
        (faulty("return 'is\\n\\x1b[31mred' + 'x' * 900"), r"is \x1b[31mred" + "x" * 186),
        (
            Package("b-checks", "raise RuntimeError('secret')", {"faulty": "check"}),
            "the check cannot be loaded: RuntimeError",
        ),
        (Package("b-checks", "", {"faulty": "check"}), "the check cannot be loaded: AttributeError"),
        (Package("b-checks", "check = 1", {"faulty": "check"}), "the check cannot be loaded: TypeError"),
    ],
)
def test_what_fails_in_a_package_is_told_by_its_class(tmp_path: Path, package: Package, told: str) -> None:
    with installed(tmp_path, package):
        assert plugin_fault("faulty", 1) == told


def test_a_package_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAULT_SECONDS", 0.05)
    with installed(tmp_path, faulty("import time; time.sleep(1)")):
        told = plugin_fault("faulty", 1)
    assert told == "the check cannot say whether it takes this value: it takes longer than 0.05 s"


def test_a_package_cannot_change_the_argument(tmp_path: Path) -> None:
    argument = {"words": ["a"]}
    with installed(tmp_path, faulty("argument['words'].clear()")):
        assert plugin_fault("faulty", argument) is None
    assert argument == {"words": ["a"]}


def test_a_check_that_never_answers_is_asked_a_few_times_and_then_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAULT_SECONDS", 0.01)
    with installed(tmp_path, faulty("import time; time.sleep(3)")):
        before = threading.active_count()
        told = [plugin_fault("faulty", number) for number in range(30)]
        assert threading.active_count() - before <= 4
    assert told[0] == "the check cannot say whether it takes this value: it takes longer than 0.01 s"
    assert told[-1] == "the check still looks at earlier values and is not asked for more"
