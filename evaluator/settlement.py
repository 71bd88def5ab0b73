"""From verdicts to rollups and from signals to outcomes, inside the transaction that brings them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from evaluator.model.judgement import JudgementState
from evaluator.model.outcome import FinalOutcome, Outcome, OutcomeType, Resolution, Signal, SignalSource
from evaluator.model.rollup import Rollup, RollupVerdict
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import VerdictLabel
from evaluator.panel import Said, run_verdict
from evaluator.resolution import judge_signal, resolve
from evaluator.rollup import RunStanding, roll_up
from evaluator.store import outcomes
from evaluator.store.database import Connection
from evaluator.store.outcomes import Taken
from evaluator.store.rubric_versions import load_versions


def roll_up_events(
    connection: Connection, workflows: Mapping[str, str], rubrics: Mapping[str, Rubric], now: datetime
) -> None:
    """Bring the rollups of events up to date, and what follows from them: signals and outcomes.

    `workflows` are the events, held by the transaction (`lock_events`), with their workflows. `rubrics` are
    versions known already; others are read. A rollup that says the same as before makes no revision.
    """
    event_ids = workflows.keys()
    taken = outcomes.taken_runs(connection, event_ids)
    standing = outcomes.current_rollups(connection, event_ids)
    groups: dict[tuple[str, str], list[Taken]] = defaultdict(list)
    for one in taken:
        groups[one.event_id, one.rubric_id].append(one)
    emptied = [old for key, old in standing.items() if key not in groups and old.runs]
    versions = {one.rubric_version for one in taken} | {old.rubric_version for old in emptied}
    missing = versions - rubrics.keys()
    known = {**rubrics, **load_versions(connection, missing)} if missing else rubrics
    fresh = [
        revision
        for (event_id, rubric_id), runs in sorted(groups.items())
        if (
            revision := _next_rollup(
                runs,
                known[_latest(runs).rubric_version],
                standing.get((event_id, rubric_id)),
                workflows[event_id],
                now,
            )
        )
    ]
    fresh += [_emptied(old, now) for old in emptied]
    if not fresh:
        return
    first = outcomes.take_positions(connection, "rollup", len(fresh))
    for place, revision in enumerate(fresh):
        revision.position = first + place
    outcomes.append_rollups(connection, fresh)
    _signal_from_judges(connection, workflows, fresh, known, now)


def _latest(runs: Sequence[Taken]) -> Taken:
    return max(runs, key=lambda run: (run.started_at, run.run_id))


def _next_rollup(
    runs: Sequence[Taken], rubric: Rubric, standing: Rollup | None, workflow: str, now: datetime
) -> Rollup | None:
    """The event's next revision under a rubric, or None where nothing changed."""
    said = roll_up(rubric.rollup, [standing_of(run, rubric) for run in runs], thresholds=rubric.verdict, k=rubric.k)
    probabilities = {run.probability for run in runs}
    revision = Rollup(
        **said.__dict__,
        event_id=runs[0].event_id,
        rubric_id=runs[0].rubric_id,
        revision=standing.revision + 1 if standing else 1,
        position=0,
        workflow=workflow,
        rubric_version=rubric.version,
        fingerprints=sorted({v.fingerprint for run in runs for _, _, v in run.judgements if v and v.fingerprint}),
        probability=probabilities.pop() if len(probabilities) == 1 else None,
        decided_at=now,
    )
    if standing is not None and _says(standing) == _says(revision):
        return None
    return revision


def _says(rollup: Rollup) -> tuple[object, ...]:
    return (
        *(getattr(rollup, name) for name in RollupVerdict.model_fields),
        rollup.rubric_version,
        rollup.fingerprints,
        rollup.probability,
    )


def _emptied(old: Rollup, now: datetime) -> Rollup:
    """The revision of a rollup none of whose runs is judged under the rubric any more."""
    said = RollupVerdict(rule=old.rule, verdict=VerdictLabel.UNKNOWN)
    kept = old.model_dump(exclude=set(RollupVerdict.model_fields))
    return Rollup(**{**kept, **said.__dict__, "revision": old.revision + 1, "decided_at": now, "current": True})


