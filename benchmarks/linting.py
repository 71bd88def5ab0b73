"""Linting: seconds for 200 different rubrics, errors and warnings both looked for, after import."""

from __future__ import annotations

import gc
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks.figures import Figure
from evaluator.authoring.rubric_lint import lint_paths

RUBRICS = 200
ROUNDS = 5
SHIPPED = Path(__file__).parent.parent / "rubrics"


def measure() -> list[Figure]:
    """Lint a folder of 200 rubrics, no two alike, beside what libyaml needs to load the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = _write_rubrics(folder)
        first = _seconds(lambda: _lint(folder), rounds=1)
        again = _seconds(lambda: _lint(folder))
        loading = _seconds(lambda: _load(folder))
    return [
        Figure(f"lint of {RUBRICS} rubrics ({size / 1024:.0f} KB), first time, s", first, "≤", 1.0),
        Figure("the same once more, s", again, "≤", 1.0),
        Figure("libyaml alone, loading the same files, s", loading),
        Figure("lint, times libyaml alone", again / loading, "≤", 5.0),
    ]


def _write_rubrics(folder: Path) -> int:
    """The shipped rubrics in turn, each with an id, a workflow, questions and expressions of its own; bytes in all."""
    shipped = [path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.yaml"))]
    size = 0
    for number in range(RUBRICS):
        text = shipped[number % len(shipped)]
        text = re.sub(r"^id: (.*)$", rf"id: \1-{number}", text, count=1, flags=re.MULTILINE)
        text = re.sub(r"workflow: \[(\w+)\]", rf"workflow: [\g<1>{number}]", text)
        text = re.sub(r"`([0-9.]+)`", rf"`\g<1>{number}`", text)
        text = re.sub(r"\?$", f", in case {number}?", text, flags=re.MULTILINE)
        size += (folder / f"{number:03}.yaml").write_bytes(text.encode())
    return size


def _lint(folder: Path) -> None:
    linted = lint_paths([str(folder)])
    assert len(linted.files) == len(linted.loaded) == RUBRICS, linted.problems[:3]


def _load(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def _seconds(work: Callable[[], None], rounds: int = ROUNDS) -> float:
    """The best of some rounds, of one core: the work is all its own, and others may share the machine."""
    taken = []
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)
