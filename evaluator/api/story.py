"""An event's whole story: outcome, evidence in order of strength, runs, verdicts, cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field

from evaluator.api.signals import in_force
from evaluator.deployment import Deployment
from evaluator.economics import cost_of_event
from evaluator.errors import NotFound
from evaluator.model.capture import Capture
from evaluator.model.event import Event
from evaluator.model.judgement import Judgement, JudgementState
from evaluator.model.outcome import FinalOutcome, Outcome, Signal, SignalSource
from evaluator.model.review import Review, ReviewKind, Stream
from evaluator.model.rollup import Rollup
from evaluator.model.run import Run
from evaluator.model.sample import Sample
from evaluator.model.verdict import Verdict, VerdictLabel
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store import judgements as queue
from evaluator.store import outcomes, runs
from evaluator.store.database import Connection
from evaluator.store.event_list import judging_spend_of
from evaluator.store.reviews import ReviewCost, review_cost_of, reviews_of_event, standing_verdicts

STRENGTH = (SignalSource.SOR, SignalSource.HUMAN, SignalSource.JUDGE)
_SPEAKER = {
    SignalSource.SOR: "a system of record",
    SignalSource.HUMAN: "a person",
    SignalSource.JUDGE: "a judge",
}


class RankedSignal(BaseModel):
    """A signal, whether it decides, and why."""

    signal: Signal
    decides: bool
    why: str


class JudgedUnder(BaseModel):
    """A run's judgement and the verdict it came to, if it did."""

    judgement: Judgement | None
    """None for a person's verdict."""
    verdict: Verdict | None


class RunStory(BaseModel):
    """One run with all that was decided about it."""

    run: Run
    capture: Capture | None = Field(default=None, description="Left out with content=false.")
    samples: list[Sample]
    judgements: list[JudgedUnder]


class ReviewStory(BaseModel):
    """What a person said of the event under a rubric; not blind: this API is for programs, never for reviewers."""

    review_id: str
    item_id: str
    rubric_id: str
    rubric_version: str
    run_id: str | None = Field(description="The run that was shown first.")
    kind: ReviewKind
    reviewer: str
    verdict: VerdictLabel | None = Field(description="null for a retraction, and where it could not be judged.")
    cannot_judge: str | None = Field(description="Why not.")
    proposed: VerdictLabel | None = Field(description="What the answers come to by the rubric's scoring.")
    criteria: list[dict[str, Any]]
    note: str
    at: datetime
    stream: Stream
    blind: bool = Field(description="Whether nothing of judges or others had been shown when the person answered.")
    judge_verdict: VerdictLabel | None = Field(description="The judges' at that time.")
    agrees: bool | None = Field(description="With the judges; null where one of the two says nothing.")
    counts: bool = Field(description="Whether it takes part in the item's state.")
    stands: bool = Field(description="Whether it is the verdict of people for the event under the rubric.")
    retracts: str | None = Field(description="The review that this one takes back.")


class CostStory(BaseModel):
    """US dollars, as decimal text; what judging and reviewing cost stands apart and is in none of the others."""

    total_usd: Decimal | None = Field(description="All runs, failed ones too; null when any run is unpriced.")
    priced_part_usd: Decimal = Field(description="What the priced runs cost: spent at least.")
    unpriced_runs: int
    judging_usd: Decimal
    judging_unpriced: int = Field(description="Verdicts whose judge has no known price.")
    review_usd: Decimal = Field(description="People's active time at their rates, what they took back too.")
    review_unpriced: int = Field(description="Reviews without a rate, or whose time was not measured.")
    review_seconds: float = Field(description="People's active time.")


class EventStory(BaseModel):
    """Everything known of one event."""

    event: Event
    outcome: Outcome = Field(description="In force now; revision 0 is pending without any evidence.")
    outcome_revisions: list[Outcome]
    signals: list[RankedSignal] = Field(description="Strongest first.")
    rollups: list[Rollup] = Field(description="In force now, one per rubric.")
    rollup_revisions: list[Rollup]
    runs: list[RunStory] = Field(description="In order of their start.")
    reviews: list[ReviewStory] = Field(description="All that people said, oldest first.")
    cost: CostStory


def story_of(connection: Connection, deployment: Deployment, event_id: str, *, content: bool) -> dict[str, Any]:
    """The fields of an EventStory; raises NotFound."""
    event = runs.load_event(connection, event_id)
    if event is None:
        raise NotFound(
            f"No event {quoted(event_id)} is known here.",
            hint="An event appears with its first span, run or signal; GET /v1/events lists them.",
        )
    of_event = runs.runs_of_events(connection, [event_id])[event_id]
    rollups, revisions = outcomes.revisions_of_event(connection, event_id)
    current = next((one for one in reversed(revisions) if one.current), None)
    return {
        "event": event,
        "outcome": in_force(current, event_id),
        "outcome_revisions": revisions,
        "signals": ranked(outcomes.signals_of_events(connection, [event_id])[event_id], current),
        "rollups": [one for one in rollups if one.current],
        "rollup_revisions": rollups,
        "runs": _run_stories(connection, deployment, of_event, event_id, content=content),
        "reviews": _reviews(connection, event_id),
        "cost": _cost(connection, of_event, event_id),
    }


