"""What waits for review, as notifications tell it: numbers by workflow and rubric, never captured content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from evaluator.settings import Settings
from evaluator.store.database import Connection
from evaluator.store.waiting_reviews import (
    WaitingReviews,
    WaitingTotal,
    longest_waiting,
    total_of,
    waiting_reviews,
)


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The queue at one moment."""

    groups: tuple[WaitingReviews, ...]
    total: WaitingTotal
    longest: tuple[str, ...]
    """Ids of the items that are overdue longest, at most 20."""
    sla: timedelta
    queue: str
    """Where the queue is, as a link."""


def queue_figures(connection: Connection, settings: Settings, now: datetime) -> QueueFigures:
    """Look at the queue once."""
    sla = timedelta(hours=settings.review_sla_hours)
    groups = tuple(waiting_reviews(connection, overdue_before=now - sla))
    total = total_of(groups)
    longest = longest_waiting(connection, overdue_before=now - sla) if total.overdue else []
    return QueueFigures(groups, total, tuple(longest), sla, f"{address_of(settings)}/review")


def address_of(settings: Settings) -> str:
    """This deployment's address as links name it: the public one where it is set, else the one listened on."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"
