"""Slots of review items: who holds one, until when, and the one statement by which people come to hold them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from evaluator.model.review import ItemState, ReviewItem, ReviewSlot, SlotKind, SlotState
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import ReviewActRow, ReviewItemRow, ReviewSlotRow

_item, _slot, _act = table_of(ReviewItemRow), table_of(ReviewSlotRow), table_of(ReviewActRow)

# as text and not as parameters or booleans: only then do the planners know that the indexes over open slots hold
OPEN_SLOT = text("review_slot.state = 'open'")
_OPEN_REVIEW = text("review_slot.state = 'open' AND review_slot.kind = 'review'")
_IN_AUDIT = text("review_slot.stream = 'audit'")
_NOT_IN_AUDIT = text("review_slot.stream <> 'audit'")
_GOLD = text("review_item.gold")

DECLINES = ("skipped", "escalated")
"""Acts after which the item is not offered to the same person again in its round."""


@dataclass(frozen=True)
class Wanted:
    """Which open slots are asked for; what is left empty does not restrict."""

    workflow: str = ""
    rubric_id: str = ""
    streams: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    """Any of these."""
    entered_before: datetime | None = None

    @property
    def restricts(self) -> bool:
        return self != Wanted()


def new_token() -> str:
    """What a claim is known by; 128 random bits."""
    return secrets.token_urlsafe(16)


def open_slots(connection: Connection, items: Sequence[ReviewItem]) -> None:
    """Give each item one slot per review it wants in its round; of slots it has, the open ones take over its place.

    Slots beyond what is wanted stay: somebody may hold them.
    """
    rows = [
        as_row(
            ReviewSlot(
                slot_id=f"{item.item_id}-{item.round}-{number}",
                item_id=item.item_id,
                round=item.round,
                stream=item.stream,
                rubric_id=item.rubric_id,
                workflow=item.workflow,
                rank_at=item.rank_at,
            )
        )
        for item in sorted(items, key=lambda one: one.item_id)
        for number in range(1, item.reviewers + 1)
    ]
    if rows:
        statement = insert_into(connection, _slot)
        place = {name: statement.excluded[name] for name in ("stream", "workflow", "rank_at")}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["slot_id"], set_=place, where=_slot.c.state == SlotState.OPEN
            ),
            rows,
        )


def claim_one(
    connection: Connection,
    person_id: str,
    wanted: Wanted,
    *,
    audit: bool,
    now: datetime,
    until: datetime,
    batch_id: str | None = None,
) -> ReviewSlot | None:
    """Make a person the holder of the first slot in line that is free or whose lease has run out; None without one.

    In line are slots of open items in the audit stream, or else in all others; not of items on which the person has
    a slot already, or which they declined in this round. One statement: two who ask at once never get the same.
    `claimed_before` of the slot tells whose lease had run out.
    """
    statement = _CLAIMING[audit]
    if wanted.restricts:
        statement = _claiming(audit, _by_name(_slot, wanted), _by_item(connection, wanted))
    told = {
        "me": person_id,
        "now": now,
        "until": until,
        "fresh_token": new_token(),
        "for_batch": batch_id,
    }
    row = connection.execute(statement, told).mappings().one_or_none()
    return None if row is None else ReviewSlot.model_validate(dict(row))


_ME, _NOW = bindparam("me", type_=String), bindparam("now", type_=_slot.c.lease_until.type)
_FREE = or_(_slot.c.lease_until.is_(None), _slot.c.lease_until <= _NOW)
_HELD: dict[str, Any] = {
    "claimed_before": _slot.c.claimed_by,
    "claimed_by": _ME,
    "token": bindparam("fresh_token"),
    "claimed_at": _NOW,
    "lease_until": bindparam("until"),
    "batch_id": bindparam("for_batch"),
}


def _looked_up(query: Select[Any]) -> ColumnElement[bool]:
    """Whether the query finds anything, looked up for one slot after the other as they stand in line.

    OFFSET 0 keeps PostgreSQL from making a join of it, which may read and sort all that is open before the first.
    """
    return query.correlate(_slot).offset(0).exists()


_theirs, _declined = _slot.alias("theirs"), _act.alias("declined")
_HAS_ONE = _looked_up(
    select(_theirs.c.slot_id).where(
        _theirs.c.item_id == _slot.c.item_id,
        _theirs.c.claimed_by.concat("") == _ME,  # by the item, not by all that the person ever claimed
        _theirs.c.round == _slot.c.round,
        text("theirs.state <> 'cancelled'"),
        _theirs.c.slot_id != _slot.c.slot_id,
    )
)
_HAS_DECLINED = _looked_up(
    select(_declined.c.act_id)
    .join(_item, _item.c.item_id == _declined.c.item_id)
    .where(
        _declined.c.item_id == _slot.c.item_id,
        _declined.c.person_id == _ME,
        _declined.c.act.in_(DECLINES),
        _declined.c.at >= _item.c.entered_at,
    )
)


def _line(
    audit: bool, of_slot: Sequence[ColumnElement[bool]] = (), of_item: Sequence[ColumnElement[bool]] = ()
) -> Select[Any]:
    return (
        select(_slot.c.slot_id)
        .where(
            _OPEN_REVIEW,
            _IN_AUDIT if audit else _NOT_IN_AUDIT,
            _FREE,
            *of_slot,
            _looked_up(
                select(_item.c.item_id).where(
                    _item.c.item_id == _slot.c.item_id, _item.c.state == ItemState.OPEN, *of_item
                )
            ),
            ~_HAS_ONE,
            ~_HAS_DECLINED,
        )
        .order_by(_slot.c.rank_at)
    )


def _claiming(
    audit: bool, of_slot: Sequence[ColumnElement[bool]] = (), of_item: Sequence[ColumnElement[bool]] = ()
) -> ReturningUpdate[Any]:
    head = _line(audit, of_slot, of_item).limit(1).with_for_update(of=_slot, skip_locked=True)
    return update(_slot).where(_slot.c.slot_id == head.scalar_subquery()).values(_HELD).returning(*_slot.c)


_CLAIMING = {audit: _claiming(audit) for audit in (True, False)}
"""Without a filter, built once: building one takes longer than running it."""


def first_in_line(connection: Connection, person_id: str, wanted: Wanted, *, now: datetime, most: int) -> list[str]:
    """Items that a person would be given next, `most` of the audit stream and of the others; nothing is claimed."""
    by_name, by_item = _by_name(_slot, wanted), _by_item(connection, wanted)
    found: list[str] = []
    for audit in (True, False):
        line = _line(audit, by_name, by_item).with_only_columns(_slot.c.item_id).limit(most)
        found += connection.execute(line, {"me": person_id, "now": now}).scalars()
    return list(dict.fromkeys(found))


def restrictions(connection: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    """What a filter asks of `review_item`, as conditions."""
    return [*_by_name(_item, wanted), *_by_item(connection, wanted)]


def _by_name(table: Table, wanted: Wanted) -> list[ColumnElement[bool]]:
    """What items and slots can be asked alike."""
    found: list[ColumnElement[bool]] = []
    if wanted.workflow:
        found.append(table.c.workflow == wanted.workflow)
    if wanted.rubric_id:
        found.append(table.c.rubric_id == wanted.rubric_id)
    if wanted.streams:
        found.append(table.c.stream.in_(wanted.streams))
    return found


def _by_item(connection: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.entered_before is not None:
        found.append(_item.c.entered_at <= wanted.entered_before)
    if wanted.reasons:
        each = func.json_each if connection.dialect.name == "sqlite" else func.jsonb_array_elements_text
        reason = each(_item.c.reasons).table_valued("value", name="reason")
        found.append(exists(select(1).select_from(reason).where(reason.c.value.in_(wanted.reasons))))
    return found


def is_anything_open(connection: Connection, wanted: Wanted) -> bool:
    """Whether some review of an open item is wanting, whoever holds it."""
    found = (
        select(_slot.c.slot_id)
        .join(_item, _item.c.item_id == _slot.c.item_id)
        .where(_OPEN_REVIEW, _item.c.state == ItemState.OPEN, *restrictions(connection, wanted))
        .limit(1)
    )
    return connection.execute(found).first() is not None


def unseen_gold(connection: Connection, person_id: str, wanted: Wanted) -> ReviewItem | None:
    """A gold item that a person has never held, reviewed or declined, the one that came in first; None without one."""
    found = _UNSEEN_GOLD.where(*restrictions(connection, wanted)) if wanted.restricts else _UNSEEN_GOLD
    row = connection.execute(found, {"me": person_id}).mappings().one_or_none()
    return None if row is None else ReviewItem.model_validate(dict(row))


_UNSEEN_GOLD = (
    select(_item)
    .where(
        _GOLD,
        _item.c.state.concat("") == ItemState.DONE,  # gold is rare and done is most: no index over the latter
        ~exists().where(_theirs.c.item_id == _item.c.item_id, _theirs.c.claimed_by.concat("") == _ME),
        ~exists().where(
            _declined.c.item_id == _item.c.item_id,
            _declined.c.person_id == _ME,
            _declined.c.act.in_(DECLINES),
        ),
    )
    .order_by(_item.c.created_at, _item.c.item_id)
    .limit(1)
)


def add_slot(
    connection: Connection,
    item: ReviewItem,
    kind: SlotKind,
    person_id: str,
    *,
    now: datetime,
    until: datetime,
    batch_id: str | None = None,
) -> ReviewSlot:
    """A slot beyond those that the item wants, held by a person from its start."""
    slot = ReviewSlot(
        slot_id=f"{item.item_id}-{item.round}-{kind}-{secrets.token_hex(4)}",
        item_id=item.item_id,
        round=item.round,
        kind=kind,
        stream=item.stream,
        rubric_id=item.rubric_id,
        workflow=item.workflow,
        rank_at=item.rank_at,
        claimed_by=person_id,
        token=new_token(),
        claimed_at=now,
        lease_until=until,
        batch_id=batch_id,
    )
    connection.execute(_slot.insert(), as_row(slot))
    return slot


def take_slot(
    connection: Connection,
    slot_id: str,
    person_id: str,
    *,
    now: datetime,
    until: datetime,
    batch_id: str | None = None,
) -> ReviewSlot | None:
    """Make a person the holder of this slot, where it is open and free, run out or their own; else None."""
    taken = (
        update(_slot)
        .where(
            _slot.c.slot_id == slot_id,
            _slot.c.state == SlotState.OPEN,
            or_(_FREE, _slot.c.claimed_by == _ME),
        )
        .values(_HELD)
        .returning(*_slot.c)
    )
    told = {"me": person_id, "now": now, "until": until, "fresh_token": new_token(), "for_batch": batch_id}
    row = connection.execute(taken, told).mappings().one_or_none()
    return None if row is None else ReviewSlot.model_validate(dict(row))


def give_back(
    connection: Connection,
    slot_id: str,
    person_id: str,
    *,
    now: datetime,
    until: datetime,
) -> ReviewSlot | None:
    """Open a slot again that a person filled, held by them under a new token; None where it is not theirs."""
    opened = (
        update(_slot)
        .where(_slot.c.slot_id == slot_id, _slot.c.state == SlotState.DONE, _slot.c.claimed_by == person_id)
        .values(state=SlotState.OPEN, claimed_before=None, token=new_token(), claimed_at=now, lease_until=until)
        .returning(*_slot.c)
    )
    row = connection.execute(opened).mappings().one_or_none()
    return None if row is None else ReviewSlot.model_validate(dict(row))


def renew_slot(connection: Connection, item_id: str, person_id: str, token: str, until: datetime) -> bool:
    """Hold on to a slot; False where the token is no longer the slot's."""
    return bool(
        connection.execute(
            update(_slot).where(*_under(item_id, person_id, token)).values(lease_until=until)
        ).rowcount
    )


