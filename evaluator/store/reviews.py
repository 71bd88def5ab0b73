"""What people said of items: reviews, their verdict rows, and which of these stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from evaluator.model.capture import Fidelity
from evaluator.model.review import Review, ReviewItem, ReviewKind, Stream
from evaluator.model.run import Run
from evaluator.model.verdict import Verdict, VerdictLabel, VerdictSource
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import CaptureRow, ReviewActRow, ReviewRow, RunRow, SampleRow, VerdictRow

_review, _verdict = table_of(ReviewRow), table_of(VerdictRow)
_act = table_of(ReviewActRow)
_run, _sample, _capture = table_of(RunRow), table_of(SampleRow), table_of(CaptureRow)

_OLDEST_FIRST = (_review.c.created_at, _review.c.review_id)
_back = _review.alias("back")

# built once, as they are asked with each item that is shown: building a statement takes longer than running it
_OF_ITEM = select(_review).where(_review.c.item_id == bindparam("of")).order_by(*_OLDEST_FIRST)
_OF_PERSON = (
    select(_review)
    .where(
        _review.c.person_id == bindparam("of"),
        _review.c.retracts.is_(None),
        _review.c.counts | (_review.c.kind == ReviewKind.GOLD),
        ~exists().where(_back.c.item_id == _review.c.item_id, _back.c.retracts == _review.c.review_id),
    )
    .order_by(_review.c.created_at.desc(), _review.c.review_id.desc())
    .limit(bindparam("most", type_=Integer))
)

# as text and not as parameters: only then does the planner know that the index over standing verdicts holds for it
_STANDS = text("verdict.source = 'human' AND verdict.stands")

SHOWN = "shown"
"""In the detail of an act by which a review came: what its reviewer had been shown, in short."""


@dataclass(frozen=True, slots=True)
class StandingReview:
    """A person's verdict that counts for its event under the rubric, and what it came from."""

    verdict: Verdict
    item_id: str
    stream: Stream
    judge_verdict: VerdictLabel | None
    """What judges had said when the person spoke."""


def append_review(connection: Connection, review: Review, verdict: Verdict | None = None) -> bool:
    """Keep a review, and its verdict, which does not stand yet; False where its form was taken before."""
    statement = insert_into(connection, _review).on_conflict_do_nothing(index_elements=["person_id", "form_key"])
    # with RETURNING: PostgreSQL's driver does not tell how many rows an INSERT made
    if connection.execute(statement.returning(_review.c.review_id), as_row(review)).one_or_none() is None:
        return False
    if verdict is not None:
        connection.execute(_verdict.insert(), as_row(verdict))
    return True


def find_review(connection: Connection, review_id: str) -> Review | None:
    """The review of this id, or None."""
    return next(iter(_reviews(connection, select(_review).where(_review.c.review_id == review_id))), None)


def review_by_form(connection: Connection, person_id: str, form_key: str) -> Review | None:
    """The review that a person's form became, or None."""
    query = select(_review).where(_review.c.person_id == person_id, _review.c.form_key == form_key)
    return next(iter(_reviews(connection, query)), None)


def reviews_of_item(connection: Connection, item_id: str) -> list[Review]:
    """All that was ever said of an item, retractions and earlier rounds too, oldest first."""
    return _reviews(connection, _OF_ITEM, {"of": item_id})


def reviews_of_items(connection: Connection, item_ids: Collection[str]) -> dict[str, list[Review]]:
    """Item id → all that was ever said of it, oldest first; items of which nothing was said are left out."""
    found: dict[str, list[Review]] = {}
    for one in _reviews(
        connection, select(_review).where(_review.c.item_id.in_(item_ids)).order_by(*_OLDEST_FIRST)
    ):
        found.setdefault(one.item_id, []).append(one)
    return found


