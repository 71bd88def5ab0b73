"""Rollups, signals and outcomes: append-only revisions, each with a place in its feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, and_, func, select, tuple_, update

from evaluator.model.judgement import Judgement, JudgementState, NotEvaluable
from evaluator.model.outcome import Outcome, Signal
from evaluator.model.rollup import Rollup
from evaluator.model.sample import SampleReason
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Verdict, VerdictLabel
from evaluator.panel import Said
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import (
    EventRow,
    FeedRow,
    JudgementRow,
    OutcomeRow,
    RollupRow,
    RunRow,
    SampleRow,
    SignalRow,
    VerdictRow,
)

_rollup, _signal, _outcome = table_of(RollupRow), table_of(SignalRow), table_of(OutcomeRow)
_feed, _verdict, _judgement = table_of(FeedRow), table_of(VerdictRow), table_of(JudgementRow)
_sample, _run, _event = table_of(SampleRow), table_of(RunRow), table_of(EventRow)

FeedName = Literal["rollup", "outcome"]


def take_positions(connection: Connection, feed: FeedName, count: int) -> int:
    """Reserve `count` places at the end of a feed; the first of them.

    The row stays locked until the transaction ends, so places are given out in commit order, and
    a transaction that is rolled back leaves no gap.
    """
    advance = (
        update(_feed)
        .where(_feed.c.feed == feed)
        .values(position=_feed.c.position + count)
        .returning(_feed.c.position)
    )
    last = connection.execute(advance).scalar_one_or_none()
    if last is None:
        connection.execute(insert_into(connection, _feed).on_conflict_do_nothing(), {"feed": feed, "position": 0})
        last = connection.execute(advance).scalar_one()
    return int(last) - count + 1


def current_rollups(connection: Connection, event_ids: Collection[str]) -> dict[tuple[str, str], Rollup]:
    """(event, rubric) → the rollup in force."""
    rows = connection.execute(
        select(_rollup).where(_rollup.c.event_id.in_(event_ids), _rollup.c.current)
    ).mappings()
    return {(row["event_id"], row["rubric_id"]): Rollup.model_validate(dict(row)) for row in rows}


def append_rollups(connection: Connection, rollups: Sequence[Rollup]) -> None:
    """Add revisions and put those they replace out of force."""
    replaced = [(one.event_id, one.rubric_id) for one in rollups if one.revision > 1]
    if replaced:
        connection.execute(
            update(_rollup)
            .where(_rollup.c.current, tuple_(_rollup.c.event_id, _rollup.c.rubric_id).in_(replaced))
            .values(current=False)
        )
    if rollups:
        connection.execute(_rollup.insert(), [as_row(one) for one in rollups])


def signals_of_events(connection: Connection, event_ids: Collection[str]) -> dict[str, list[Signal]]:
    """Event id → its signals, oldest first."""
    rows = connection.execute(
        select(_signal)
        .where(_signal.c.event_id.in_(event_ids))
        .order_by(_signal.c.recorded_at, _signal.c.signal_id)
    ).mappings()
    signals: dict[str, list[Signal]] = {event_id: [] for event_id in event_ids}
    for row in rows:
        signals[row["event_id"]].append(Signal.model_validate(dict(row)))
    return signals


def append_signals(connection: Connection, signals: Sequence[Signal]) -> None:
    """Add evidence; a signal that is known already stays as it is."""
    if signals:
        connection.execute(
            insert_into(connection, _signal).on_conflict_do_nothing(), [as_row(signal) for signal in signals]
        )


def find_signal(connection: Connection, signal_id: str) -> Signal | None:
    """The signal of this id, or None."""
    row = connection.execute(select(_signal).where(_signal.c.signal_id == signal_id)).mappings().one_or_none()
    return None if row is None else Signal.model_validate(dict(row))


def current_outcomes(connection: Connection, event_ids: Collection[str]) -> dict[str, Outcome]:
    """Event id → the outcome in force; an event that never had evidence has none."""
    rows = connection.execute(
        select(_outcome).where(_outcome.c.event_id.in_(event_ids), _outcome.c.current)
    ).mappings()
    return {row["event_id"]: Outcome.model_validate(dict(row)) for row in rows}


def append_outcomes(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Add revisions and put those they replace out of force."""
    replaced = [one.event_id for one in outcomes if one.revision > 1]
    if replaced:
        connection.execute(
            update(_outcome).where(_outcome.c.current, _outcome.c.event_id.in_(replaced)).values(current=False)
        )
    if outcomes:
        connection.execute(_outcome.insert(), [as_row(one) for one in outcomes])


@dataclass(slots=True)
class Judged:
    """One judgement in force, and what its judge said."""

    judgement_id: str
    state: JudgementState
    reason: NotEvaluable | None
    escalated: bool
    fingerprint: str | None
    said: Said | None


