"""The queue as lists: which items are under which tab, how many, and who holds them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Select, TextClause, and_, exists, func, or_, select, text

from evaluator.model.columns import utc_now
from evaluator.model.review import ItemState, ReviewItem, SlotKind, SlotState, Stream
from evaluator.store.database import table_of
from evaluator.store.review_claims import DECLINES, OPEN_SLOT, Wanted, restrictions
from evaluator.store.review_items import WAITING
from evaluator.store.tables import PersonRow, ReviewActRow, ReviewItemRow, ReviewRow, ReviewSlotRow

_item, _slot, _act = table_of(ReviewItemRow), table_of(ReviewSlotRow), table_of(ReviewActRow)
_review, _person = table_of(ReviewRow), table_of(PersonRow)

# as text, so that the planner knows that the index over done items holds for it; SQLite, which keeps no statistics,
# has to be told besides that most items are done, else it sorts them all
_DONE = {"sqlite": text("likely(review_item.state = 'done')"), "postgresql": text("review_item.state = 'done'")}
MOST_CHOICES = 200


class QueueTab(StrEnum):
    """One list of the queue."""

    FOR_ME = "for_me"
    """Open items that the person may take, or holds; without those they skipped, unless they are an author."""
    IN_PROGRESS = "in_progress"
    """Open items that somebody holds or has reviewed."""
    ESCALATED = "escalated"
    DISAGREEMENTS = "disagreements"
    DONE = "done"


@dataclass(frozen=True)
class Viewpoint:
    """Whose lists these are, and when."""

    person_id: str
    now: datetime
    only_reviewed: bool
    """Whether of what is disputed or done only those are listed that the person reviewed: else lists tell what others said."""


@dataclass(frozen=True)
class Holder:
    """Somebody's live claim on an item."""

    item_id: str
    person_id: str
    name: str
    kind: SlotKind
    lease_until: datetime


def queue_items(
    connection: Connection, tab: QueueTab, view: Viewpoint, wanted: Wanted, *, limit: int, offset: int = 0
) -> list[ReviewItem]:
    """The items of a tab in order: what is done by when, the last first; all else as it stands in line."""
    order = _item.c.settled_at.desc() if tab is QueueTab.DONE else _item.c.rank_at
    rows = connection.execute(
        select(_item)
        .where(*_under(connection, tab, view), *restrictions(connection, wanted))
        .order_by(order, _item.c.item_id)
        .limit(limit)
        .offset(offset)
    ).mappings()
    return [ReviewItem.model_validate(dict(row)) for row in rows]


def count_items(connection: Connection, tab: QueueTab, view: Viewpoint, wanted: Wanted, *, most: int) -> int:
    """How many items a tab has; at most `most` are counted."""
    found = (
        select(_item.c.item_id)
        .where(*_under(connection, tab, view), *restrictions(connection, wanted))
        .limit(most)
        .subquery()
    )
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def _under(connection: Connection, tab: QueueTab, view: Viewpoint) -> list[ColumnElement[bool] | TextClause]:
    theirs = [_item.c.item_id.in_(_reviewed_by(view))] if view.only_reviewed else []
    match tab:
        case QueueTab.FOR_ME:
            return [
                _item.c.state == ItemState.OPEN,
                _may_be_taken(view),
                ~_was_reviewed_by(view),
                # what everybody skipped is still seen by somebody
                *([~_declined_by(view)] if view.only_reviewed else []),
            ]
        case QueueTab.IN_PROGRESS:
            held = and_(_item.c.state == ItemState.OPEN, _item.c.item_id.in_(_held_items(view)))
            begun = and_(_item.c.state == ItemState.OPEN, _item.c.reviewers > 1, _is_begun())
            return [or_(held, begun, _item.c.item_id.in_(_held_by(view)))]
        case QueueTab.ESCALATED:
            return [_item.c.state == ItemState.ESCALATED]
        case QueueTab.DISAGREEMENTS:
            return [_item.c.state == ItemState.AWAITING_RESOLUTION, *theirs]
        case QueueTab.DONE:
            return [_DONE[connection.dialect.name], *theirs]


def events_to_judge_unseen(connection: Connection, event_ids: Collection[str], person_id: str) -> set[str]:
    """Which of these events the person may yet be asked about blind: what judges said of them would tell.

    Gold items are asked of who has not seen them, however long they are done.
    """
    view = Viewpoint(person_id, utc_now(), only_reviewed=False)
    found = select(_item.c.event_id).where(
        _item.c.event_id.in_(event_ids),
        or_(_item.c.blind, _item.c.stream == Stream.AUDIT),
        or_(_item.c.state.in_(WAITING), _item.c.gold),
        ~_was_reviewed_by(view),
    )
    return set(connection.execute(found).scalars())


