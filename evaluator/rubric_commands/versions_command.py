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
    if form == "json":
        typer.echo(json_bytes(known if name is None else history, indented=True))
    elif name is not None:
        out.print(_versions_table(history))
    else:
        out.print(_rubrics_table(known) if known else "No rubrics yet: `adjudge rubrics new` writes the first.")


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


def _versions_table(lines: Sequence[VersionLine]) -> Table:
    from evaluator.console import plain

    table = _table("version", "standing", "in force since", "first used", "verdicts", "agrees with people", "title")
    for line in lines:
        table.add_row(
            line.version,
            str(line.standing),
            _minute(line.in_force_since),
            _minute(line.first_used_at),
            f"{line.verdicts:,}",
            _told(line.agreement),
            plain(line.title),
        )
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        is_number = column in ("versions", "verdicts")
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table


def _minute(at: datetime | None) -> str:
    return "—" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _told(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "—"
    between = "" if estimate.low is None else f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return f"{estimate.value:.2f}{between}, n = {estimate.n}"
