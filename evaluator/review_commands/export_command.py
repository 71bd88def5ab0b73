"""`adjudge review export`: every verdict of people, as CSV or JSON lines."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from evaluator.terminal import actor, opened


def export(
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    rubric: Annotated[str | None, typer.Option(help="Only under this rubric.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Given at this time (UTC) or later."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Given before this time (UTC)."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="A file instead of standard output.", dir_okay=False)] = None,
) -> None:
    """Every verdict of people with all that a statistic has to know of it, oldest first."""
    from evaluator.errors import Misconfigured
    from evaluator.reviewing.review_export import ExportFilter, audited_lines

    if form not in ("csv", "jsonl"):
        raise typer.BadParameter(f"{form!r} is none of csv, jsonl.", param_hint="--format")
    wanted = ExportFilter(rubric_id=rubric, workflow=workflow, since=_utc(since), until=_utc(until))
    with opened() as deployment:
        pieces = audited_lines(deployment, wanted, form, actor=actor())
        if to is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            return
        try:
            with to.open("wb") as file:
                file.writelines(pieces)
        except OSError as error:
            raise Misconfigured(
                f"{to} cannot be written: {error.strerror}.", hint="Name another with --to."
            ) from None


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
