"""Checks of packages within a judgement: what they answer, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from evaluator.judging import checks
from evaluator.judging.checks import run_checks
from evaluator.judging.judge import JudgeWork, fingerprint, judge
from evaluator.model.rubric import Criterion, JudgeSpec, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from tests.judging.conftest import REPLAYED
from tests.plugin_packages import Package, installed

SECRET_TEXT = "s3cret of the customer"
SPEC = JudgeSpec(model="default")
SOURCE = """
    import asyncio, time

    def says(value, *, argument, content):
        return argument in value and argument in content["question"], "It stands\\n in  both.\\x1b[31m"

    def raises(value, *, argument, content):
        raise ValueError(value)

    def sleeps(value, *, argument, content):
        time.sleep(argument)
        return True

    def clears(value, *, argument, content):
        content.clear()
        value.clear()
        argument.clear()
        return True

    def returns(value, *, argument, content):
        return {"none": None, "one": 1, "text": value, "three": (True, "a", "b"), "list": [True, "a"]}[argument]

    async def waits(value, *, argument, content):
        return True

    def exits(value, *, argument, content):
        raise SystemExit(value)

    def long(value, *, argument, content):
        return False, "x" * 100_000
"""
NAMES = ("says", "raises", "sleeps", "clears", "returns", "waits", "exits", "long")


@pytest.fixture(autouse=True)
def _package(tmp_path: Path) -> Iterator[None]:
    with installed(tmp_path, Package("acme-checks", SOURCE, {name: name for name in NAMES})):
        yield


def checked(name: str, argument: Any = None, answer: Any = SECRET_TEXT) -> CriterionVerdict:
    criterion = Criterion(id="c", check=name, value=argument)
    content = {"question": "the customer?", "answer": answer}
    return asyncio.run(run_checks([criterion], content))[0]


def rubric(name: str, **fields: Any) -> Rubric:
    return Rubric(id="r", title="Right?", criteria=(Criterion(id="c", check=name, **fields),), version=name)


def test_a_rubric_is_judged_by_a_package_without_any_call() -> None:
    work = JudgeWork(rubric("says", value="customer"), SPEC, {"question": "customer?", "answer": SECRET_TEXT})
    result = asyncio.run(judge(work, REPLAYED, secret=b"s"))
    assert (result.verdict, result.calls) == (VerdictLabel.PASS, 0)
    assert result.criteria[0].decided_by == "check"
    assert result.criteria[0].reasoning == r"It stands in both.\x1b[31m"


def test_a_package_may_say_no() -> None:
    assert checked("says", "nothing of the kind").verdict is CriterionLabel.FAIL


@pytest.mark.parametrize(
    ("name", "argument", "note"),
    [
        ("raises", None, "The check failed: ValueError."),
        ("exits", None, "The check failed: SystemExit."),
        ("returns", "none", "The check answered with neither true or false nor that and a text."),
        ("returns", "one", "The check answered with neither true or false nor that and a text."),
        ("returns", "text", "The check answered with neither true or false nor that and a text."),
        ("returns", "three", "The check answered with neither true or false nor that and a text."),
        ("nobody-has-this", None, "No installed package brings this check along."),
    ],
)
def test_a_check_that_does_not_answer_comes_to_unknown_without_a_word_of_the_content(
    name: str, argument: Any, note: str
) -> None:
    verdict = checked(name, argument)
    assert (verdict.verdict, verdict.note, verdict.reasoning) == (CriterionLabel.UNKNOWN, note, "")


@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_coroutine_is_no_answer() -> None:
    assert checked("waits").verdict is CriterionLabel.UNKNOWN


def test_absent_content_is_not_checked() -> None:
    assert checked("says", "x", answer=None).note == "There is no answer to check."


def test_a_long_reasoning_is_cut() -> None:
    assert len(checked("long").reasoning) == 500


def test_a_package_sees_a_copy() -> None:
    criterion = Criterion(id="c", check="clears", value=["a"])
    content = {"answer": ["b"]}
    assert asyncio.run(run_checks([criterion], content))[0].verdict is CriterionLabel.PASS
    assert (content, criterion.value) == ({"answer": ["b"]}, ["a"])


def test_a_slow_check_comes_to_unknown_and_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PLUGIN_SECONDS", 0.2)

    async def both() -> tuple[CriterionVerdict, int]:
        slow = asyncio.create_task(run_checks([Criterion(id="c", check="sleeps", value=3)], {"answer": "a"}))
        beats = 0
        while not slow.done():
            await asyncio.sleep(0.01)
            beats += 1
        return (await slow)[0], beats

    began = perf_counter()
    verdict, beats = asyncio.run(both())
    assert verdict.note == "The check took longer than 0.2 s."
    assert perf_counter() - began < 2
    assert beats >= 5


def test_a_check_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PLUGIN_SECONDS", 0.02)
    notes = [checked("sleeps", 2).note for _ in range(checks.PLUGIN_RUNS_AT_ONCE + 1)]
    assert notes[-2] == "The check took longer than 0.02 s."
    assert notes[-1] == "The check still runs over earlier content and is not asked for more."
    assert checked("says", "customer").verdict is CriterionLabel.PASS


class TestFingerprint:
    def test_another_version_of_the_package_is_another_judge(self, tmp_path: Path) -> None:
        first = fingerprint(rubric("says"), SPEC, "m")
        (tmp_path / "newer").mkdir()
        with installed(tmp_path / "newer", Package("acme-checks", SOURCE, {"says": "says"}, "2.0")):
            newer = fingerprint(rubric("says"), SPEC, "m")
        assert newer != first == fingerprint(rubric("says"), SPEC, "m")

    def test_so_is_the_package_taken_away(self, tmp_path: Path) -> None:
        (tmp_path / "more").mkdir()
        with installed(tmp_path / "more", Package("more-checks", SOURCE, {"more": "says"})):
            there = fingerprint(rubric("more"), SPEC, "m")
        assert fingerprint(rubric("more"), SPEC, "m") != there

    def test_a_rubric_without_such_checks_keeps_its_own(self) -> None:
        built_in = Rubric(id="r", title="Right?", criteria=(Criterion(id="c", check="json_valid"),))
        assert fingerprint(built_in, SPEC, "m") == "3900f0d568330d86"
