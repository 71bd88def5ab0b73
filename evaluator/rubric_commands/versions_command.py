"""`adjudge rubrics versions`: every version of a rubric that was ever used, and its text as it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evaluator.terminal import opened

if TYPE_CHECKING:
    from rich.table import Table

    from evaluator.authoring.rubric_history import RubricLine, VersionLine
    from evaluator.deployment import Deployment
    from evaluator.statistics.agreement import Estimate


def versions(
    name: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="A rubric's id; id@version prints the text of that version."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Every rubric known, a rubric's versions, or one version's text; whatever became of the file."""
    from rich.console import Console

    from evaluator.authoring.rubric_history import history_of, known_rubrics
    from evaluator.console import out
    from evaluator.plain_json import json_bytes

    if form not in ("text", "json"):
        raise typer.BadParameter(f"{form!r} is none of text, json.", param_hint="--format")
    with opened() as deployment:
        if name is not None and "@" in name:
            _print_text(name, deployment, as_json=form == "json")
            return
        known = [] if name is not None else known_rubrics(deployment)
        history = [] if name is None else history_of(name, deployment)
    # what reads a pipe wants whole lines
    console = out if out.is_terminal else Console(width=_UNCUT)
    if form == "json":
        typer.echo(json_bytes(known if name is None else history, indented=True))
    elif name is not None:
        console.print(_versions_table(history, console.width))
    else:
        console.print(_rubrics_table(known) if known else "No rubrics yet: `adjudge rubrics new` writes the first.")


def _print_text(name: str, deployment: Deployment, *, as_json: bool) -> None:
    from evaluator.authoring.named_rubrics import rubric_named
    from evaluator.authoring.rubric_history import yaml_of
    from evaluator.console import err
    from evaluator.plain_json import json_bytes

    found = rubric_named(name, deployment)
    if as_json:
        shown = {"id": found.rubric.id, "version": found.rubric.version, "yaml": yaml_of(found)}
        typer.echo(json_bytes({**shown, "yaml_kept": bool(found.source)}, indented=True))
        return
    if not found.source:
        err.print("Its text was not kept; this is written anew from what it means.")
    typer.echo(yaml_of(found), nl=False)


def _rubrics_table(lines: Sequence[RubricLine]) -> Table:
    from evaluator.console import plain

    table = _table("id", "in force", "versions", "verdicts", "file")
    for line in lines:
        file = f"{line.file} (has errors)" if line.broken else line.file or "file gone"
        table.add_row(plain(line.rubric_id), line.version, f"{line.versions:,}", f"{line.verdicts:,}", plain(file))
    return table


def _versions_table(lines: Sequence[VersionLine], width: int) -> Table:
    """One line a version however narrow the terminal: titles are cut there, then left out, as is the first use."""
    columns = _version_columns(lines)
    title = columns.pop("title")
    if _width(columns) > width:
        del columns["first used"]
    room = width - _width(columns) - _GAP
    table = _table(*columns)
    if room >= _SHORTEST_TITLE:
        table.add_column("title", no_wrap=True, overflow="ellipsis", max_width=room)
        columns["title"] = title
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


_GAP = 2
_SHORTEST_TITLE = 12
_UNCUT = 10_000


def _version_columns(lines: Sequence[VersionLine]) -> dict[str, list[str]]:
    from evaluator.console import plain

    columns = {
        "version": [line.version for line in lines],
        "standing": [str(line.standing) for line in lines],
        "in force since": [_minute(line.in_force_since) for line in lines],
        "first used": [_minute(line.first_used_at) for line in lines],
        "verdicts": [f"{line.verdicts:,}" for line in lines],
    }
    if any(line.agreement is not None for line in lines):
        columns["agrees with people"] = [_told(line.agreement) for line in lines]
    columns["title"] = [plain(line.title) for line in lines]
    return columns


def _width(columns: dict[str, list[str]]) -> int:
    return sum(max(map(len, (name, *cells))) + _GAP for name, cells in columns.items()) - _GAP


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in columns:
        is_number = column in ("versions", "verdicts")
        # a name may be long; all else keeps to one line
        table.add_column(
            column, justify="right" if is_number else "left", no_wrap=column not in ("id", "file"), overflow="fold"
        )
    return table


def _minute(at: datetime | None) -> str:
    return "—" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _told(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "—"
    between = "" if estimate.low is None else f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return f"{estimate.value:.2f}{between}, n = {estimate.n}"
