"""Human labels from a file: what people said of runs or events, to compare judges with; bad lines are told by number."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Never

import orjson

from evaluator.errors import Malformed, NotFound
from evaluator.model.verdict import CriterionLabel, VerdictLabel
from evaluator.rubric_format.rubric_problems import nearest

MOST_BYTES = 64 * 2**20
MOST_BAD_LINES = 10_000
"""A file with more is another one than was meant."""
CRITERIA = "criteria"
_COLUMN_PREFIX = f"{CRITERIA}."
_FIELDS = ("run_id", "event_id", "verdict", CRITERIA, "reviewer")
_LONGEST_SHOWN = 40
_MOST_COLUMNS = 20
"""Whose names are compared with those that are needed."""


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """What a person says of one run, or of an event as a whole where run_id is None."""

    verdict: VerdictLabel
    run_id: str | None = None
    event_id: str | None = None
    criteria: Mapping[str, CriterionLabel] = field(default_factory=dict)
    """Criterion id → answer, for those that were answered."""
    reviewer: str = ""

    @property
    def item(self) -> tuple[str, str]:
        """What it is about; a later label of the same item replaces an earlier one."""
        return ("run", self.run_id) if self.run_id is not None else ("event", self.event_id or "")


@dataclass(frozen=True, slots=True)
class LabelFile:
    """What a file of labels holds."""

    labels: tuple[HumanLabel, ...] = ()
    """One per run or event: the last that stands in the file."""
    problems: tuple[tuple[int, str], ...] = ()
    """(line number, what is wrong with it), for lines that cannot be used."""
    replaced: int = 0
    """Labels that a later line about the same item replaced."""


class _BadLine(Exception):
    """A line that is no label; the text says why."""


def label_file(path: Path) -> LabelFile:
    """The labels of the file at a path, as read_labels; raises NotFound where it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "no reason given"
        raise NotFound(f"{path} cannot be read: {told}.") from None
    return read_labels(data)


def read_labels(data: bytes) -> LabelFile:
    """The labels of a file of JSON lines or CSV; which of the two shows in its first character.

    A JSON line is {"run_id" or "event_id": …, "verdict": "pass|partial|fail|unknown", "criteria": {id: "pass|fail"},
    "reviewer": …}, the last two optional. CSV has the same names as columns, one `criteria.ID` for each criterion;
    comma, semicolon or tab. With both ids a label is the run's. Raises Malformed for what is no text in UTF-8, is
    too large, or is CSV without the columns needed.
    """
    if len(data) > MOST_BYTES:
        raise Malformed(f"A file of labels may have {MOST_BYTES // 2**20} MB; this has more.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Malformed(f"The labels are not text in UTF-8: line {line}.", hint="Save the file as UTF-8.") from None
    rows = _json_rows(text) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text)
    labels: dict[tuple[str, str], HumanLabel] = {}
    problems, read = [], 0
    for number, row in rows:
        try:
            label = _label(row())
        except _BadLine as error:
            problems.append((number, str(error)))
            if len(problems) > MOST_BAD_LINES:
                raise _no_labels(problems) from None
            continue
        read += 1
        labels[label.item] = label
    return LabelFile(tuple(labels.values()), tuple(problems), read - len(labels))


def _no_labels(problems: list[tuple[int, str]]) -> Malformed:
    number, problem = problems[0]
    return Malformed(
        f"More than {MOST_BAD_LINES:,} lines of this file are no labels; the first is line {number}: {problem}."
    )


_Row = Callable[[], Any]
"""Gives what stands in a line, or raises why nothing can be read there."""


def _json_rows(text: str) -> Iterator[tuple[int, _Row]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, partial(_parsed, line)


def _parsed(line: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _BadLine(f"not JSON: {error.msg} at column {error.colno}") from None


def _csv_rows(text: str) -> Iterator[tuple[int, _Row]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, partial(_refuse, f"not CSV: {error}")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _checked_columns([cell.strip() for cell in cells])
        else:
            yield reader.line_num, partial(_by_column, columns, cells)


def _refuse(problem: str) -> Never:
    raise _BadLine(problem)


def _checked_columns(columns: list[str]) -> list[str]:
    needed = "a column verdict, and run_id or event_id"
    if "verdict" in columns and not {"run_id", "event_id"}.isdisjoint(columns):
        return columns
    close = [
        f"{each[:_LONGEST_SHOWN]!r}: {near!r}?"
        for each in columns[:_MOST_COLUMNS]
        if (near := nearest(each, _FIELDS)) and near != each
    ]
    raise Malformed(
        f"Labels as CSV need {needed} in their first line." + (f" Did you mean {' '.join(close)}" if close else ""),
        hint='Or give JSON lines: {"run_id": "…", "verdict": "pass"}.',
    )


def _by_column(columns: list[str], cells: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    criteria: dict[str, Any] = {}
    for name, cell in zip(columns, cells, strict=False):
        if not cell.strip():
            continue
        if name.startswith(_COLUMN_PREFIX):
            criteria[name.removeprefix(_COLUMN_PREFIX)] = cell.strip()
        else:
            row[name] = cell.strip()
    if isinstance(row.get(CRITERIA), str):
        row[CRITERIA] = _parsed(row[CRITERIA])
    if criteria:
        given = row.get(CRITERIA)
        row[CRITERIA] = {**(given if isinstance(given, dict) else {}), **criteria}
    return row


def _label(row: Any) -> HumanLabel:
    if not isinstance(row, dict):
        raise _BadLine("not an object with run_id or event_id, and verdict")
    run_id, event_id = _text(row, "run_id"), _text(row, "event_id")
    if run_id is None and event_id is None:
        raise _BadLine("neither run_id nor event_id" + _meant(row, ("run_id", "event_id")))
    if row.get("verdict") is None:
        raise _BadLine("no verdict" + _meant(row, ("verdict",)))
    return HumanLabel(
        verdict=VerdictLabel(_word(row["verdict"], "verdict", [each.value for each in VerdictLabel])),
        run_id=run_id,
        event_id=event_id,
        criteria=_answers(row.get(CRITERIA)),
        reviewer=_text(row, "reviewer") or "",
    )


def _answers(given: Any) -> dict[str, CriterionLabel]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _BadLine('criteria: not an object of criterion ids, such as {"solves": "pass"}')
    return {
        name: CriterionLabel(
            _word(answer, f"criteria.{name[:_LONGEST_SHOWN]}", [each.value for each in CriterionLabel])
        )
        for name, answer in given.items()
        if answer is not None
    }


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _BadLine(f"{name}: not text")
    if "\x00" in (text := str(value)):
        raise _BadLine(f"{name}: holds a null character")
    return text


def _word(value: Any, name: str, allowed: list[str]) -> str:
    word = value.strip().casefold() if isinstance(value, str) else None
    if word in allowed:
        return word
    found = repr(value if not isinstance(value, str) else value[:_LONGEST_SHOWN])[: _LONGEST_SHOWN + 2]
    close = nearest(value, allowed) if isinstance(value, str) else None
    meant = f"; did you mean {close!r}?" if close else ""
    raise _BadLine(f"{name}: {found} is none of {', '.join(allowed)}{meant}")


def _meant(row: Mapping[str, Any], wanted: tuple[str, ...]) -> str:
    close = next(
        (
            (name, near)
            for name in islice(row, _MOST_COLUMNS)
            if name not in _FIELDS and (near := nearest(name, wanted))
        ),
        None,
    )
    return f"; did {close[0][:_LONGEST_SHOWN]!r} mean {close[1]!r}?" if close else ""