def answered_by(connection: Connection, person_id: str, items: Iterable[ReviewItem]) -> set[str]:
    """The ids of those items that a person answered in the round each is in, taken back since or not."""
    rounds = {item.item_id: item.round for item in items}
    rows = connection.execute(
        select(_review.c.item_id, _review.c.round).where(
            _review.c.item_id.in_(rounds),
            func.coalesce(_review.c.person_id, "") == person_id,
            _review.c.kind != ReviewKind.RETRACTION,
        )
    )
    return {row.item_id for row in rows if row.round == rounds[row.item_id]}


def reviews_of_event(connection: Connection, event_id: str) -> list[Review]:
    """All that was ever said of an event under any rubric, oldest first."""
    return _reviews(connection, select(_review).where(_review.c.event_id == event_id).order_by(*_OLDEST_FIRST))


def reviews_of_person(connection: Connection, person_id: str, limit: int) -> list[Review]:
    """The last reviews of a person that can be taken back, newest first: none that were retracted or revised since."""
    return _reviews(connection, _OF_PERSON, {"of": person_id, "most": limit})


def reviews_of_batch(connection: Connection, batch_id: str) -> list[Review]:
    """All that was said in a batch, oldest first."""
    return _reviews(connection, select(_review).where(_review.c.batch_id == batch_id).order_by(*_OLDEST_FIRST))


def _reviews(connection: Connection, query: Select[Any], told: Mapping[str, Any] | None = None) -> list[Review]:
    return [Review.model_validate(dict(row)) for row in connection.execute(query, told).mappings()]


def set_counts(connection: Connection, counts: Mapping[str, bool]) -> None:
    """Say of reviews whether they take part in their item's state."""
    if counts:
        connection.execute(
            update(_review).where(_review.c.review_id == bindparam("of")).values(counts=bindparam("now")),
            [{"of": review_id, "now": now} for review_id, now in sorted(counts.items())],
        )


def is_first_said() -> ColumnElement[bool]:
    """Whether a row of verdict is a person's, said before judges could sway it, as agreement with judges counts.

    That is a first pass or a second opinion that was not taken back and came after none that was; neither a revision
    nor an adjudication. What was brought in from elsewhere, without a review, counts too.
    """
    said, gone, before = _review.alias("said"), _review.alias("gone"), _review.alias("before")
    taken_back = exists().where(gone.c.retracts == said.c.review_id, gone.c.item_id == said.c.item_id)
    had_seen = exists().where(
        before.c.item_id == said.c.item_id,
        before.c.round == said.c.round,
        before.c.person_id == said.c.person_id,
        before.c.kind == ReviewKind.RETRACTION,
        before.c.created_at < said.c.created_at,
    )
    reviewed = exists().where(_review.c.review_id == _verdict.c.verdict_id)
    first = exists().where(
        said.c.review_id == _verdict.c.verdict_id,
        said.c.kind.in_((ReviewKind.FIRST_PASS, ReviewKind.SECOND_OPINION)),
        ~taken_back,
        ~had_seen,
    )
    return and_(_verdict.c.source == VerdictSource.HUMAN, or_(first, ~reviewed))


def shown_to_reviewers(connection: Connection, item_ids: Collection[str]) -> dict[str, set[str]]:
    """Item id → what was shown, in short, to those whose reviews count; items without such a review are left out."""
    counting = select(_review.c.review_id).where(_review.c.item_id.in_(item_ids), _review.c.counts)
    reviews = set(connection.execute(counting).scalars())
    found: dict[str, set[str]] = {}
    for item_id, detail in connection.execute(
        select(_act.c.item_id, _act.c.detail).where(_act.c.item_id.in_(item_ids), _act.c.person_id.is_not(None))
    ):
        if detail.get("review_id") in reviews and detail.get(SHOWN):
            found.setdefault(item_id, set()).add(detail[SHOWN])
    return found


def end_rounds_before(connection: Connection, item_id: str, number: int) -> None:
    """Let the reviews of earlier rounds no longer take part in the item's state; their verdict stands meanwhile."""
    connection.execute(
        update(_review).where(_review.c.item_id == item_id, _review.c.round < number).values(counts=False)
    )


