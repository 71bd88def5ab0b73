"""`adjudge review pick`: events put into the queue by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evaluator.terminal import actor, opened


def pick_events(
    events: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT…", help="Ids of events; - reads one a line.")
    ] = None,
    rubric: Annotated[str, typer.Option(help="The rubric to review them under.")] = "",
    note: Annotated[str, typer.Option(help="What reviewers read once they have answered.")] = "",
    file: Annotated[Path | None, typer.Option(help="A file with one event id a line.", dir_okay=False)] = None,
) -> None:
    """Put events into the queue by hand; each needs a run, though neither a verdict nor a sample."""
    from evaluator.console import err, plain
    from evaluator.errors import BadInput
    from evaluator.reviewing.hand_picking import Picker, pick_all
    from evaluator.wording import plural

    if not rubric:
        raise typer.BadParameter("Name the rubric to review them under.", param_hint="--rubric")
    wanted = [one for one in events or [] if one != "-"]
    if "-" in (events or []):
        wanted += sys.stdin.read().splitlines()
    if file is not None:
        try:
            wanted += file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} cannot be read: {error}.") from None
    with opened() as deployment:
        done = pick_all(deployment, Picker(actor()), wanted, rubric, note)
    for one in done.items:
        typer.echo(one.item_id)
    for refused in done.failed:
        err.print(f"✗ {plain(refused.event_id)}: {plain(refused.why)}", highlight=False, soft_wrap=True)
    err.print(f"{plural(len(done.items), 'item')} in the queue.", highlight=False)
    if done.failed:
        raise typer.Exit(1)
