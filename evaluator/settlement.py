"""From verdicts to rollups and from signals to outcomes, inside the transaction that brings them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from evaluator.applicability import share_workflow
from evaluator.combination import JudgeWord, RubricSays, judge_words
from evaluator.model.outcome import FinalOutcome, Outcome, OutcomeType, Resolution, Signal, SignalSource
from evaluator.model.rollup import Rollup, RollupVerdict
from evaluator.model.rubric import Combination, Role, Rubric
from evaluator.model.verdict import VerdictLabel
from evaluator.panel import RunVerdict, run_verdict
from evaluator.resolution import judge_signal, resolve
from evaluator.review_reasons import JudgedRun, review_reasons
from evaluator.rollup import RunStanding, roll_up
from evaluator.store import outcomes
from evaluator.store.database import Connection
from evaluator.store.outcomes import Taken
from evaluator.store.rubric_versions import load_versions

_EventUnderRubric = tuple[str, str]


def roll_up_events(
    connection: Connection, workflows: Mapping[str, str], rubrics: Mapping[str, Rubric], now: datetime
) -> None:
    """Bring the rollups of events up to date, and what follows from them: signals and outcomes.

    `workflows` are the events, held by the transaction (`lock_events`), with their workflows. `rubrics` are
    versions known already; others are read. A rollup that says the same as before makes no revision.
    """
    taken = outcomes.taken_runs(connection, workflows.keys())
    standing = outcomes.current_rollups(connection, workflows.keys())
    groups: dict[_EventUnderRubric, list[Taken]] = defaultdict(list)
    for one in taken:
        groups[one.event_id, one.rubric_id].append(one)
    emptied = [old for key, old in standing.items() if key not in groups and old.runs]
    versions = {one.rubric_version for one in taken} | {old.rubric_version for old in emptied}
    known = _with_versions(connection, rubrics, versions)
    fresh = [
        revision
        for key, runs in sorted(groups.items())
        if (revision := _next_rollup(runs, known, standing.get(key), workflows[key[0]], now))
    ]
    fresh += [_emptied(old, now) for old in emptied]
    if fresh:
        first = outcomes.take_positions(connection, "rollup", len(fresh))
        for place, revision in enumerate(fresh):
            revision.position = first + place
        outcomes.append_rollups(connection, fresh)
    current = {**standing, **{(one.event_id, one.rubric_id): one for one in fresh}}
    spoken_of = _spoken_of(standing, fresh, {key: current[key] for key in groups}, known)
    if spoken_of:
        of_events = {key: current[key] for key in groups if key[0] in spoken_of}
        _signal_from_judges(connection, {one: workflows[one] for one in spoken_of}, of_events, known, now)


def _with_versions(
    connection: Connection, rubrics: Mapping[str, Rubric], versions: Collection[str]
) -> Mapping[str, Rubric]:
    missing = set(versions) - rubrics.keys()
    return {**rubrics, **load_versions(connection, missing)} if missing else rubrics


def _latest(runs: Sequence[Taken]) -> Taken:
    return max(runs, key=lambda run: (run.started_at, run.run_id))


def _next_rollup(
    runs: Sequence[Taken], rubrics: Mapping[str, Rubric], standing: Rollup | None, workflow: str, now: datetime
) -> Rollup | None:
    """The event's next revision under a rubric, or None where nothing changed.

    Each run is judged by the version it was sampled under; the version of the last run makes one verdict of them.
    """
    rubric = rubrics[_latest(runs).rubric_version]
    stand = [(run, *standing_of(run, rubrics[run.rubric_version])) for run in runs]
    said = roll_up(rubric.rollup, [one for _, one, _ in stand], thresholds=rubric.verdict, k=rubric.k)
    judged = [
        JudgedRun(verdict, rubrics[run.rubric_version], run.diagnostics)
        for run, _, verdict in stand
        if verdict is not None
    ]
    probabilities = {run.probability for run in runs}
    revision = Rollup(
        **said.__dict__,
        event_id=runs[0].event_id,
        rubric_id=runs[0].rubric_id,
        revision=standing.revision + 1 if standing else 1,
        position=0,
        workflow=workflow,
        rubric_version=rubric.version,
        fingerprints=sorted({one.fingerprint for run in runs for one in run.judgements if one.fingerprint}),
        probability=probabilities.pop() if len(probabilities) == 1 else None,
        review_reasons=list(review_reasons(rubric.review, runs[0].event_id, judged, said)),
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
        rollup.review_reasons,
    )


def _emptied(old: Rollup, now: datetime) -> Rollup:
    """The revision of a rollup none of whose runs is judged under the rubric any more."""
    said = RollupVerdict(rule=old.rule, verdict=VerdictLabel.UNKNOWN)
    kept = old.model_dump(exclude={*RollupVerdict.model_fields, "review_reasons"})
    return Rollup(**{**kept, **said.__dict__, "revision": old.revision + 1, "decided_at": now, "current": True})


def standing_of(run: Taken, rubric: Rubric) -> tuple[RunStanding, RunVerdict | None]:
    """Where one run stands, and what its judges' verdicts come to once none of them is waited for.

    A run is judged where one of its judgements has a verdict: the stronger judge's alone, else all of its own
    judges'. That the stronger judge came to none leaves theirs in force.
    """
    if run.is_waiting:
        return RunStanding(run.run_id, run.started_at, "waiting", None, None, None), None
    said = run.said
    if not said:
        reasons = [str(one.reason) for one in run.judgements if one.reason is not None]
        state: Literal["waiting", "not_evaluable"] = "not_evaluable" if reasons else "waiting"
        return RunStanding(run.run_id, run.started_at, state, None, None, min(reasons, default=None)), None
    found = run_verdict(rubric, said)
    standing = RunStanding(
        run.run_id,
        run.started_at,
        "judged",
        found.verdict,
        found.score,
        None,
        critical_failed=found.critical_failed,
    )
    return standing, found


def _spoken_of(
    standing: Mapping[_EventUnderRubric, Rollup],
    fresh: Sequence[Rollup],
    current: Mapping[_EventUnderRubric, Rollup],
    rubrics: Mapping[str, Rubric],
) -> set[str]:
    """Events of which outcome rubrics may now say something else: a rollup changed, or others are counted with it."""
    changed = {
        one.event_id
        for one in fresh
        if _speaks(one, rubrics)
        or ((old := standing.get((one.event_id, one.rubric_id))) and old.rubric_version != one.rubric_version)
    }
    return changed | _combining(current, rubrics)


def _combining(current: Mapping[_EventUnderRubric, Rollup], rubrics: Mapping[str, Rubric]) -> set[str]:
    return {
        event_id
        for (event_id, _), rollup in current.items()
        if _speaks(rollup, rubrics) and rubrics[rollup.rubric_version].combine
    }


def _speaks(rollup: Rollup, rubrics: Mapping[str, Rubric]) -> bool:
    return rollup.rubric_version in rubrics and rubrics[rollup.rubric_version].role == Role.OUTCOME


def _signal_from_judges(
    connection: Connection,
    workflows: Mapping[str, str],
    rollups: Mapping[_EventUnderRubric, Rollup],
    rubrics: Mapping[str, Rubric],
    now: datetime,
) -> None:
    """Append what outcome rubrics now say of their events, where it differs from what stands."""
    speaking: dict[str, list[Rollup]] = {event_id: [] for event_id in workflows}
    for (event_id, _), rollup in rollups.items():
        if _speaks(rollup, rubrics):
            speaking[event_id].append(rollup)
    said: dict[str, list[RubricSays]] = {}
    for event_id, each in speaking.items():
        beside = [rubrics[rollup.rubric_version] for rollup in each]
        said[event_id] = [_what_it_says(rollup, rubrics[rollup.rubric_version], beside) for rollup in each]
    for event_id, silent in _not_sampled(connection, rollups, rubrics):
        said[event_id].append(silent)
    signals = outcomes.signals_of_events(connection, workflows.keys())
    fresh = {
        event_id: appended
        for event_id, rubrics_say in sorted(said.items())
        if (appended := _next_signals(event_id, judge_words(rubrics_say), signals[event_id], now))
    }
    outcomes.append_signals(connection, [signal for appended in fresh.values() for signal in appended])
    known = {event_id: [*signals[event_id], *appended] for event_id, appended in fresh.items()}
    resolve_events(connection, {event_id: workflows[event_id] for event_id in fresh}, known, now)


def _what_it_says(rollup: Rollup, rubric: Rubric, beside: Collection[Rubric]) -> RubricSays:
    outcome, outcome_type = judge_signal(rollup, rubric) or (None, OutcomeType.PENDING)
    return RubricSays(
        rubric_id=rubric.id,
        combine=_combination(rubric, beside),
        outcome=outcome,
        outcome_type=outcome_type,
        told=str(rollup.verdict),
        reason=f"{rollup.rule}: {rollup.verdict}, {rollup.judged} of {rollup.runs} runs judged",
        facts={
            "rubric_version": rollup.rubric_version,
            "rollup_revision": rollup.revision,
            "score": rollup.score,
        },
    )


def _combination(rubric: Rubric, beside: Collection[Rubric]) -> Combination | None:
    """How a rubric's outcome counts with those of others of the event.

    Of rubrics in force all combine that decide one workflow. A version kept from before it came to that counts with
    them as well: which of them was judged last must not decide.
    """
    theirs = {other.combine for other in beside if share_workflow(rubric, other)}
    return rubric.combine or next((each for each in Combination if each in theirs), None)


def _not_sampled(
    connection: Connection, rollups: Mapping[_EventUnderRubric, Rollup], rubrics: Mapping[str, Rubric]
) -> list[tuple[str, RubricSays]]:
    """Rubrics that are combined with others of an event and took none of its runs: they cannot be known."""
    combining = _combining(rollups, rubrics)
    if not combining:
        return []
    sampled = {
        key: version
        for key, version in outcomes.sampled_versions(connection, combining).items()
        if key not in rollups
    }
    known = _with_versions(connection, rubrics, sampled.values())
    return [
        (
            event_id,
            RubricSays(rubric_id, rubric.combine, None, OutcomeType.PENDING, "not sampled", "not sampled"),
        )
        for (event_id, rubric_id), version in sampled.items()
        if (rubric := known.get(version)) and rubric.role == Role.OUTCOME and rubric.combine
    ]


def _next_signals(
    event_id: str, words: Sequence[JudgeWord], before: Sequence[Signal], now: datetime
) -> list[Signal]:
    """What is to be appended so that the judge's words stand, and no other of its words does."""
    by_origin: dict[str, list[Signal]] = defaultdict(list)
    for signal in sorted(before, key=lambda one: (one.occurred_at, one.recorded_at, one.signal_id)):
        if signal.source == SignalSource.JUDGE:
            by_origin[signal.origin].append(signal)
    gone = sorted(by_origin.keys() - {word.origin for word in words})
    taken_back = [
        JudgeWord(origin, FinalOutcome.PENDING, OutcomeType.PENDING, "no longer counts by itself for this event")
        for origin in gone
    ]
    following = [
        _next_signal(event_id, word, by_origin.get(word.origin, ()), now) for word in (*taken_back, *words)
    ]
    return [signal for signal in following if signal is not None]


def _next_signal(event_id: str, word: JudgeWord, before: Sequence[Signal], now: datetime) -> Signal | None:
    last = before[-1] if before else None
    stood = (last.outcome, last.outcome_type) if last else (FinalOutcome.PENDING, OutcomeType.PENDING)
    if stood == (word.outcome, word.outcome_type) or stood[0] == word.outcome == FinalOutcome.PENDING:
        return None
    if last is not None:  # clocks differ between workers; what is said later counts as later
        now = max(now, last.occurred_at + timedelta(microseconds=1))
    reference = f"{event_id}/{word.origin}/{len(before) + 1}"
    return Signal(
        signal_id=signal_id(SignalSource.JUDGE, word.origin, reference),
        event_id=event_id,
        source=SignalSource.JUDGE,
        outcome=word.outcome,
        outcome_type=word.outcome_type,
        reason=word.reason,
        origin=word.origin,
        reference=reference,
        occurred_at=now,
        recorded_at=now,
        reported_by="adjudge",
        facts=word.facts,
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
