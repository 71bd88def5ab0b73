"""Every review that people gave, in order of time, read piece by piece for export."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_, select

from evaluator.model.review import ItemState, Review, ReviewKind, Stream
from evaluator.store.database import table_of
from evaluator.store.review_claims import Wanted, restrictions
from evaluator.store.tables import ReviewItemRow, ReviewRow

_review, _item = table_of(ReviewRow), table_of(ReviewItemRow)

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ToldReview:
    """A review, the workflow of its item, and whether its reviewer took it back."""

    review: Review
    workflow: str
    retracted: bool


def _is_blind_for(person_id: str) -> ColumnElement[bool]:
    own = _review.alias("own")
    answered = exists().where(
        own.c.item_id == _item.c.item_id,
        own.c.round == _item.c.round,
        own.c.person_id == person_id,
        own.c.kind != ReviewKind.RETRACTION,
    )
    is_blind = or_(_item.c.blind, _item.c.stream == Stream.AUDIT)
    return and_(_item.c.state == ItemState.OPEN, is_blind, not_(answered))


def reviews_told(
    connection: Connection,
    *,
    rubric_id: str | None = None,
    workflow: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    streams: Collection[str] = (),
    of_items: Wanted = Wanted(),
    reader: str = "",
) -> Iterator[ToldReview]:
    """Reviews, oldest first; retractions are left out, what was retracted is not.

    `streams` are those the reviews were given in, `of_items` restricts by their items as lists do.
    With the id of a `reader` those of open blind items are left out that this person has not answered.

    since ≤ created_at < until. Rows come from the database as they are asked for, on this connection.
    """
    takes_back = _review.alias("takes_back")
    retracted = exists().where(
        takes_back.c.item_id == _review.c.item_id, takes_back.c.retracts == _review.c.review_id
    )
    query = (
        select(_review, _item.c.workflow.label("of_workflow"), retracted.label("retracted"))
        .join(_item, _item.c.item_id == _review.c.item_id)
        .where(_review.c.kind != ReviewKind.RETRACTION, *restrictions(connection, of_items))
        .order_by(_review.c.created_at, _review.c.review_id)
    )
    if rubric_id is not None:
        query = query.where(_review.c.rubric_id == rubric_id)
    if workflow is not None:
        query = query.where(_item.c.workflow == workflow)
    if since is not None:
        query = query.where(_review.c.created_at >= since)
    if until is not None:
        query = query.where(_review.c.created_at < until)
    if streams:
        query = query.where(_review.c.stream.in_(streams))
    if reader:
        query = query.where(not_(_is_blind_for(reader)))
    rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query).mappings()
    for row in rows:
        values = dict(row)
        of_workflow, was_retracted = str(values.pop("of_workflow")), bool(values.pop("retracted"))
        yield ToldReview(Review.model_validate(values), of_workflow, was_retracted)
