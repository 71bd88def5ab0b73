"""In which order the items of a batch came to the person who works it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from evaluator.store.database import table_of
from evaluator.store.tables import ReviewActRow, ReviewBatchRow

_act, _batch = table_of(ReviewActRow), table_of(ReviewBatchRow)


def batch_order(connection: Connection, batch_id: str, person_id: str) -> tuple[int, list[str]] | None:
    """A person's batch: its size, and the ids of the items they claimed for it, in order of their first claim.

    None where there is no such batch of theirs.
    """
    size = connection.execute(
        select(_batch.c.size).where(_batch.c.batch_id == batch_id, _batch.c.person_id == person_id)
    ).scalar_one_or_none()
    if size is None:
        return None
    items = connection.execute(
        select(_act.c.item_id)
        .where(_act.c.batch_id == batch_id, _act.c.act == "claimed")
        .group_by(_act.c.item_id)
        .order_by(func.min(_act.c.act_id))
    ).scalars()
    return size, list(items)
