"""The repository as a whole: nothing of one machine in it, every pin with its hashes, names that tell modules apart."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from typer.main import get_command

from review_ui.server import app
from tests.conftest import fail_in_ci_else_skip

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))

PAGES = ["CHANGELOG.md", *sorted(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md"))]

HOSTS = ("pypi" + ".org", "files.pythonhosted" + ".org", "registry.npmjs" + ".org", "deb.debian" + ".org")
"""Where packages come from is the machine's affair; spelt so that this file does not name them."""
MACHINE_PATH = re.compile(r"(?<![\w./}-])/(?:root|work|home/[A-Za-z]\w*)/")

SHARED_NAMES = {
    "rollup": "the shape in model/, the rule that computes it beside it",
    "runs": "the path /v1/runs in api/, the table's queries in store/",
    "status": "the answer in api/, the screen in pages/",
}
"""Module names that occur twice, each with its reason."""


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """Path → text of every file git knows, but for files that are no text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        fail_in_ci_else_skip("This is no git checkout, so nobody knows which files belong to the repository.")
    texts: dict[str, str] = {}
    for name in filter(None, listed.stdout.decode().split("\0")):
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in data:
            texts[name] = data.decode("utf-8", "replace")
    return texts


@pytest.mark.parametrize(
    ("text", "is_of_a_machine"),
    [
        (f"see /{'root'}/notes", True),
        (f"'/{'work'}/main'", True),
        (f"/{'home'}/ann/x", True),
        ("tests/work/x", False),
        ("https://a.example/work/7", False),
    ],
)
def test_a_path_of_a_machine_is_told_from_others(text: str, is_of_a_machine: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) == is_of_a_machine


def test_no_file_names_a_package_registry(tracked: dict[str, str]) -> None:
    assert {name: host for name, text in tracked.items() for host in HOSTS if host in text} == {}


def test_no_file_names_a_path_of_a_developers_machine(tracked: dict[str, str]) -> None:
    assert {name: found[0] for name, text in tracked.items() if (found := MACHINE_PATH.search(text))} == {}


def pins(lock: Path) -> dict[str, str]:
    """Package → the rest of its entry, hashes included."""
    entries = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(entry.split("==", 1) for entry in entries if not entry.startswith("#") and entry.strip())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_a_hash(lock: Path) -> None:
    pinned = pins(lock)
    assert pinned
    assert [name for name, rest in pinned.items() if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", rest)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_says_where_packages_come_from(lock: Path) -> None:
    assert not re.search(r"--(?:extra-)?index-url|--find-links|--trusted-host|https?://", lock.read_text())


def test_what_ships_is_pinned_as_it_was_tested() -> None:
    def version(rest: str) -> str:
        return rest.split()[0]

    tested = {name: version(rest) for name, rest in pins(ROOT / "requirements" / "dev.lock").items()}
    for lock in ("runtime.lock", "demo.lock"):
        shipped = {name: version(rest) for name, rest in pins(ROOT / "requirements" / lock).items()}
        assert shipped.items() <= tested.items()


def modules(tracked: dict[str, str]) -> list[Path]:
    return [Path(name) for name in tracked if re.match(r"(evaluator|review_ui)/.*\.py$", name)]


def test_a_module_s_name_is_its_own(tracked: dict[str, str]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in modules(tracked):
        if path.stem != "__init__":
            places[path.stem].append(str(path))
    assert sorted(name for name, found in places.items() if len(found) > 1) == sorted(SHARED_NAMES)


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "base", "service", "manager"])
def test_no_module_has_a_name_that_says_nothing(tracked: dict[str, str], name: str) -> None:
    assert [str(path) for path in modules(tracked) if path.stem == name] == []


def test_every_init_is_empty(tracked: dict[str, str]) -> None:
    assert {name for name, text in tracked.items() if name.endswith("__init__.py") and text.strip()} == set()


def test_the_licence_is_the_one_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    licence = (ROOT / "LICENSE").read_text()
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_changelog_begins_with_this_version_and_stays_short() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (newest, *_) = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert newest.split()[0] == version
    assert len(CHANGELOG.splitlines()) <= 40


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_named_exist(page: str) -> None:
    known = set(get_command(app).commands)  # type: ignore[attr-defined]  # a group, as it has commands
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:^|`)adjudge ([a-z]+)", text, re.MULTILINE)) <= known


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:docs|evaluator|review_ui|rubrics|tests|requirements)/[\w./-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
