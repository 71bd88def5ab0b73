"""Deliveries: messages that wait for their turn, leased to one sender at a time, kept until they are settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from evaluator.model.delivery import Delivery, DeliveryState
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import DeliveryRow

_delivery = table_of(DeliveryRow)


def queue_delivery(connection: Connection, delivery: Delivery) -> bool:
    """Keep a message to be sent when it is due; whether it is new, for one id is queued once."""
    statement = insert_into(connection, _delivery).on_conflict_do_nothing(index_elements=["delivery_id"])
    written = connection.execute(statement.returning(_delivery.c.delivery_id), as_row(delivery))
    return written.first() is not None


def take_due(connection: Connection, now: datetime, *, lease: timedelta, limit: int = 20) -> list[Delivery]:
    """The deliveries to be sent now, those due longest first; each is one sender's until its lease runs out.

    Taking counts as an attempt, so that a message which ends its sender is not tried for ever.
    """
    due = (
        select(_delivery.c.delivery_id)
        .where(_delivery.c.state == DeliveryState.DUE, _delivery.c.due_at <= now)
        .order_by(_delivery.c.due_at, _delivery.c.delivery_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    connection.execute(
        update(_delivery)
        .where(_delivery.c.delivery_id.in_(ids))
        .values(attempts=_delivery.c.attempts + 1, due_at=now + lease)
    )
    taken = connection.execute(select(_delivery).where(_delivery.c.delivery_id.in_(ids))).mappings()
    by_id = {row["delivery_id"]: Delivery.model_validate(dict(row)) for row in taken}
    return [by_id[delivery_id] for delivery_id in ids]


def settle_delivery(
    connection: Connection, taken: Delivery, state: DeliveryState, detail: str, now: datetime
) -> bool:
    """Write that a message arrived or was given up; False where somebody else took it meanwhile."""
    return _write(connection, taken, state=state, detail=detail[:500], settled_at=now)


def put_off(connection: Connection, taken: Delivery, due_at: datetime, detail: str) -> bool:
    """Write how an attempt failed and when the next one is due; False where somebody else took it meanwhile."""
    return _write(connection, taken, due_at=due_at, detail=detail[:500])


def _write(connection: Connection, taken: Delivery, **values: object) -> bool:
    fence = (
        _delivery.c.delivery_id == taken.delivery_id,
        _delivery.c.attempts == taken.attempts,
        _delivery.c.state == DeliveryState.DUE,
    )
    return bool(connection.execute(update(_delivery).where(*fence).values(**values)).rowcount)


def has_delivery(connection: Connection, delivery_id: str) -> bool:
    """Whether a message of this id was ever queued."""
    query = select(_delivery.c.delivery_id).where(_delivery.c.delivery_id == delivery_id)
    return connection.execute(query).first() is not None


def last_delivery(connection: Connection, kind: str) -> Delivery | None:
    """The message of a kind that was queued last."""
    found = last_deliveries(connection, limit=1, kind=kind)
    return found[0] if found else None


def last_deliveries(connection: Connection, *, limit: int = 50, kind: str | None = None) -> Sequence[Delivery]:
    """Messages (of one kind), those queued last first."""
    query = select(_delivery).order_by(_delivery.c.created_at.desc(), _delivery.c.delivery_id).limit(limit)
    if kind is not None:
        query = query.where(_delivery.c.kind == kind)
    return [Delivery.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def forget_deliveries(connection: Connection, *, settled_before: datetime) -> None:
    """Drop messages that were settled long ago."""
    connection.execute(_delivery.delete().where(_delivery.c.settled_at < settled_before))
