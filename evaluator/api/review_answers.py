"""What the review API answers: each shape names its fields one by one, so that nothing hidden can slip through."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from evaluator.model.capture import Capture, Fidelity
from evaluator.model.outcome import DecidedBy, FinalOutcome, Outcome, OutcomeType
from evaluator.model.review import ItemState, Review, ReviewItem, ReviewKind, SlotKind, Stream
from evaluator.model.run import ExecutionStatus
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.reviewing.item_story import ItemStory, StoryLine
from evaluator.reviewing.review_desk import Claim, Empty
from evaluator.reviewing.review_sheet import (
    Chip,
    Holding,
    JudgeSaid,
    Mode,
    Place,
    Recorded,
    Reveal,
    ReviewSheet,
    SheetCriterion,
    SheetRun,
)
from evaluator.store.judges_heard import Heard

EMPTY_WORDS = {
    Empty.NOTHING_TO_DO: "Nothing waits for review, or your batch is over.",
    Empty.ALL_CLAIMED: "What is open is held by others, or was reviewed or skipped by you. It may come back.",
    Empty.FILTERED_OUT: "Something waits, though nothing that fits this filter.",
    Empty.NO_RUBRIC: "No rubric is in force, so nothing is judged or sent for review.",
    Empty.NOT_ALLOWED: "Reviewing needs the role reviewer.",
}


class ShownChip(BaseModel):
    """Why the item is here."""

    reason: str = Field(
        description="As the review policy names it; `policy` where the true one would tell what judges said.",
        examples=["value_above"],
    )
    word: str = Field(description="In a few words.", examples=["value $1,299"])


class ShownOption(BaseModel):
    """One possible answer to a criterion."""

    value: str = Field(description="What `answers` takes.", examples=["4"])
    word: str = Field(examples=["kind"])
    hue: Literal["pass", "partial", "fail", "unknown"]


class ShownCriterion(BaseModel):
    """A criterion as the judge read it."""

    id: str
    question: str = Field(description="Empty where code checks it.")
    check: str = Field(description="Name of the code check; empty where a person is asked.")
    critical: bool = Field(description="If it fails, the whole verdict is fail.")
    weight: float
    options: list[ShownOption] = Field(description="In scale order; empty where a person is not asked.")
    not_applicable: bool = Field(description="The rubric leaves it out for this content.")
    by_code: CriterionLabel | None = Field(description="What code found; null where a person is asked.")


class ShownPart(BaseModel):
    """One named piece of what judges were shown."""

    name: str
    value: Any = Field(description="Text or JSON, whole. Captured content is hostile: show it as text.")
    fidelity: Fidelity


class ShownRun(BaseModel):
    """One attempt."""

    run_id: str
    number: int = Field(description="1 for the first attempt.")
    decides: bool = Field(description="Whether the verdict is about this attempt.")
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float | None
    execution_status: ExecutionStatus = Field(description="How it ended technically; never an outcome.")
    error_type: str | None
    models: list[str] = Field(description="That the app called; judges' models are in `reveal`.")
    llm_calls: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None = Field(description="null when a call has no known price.")
    fidelity: Fidelity
    diagnostics: dict[str, Any] = Field(description="What the app said about itself.")
    evaluations: list[dict[str, Any]] = Field(description="Scores other tools sent along; none while hidden.")
    shown: list[ShownPart] = Field(description="What judges were shown; empty where the content is gone.")
    capture: Capture | None = Field(
        default=None, description="The captured content whole; with capture=true, and null where it is gone."
    )


class ShownJudge(BaseModel):
    """One judge's verdict on a run, or why there is none."""

    judge: str
    run_id: str
    escalated: bool
    repeat: int
    verdict: VerdictLabel | None
    score: float | None
    criteria: list[CriterionVerdict]
    summary: str
    flags: list[str]
    not_evaluable: str = Field(description="Why there is no verdict; empty where there is one.")


class ShownReview(BaseModel):
    """What a person said."""

    review_id: str
    kind: ReviewKind
    reviewer: str
    is_mine: bool
    verdict: VerdictLabel | None
    proposed: VerdictLabel | None = Field(description="What the answers come to; another verdict is an override.")
    cannot_judge: str | None
    criteria: list[CriterionVerdict]
    note: str
    rubric_version: str
    blind: bool
    seen_judge: bool
    judge_verdict: VerdictLabel | None
    agrees: bool | None
    counts: bool
    active_ms: int
    elapsed_ms: int
    created_at: datetime


