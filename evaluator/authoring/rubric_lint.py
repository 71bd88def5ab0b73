"""Checking rubric files: what is checked, and how problems are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from evaluator.authoring.github_annotations import annotation
from evaluator.errors import BadInput, NotFound
from evaluator.plain_json import json_bytes
from evaluator.rubric_format.marked_yaml import MAX_BYTES
from evaluator.rubric_format.rubric_files import LoadedRubric, decoded, files_of, read_files, text_of
from evaluator.rubric_format.rubric_problems import RubricProblem
from evaluator.rubric_format.rubric_warnings import combination_warnings, rubric_warnings
from evaluator.wording import noun

STDIN = Path("<stdin>")


@dataclass(frozen=True, slots=True)
class Linted:
    """What was checked, and every problem: file by file in the order given, each from its top."""

    files: tuple[Path, ...]
    loaded: tuple[LoadedRubric, ...]
    """The rubrics without errors."""
    problems: tuple[RubricProblem, ...]

    def count(self, severity: str) -> int:
        return sum(problem.severity == severity for problem in self.problems)

    def with_more(self, problems: Sequence[RubricProblem]) -> Linted:
        """The same with more problems, each in its place."""
        order = {str(file): place for place, file in enumerate(self.files)}
        together = sorted(
            (*self.problems, *problems), key=lambda each: (order.get(each.file, -1), each.line, each.column)
        )
        return replace(self, problems=tuple(together))


def lint_paths(paths: Sequence[str]) -> Linted:
    """Every problem of the rubrics in files and folders (- is standard input), checked as if they stood in one folder.

    Of a folder the files ending in .yaml or .yml are read, its subfolders are not. Raises NotFound for a path that
    does not exist.
    """
    files = {
        (path if path == STDIN else path.resolve()): (path, read) for given in paths for path, read in _files(given)
    }
    together = read_files(files.values())
    warnings = [
        problem for one in together.loaded for problem in rubric_warnings(one.root, one.rubric, str(one.path))
    ]
    warnings += combination_warnings(together.loaded)
    checked = tuple(path for path, _ in files.values())
    return Linted(checked, together.loaded, together.problems).with_more(warnings)


def _files(given: str) -> Iterator[tuple[Path, Callable[[], str]]]:
    if given == "-":
        yield STDIN, _standard_input
        return
    path = Path(given)
    try:
        if path.is_dir():
            yield from ((file, partial(text_of, file)) for file in files_of(path))
            return
        is_there = path.exists()
    except (OSError, ValueError) as error:
        raise BadInput(f"{given} cannot be read: {error}.") from None
    if not is_there:
        raise NotFound(
            f"There is no file or folder {given}.",
            hint="Give rubric files or folders, - for standard input, or set ADJUDGE_RUBRICS_DIR.",
        )
    yield path, partial(text_of, path)


def _standard_input() -> str:
    return decoded(sys.stdin.buffer.read(MAX_BYTES + 1), str(STDIN))


def _as_text(linted: Linted) -> str:
    """Problems by file, and how many there are."""
    by_file = groupby(linted.problems, key=lambda each: each.file)
    blocks = ["\n".join(map(str, problems)) for _, problems in by_file]
    return "\n\n".join([*blocks, _summary(linted)])


def _summary(linted: Linted) -> str:
    number = len(linted.files)
    counted = ((linted.count(severity), severity) for severity in ("error", "warning"))
    told = ", ".join(f"{count} {noun(count, severity)}" for count, severity in counted if count)
    return f"{number} {noun(number, 'rubric')}: {told or 'no problems'}."


def _as_json(linted: Linted) -> str:
    fields = ("file", "line", "column", "severity", "field", "message", "found", "allowed", "suggestion", "link")
    found = [{field: getattr(problem, field) for field in fields} for problem in linted.problems]
    return json_bytes(found, indented=True).decode()


def _as_github(linted: Linted) -> str:
    """Workflow commands, which GitHub shows beside the line."""
    return "\n".join(
        annotation(one.severity, one.told(), file=one.file, line=one.line, column=one.column)
        for one in linted.problems
    )


FORMATS: dict[str, Callable[[Linted], str]] = {
    "text": _as_text,
    "json": _as_json,
    "github": _as_github,
}
