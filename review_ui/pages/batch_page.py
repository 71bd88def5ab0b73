"""GET /review/batch/{id}: how a batch went, for the person who worked it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import Review, ReviewAct, ReviewBatch, ReviewItem, ReviewKind
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_desk import Empty
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.database import Connection
from evaluator.store.people import find_person
from evaluator.store.queue_rows import events_to_judge_unseen
from evaluator.store.review_batches import BatchProgress, batch_progress, find_batch
from evaluator.store.review_items import acts_of_batch, items_by_id
from evaluator.store.reviews import reviews_of_batch, reviews_of_person, standing_verdicts
from evaluator.wording import plural
from review_ui.guard import needs
from review_ui.presentation import page
from review_ui.queue_words import filter_words
from review_ui.review_words import Said, items, review_said, said, time_spent
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False)

Reviewer = Annotated[Visitor, Depends(needs(PersonRole.REVIEWER))]

UNDOABLE = 10
"""How many of a person's last reviews are offered to be taken back."""


@dataclass(frozen=True)
class Figure:
    """One number with its name, and what else there is to say."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class GoldLine:
    """A gold item: what the person said, and what was settled before."""

    item_id: str
    event_id: str
    mine: Said
    settled: Said
    same: bool


@dataclass(frozen=True)
class GoldReport:
    """How the person's answers to gold items compare."""

    headline: str
    lines: tuple[GoldLine, ...]


@dataclass(frozen=True)
class BatchRow:
    """One item of the batch."""

    item_id: str
    event_id: str
    workflow: str
    rubric: str
    mine: Said
    taken_back: bool
    judge: Said | None
    compared: str
    """`agreed` or `overruled`."""
    time: str
    at: datetime
    undo: str
    """The review to take back; empty where it is too late for that."""


@dataclass(frozen=True)
class BatchPage:
    """What the template shows."""

    batch: ReviewBatch
    headline: str
    own: bool
    owner: str
    filters: str
    filter_pairs: tuple[tuple[str, str], ...]
    going: bool
    told: str
    figures: tuple[Figure, ...]
    gold: GoldReport | None
    rows: tuple[BatchRow, ...]


@dataclass(frozen=True)
class BatchSummary:
    """What a batch came to; of an item answered twice the last answer counts, of one revised the first."""

    answers: tuple[Review, ...]
    """One per item, oldest first; what was taken back is left out."""
    skipped: int
    escalated: int

    @property
    def agreed(self) -> int:
        return sum(one.agrees is True for one in self.counted)

    @property
    def overruled(self) -> int:
        return sum(one.agrees is False for one in self.counted)

    @property
    def cannot_judge(self) -> int:
        return sum(one.cannot_judge is not None for one in self.answers)

    @property
    def counted(self) -> tuple[Review, ...]:
        """Without gold answers, which compare with a settled verdict instead."""
        return tuple(one for one in self.answers if one.kind != ReviewKind.GOLD)

    @property
    def times(self) -> list[int]:
        """Milliseconds on each item: active ones where the browser told them, else all."""
        return [one.active_ms or one.elapsed_ms for one in self.answers]


def summary_of(reviews: Sequence[Review], acts: Sequence[ReviewAct]) -> BatchSummary:
    """What a batch's reviews, oldest first, and its acts come to."""
    taken_back = {one.retracts for one in reviews if one.retracts is not None}
    answers: dict[str, Review] = {}
    for one in reviews:
        if one.kind not in (ReviewKind.RETRACTION, ReviewKind.REVISED) and one.review_id not in taken_back:
            answers[one.item_id] = one
    declined = {
        act: {one.item_id for one in acts if one.act == act} - answers.keys() for act in ("skipped", "escalated")
    }
    return BatchSummary(tuple(answers.values()), len(declined["skipped"]), len(declined["escalated"]))


@router.get("/review/batch/{batch_id}")
def show_batch(
    request: Request,
    batch_id: str,
    visitor: Reviewer,
    told: Annotated[str, Query(description="why there was no next item")] = "",
) -> HTMLResponse:
    """The batch in numbers and by item, for its own person and admins; raises NotFound."""
    deployment: Deployment = request.app.state.deployment
    with deployment.database.read() as connection:
        context = _context(connection, deployment, visitor.signed_in, batch_id, told)
    return page("batch.html", context, visitor=visitor)


_TOLD = {
    Empty.NOTHING_TO_DO: "Nothing is left for you, so the batch ends here.",
    Empty.ALL_CLAIMED: "Others hold what is left for you, so the batch ends here for now.",
    Empty.FILTERED_OUT: "Nothing is left under this batch’s filter, so it ends here.",
}
"""Why there was no next item, said where the batch had more to come."""