def fill_slot(connection: Connection, item_id: str, person_id: str, token: str) -> ReviewSlot | None:
    """Close the slot that a person holds under a token, for its review has come; None where the token is not its own.

    A lease that has run out without anybody taking the slot over is still its holder's.
    """
    told = {"of_item": item_id, "me": person_id, "held_by": token}
    row = connection.execute(_FILLING, told).mappings().one_or_none()
    return None if row is None else ReviewSlot.model_validate(dict(row))


_FILLING = (
    update(_slot)
    .where(
        _slot.c.item_id == bindparam("of_item"),
        _slot.c.claimed_by == _ME,
        _slot.c.token == bindparam("held_by"),
        _slot.c.state == SlotState.OPEN,
    )
    .values(state=SlotState.DONE, token=None, lease_until=None)
    .returning(*_slot.c)
)


def free_slot(connection: Connection, item_id: str, person_id: str, token: str) -> ReviewSlot | None:
    """Let go of a slot; the slot as it was, or None where the token is not its own.

    A slot that only its holder asked for is cancelled.
    """
    row = (
        connection.execute(select(_slot).where(*_under(item_id, person_id, token)).with_for_update())
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    slot = ReviewSlot.model_validate(dict(row))
    nobody: dict[str, Any] = {"token": None, "lease_until": None, "claimed_before": None}
    if slot.kind == SlotKind.REVIEW:
        nobody |= {"claimed_by": None, "claimed_at": None, "batch_id": None}
    else:
        nobody["state"] = SlotState.CANCELLED
    connection.execute(update(_slot).where(_slot.c.slot_id == slot.slot_id).values(nobody))
    return slot


def _under(item_id: str, person_id: str, token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        _slot.c.item_id == item_id,
        _slot.c.claimed_by == person_id,
        _slot.c.token == token,
        _slot.c.state == SlotState.OPEN,
    )


def slots_of_item(connection: Connection, item_id: str) -> list[ReviewSlot]:
    """An item's slots of all its rounds and kinds, by id."""
    rows = connection.execute(_OF_ITEM, {"of": item_id}).mappings()
    return [ReviewSlot.model_validate(dict(row)) for row in rows]


_OF_ITEM = select(_slot).where(_slot.c.item_id == bindparam("of")).order_by(_slot.c.slot_id)


def slots_of_items(connection: Connection, item_ids: Collection[str]) -> dict[str, list[ReviewSlot]]:
    """Item id → its slots by id; items without any are left out."""
    found: dict[str, list[ReviewSlot]] = {}
    for row in connection.execute(
        select(_slot).where(_slot.c.item_id.in_(item_ids)).order_by(_slot.c.slot_id)
    ).mappings():
        found.setdefault(row["item_id"], []).append(ReviewSlot.model_validate(dict(row)))
    return found


def live_slots(connection: Connection, person_id: str, now: datetime) -> list[ReviewSlot]:
    """What a person holds now, the claim they made last first."""
    rows = connection.execute(_LIVE, {"me": person_id, "now": now}).mappings()
    return [ReviewSlot.model_validate(dict(row)) for row in rows]


_LIVE = (
    select(_slot)
    .where(OPEN_SLOT, _slot.c.claimed_by == _ME, _slot.c.lease_until > _NOW)
    .order_by(_slot.c.claimed_at.desc())
)


def last_claimed(connection: Connection, person_id: str, limit: int) -> list[tuple[str, str]]:
    """Kind and stream of what a person claimed last and still has, what they filled too, newest first."""
    rows = connection.execute(_CLAIMED, {"me": person_id, "most": limit})
    return [(kind, stream) for kind, stream in rows]


_CLAIMED = (
    select(_slot.c.kind, _slot.c.stream)
    .where(_slot.c.claimed_by == _ME)
    .order_by(_slot.c.claimed_at.desc())
    .limit(bindparam("most", type_=Integer))
)
