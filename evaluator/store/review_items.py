"""Review items and what happened to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from evaluator.model.person import Person
from evaluator.model.review import ItemState, ReviewAct, ReviewItem, SlotKind, SlotState
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import EventRow, ReviewActRow, ReviewItemRow, ReviewSlotRow

_item, _act, _slot = table_of(ReviewItemRow), table_of(ReviewActRow), table_of(ReviewSlotRow)
_event = table_of(EventRow)

# built once, as everything that each answer of a person asks: building a statement takes longer than running it
_BY_ID = select(_item).where(_item.c.item_id == bindparam("of"))
_HELD = _BY_ID.with_for_update()
_EVENT_HELD = (
    select(_event.c.event_id, _event.c.workflow)
    .where(
        _event.c.event_id == select(_item.c.event_id).where(_item.c.item_id == bindparam("of")).scalar_subquery()
    )
    .with_for_update()
)
_ACTS = select(_act).where(_act.c.item_id == bindparam("of")).order_by(_act.c.act_id)
_ADD_ACT = _act.insert()

_KEPT = frozenset({"item_id", "state", "round", "gold", "note", "entered_at", "created_at", "settled_at"})
"""What bringing a known item in again leaves as it is: people had their hands on it since."""

WAITING = (ItemState.OPEN, ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION)
"""The states in which somebody has something to do."""


def find_item(connection: Connection, item_id: str) -> ReviewItem | None:
    """The item of this id, or None."""
    row = connection.execute(_BY_ID, {"of": item_id}).mappings().one_or_none()
    return None if row is None else ReviewItem.model_validate(dict(row))


def items_by_id(connection: Connection, item_ids: Collection[str]) -> dict[str, ReviewItem]:
    """Items by id; unknown ids are left out."""
    rows = connection.execute(select(_item).where(_item.c.item_id.in_(item_ids))).mappings()
    return {row["item_id"]: ReviewItem.model_validate(dict(row)) for row in rows}


def lock_item(connection: Connection, item_id: str) -> ReviewItem | None:
    """The item of this id as it is now, held until the transaction ends; None where there is none."""
    row = connection.execute(_HELD, {"of": item_id}).mappings().one_or_none()
    return None if row is None else ReviewItem.model_validate(dict(row))


def lock_event_of(connection: Connection, item_id: str) -> str | None:
    """Hold the event of an item until the transaction ends; its workflow, or None where there is no such item."""
    row = connection.execute(_EVENT_HELD, {"of": item_id}).one_or_none()
    return None if row is None else str(row.workflow)


def add_items(connection: Connection, items: Sequence[ReviewItem]) -> None:
    """Bring items in; of a known one what judges say of it is replaced, and what people did to it stays.

    State, round, gold mark, note and times of a known item stay: `reopen_item`, `set_state` and the others are for
    them. Its open slots take over stream and rank with `review_claims.open_slots`.
    """
    if not items:
        return
    statement = insert_into(connection, _item)
    fresh = {column.name: statement.excluded[column.name] for column in _item.columns if column.name not in _KEPT}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["item_id"], set_=fresh),
        [as_row(item) for item in sorted(items, key=lambda one: one.item_id)],
    )


def reopen_item(connection: Connection, item: ReviewItem, now: datetime) -> ReviewItem:
    """Open a known item again as its next round, as it is given; the item as it then is, still without slots.

    Slots of earlier rounds that are still open are cancelled. Raises KeyError for an item that is not known.
    """
    before = lock_item(connection, item.item_id)
    if before is None:
        raise KeyError(item.item_id)
    changed = {
        "round": before.round + 1,
        "state": ItemState.OPEN,
        "entered_at": now,
        "settled_at": None,
        "gold": before.gold,
        "created_at": before.created_at,
    }
    again = item.model_copy(update=changed)
    _cancel_open_slots(connection, item.item_id, list(SlotKind))
    row = as_row(again)
    connection.execute(update(_item).where(_item.c.item_id == row.pop("item_id")).values(row))
    return again


def withdraw_item(connection: Connection, item_id: str, now: datetime) -> bool:
    """Take an open item out that nobody holds or reviewed in this round; whether it was."""
    item = lock_item(connection, item_id)
    if item is None or item.state != ItemState.OPEN:
        return False
    slots = connection.execute(
        select(_slot.c.state, _slot.c.lease_until)
        .where(_slot.c.item_id == item_id, _slot.c.round == item.round)
        .with_for_update()
    ).all()
    if any(
        slot.state == SlotState.DONE
        or (slot.state == SlotState.OPEN and slot.lease_until is not None and slot.lease_until > now)
        for slot in slots
    ):
        return False
    set_state(connection, item_id, ItemState.WITHDRAWN, now)
    return True


def set_state(
    connection: Connection, item_id: str, state: ItemState, now: datetime, *, note: str | None = None
) -> None:
    """Say where an item is, and since when where it is done or withdrawn; with `note`, what was said over it.

    Slots for reviews leave the line with a done item, held or not, and come back when it is not done after all.
    """
    settled = now if state in (ItemState.DONE, ItemState.WITHDRAWN) else None
    values: dict[str, object] = {"state": state, "settled_at": settled}
    if note is not None:
        values["note"] = note
    connection.execute(update(_item).where(_item.c.item_id == item_id).values(values))
    if settled is not None:
        _cancel_open_slots(connection, item_id, [SlotKind.REVIEW])
    else:
        _reopen_slots(connection, item_id)


def _cancel_open_slots(connection: Connection, item_id: str, kinds: Collection[SlotKind]) -> None:
    """Take what nobody filled out of line: whoever asks for the next item would have to step over it for ever."""
    connection.execute(
        update(_slot)
        .where(_slot.c.item_id == item_id, _slot.c.state == SlotState.OPEN, _slot.c.kind.in_(kinds))
        .values(state=SlotState.CANCELLED, **_NOBODY)
    )


def _reopen_slots(connection: Connection, item_id: str) -> None:
    this_round = select(_item.c.round).where(_item.c.item_id == item_id).scalar_subquery()
    connection.execute(
        update(_slot)
        .where(
            _slot.c.item_id == item_id,
            _slot.c.state == SlotState.CANCELLED,
            _slot.c.kind == SlotKind.REVIEW,
            _slot.c.round == this_round,
        )
        .values(state=SlotState.OPEN)
    )


_NOBODY: dict[str, Any] = {
    "claimed_by": None,
    "claimed_before": None,
    "claimed_at": None,
    "token": None,
    "lease_until": None,
    "batch_id": None,
}


def mark_gold(connection: Connection, item_id: str, gold: bool) -> None:
    """Say whether reviewers are measured by the item."""
    connection.execute(update(_item).where(_item.c.item_id == item_id).values(gold=gold))


def add_act(
    connection: Connection,
    item_id: str,
    act: str,
    *,
    person: Person | None = None,
    who: str = "",
    detail: Mapping[str, Any] | None = None,
    batch_id: str | None = None,
    now: datetime,
) -> None:
    """Record what a person, or `who` else, did to an item."""
    done = ReviewAct(
        item_id=item_id,
        person_id=person.person_id if person else None,
        who=person.name if person else who,
        act=act,
        detail=dict(detail or {}),
        batch_id=batch_id,
        at=now,
    )
    add_acts(connection, [done])


def add_acts(connection: Connection, acts: Sequence[ReviewAct]) -> None:
    """Record what happened to items."""
    rows = [as_row(act) for act in acts]
    for row in rows:
        row.pop("act_id")
    if rows:
        connection.execute(_ADD_ACT, rows)


def acts_of_item(connection: Connection, item_id: str) -> list[ReviewAct]:
    """All that happened to an item, oldest first."""
    rows = connection.execute(_ACTS, {"of": item_id}).mappings()
    return [ReviewAct.model_validate(dict(row)) for row in rows]


def acts_of_batch(connection: Connection, batch_id: str) -> list[ReviewAct]:
    """All that happened in a batch, oldest first."""
    rows = connection.execute(select(_act).where(_act.c.batch_id == batch_id).order_by(_act.c.act_id)).mappings()
    return [ReviewAct.model_validate(dict(row)) for row in rows]
