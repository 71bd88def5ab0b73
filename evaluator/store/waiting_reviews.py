"""How many items wait for people, under which rubric and since when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, select, true

from evaluator.model.review import ItemState
from evaluator.store.database import table_of
from evaluator.store.tables import ReviewItemRow

_item = table_of(ReviewItemRow)

_WAITING = (ItemState.OPEN, ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION)


@dataclass(frozen=True, slots=True)
class WaitingReviews:
    """Items of one workflow under one rubric that are not settled."""

    workflow: str
    rubric_id: str
    waiting: int
    """In any of the three states below."""
    overdue: int
    """Those of them that came in before a given time."""
    escalated: int
    disagreements: int
    oldest_at: datetime
    """Since when the one that came in first waits."""


@dataclass(frozen=True, slots=True)
class WaitingTotal:
    """All items that are not settled, added up; nothing waits where `waiting` is 0."""

    waiting: int = 0
    overdue: int = 0
    escalated: int = 0
    disagreements: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitingReason:
    """How many open items wait for a reason, in a stream; an item with several counts for each."""

    reason: str
    stream: str
    open: int


def waiting_reasons(connection: Connection) -> list[WaitingReason]:
    """Open items by reason and stream, the most first: numbers, which tell nothing of any one item."""
    each = func.json_each if connection.dialect.name == "sqlite" else func.jsonb_array_elements_text
    reason = each(_item.c.reasons).table_valued("value", name="reason")
    number = func.count().label("number")
    query = (
        select(reason.c.value, _item.c.stream, number)
        .select_from(_item.join(reason, true()))
        .where(_item.c.state == ItemState.OPEN)
        .group_by(reason.c.value, _item.c.stream)
    )
    found = [WaitingReason(str(row.value), str(row.stream), row.number) for row in connection.execute(query)]
    return sorted(found, key=lambda one: (-one.open, one.reason, one.stream))


def waiting_reviews(connection: Connection, *, overdue_before: datetime) -> list[WaitingReviews]:
    """What waits by workflow and rubric, the one with the most overdue items first."""

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, 1), else_=0))

    query = (
        select(
            _item.c.workflow,
            _item.c.rubric_id,
            func.count().label("waiting"),
            number(_item.c.entered_at < overdue_before).label("overdue"),
            number(_item.c.state == ItemState.ESCALATED).label("escalated"),
            number(_item.c.state == ItemState.AWAITING_RESOLUTION).label("disagreements"),
            func.min(_item.c.entered_at).label("oldest_at"),
        )
        .where(_item.c.state.in_(_WAITING))
        .group_by(_item.c.workflow, _item.c.rubric_id)
    )
    found = [WaitingReviews(**row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda one: (-one.overdue, -one.waiting, one.workflow, one.rubric_id))


def longest_waiting(connection: Connection, *, overdue_before: datetime, limit: int = 20) -> list[str]:
    """Ids of the items that are overdue longest."""
    query = (
        select(_item.c.item_id)
        .where(_item.c.state.in_(_WAITING), _item.c.entered_at < overdue_before)
        .order_by(_item.c.entered_at, _item.c.item_id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def total_of(groups: Iterable[WaitingReviews]) -> WaitingTotal:
    """All groups together."""
    listed = list(groups)
    return WaitingTotal(
        waiting=sum(one.waiting for one in listed),
        overdue=sum(one.overdue for one in listed),
        escalated=sum(one.escalated for one in listed),
        disagreements=sum(one.disagreements for one in listed),
        oldest_at=min((one.oldest_at for one in listed), default=None),
    )
