"""Runs from a JSON-lines file: what can be read is stored, what cannot is told by line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from evaluator import pipeline
from evaluator.capture.assembly import AssembledRun
from evaluator.capture.price_table import price_of_call
from evaluator.capture.redaction import Redactor
from evaluator.capture.reported_runs import read_report, run_from_report
from evaluator.console import err, plain
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, Malformed, NotFound
from evaluator.model.columns import utc_now

LINES_AT_ONCE = 200
MOST_TOLD = 50
"""Bad lines told one by one; the others are only counted."""


@dataclass
class Imported:
    """What became of a file's lines."""

    stored: int = 0
    bad: int = 0


def import_lines(deployment: Deployment, file: str) -> Imported:
    """Store the runs of a file, - for standard input; each line on its own, in transactions of 200.

    Raises NotFound where there is no such file.
    """
    settings = deployment.settings
    redactor = Redactor(settings.redact_extra, enabled=settings.redact)
    done = Imported()
    waiting: list[AssembledRun] = []
    with _lines_of(file) as lines:
        for number, line in lines:
            if not line.strip():
                continue
            try:
                waiting.append(_run_of(line, redactor))
            except AdjudgeError as error:
                done.bad += 1
                if done.bad <= MOST_TOLD:
                    err.print(f"[red]line {number}:[/] {plain(error.message)}", highlight=False, soft_wrap=True)
            if len(waiting) >= LINES_AT_ONCE:
                _store(deployment, waiting, done)
        _store(deployment, waiting, done)
    return done


def _run_of(line: bytes, redactor: Redactor) -> AssembledRun:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg} at column {error.colno}") from None
    return run_from_report(read_report(document), redactor, utc_now(), price=price_of_call)


def _store(deployment: Deployment, waiting: list[AssembledRun], done: Imported) -> None:
    if waiting:
        by_id = {one.run.run_id: one for one in waiting}
        pipeline.report_runs(deployment, list(by_id.values()))
        done.stored += len(by_id)
        waiting.clear()


@contextmanager
def _lines_of(file: str) -> Iterator[Iterator[tuple[int, bytes]]]:
    """Numbered lines, with a bar on stderr that follows the bytes read."""
    with ExitStack() as stack:
        if file == "-":
            yield enumerate(sys.stdin.buffer, 1)
            return
        path = Path(file)
        try:
            source: BinaryIO = stack.enter_context(path.open("rb"))
            size = path.stat().st_size
        except OSError as error:
            raise NotFound(f"{file} cannot be read: {error.strerror}.") from None
        columns = (TextColumn("importing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        bars = stack.enter_context(Progress(*columns, console=err, disable=not err.is_terminal))
        task = bars.add_task("importing", total=size)

        def lines() -> Iterator[tuple[int, bytes]]:
            for number, line in enumerate(source, 1):
                yield number, line
                bars.advance(task, len(line))

        yield lines()