def standing_reviews(connection: Connection, event_ids: Collection[str]) -> dict[tuple[str, str], StandingReview]:
    """(event, rubric) → the verdict of people that stands, where one does."""
    if not event_ids:
        return {}
    rows = connection.execute(
        select(_verdict, _review.c.item_id, _review.c.stream, _review.c.judge_verdict)
        .join(_review, _review.c.review_id == _verdict.c.verdict_id)
        .where(_verdict.c.event_id.in_(event_ids), _STANDS)
    )
    return {(row.event_id, row.rubric_id): _standing(row) for row in rows}


def _standing(row: Row[Any]) -> StandingReview:
    verdict = Verdict.model_validate({name: row._mapping[name] for name in Verdict.model_fields})
    said = row.judge_verdict and VerdictLabel(row.judge_verdict)
    return StandingReview(verdict, row.item_id, Stream(row.stream), said)


def standing_verdicts(connection: Connection, event_ids: Collection[str]) -> dict[tuple[str, str], Verdict]:
    """(event, rubric) → the verdict of people that stands, where one does."""
    return {key: one.verdict for key, one in standing_reviews(connection, event_ids).items()}


def let_stand(connection: Connection, event_id: str, rubric_id: str, verdict_id: str | None) -> bool:
    """Let this verdict of people stand for an event under a rubric, or none; whether that changed anything."""
    fallen = connection.execute(
        update(_verdict)
        .where(_verdict.c.event_id == event_id, _verdict.c.rubric_id == rubric_id, _STANDS)
        .where(_verdict.c.verdict_id != (verdict_id or ""))
        .values(stands=False)
    ).rowcount
    if verdict_id is None:
        return bool(fallen)
    risen = connection.execute(
        update(_verdict).where(_verdict.c.verdict_id == verdict_id, ~_verdict.c.stands).values(stands=True)
    ).rowcount
    return bool(fallen or risen)


@dataclass(frozen=True, slots=True)
class ReviewCost:
    """What reviewing cost, what was taken back too."""

    usd: Decimal = Decimal(0)
    unpriced: int = 0
    """Reviews without a rate, or whose time was not measured."""
    seconds: float = 0.0
    """Active time."""


def review_cost_of(connection: Connection, event_ids: Collection[str]) -> dict[str, ReviewCost]:
    """Event id → what reviewing it cost; events that nobody reviewed are left out."""
    rows = connection.execute(
        select(
            _review.c.event_id,
            func.sum(_review.c.cost_usd),
            func.count() - func.count(_review.c.cost_usd),
            func.sum(_review.c.active_ms),
        )
        .where(_review.c.event_id.in_(event_ids), _review.c.kind != ReviewKind.RETRACTION)
        .group_by(_review.c.event_id)
    )
    return {
        event_id: ReviewCost(usd or Decimal(0), unpriced, float(active_ms) / 1000)
        for event_id, usd, unpriced, active_ms in rows
    }


def runs_with_content(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of these runs of which anything of their content is still there."""
    rows = connection.execute(
        select(_run.c.run_id)
        .join(_capture, _capture.c.run_id == _run.c.run_id)
        .where(_run.c.run_id.in_(run_ids), _run.c.fidelity != Fidelity.MISSING)
    )
    return set(rows.scalars())


def last_taken_runs(
    connection: Connection, events_and_rubrics: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[Run]]:
    """(event, rubric) → its runs that were taken for judging, in order of their start."""
    event_ids = sorted({event_id for event_id, _ in events_and_rubrics})
    rows: Sequence[Row[Any]] = connection.execute(
        select(_run, _sample.c.rubric_id)
        .join(_sample, _sample.c.run_id == _run.c.run_id)
        .where(_sample.c.event_id.in_(event_ids), _sample.c.taken)
        .order_by(_run.c.started_at, _run.c.run_id)
    ).all()
    found: dict[tuple[str, str], list[Run]] = {}
    for row in rows:
        key = (row.event_id, row.rubric_id)
        if key in events_and_rubrics:
            found.setdefault(key, []).append(Run.model_validate({n: row._mapping[n] for n in Run.model_fields}))
    return found
