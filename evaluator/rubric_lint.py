"""Checking rubric files from the command line: what is checked, and how problems are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from evaluator.errors import NotFound
from evaluator.plain_json import json_bytes
from evaluator.rubric_files import read_folder, read_rubric
from evaluator.rubric_problems import RubricProblem, RubricProblems


def lint_paths(paths: Sequence[str]) -> tuple[int, list[RubricProblem]]:
    """How many rubrics were found in files and folders (- is standard input), and every problem of them."""
    checked = 0
    problems: list[RubricProblem] = []
    for path in paths:
        found, of_path = _lint(path)
        checked += found
        problems += of_path
    return checked, problems


def _lint(path: str) -> tuple[int, Sequence[RubricProblem]]:
    if path != "-" and Path(path).is_dir():
        folder = read_folder(Path(path))
        broken = {problem.file for problem in folder.problems}
        return len(folder.loaded) + len(broken), folder.problems
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        read_rubric(text, name="<stdin>" if path == "-" else path)
    except RubricProblems as error:
        return 1, error.problems
    except UnicodeDecodeError:
        return 1, [RubricProblem(path, 1, 1, "", "the file is not text in UTF-8", allowed="UTF-8")]
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from None
    return 1, ()


def _as_text(problems: Sequence[RubricProblem]) -> str:
    return "\n".join(map(str, problems))


def _as_json(problems: Sequence[RubricProblem]) -> str:
    return json_bytes([asdict(problem) for problem in problems], indented=True).decode()


def _as_github(problems: Sequence[RubricProblem]) -> str:
    """Workflow commands, which GitHub shows beside the line."""
    return "\n".join(
        f"::error file={_property(one.file)},line={one.line},col={one.column}::{_data(_without_place(one))}"
        for one in problems
    )


def _without_place(problem: RubricProblem) -> str:
    return str(problem).removeprefix(f"{problem.file}:{problem.line}:{problem.column}: ")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Sequence[RubricProblem]], str]] = {
    "text": _as_text,
    "json": _as_json,
    "github": _as_github,
}
