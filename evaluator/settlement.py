"""From verdicts to rollups and from signals to outcomes, inside the transaction that brings them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from evaluator.applicability import share_workflow
from evaluator.combination import RubricSays, Word, all_words
from evaluator.model.outcome import FinalOutcome, Outcome, OutcomeType, Resolution, Signal, SignalSource
from evaluator.model.rollup import Rollup, RollupVerdict
from evaluator.model.rubric import Combination, Role, Rubric
from evaluator.model.verdict import Verdict, VerdictLabel
from evaluator.panel import RunVerdict, run_verdict
from evaluator.resolution import judge_signal, resolve
from evaluator.review_intake import bring_in
from evaluator.review_reasons import JudgedRun, review_reasons
from evaluator.rollup import RunStanding, roll_up
from evaluator.store import outcomes, reviews
from evaluator.store.database import Connection
from evaluator.store.outcomes import Taken
from evaluator.store.reviews import StandingReview
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
    changed = {(one.event_id, one.rubric_id) for one in fresh}
    unchanged = [old for key, old in standing.items() if key in groups and key not in changed]
    bring_in(connection, fresh, known, now, unchanged=unchanged)
    current = {**standing, **{(one.event_id, one.rubric_id): one for one in fresh}}
    spoken_of = _spoken_of(standing, fresh, {key: current[key] for key in groups}, known)
    if spoken_of:
        of_events = {key: current[key] for key in groups if key[0] in spoken_of}
        _signal(connection, {one: workflows[one] for one in spoken_of}, of_events, known, now)


def hear_people(
    connection: Connection,
    workflows: Mapping[str, str],
    rubrics: Mapping[str, Rubric],
    now: datetime,
    *,
    rollups: Mapping[_EventUnderRubric, Rollup] | None = None,
) -> None:
    """Bring signals and outcomes of events up to date with what people now say of them; arguments as above.

    `rollups` are all in force of these events; left out, they are read.
    """
    standing = outcomes.current_rollups(connection, workflows.keys()) if rollups is None else rollups
    rollups = {key: one for key, one in standing.items() if one.runs}
    known = _with_versions(connection, rubrics, {one.rubric_version for one in rollups.values()})
    _signal(connection, workflows, rollups, known, now)


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


def _signal(
    connection: Connection,
    workflows: Mapping[str, str],
    rollups: Mapping[_EventUnderRubric, Rollup],
    rubrics: Mapping[str, Rubric],
    now: datetime,
) -> None:
    """Append what judges and people now say of events under outcome rubrics, where it differs from what stands."""
    people = reviews.standing_reviews(connection, workflows.keys())
    rubrics = _with_versions(connection, rubrics, {one.verdict.rubric_version for one in people.values()})
    beside = _outcome_rubrics(rollups, people, rubrics)
    judged: dict[str, list[RubricSays]] = {event_id: [] for event_id in workflows}
    for (event_id, _), rollup in rollups.items():
        if _speaks(rollup, rubrics):
            judged[event_id].append(_judges_say(rollup, rubrics[rollup.rubric_version], beside[event_id]))
    for event_id, silent in _not_sampled(connection, rollups, beside, rubrics):
        judged[event_id].append(silent)
    reviewed: dict[str, list[RubricSays]] = {event_id: [] for event_id in workflows}
    for (event_id, _), one in people.items():
        if (said := _person_says(one, rubrics[one.verdict.rubric_version], beside[event_id])) is not None:
            reviewed[event_id].append(said)
    signals = outcomes.signals_of_events(connection, workflows.keys())
    fresh = {
        event_id: appended
        for event_id in sorted(workflows)
        if (
            appended := _next_signals(
                event_id, all_words(judged[event_id], reviewed[event_id]), signals[event_id], now
            )
        )
    }
    outcomes.append_signals(connection, [signal for appended in fresh.values() for signal in appended])
    known = {event_id: [*signals[event_id], *appended] for event_id, appended in fresh.items()}
    resolve_events(connection, {event_id: workflows[event_id] for event_id in fresh}, known, now)


def _outcome_rubrics(
    rollups: Mapping[_EventUnderRubric, Rollup],
    people: Mapping[_EventUnderRubric, StandingReview],
    rubrics: Mapping[str, Rubric],
) -> dict[str, list[Rubric]]:
    """Event → the outcome rubrics that judges or people answered for it; judges' version where both did."""
    answered = {key: one.verdict.rubric_version for key, one in people.items()}
    answered |= {key: one.rubric_version for key, one in rollups.items()}
    found: dict[str, list[Rubric]] = defaultdict(list)
    for (event_id, _), version in answered.items():
        if version in rubrics and rubrics[version].role == Role.OUTCOME:
            found[event_id].append(rubrics[version])
    return found