class ShownReveal(BaseModel):
    """What judges and other reviewers said."""

    verdict: VerdictLabel | None = Field(description="The judges' rollup.")
    score: float | None
    rule: str
    judges: list[ShownJudge]
    reviews: list[ShownReview] = Field(description="Those that count, oldest first.")


class ShownHolding(BaseModel):
    """Somebody's claim."""

    name: str
    is_mine: bool
    kind: SlotKind
    lease_until: datetime
    token: str = Field(description="Empty unless it is your own.")


class ShownPlace(BaseModel):
    """Where in a batch you are."""

    batch_id: str
    number: int
    size: int
    previous: str
    following: str


class ShownRecorded(BaseModel):
    """One of your last reviews, to be undone."""

    review_id: str
    item_id: str
    event_id: str
    word: str
    at: datetime


class ShownOutcome(BaseModel):
    """The event's outcome in force."""

    final_outcome: FinalOutcome
    outcome_type: OutcomeType
    decided_by: DecidedBy
    value_amount: Decimal | None
    value_currency: str | None
    reason: str
    revision: int
    decided_at: datetime


class ShownItem(BaseModel):
    """An item as you may see it just now; null is what is hidden, or not there."""

    item_id: str
    event_id: str
    workflow: str
    rubric_id: str
    state: ItemState
    round: int
    reviewers: int = Field(description="Reviews wanted.")
    blind: bool
    stream: Stream | None = Field(description="null while hidden: streams look alike then.")
    probability: float | None
    gold: bool
    chips: list[ShownChip]
    value_amount: Decimal | None
    value_currency: str | None
    note: str = Field(description="Of whoever picked or escalated it; empty while hidden.")
    entered_at: datetime
    settled_at: datetime | None


class ShownRubric(BaseModel):
    """The version to be answered."""

    id: str
    title: str
    version: str
    pass_at: float
    partial_at: float


class Sheet(BaseModel):
    """One item as you may see it just now; what is hidden from you is not in it."""

    item: ShownItem
    customer_id: str | None
    environment: str | None
    rubric: ShownRubric
    judged_version: str = Field(description="The version judges spoke under, where it is another; else empty.")
    mode: Mode
    hidden: bool = Field(description="Whether what judges and others said is left out until you have answered.")
    holding: ShownHolding | None
    criteria: list[ShownCriterion]
    runs: list[ShownRun] = Field(description="The deciding one first, then the others, newest first.")
    attempts: int = Field(description="How many runs the event has; at most 20 are shown.")
    reveal: ShownReveal | None
    mine: ShownReview | None = Field(description="What you said in this round.")
    outcome: ShownOutcome | None = Field(description="null while hidden.")
    decided_by_record: bool = Field(description="Your verdict then counts for the judges' quality only.")
    purged: bool = Field(description="The content is gone: all that can be said is cannot_judge.")
    judge_failed: str = Field(description="Why judges came to no verdict; empty where they did.")
    place: ShownPlace | None
    shown: str = Field(description="What `runs` shows first, in short; send it back with your review.")
    form_key: str = Field(description="New with each sheet; send it back with your review.")
    recorded: list[ShownRecorded] = Field(description="Your last reviews, newest first.")


class ShownClaim(BaseModel):
    """What you hold: whatever you do about the item names its token."""

    item_id: str
    token: str
    kind: SlotKind
    lease_until: datetime
    batch_id: str | None


class NextAnswer(BaseModel):
    """The next item, held by you, or why there is none."""

    claim: ShownClaim | None
    sheet: Sheet | None
    empty: Empty | None = Field(description="Why there is none; null where there is one.")
    message: str = Field(description="The same for people.")


class ClaimAnswer(BaseModel):
    """An item held by you."""

    claim: ShownClaim
    sheet: Sheet


class ReviewAnswer(BaseModel):
    """A review as it was taken."""

    review: ShownReview
    state: ItemState
    repeated: bool = Field(description="This form was taken before; nothing was done twice.")
    next: NextAnswer | None = Field(default=None, description="With next=true: what comes now.")