def _reviewed_by(view: Viewpoint) -> Select[tuple[str]]:
    """Read once and not per item: without statistics SQLite would look through all of a person's reviews each time."""
    return select(_review.c.item_id).where(_review.c.person_id == view.person_id)


def _may_be_taken(view: Viewpoint) -> ColumnElement[bool]:
    """Some review is wanting whose slot is free, or the person's own."""
    free = or_(_slot.c.lease_until.is_(None), _slot.c.lease_until <= view.now, _slot.c.claimed_by == view.person_id)
    return exists().where(
        _slot.c.item_id == _item.c.item_id,
        _slot.c.state == SlotState.OPEN,
        _slot.c.kind == SlotKind.REVIEW,
        free,
    )


def _was_reviewed_by(view: Viewpoint) -> ColumnElement[bool]:
    return exists().where(
        _slot.c.item_id == _item.c.item_id,
        # in a function, so that SQLite does not look through all slots of the person for each item
        func.coalesce(_slot.c.claimed_by, "") == view.person_id,
        _slot.c.state == SlotState.DONE,
        _slot.c.round == _item.c.round,
    )


def _declined_by(view: Viewpoint) -> ColumnElement[bool]:
    return exists().where(
        _act.c.item_id == _item.c.item_id,
        _act.c.person_id == view.person_id,
        _act.c.act.in_(DECLINES),
        _act.c.at >= _item.c.entered_at,
    )


def _is_begun() -> ColumnElement[bool]:
    return exists().where(
        _slot.c.item_id == _item.c.item_id,
        _slot.c.round == _item.c.round,
        _slot.c.state == SlotState.DONE,
    )


def _held_items(view: Viewpoint) -> Select[tuple[str]]:
    return select(_slot.c.item_id).where(
        OPEN_SLOT, _slot.c.claimed_by.is_not(None), _slot.c.lease_until > view.now, _slot.c.kind == SlotKind.REVIEW
    )


def _held_by(view: Viewpoint) -> Select[tuple[str]]:
    """What the person holds, gold too: it looks like any other item."""
    return select(_slot.c.item_id).where(
        OPEN_SLOT,
        _slot.c.claimed_by == view.person_id,
        _slot.c.lease_until > view.now,
        _slot.c.kind.in_((SlotKind.REVIEW, SlotKind.GOLD)),
    )


def holders_of(connection: Connection, item_ids: Collection[str], now: datetime) -> dict[str, list[Holder]]:
    """Item id → who holds it just now, whose lease ends first coming first; items that nobody holds are left out."""
    rows = connection.execute(
        select(_slot.c.item_id, _slot.c.claimed_by, _slot.c.kind, _slot.c.lease_until, _person.c.name)
        .join(_person, _person.c.person_id == _slot.c.claimed_by)
        .where(_slot.c.item_id.in_(item_ids), OPEN_SLOT, _slot.c.lease_until > now)
        .order_by(_slot.c.lease_until, _slot.c.slot_id)
    )
    found: dict[str, list[Holder]] = {}
    for row in rows:
        held = Holder(row.item_id, row.claimed_by, row.name, SlotKind(row.kind), row.lease_until)
        found.setdefault(row.item_id, []).append(held)
    return found


def disputed_items(
    connection: Connection, states: Collection[ItemState], view: Viewpoint, *, limit: int, offset: int = 0
) -> list[ReviewItem]:
    """What waits for an author, in the order in which it came in."""
    rows = connection.execute(
        select(_item)
        .where(*_disputed(states, view))
        .order_by(_item.c.entered_at, _item.c.item_id)
        .limit(limit)
        .offset(offset)
    ).mappings()
    return [ReviewItem.model_validate(dict(row)) for row in rows]


def count_disputed(connection: Connection, states: Collection[ItemState], view: Viewpoint, *, most: int) -> int:
    """How many items wait for an author; at most `most` are counted."""
    found = select(_item.c.item_id).where(*_disputed(states, view)).limit(most).subquery()
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def _disputed(states: Collection[ItemState], view: Viewpoint) -> list[ColumnElement[bool]]:
    took_part = or_(
        _item.c.item_id.in_(_reviewed_by(view)),
        _declined_by(view),
    )
    return [_item.c.state.in_(states), *([took_part] if view.only_reviewed else [])]


def workflows_waiting(connection: Connection) -> list[str]:
    """The workflows of items that wait, by name; the first MOST_CHOICES."""
    return _names(connection, _item.c.workflow)


def rubrics_waiting(connection: Connection) -> list[str]:
    """The ids of the rubrics of items that wait, by name; the first MOST_CHOICES."""
    return _names(connection, _item.c.rubric_id)


def _names(connection: Connection, column: ColumnElement[str]) -> list[str]:
    query = select(column).where(_item.c.state.in_(WAITING), column != "").distinct().order_by(column)
    return list(connection.execute(query.limit(MOST_CHOICES)).scalars())
