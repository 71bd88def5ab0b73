"""Batches: numbers of items that people set out to review in one go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from evaluator.model.review import ReviewBatch, SlotState
from evaluator.store.database import as_row, table_of
from evaluator.store.review_claims import DECLINES
from evaluator.store.tables import ReviewActRow, ReviewBatchRow, ReviewSlotRow

_batch, _act, _slot = table_of(ReviewBatchRow), table_of(ReviewActRow), table_of(ReviewSlotRow)


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is."""

    size: int
    answered: int
    """Items with a review, "cannot judge" among them."""
    declined: int
    """Items skipped or escalated."""

    @property
    def settled(self) -> int:
        """Items that are behind the person."""
        return self.answered + self.declined

    @property
    def is_over(self) -> bool:
        return self.settled >= self.size


def add_batch(connection: Connection, batch: ReviewBatch) -> None:
    """Keep a new batch."""
    connection.execute(_batch.insert(), as_row(batch))


def find_batch(connection: Connection, batch_id: str) -> ReviewBatch | None:
    """The batch of this id, or None."""
    row = connection.execute(select(_batch).where(_batch.c.batch_id == batch_id)).mappings().one_or_none()
    return None if row is None else ReviewBatch.model_validate(dict(row))


def batch_progress(connection: Connection, batch: ReviewBatch) -> BatchProgress:
    """How far a batch is, from the slots claimed for it and what was declined in it."""
    answered = connection.execute(
        select(func.count()).where(_slot.c.batch_id == batch.batch_id, _slot.c.state == SlotState.DONE)
    ).scalar_one()
    declined = connection.execute(
        select(func.count(_act.c.item_id.distinct())).where(
            _act.c.batch_id == batch.batch_id, _act.c.act.in_(DECLINES)
        )
    ).scalar_one()
    return BatchProgress(batch.size, answered, declined)


def end_batch(connection: Connection, batch_id: str, now: datetime) -> None:
    """Say that a batch is over, where that is not said yet."""
    connection.execute(
        update(_batch).where(_batch.c.batch_id == batch_id, _batch.c.ended_at.is_(None)).values(ended_at=now)
    )


def batches_of_person(connection: Connection, person_id: str, *, limit: int = 20) -> list[ReviewBatch]:
    """A person's batches, the one begun last first."""
    rows = connection.execute(
        select(_batch)
        .where(_batch.c.person_id == person_id)
        .order_by(_batch.c.started_at.desc(), _batch.c.batch_id)
        .limit(limit)
    ).mappings()
    return [ReviewBatch.model_validate(dict(row)) for row in rows]