class Taken:
    """One run taken for judging under a rubric, with the judgements in force and their verdicts."""

    __slots__ = (
        "diagnostics",
        "event_id",
        "judgements",
        "probability",
        "rubric_id",
        "rubric_version",
        "run_id",
        "started_at",
    )

    def __init__(
        self,
        run_id: str,
        event_id: str,
        rubric_id: str,
        rubric_version: str,
        probability: float,
        started_at: datetime,
        diagnostics: dict[str, Any],
    ) -> None:
        self.run_id = run_id
        self.event_id = event_id
        self.rubric_id = rubric_id
        self.rubric_version = rubric_version
        self.probability = probability
        self.started_at = started_at
        self.diagnostics = diagnostics
        self.judgements: list[Judged] = []

    @property
    def is_waiting(self) -> bool:
        """Whether a verdict may still come that the run's depends on; nobody waits behind the stronger judge's."""
        if any(one.escalated and one.said for one in self.judgements):
            return False
        return any(one.state in (JudgementState.DUE, JudgementState.LEASED) for one in self.judgements)

    @property
    def said(self) -> list[Said]:
        """Every verdict on the run."""
        return [one.said for one in self.judgements if one.said is not None]


def taken_runs(connection: Connection, event_ids: Collection[str]) -> list[Taken]:
    """What the rollups of these events rest on, per run and rubric, under the version last sampled.

    A verdict comes with its criteria only where its judge was asked several times and no verdict is to come.
    """
    taken: dict[tuple[str, str], Taken] = {}
    samples = connection.execute(
        select(_sample, _run.c.started_at, _run.c.diagnostics)
        .join(_run, _run.c.run_id == _sample.c.run_id)
        .where(_sample.c.event_id.in_(event_ids))
        .order_by(_sample.c.decided_at)
    )
    for row in samples:
        if not row.taken:
            taken.pop((row.run_id, row.rubric_id), None)
            continue
        taken[row.run_id, row.rubric_id] = Taken(
            row.run_id,
            row.event_id,
            row.rubric_id,
            row.rubric_version,
            row.probability,
            row.started_at,
            row.diagnostics,
        )
    for row in connection.execute(_judged(event_ids)):
        run = taken.get((row.run_id, row.rubric_id))
        if run is not None and run.rubric_version == row.rubric_version:
            run.judgements.append(_judged_of(row))
    _add_criteria(connection, taken.values())
    return list(taken.values())


def _judged_of(row: Row[Any]) -> Judged:
    said = (
        None
        if row.verdict is None
        else Said(row.judge, row.repeat, row.escalated, VerdictLabel(row.verdict), row.score, tuple(row.flags))
    )
    return Judged(
        row.judgement_id,
        JudgementState(row.state),
        row.reason and NotEvaluable(row.reason),
        row.escalated,
        row.fingerprint,
        said,
    )


def _add_criteria(connection: Connection, runs: Iterable[Taken]) -> None:
    """Load the answers of those who were asked repeatedly: nobody else's are needed, and they are long."""
    repeated: dict[str, Judged] = {}
    for run in runs:
        if len(run.judgements) > 1 and not run.is_waiting:
            times = Counter((said.judge, said.escalated) for said in run.said)
            repeated |= {
                one.judgement_id: one
                for one in run.judgements
                if one.said is not None and times[one.said.judge, one.escalated] > 1
            }
    if not repeated:
        return
    rows = connection.execute(
        select(_verdict.c.judgement_id, _verdict.c.criteria).where(_verdict.c.judgement_id.in_(repeated))
    )
    for row in rows:
        one = repeated[row.judgement_id]
        assert one.said is not None
        one.said = replace(one.said, criteria=tuple(_answer_of(answer) for answer in row.criteria))


def _answer_of(stored: dict[str, Any]) -> CriterionVerdict:
    """What counts of an answer; it was validated before it was stored."""
    return CriterionVerdict.model_construct(
        id=stored["id"], verdict=CriterionLabel(stored["verdict"]), level=stored.get("level")
    )


def _judged(event_ids: Collection[str]) -> Select[Any]:
    return (
        select(
            _judgement.c.judgement_id,
            _judgement.c.run_id,
            _judgement.c.rubric_id,
            _judgement.c.rubric_version,
            _judgement.c.state,
            _judgement.c.reason,
            _judgement.c.escalated,
            _verdict.c.verdict,
            _verdict.c.score,
            _verdict.c.judge,
            _verdict.c.repeat,
            _verdict.c.fingerprint,
            _verdict.c.flags,
        )
        .join(_verdict, _verdict.c.judgement_id == _judgement.c.judgement_id, isouter=True)
        .where(_judgement.c.event_id.in_(event_ids), _judgement.c.state != JudgementState.SUPERSEDED)
    )