def _judges_say(rollup: Rollup, rubric: Rubric, beside: Collection[Rubric]) -> RubricSays:
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


def _person_says(one: StandingReview, rubric: Rubric, beside: Collection[Rubric]) -> RubricSays | None:
    """What a person's verdict stands for by the version they answered, or None where it says nothing of the outcome."""
    verdict: Verdict = one.verdict
    mapping = rubric.mapping_for(VerdictLabel(verdict.verdict))
    if mapping is None or mapping.outcome == FinalOutcome.PENDING:
        return None
    said = f"the judge said {one.judge_verdict}" if one.judge_verdict else "no judge said anything"
    return RubricSays(
        rubric_id=rubric.id,
        combine=_combination(rubric, beside),
        outcome=mapping.outcome,
        outcome_type=mapping.type,
        told=str(verdict.verdict),
        reason=f"{verdict.judge} reviewed it: {verdict.verdict}; {said}",
        facts={
            "item_id": one.item_id,
            "review_id": verdict.verdict_id,
            "rubric_version": verdict.rubric_version,
            "stream": one.stream,
        },
        by_person=verdict.judge,
        review_id=verdict.verdict_id,
    )


def _combination(rubric: Rubric, beside: Collection[Rubric]) -> Combination | None:
    """How a rubric's outcome counts with those of others of the event.

    Of rubrics in force all combine that decide one workflow. A version kept from before it came to that counts with
    them as well: which of them was judged last must not decide.
    """
    theirs = {other.combine for other in beside if share_workflow(rubric, other)}
    return rubric.combine or next((each for each in Combination if each in theirs), None)


def _not_sampled(
    connection: Connection,
    rollups: Mapping[_EventUnderRubric, Rollup],
    beside: Mapping[str, Collection[Rubric]],
    rubrics: Mapping[str, Rubric],
) -> list[tuple[str, RubricSays]]:
    """Rubrics that are combined with others of an event and took none of its runs: judges do not know them."""
    combining = {event_id for event_id, those in beside.items() if any(rubric.combine for rubric in those)}
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


def _next_signals(event_id: str, said: Sequence[Word], before: Sequence[Signal], now: datetime) -> list[Signal]:
    """What is to be appended so that these words stand, and no other of judges and reviewers does."""
    by_origin: dict[tuple[SignalSource, str], list[Signal]] = defaultdict(list)
    for signal in sorted(before, key=lambda one: (one.occurred_at, one.recorded_at, one.signal_id)):
        if signal.source in _TAKEN_BACK:
            by_origin[SignalSource(signal.source), signal.origin].append(signal)
    gone = sorted(by_origin.keys() - {(word.source, word.origin) for word in said})
    taken_back = [
        Word(origin, FinalOutcome.PENDING, OutcomeType.PENDING, _TAKEN_BACK[source], source=source)
        for source, origin in gone
    ]
    following = [
        _next_signal(event_id, word, by_origin.get((word.source, word.origin), ()), now)
        for word in (*taken_back, *said)
    ]
    return [signal for signal in following if signal is not None]


_TAKEN_BACK = {  # of the sources that speak through settlement
    SignalSource.JUDGE: "no longer counts by itself for this event",
    SignalSource.HUMAN: "no review stands any more that decides this",
}
_SYSTEM = "adjudge"


def _next_signal(event_id: str, word: Word, before: Sequence[Signal], now: datetime) -> Signal | None:
    last = before[-1] if before else None
    stood = (last.outcome, last.outcome_type) if last else (FinalOutcome.PENDING, OutcomeType.PENDING)
    is_same = stood == (word.outcome, word.outcome_type) and (last is None or _rests_on(last) == word.rests_on)
    if is_same or stood[0] == word.outcome == FinalOutcome.PENDING:
        return None
    if last is not None:  # clocks differ between workers; what is said later counts as later
        now = max(now, last.occurred_at + timedelta(microseconds=1))
    reference = f"{event_id}/{word.origin}/{len(before) + 1}"
    return Signal(
        signal_id=signal_id(word.source, word.origin, reference),
        event_id=event_id,
        source=word.source,
        outcome=word.outcome,
        outcome_type=word.outcome_type,
        reason=word.reason,
        origin=word.origin,
        reference=reference,
        occurred_at=now,
        recorded_at=now,
        reported_by=word.by_person or _SYSTEM,
        facts=word.facts,
    )


def _rests_on(signal: Signal) -> tuple[str, ...]:
    """The reviews that a signal of people rests on."""
    if signal.source != SignalSource.HUMAN:
        return ()
    return tuple(signal.facts.get("reviews") or [signal.facts.get("review_id", "")])


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
