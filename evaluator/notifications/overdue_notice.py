"""The notice that reviews are overdue: when it is worth telling, and what it tells."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from evaluator.model.delivery import Channel, Delivery
from evaluator.notifications.queue_figures import QueueFigures

KIND = "review.overdue"

QUIET = timedelta(hours=1)
"""No two notices come closer together, however fast the queue grows."""
AGAIN = timedelta(days=1)
"""What is overdue and told is told again after this long."""
GROUPS_TOLD = 50


def is_worth_telling(
    overdue: int, overdue_since: datetime | None, told: int, told_at: datetime | None, now: datetime
) -> bool:
    """Whether to tell that `overdue` items are overdue, the first since `overdue_since`, where `told` were told last.

    At once where nothing was; later daily, or when the number has doubled, or when all that was told is done and
    others are overdue. Never where nothing is overdue.
    """
    if not overdue or overdue_since is None:
        return False
    if told_at is None:
        return True
    if now - told_at < QUIET:
        return False
    return now - told_at >= AGAIN or overdue >= 2 * told or overdue_since > told_at


def notice_due(figures: QueueFigures, last: Delivery | None, now: datetime) -> Delivery | None:
    """The notice to be queued now, if any; `last` is the one queued before."""
    total = figures.total
    told = int(last.payload["data"]["overdue"]) if last else 0
    since = total.oldest_at + figures.sla if total.oldest_at else None
    if not is_worth_telling(total.overdue, since, told, last.created_at if last else None, now):
        return None
    return Delivery(
        delivery_id=f"msg_{secrets.token_hex(12)}",
        channel=Channel.WEBHOOK,
        kind=KIND,
        payload={"type": KIND, "timestamp": now.isoformat(), "data": _data(figures)},
        due_at=now,
        created_at=now,
    )


def _data(figures: QueueFigures) -> dict[str, object]:
    total = figures.total
    return {
        "overdue": total.overdue,
        "waiting": total.waiting,
        "oldest_waiting_since": total.oldest_at.isoformat() if total.oldest_at else None,
        "sla_hours": figures.sla / timedelta(hours=1),
        "groups": [
            {
                "workflow": one.workflow,
                "rubric": one.rubric_id,
                "overdue": one.overdue,
                "waiting": one.waiting,
                "oldest_waiting_since": one.oldest_at.isoformat(),
            }
            for one in figures.groups[:GROUPS_TOLD]
            if one.overdue
        ],
        "item_ids": list(figures.longest),
        "queue": figures.queue,
    }