def sampled_versions(connection: Connection, event_ids: Collection[str]) -> dict[tuple[str, str], str]:
    """(event, rubric) → the version that applies to the event's last run it applies to, taken or not."""
    last: dict[tuple[str, str], Any] = {}
    rows = connection.execute(
        select(_sample, _run.c.started_at)
        .join(_run, _run.c.run_id == _sample.c.run_id)
        .where(_sample.c.event_id.in_(event_ids))
        .order_by(_sample.c.decided_at)
    )
    for row in rows:
        last[row.run_id, row.rubric_id] = row
    applying = sorted(
        (row for row in last.values() if row.reason != SampleReason.LEFT_OUT),
        key=lambda row: (row.started_at, row.run_id),
    )
    return {(row.event_id, row.rubric_id): row.rubric_version for row in applying}


def verdicts_of_event(connection: Connection, event_id: str) -> list[tuple[Judgement | None, Verdict]]:
    """Every verdict about an event with its judgement (None for a person's), oldest first."""
    verdicts = connection.execute(
        select(_verdict).where(_verdict.c.event_id == event_id).order_by(_verdict.c.created_at)
    ).mappings()
    judgements = {
        row["judgement_id"]: Judgement.model_validate(dict(row))
        for row in connection.execute(select(_judgement).where(_judgement.c.event_id == event_id)).mappings()
    }
    return [(judgements.get(row["judgement_id"]), Verdict.model_validate(dict(row))) for row in verdicts]


def revisions_of_event(connection: Connection, event_id: str) -> tuple[list[Rollup], list[Outcome]]:
    """All rollup and outcome revisions of an event, oldest first."""
    rollups = connection.execute(
        select(_rollup).where(_rollup.c.event_id == event_id).order_by(_rollup.c.position)
    ).mappings()
    outcomes = connection.execute(
        select(_outcome).where(_outcome.c.event_id == event_id).order_by(_outcome.c.position)
    ).mappings()
    return [Rollup.model_validate(dict(row)) for row in rollups], [
        Outcome.model_validate(dict(row)) for row in outcomes
    ]


def feed_head(connection: Connection, feed: FeedName) -> int:
    """The last committed position of a feed, 0 where it is empty."""
    head = connection.execute(select(_feed.c.position).where(_feed.c.feed == feed)).scalar_one_or_none()
    return 0 if head is None else int(head)


def rollups_after(
    connection: Connection,
    after: int,
    *,
    upto: int,
    limit: int,
    workflow: str | None = None,
    rubric_id: str | None = None,
    settled_before: datetime | None = None,
) -> list[Rollup]:
    """Rollup revisions with after < position ≤ upto in feed order.

    With `settled_before`, only those decided before it that still stand.
    """
    query = select(_rollup).where(_rollup.c.position > after, _rollup.c.position <= upto)
    if workflow is not None:
        query = query.where(_rollup.c.workflow == workflow)
    if rubric_id is not None:
        query = query.where(_rollup.c.rubric_id == rubric_id)
    if settled_before is not None:
        query = query.where(and_(_rollup.c.decided_at < settled_before, _rollup.c.current))
    rows = connection.execute(query.order_by(_rollup.c.position).limit(limit)).mappings()
    return [Rollup.model_validate(dict(row)) for row in rows]


def outcomes_after(
    connection: Connection,
    after: int,
    *,
    upto: int,
    limit: int,
    workflow: str | None = None,
    decided_by: str | None = None,
    final_outcome: str | None = None,
    settled_before: datetime | None = None,
) -> list[Outcome]:
    """Outcome revisions with after < position ≤ upto in feed order; filters as for rollups."""
    query = select(_outcome).where(_outcome.c.position > after, _outcome.c.position <= upto)
    for column, wanted in (
        (_outcome.c.workflow, workflow),
        (_outcome.c.decided_by, decided_by),
        (_outcome.c.final_outcome, final_outcome),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if settled_before is not None:
        query = query.where(and_(_outcome.c.decided_at < settled_before, _outcome.c.current))
    rows = connection.execute(query.order_by(_outcome.c.position).limit(limit)).mappings()
    return [Outcome.model_validate(dict(row)) for row in rows]


def last_settled_position(connection: Connection, feed: FeedName, settled_before: datetime) -> int:
    """The last position up to which everything was decided before a time; how far a settled feed has been read.

    Places follow commits and times are taken before them, so a later place may be of an earlier time.
    """
    table = _rollup if feed == "rollup" else _outcome
    unsettled = connection.execute(
        select(func.min(table.c.position)).where(table.c.decided_at >= settled_before)
    ).scalar_one()
    return feed_head(connection, feed) if unsettled is None else int(unsettled) - 1


def overview(connection: Connection, *, limit: int) -> list[tuple[str, str, Outcome | None]]:
    """Events with most recent activity first: id, workflow, outcome in force."""
    events = connection.execute(
        select(_event.c.event_id, _event.c.workflow)
        .order_by(_event.c.last_activity_at.desc(), _event.c.event_id)
        .limit(limit)
    ).all()
    outcomes = current_outcomes(connection, [row.event_id for row in events])
    return [(row.event_id, row.workflow, outcomes.get(row.event_id)) for row in events]