class ShownLine(BaseModel):
    """One thing that happened to an item."""

    at: datetime
    act: str = Field(description="What happened; a review's kind for a review, judged for a judge's verdict.")
    who: str
    detail: dict[str, Any]
    review: ShownReview | None
    judge: ShownJudge | None


class Story(BaseModel):
    """What happened to an item, oldest first."""

    item: ShownItem
    hidden: bool = Field(description="Whether there is more that you may read once you have answered.")
    lines: list[ShownLine]


def shown_claim(claim: Claim) -> ShownClaim:
    """A claim; that its answer is compared with a known one is not to be told before it is given."""
    kind = SlotKind.REVIEW if claim.kind == SlotKind.GOLD else SlotKind(claim.kind)
    return ShownClaim(
        item_id=claim.item_id,
        token=claim.token,
        kind=kind,
        lease_until=claim.lease_until,
        batch_id=claim.batch_id,
    )


def shown_sheet(sheet: ReviewSheet, person_id: str, *, capture: bool = False) -> Sheet:
    """A sheet as it is answered."""
    rubric = sheet.rubric
    return Sheet(
        item=shown_item(sheet.item, sheet.chips, hidden=sheet.hidden),
        customer_id=sheet.event.customer_id,
        environment=sheet.event.environment,
        rubric=ShownRubric(
            id=rubric.id,
            title=rubric.title,
            version=rubric.version,
            pass_at=rubric.verdict.pass_at,
            partial_at=rubric.verdict.partial_at,
        ),
        judged_version=sheet.judged_version,
        mode=sheet.mode,
        hidden=sheet.hidden,
        holding=None if sheet.holding is None else _holding(sheet.holding),
        criteria=[_criterion(one) for one in sheet.criteria],
        runs=[_run(one, capture=capture) for one in sheet.runs],
        attempts=sheet.attempts,
        reveal=None if sheet.reveal is None else _reveal(sheet.reveal, person_id),
        mine=None if sheet.mine is None else shown_review(sheet.mine, person_id),
        outcome=None if sheet.outcome is None else _outcome(sheet.outcome),
        decided_by_record=sheet.decided_by_record,
        purged=sheet.purged,
        judge_failed=sheet.judge_failed,
        place=None if sheet.place is None else _place(sheet.place),
        shown=sheet.shown,
        form_key=sheet.form_key,
        recorded=[_recorded(one) for one in sheet.recorded],
    )


def shown_item(item: ReviewItem, chips: Iterable[Chip], *, hidden: bool) -> ShownItem:
    """An item that was taken from a sheet or a list: what is hidden is gone from it already, but for its stream."""
    return ShownItem(
        item_id=item.item_id,
        event_id=item.event_id,
        workflow=item.workflow,
        rubric_id=item.rubric_id,
        state=ItemState(item.state),
        round=item.round,
        reviewers=item.reviewers,
        blind=item.blind,
        stream=None if hidden else Stream(item.stream),
        probability=item.probability,
        gold=item.gold,
        chips=[ShownChip(reason=one.reason, word=one.word) for one in chips],
        value_amount=item.value_amount,
        value_currency=item.value_currency,
        note=item.note,
        entered_at=item.entered_at,
        settled_at=item.settled_at,
    )


def shown_review(review: Review, person_id: str) -> ShownReview:
    """A review; `person_id` is who reads it."""
    return ShownReview(
        review_id=review.review_id,
        kind=ReviewKind(review.kind),
        reviewer=review.reviewer,
        is_mine=review.person_id == person_id,
        verdict=review.verdict and VerdictLabel(review.verdict),
        proposed=review.proposed and VerdictLabel(review.proposed),
        cannot_judge=review.cannot_judge,
        criteria=[CriterionVerdict.model_validate(one) for one in review.criteria],
        note=review.note,
        rubric_version=review.rubric_version,
        blind=review.blind,
        seen_judge=review.seen_judge,
        judge_verdict=review.judge_verdict and VerdictLabel(review.judge_verdict),
        agrees=review.agrees,
        counts=review.counts,
        active_ms=review.active_ms,
        elapsed_ms=review.elapsed_ms,
        created_at=review.created_at,
    )


