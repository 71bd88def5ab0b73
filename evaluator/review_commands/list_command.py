"""`adjudge review list`: the items under a tab of the queue, with the page's filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evaluator.terminal import opened

if TYPE_CHECKING:
    from rich.table import Table

    from evaluator.model.review import ReviewItem
    from evaluator.store.queue_rows import Holder

MOST = 1000


def show_items(
    tab: Annotated[str, typer.Option(help="open, in_progress, escalated, disagreements or done.")] = "open",
    workflow: Annotated[str, typer.Option(help="Only of this workflow.")] = "",
    rubric: Annotated[str, typer.Option(help="Only under this rubric.")] = "",
    stream: Annotated[str, typer.Option(help="audit, targeted or picked.")] = "",
    reason: Annotated[str, typer.Option(help="Only for this reason, such as critical_fail.")] = "",
    hours: Annotated[int | None, typer.Option(min=1, help="Only what waits at least so long.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST)] = 50,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="The same as JSON; of what is to be reviewed blind without what would tell."),
    ] = False,
) -> None:
    """Items in the order in which they stand in line; what is done, the last first."""
    from evaluator.console import out
    from evaluator.model.columns import utc_now
    from evaluator.plain_json import json_bytes
    from evaluator.reviewing.queue_filter import QueueFilter, wanted_by
    from evaluator.reviewing.review_lists import OPEN_TABS
    from evaluator.store.queue_rows import QueueTab, Viewpoint, holders_of, queue_items

    names = {"open": QueueTab.FOR_ME, **{str(one): one for one in QueueTab if one is not QueueTab.FOR_ME}}
    if tab not in names:
        raise typer.BadParameter(f"{tab!r} is none of {', '.join(names)}.", param_hint="--tab")
    given = {"workflow": workflow, "rubric": rubric, "stream": stream, "reason": reason}
    asked = QueueFilter.from_mapping({**given, "older_than_hours": str(hours or "")})
    now = utc_now()
    wanted = wanted_by(asked, now, hidden=names[tab] in OPEN_TABS)
    operator = Viewpoint(person_id="", now=now, only_reviewed=False)
    with opened() as deployment, deployment.database.read() as connection:
        items = queue_items(connection, names[tab], operator, wanted, limit=limit)
        holders = holders_of(connection, [item.item_id for item in items], now)
    if as_json:
        typer.echo(json_bytes([_seen(one) for one in items], indented=True))
    else:
        out.print(_table(items, holders) if items else "Nothing stands here.")


def _is_hidden(item: ReviewItem) -> bool:
    """Whoever sits at the server may review as well: what is open stays blind for them too."""
    from evaluator.model.review import ItemState, Stream

    return item.state == ItemState.OPEN and (item.blind or item.stream == Stream.AUDIT)


def _seen(item: ReviewItem) -> dict[str, Any]:
    from evaluator.review_state import seen_item

    seen = seen_item(item, hidden=_is_hidden(item)).model_dump()
    return {**seen, "stream": None} if _is_hidden(item) else seen


def _table(items: Sequence[ReviewItem], holders: dict[str, list[Holder]]) -> Table:
    from rich.table import Table

    from evaluator.console import plain
    from evaluator.model.columns import utc_now
    from evaluator.reviewing.reason_chips import chips_of
    from evaluator.wording import ago

    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("item", "event", "workflow", "rubric", "stream", "why here", "since", "held by"):
        table.add_column(name, overflow="fold")
    now = utc_now()
    for item in items:
        hidden = _is_hidden(item)
        why = ", ".join(chip.word for chip in chips_of(item, hidden=hidden))
        held = ", ".join(one.name for one in holders.get(item.item_id, ()))
        table.add_row(
            item.item_id,
            plain(item.event_id),
            plain(item.workflow or "–"),
            plain(item.rubric_id),
            "–" if hidden else item.stream,
            why,
            ago(item.settled_at or item.entered_at, now),
            plain(held or "–"),
        )
    return table