def standing_of(run: Taken, rubric: Rubric) -> RunStanding:
    """Where one run stands: judged once every judgement has ended and one has a verdict."""
    if any(state in (JudgementState.DUE, JudgementState.LEASED) for state, _, _ in run.judgements):
        return RunStanding(run.run_id, run.started_at, "waiting", None, None, None)
    verdicts = [verdict for _, _, verdict in run.judgements if verdict is not None]
    if not verdicts:
        reasons = [str(reason) for _, reason, _ in run.judgements if reason is not None]
        return RunStanding(
            run.run_id,
            run.started_at,
            "not_evaluable" if reasons else "waiting",
            None,
            None,
            min(reasons, default=None),
        )
    said = [
        Said(one.judge, one.repeat, False, VerdictLabel(one.verdict), one.score, tuple(one.flags))
        for one in verdicts
    ]
    come_to = run_verdict(rubric, said)
    return RunStanding(
        run.run_id,
        run.started_at,
        "judged",
        come_to.verdict,
        come_to.score,
        None,
        critical_failed=come_to.critical_failed,
    )


def _signal_from_judges(
    connection: Connection,
    workflows: Mapping[str, str],
    rollups: Sequence[Rollup],
    rubrics: Mapping[str, Rubric],
    now: datetime,
) -> None:
    """Append what outcome rubrics now say of their events, where it differs from what they said last."""
    speaking = [
        one for one in rollups if one.rubric_version in rubrics and rubrics[one.rubric_version].role == "outcome"
    ]
    if not speaking:
        return
    event_ids = {one.event_id for one in speaking}
    signals = outcomes.signals_of_events(connection, event_ids)
    fresh = [
        signal
        for one in speaking
        if (signal := _next_signal(one, rubrics[one.rubric_version], signals[one.event_id], now))
    ]
    outcomes.append_signals(connection, fresh)
    for signal in fresh:
        signals[signal.event_id].append(signal)
    resolve_events(connection, {one.event_id: workflows[one.event_id] for one in fresh}, signals, now)


def _next_signal(rollup: Rollup, rubric: Rubric, before: Sequence[Signal], now: datetime) -> Signal | None:
    said = judge_signal(rollup, rubric) or (FinalOutcome.PENDING, OutcomeType.PENDING)
    origin = f"rubric {rubric.id}"
    last = max(
        (one for one in before if one.source == SignalSource.JUDGE and one.origin == origin),
        key=lambda one: one.occurred_at,
        default=None,
    )
    stood = (last.outcome, last.outcome_type) if last else (FinalOutcome.PENDING, OutcomeType.PENDING)
    if stood == said:
        return None
    if last is not None:  # clocks differ between workers; what is said later counts as later
        now = max(now, last.occurred_at + timedelta(microseconds=1))
    reference = f"{rollup.event_id}/{rubric.id}/{rollup.revision}"
    return Signal(
        signal_id=signal_id(SignalSource.JUDGE, origin, reference),
        event_id=rollup.event_id,
        source=SignalSource.JUDGE,
        outcome=said[0],
        outcome_type=said[1],
        reason=f"{rollup.rule}: {rollup.verdict}, {rollup.judged} of {rollup.runs} runs judged",
        origin=origin,
        reference=reference,
        occurred_at=now,
        recorded_at=now,
        reported_by="adjudge",
        facts={"rubric_version": rollup.rubric_version, "rollup_revision": rollup.revision, "score": rollup.score},
    )


def signal_id(source: SignalSource, origin: str, reference: str) -> str:
    """The same origin and reference are the same signal, however often it is reported."""
    return sha256("\x1f".join((source, origin, reference)).encode()).hexdigest()[:32]


def resolve_events(
    connection: Connection, workflows: Mapping[str, str], signals: Mapping[str, Sequence[Signal]], now: datetime
) -> None:
    """Bring the outcomes of events, held by the transaction, up to date with all their signals."""
    if not workflows:
        return
    standing = outcomes.current_outcomes(connection, workflows.keys())
    fresh = []
    for event_id in sorted(workflows):
        resolution = resolve(signals[event_id])
        before = standing.get(event_id)
        if _same(before or Resolution(), resolution):
            continue
        fresh.append(
            Outcome(
                **resolution.__dict__,
                event_id=event_id,
                revision=before.revision + 1 if before else 1,
                position=0,
                workflow=workflows[event_id],
                decided_at=now,
            )
        )
    if fresh:
        first = outcomes.take_positions(connection, "outcome", len(fresh))
        for place, revision in enumerate(fresh):
            revision.position = first + place
        outcomes.append_outcomes(connection, fresh)


def _same(before: Resolution, after: Resolution) -> bool:
    return all(getattr(before, name) == getattr(after, name) for name in Resolution.model_fields)