def _context(connection: Connection, deployment: Deployment, person: Person, batch_id: str, told: str) -> BatchPage:
    batch = find_batch(connection, batch_id)
    own = batch is not None and batch.person_id == person.person_id
    if batch is None or not (own or person.may(PersonRole.ADMIN)):
        raise NotFound(f"No batch {quoted(batch_id)} of yours is known here.")
    reviews = reviews_of_batch(connection, batch_id)
    if not own:  # what the admin may yet be asked about themselves is not told
        unseen = events_to_judge_unseen(connection, {one.event_id for one in reviews}, person.person_id)
        reviews = [one for one in reviews if one.event_id not in unseen]
    summary = summary_of(reviews, acts_of_batch(connection, batch_id))
    progress = batch_progress(connection, batch)
    owner = person if own else find_person(connection, batch.person_id)
    filters = QueueFilter.from_mapping(batch.filters)
    titles = {one.id: one.title for one in deployment.shelf.rubrics}
    last = {one.review_id for one in reviews_of_person(connection, person.person_id, UNDOABLE)} if own else set()
    known = items_by_id(connection, {one.item_id for one in reviews})
    is_over = batch.ended_at is not None or progress.is_over
    why = "" if is_over or told not in _TOLD else _TOLD[Empty(told)]
    return BatchPage(
        batch=batch,
        headline=headline(batch, progress),
        own=own,
        owner=owner.name if owner is not None else "somebody",
        filters="; ".join(filter_words(filters, titles)),
        filter_pairs=tuple(filters.as_dict().items()),
        going=own and not is_over and not why,
        told=why,
        figures=tuple(figures_of(summary)),
        gold=_gold(connection, summary),
        rows=tuple(rows_of(reviews, known, titles, last)),
    )


def headline(batch: ReviewBatch, progress: BatchProgress) -> str:
    """`25 of 25 items done`, or how far it is."""
    if batch.ended_at is not None or progress.is_over:
        return f"Batch done: {items(progress.settled)}"
    return f"{progress.settled} of {items(progress.size)}"


def figures_of(summary: BatchSummary) -> Iterator[Figure]:
    """The batch in numbers; what did not happen is left out, but for the two that matter."""
    compared = summary.agreed + summary.overruled
    share = f"{100 * summary.agreed / compared:.0f} % of {compared} compared" if compared else ""
    yield Figure("Agreed with the judge", f"{summary.agreed:,}", share)
    yield Figure("Overruled", f"{summary.overruled:,}")
    for name, number in (
        ("Skipped", summary.skipped),
        ("Passed on", summary.escalated),
        ("Cannot judge", summary.cannot_judge),
    ):
        if number:
            yield Figure(name, f"{number:,}")
    if summary.times:
        yield Figure("Median time", time_spent(median(summary.times)), "per item")
        yield Figure("Time in all", time_spent(sum(summary.times)))


def _gold(connection: Connection, summary: BatchSummary) -> GoldReport | None:
    answers = [one for one in summary.answers if one.kind == ReviewKind.GOLD]
    if not answers:
        return None
    standing = standing_verdicts(connection, {one.event_id for one in answers})
    settled = {key: VerdictLabel(one.verdict) for key, one in standing.items()}
    return gold_report(answers, settled)


def gold_report(answers: Sequence[Review], settled: Mapping[tuple[str, str], VerdictLabel]) -> GoldReport:
    """How answers to gold items compare with what was settled, by event and rubric."""
    lines = [
        GoldLine(one.item_id, one.event_id, review_said(one), said(verdict), one.verdict == verdict)
        for one in answers
        if (verdict := settled.get((one.event_id, one.rubric_id))) is not None
    ]
    same = sum(one.same for one in lines)
    return GoldReport(f"{same} of {plural(len(lines), 'gold item')} as settled", tuple(lines))


def rows_of(
    reviews: Sequence[Review],
    known: Mapping[str, ReviewItem],
    titles: Mapping[str, str],
    undoable: Collection[str],
) -> Iterator[BatchRow]:
    """Each item once, the one answered last first, with what the person said last of it."""
    taken_back = {one.retracts for one in reviews if one.retracts is not None}
    first: dict[str, Review] = {}
    last: dict[str, Review] = {}
    for one in reviews:
        if one.kind != ReviewKind.RETRACTION:
            first.setdefault(one.item_id, one)
            last[one.item_id] = one
    for item_id, one in sorted(last.items(), key=lambda pair: pair[1].created_at, reverse=True):
        item = known.get(item_id)
        yield BatchRow(
            item_id=item_id,
            event_id=one.event_id,
            workflow=item.workflow if item else "",
            rubric=titles.get(one.rubric_id, one.rubric_id),
            mine=review_said(one),
            taken_back=one.review_id in taken_back,
            judge=said(one.judge_verdict) if one.judge_verdict else None,
            compared="" if one.agrees is None else "agreed" if one.agrees else "overruled",
            time=time_spent(first[item_id].active_ms or first[item_id].elapsed_ms),
            at=one.created_at,
            undo=one.review_id if one.review_id in undoable else "",
        )