def shown_story(story: ItemStory, person_id: str) -> Story:
    """A story as it is answered."""
    return Story(
        item=shown_item(story.item, story.chips, hidden=story.hidden),
        hidden=story.hidden,
        lines=[_line(one, person_id) for one in story.lines],
    )


def _line(line: StoryLine, person_id: str) -> ShownLine:
    return ShownLine(
        at=line.at,
        act=line.act,
        who=line.who,
        detail=line.detail,
        review=None if line.review is None else shown_review(line.review, person_id),
        judge=None if line.judge is None else _heard(line.judge),
    )


def _criterion(criterion: SheetCriterion) -> ShownCriterion:
    return ShownCriterion(
        id=criterion.criterion_id,
        question=criterion.question,
        check=criterion.check,
        critical=criterion.critical,
        weight=criterion.weight,
        options=[
            ShownOption.model_validate({"value": str(one.value), "word": one.word, "hue": str(one.hue)})
            for one in criterion.options
        ],
        not_applicable=criterion.not_applicable,
        by_code=criterion.by_code,
    )


def _run(shown: SheetRun, *, capture: bool) -> ShownRun:
    run = shown.run
    return ShownRun(
        run_id=run.run_id,
        number=shown.number,
        decides=shown.decides,
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration_ms=run.duration_ms,
        execution_status=ExecutionStatus(run.execution_status),
        error_type=run.error_type,
        models=run.models,
        llm_calls=run.llm_calls,
        input_tokens=run.input_tokens,
        output_tokens=run.output_tokens,
        cost_usd=run.cost_total_usd,
        fidelity=Fidelity(run.fidelity),
        diagnostics=run.diagnostics,
        evaluations=run.evaluations,
        shown=[ShownPart(name=one.name, value=one.value, fidelity=one.fidelity) for one in shown.shown],
        capture=shown.capture if capture else None,
    )


def _reveal(reveal: Reveal, person_id: str) -> ShownReveal:
    return ShownReveal(
        verdict=reveal.verdict,
        score=reveal.score,
        rule=reveal.rule,
        judges=[_judge(one) for one in reveal.judges],
        reviews=[shown_review(one, person_id) for one in reveal.reviews],
    )


def _judge(said: JudgeSaid) -> ShownJudge:
    return ShownJudge(
        judge=said.judge,
        run_id=said.run_id,
        escalated=said.escalated,
        repeat=said.repeat,
        verdict=said.verdict,
        score=said.score,
        criteria=list(said.criteria),
        summary=said.summary,
        flags=list(said.flags),
        not_evaluable=said.not_evaluable,
    )


def _heard(heard: Heard) -> ShownJudge:
    return ShownJudge(
        judge=heard.judge,
        run_id=heard.run_id,
        escalated=heard.escalated,
        repeat=heard.repeat,
        verdict=heard.verdict,
        score=heard.score,
        criteria=list(heard.criteria),
        summary=heard.summary,
        flags=list(heard.flags),
        not_evaluable="" if heard.reason is None else str(heard.reason),
    )


def _holding(holding: Holding) -> ShownHolding:
    return ShownHolding(
        name=holding.name,
        is_mine=holding.is_mine,
        kind=SlotKind(holding.kind),
        lease_until=holding.lease_until,
        token=holding.token,
    )


def _place(place: Place) -> ShownPlace:
    return ShownPlace(
        batch_id=place.batch_id,
        number=place.number,
        size=place.size,
        previous=place.previous,
        following=place.following,
    )


def _recorded(recorded: Recorded) -> ShownRecorded:
    return ShownRecorded(
        review_id=recorded.review_id,
        item_id=recorded.item_id,
        event_id=recorded.event_id,
        word=recorded.word,
        at=recorded.at,
    )


def _outcome(outcome: Outcome) -> ShownOutcome:
    return ShownOutcome(
        final_outcome=FinalOutcome(outcome.final_outcome),
        outcome_type=OutcomeType(outcome.outcome_type),
        decided_by=DecidedBy(outcome.decided_by),
        value_amount=outcome.value_amount,
        value_currency=outcome.value_currency,
        reason=outcome.reason,
        revision=outcome.revision,
        decided_at=outcome.decided_at,
    )
