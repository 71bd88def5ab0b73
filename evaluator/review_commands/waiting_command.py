"""`adjudge review status`: how much waits for people, since when, and who holds what."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from evaluator.terminal import opened


def show_waiting(as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False) -> None:
    """What waits by workflow and rubric: how much, how much of it overdue, escalated, in dispute, and since when.

    Below it, how many open items wait for which reason.
    """
    from rich.table import Table

    from evaluator.console import out, plain
    from evaluator.model.columns import utc_now
    from evaluator.plain_json import json_bytes
    from evaluator.reviewing.reason_chips import WORDS
    from evaluator.store.waiting_reviews import total_of, waiting_reasons, waiting_reviews
    from evaluator.wording import ago

    with opened() as deployment, deployment.database.read() as connection:
        now = utc_now()
        late = now - timedelta(hours=deployment.settings.review_sla_hours)
        groups = waiting_reviews(connection, overdue_before=late)
        reasons = waiting_reasons(connection)
    if as_json:
        typer.echo(json_bytes({"total": total_of(groups), "groups": groups, "reasons": reasons}, indented=True))
        return
    if not groups:
        out.print("Nothing waits for people.")
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("workflow", "rubric"):
        table.add_column(name, overflow="fold")
    for name in ("waiting", "overdue", "escalated", "disagreements", "oldest"):
        table.add_column(name, justify="right")
    for one in groups:
        numbers = (one.waiting, one.overdue, one.escalated, one.disagreements)
        told = [f"{number:,}" if number else "–" for number in numbers]
        table.add_row(plain(one.workflow or "–"), plain(one.rubric_id), *told, ago(one.oldest_at, now))
    out.print(table)
    if reasons:
        why = Table(header_style="bold", box=None, pad_edge=False)
        for name in ("why here", "stream"):
            why.add_column(name, overflow="fold")
        why.add_column("open", justify="right")
        for each in reasons:
            why.add_row(plain(WORDS.get(each.reason, each.reason)), each.stream, f"{each.open:,}")
        out.print()
        out.print(why)