def ranked(signals: Sequence[Signal], outcome: Outcome | None) -> list[RankedSignal]:
    """Signals in the order in which they are asked, each with why it decides or does not."""
    deciding = outcome.signal_id if outcome is not None else None
    winner = next((one for one in signals if one.signal_id == deciding), None)
    ordered = sorted(signals, key=lambda one: (one.occurred_at, one.recorded_at, one.signal_id), reverse=True)
    newest: dict[tuple[SignalSource, str], str] = {}
    for one in ordered:
        newest.setdefault((one.source, one.origin), one.signal_id)
    last = set(newest.values())
    return [
        RankedSignal(signal=one, decides=one is winner, why=_why(one, winner, is_last=one.signal_id in last))
        for source in STRENGTH
        for one in ordered
        if one.source == source
    ]


def _why(signal: Signal, winner: Signal | None, *, is_last: bool) -> str:
    """Why a signal decides or not; the last of its origin is that origin's word."""
    speaker = _SPEAKER[signal.source]
    if signal is winner:
        return f"Decides: the newest of the strongest evidence, {speaker}."
    if not is_last:
        return f"Replaced: {speaker} said something newer."
    if signal.outcome == FinalOutcome.PENDING:
        return f"Takes back what {speaker} said before."
    if winner is not None and winner.source == signal.source:
        return f"Replaced: {speaker} said something newer."
    if winner is not None and STRENGTH.index(winner.source) < STRENGTH.index(signal.source):
        return f"Outranked: {_SPEAKER[winner.source]} goes before {speaker}."
    return "Not counted yet."


def _run_stories(
    connection: Connection, deployment: Deployment, of_event: Sequence[Run], event_id: str, *, content: bool
) -> list[dict[str, Any]]:
    run_ids = [run.run_id for run in of_event]
    captures: dict[str, Capture] = {}
    if content:
        captures = runs.load_captures(connection, run_ids, deployment.bodies)
    samples: dict[str, list[Sample]] = defaultdict(list)
    for sample in queue.samples_of_events(connection, [event_id]):
        samples[sample.run_id].append(sample)
    judged = _judged(connection, event_id)
    return [
        {
            "run": run,
            **({"capture": captures.get(run.run_id)} if content else {}),
            "samples": samples[run.run_id],
            "judgements": judged.get(run.run_id, []),
        }
        for run in of_event
    ]


def _judged(connection: Connection, event_id: str) -> dict[str, list[JudgedUnder]]:
    """Run id → its judgements with their verdicts, superseded ones only where they came to one; then people's."""
    verdicts = outcomes.verdicts_of_event(connection, event_id)
    by_judgement = {verdict.judgement_id: verdict for _, verdict in verdicts if verdict.judgement_id}
    judged: dict[str, list[JudgedUnder]] = defaultdict(list)
    judgements = queue.judgements_of_events(connection, [event_id])
    for judgement in sorted(judgements, key=lambda one: (one.created_at, one.rubric_id, one.judge, one.repeat)):
        verdict = by_judgement.get(judgement.judgement_id)
        if judgement.state != JudgementState.SUPERSEDED or verdict is not None:
            judged[judgement.run_id].append(JudgedUnder.model_construct(judgement=judgement, verdict=verdict))
    for _, verdict in verdicts:
        if verdict.judgement_id is None and verdict.run_id is not None:
            judged[verdict.run_id].append(JudgedUnder.model_construct(judgement=None, verdict=verdict))
    return judged


def _reviews(connection: Connection, event_id: str) -> list[ReviewStory]:
    standing = {one.verdict_id for one in standing_verdicts(connection, [event_id]).values()}
    return [
        ReviewStory(
            **{name: getattr(one, name) for name in ReviewStory.model_fields if name in Review.model_fields},
            at=one.created_at,
            stands=one.review_id in standing,
        )
        for one in reviews_of_event(connection, event_id)
    ]


def _cost(connection: Connection, of_event: Sequence[Run], event_id: str) -> CostStory:
    cost = cost_of_event([run.cost_total_usd for run in of_event])
    judging_usd, judging_unpriced = judging_spend_of(connection, [event_id]).get(event_id, (Decimal(0), 0))
    reviewing = review_cost_of(connection, [event_id]).get(event_id, ReviewCost())
    return CostStory(
        total_usd=cost.total,
        priced_part_usd=cost.priced_part,
        unpriced_runs=cost.unpriced_runs,
        judging_usd=judging_usd,
        judging_unpriced=judging_unpriced,
        review_usd=reviewing.usd,
        review_unpriced=reviewing.unpriced,
        review_seconds=reviewing.seconds,
    )
