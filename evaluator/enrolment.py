"""From ready runs to work: which are sampled under which rubric, and the judgements that follow."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from evaluator.applicability import always_rule_matched, applies, content_for, run_facts
from evaluator.deployment import Deployment
from evaluator.escalation import escalate
from evaluator.judging.judge import content_key, provider_of
from evaluator.model.capture import Capture
from evaluator.model.judgement import Judgement, JudgementState, judgement_id
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run, RunState
from evaluator.model.sample import Sample, SampleReason
from evaluator.sampling import decide
from evaluator.settings import Settings
from evaluator.settlement import roll_up_events
from evaluator.store import judgements as queue
from evaluator.store import outcomes
from evaluator.store.database import Connection
from evaluator.store.rubric_versions import load_versions, store_version
from evaluator.store.runs import load_captures, lock_events, runs_of_events


@dataclass
class Enrolment:
    """What changes in the queue for some events."""

    samples: list[Sample] = field(default_factory=list)
    add: list[Judgement] = field(default_factory=list)
    supersede: list[str] = field(default_factory=list)
    versions: dict[str, Rubric] = field(default_factory=dict)
    """Rubric versions pinned by what is added, and those whose absence is for other rubrics to count with."""


@dataclass(frozen=True)
class History:
    """What was decided about an event's runs before."""

    samples: dict[tuple[str, str], Sample]
    """(run, rubric id) → the last decision."""
    judgements: dict[tuple[str, str], list[Judgement]]
    """(run, rubric id) → judgements in force."""


def enrol_events(
    connection: Connection, deployment: Deployment, event_ids: set[str], now: datetime, *, requested: bool = False
) -> None:
    """Sample the ready runs of these events under every rubric that applies, and queue what is taken.

    Runs keep the rubric version they were first sampled under until their content changes; then the
    old judgements are superseded and the version in force now judges. `requested` takes every run.
    """
    rubrics = deployment.shelf.rubrics
    if not event_ids or not rubrics:
        return
    runs = {
        event_id: [run for run in of_event if run.state == RunState.READY]
        for event_id, of_event in runs_of_events(connection, event_ids).items()
    }
    captures = load_captures(
        connection, [run.run_id for of_event in runs.values() for run in of_event], deployment.bodies
    )
    history = _history(connection, event_ids)
    pinned = load_versions(connection, {sample.rubric_version for sample in history.samples.values()})
    change = Enrolment()
    for of_event in runs.values():
        facts = [(run, run_facts(run, captures.get(run.run_id, Capture()))) for run in of_event]
        for rubric in rubrics:
            _enrol_event(change, rubric, pinned, facts, history, deployment.settings, now, requested=requested)
    for _, rubric in sorted(change.versions.items()):  # in one order everywhere: two that store new ones may wait
        store_version(connection, rubric, deployment.shelf.source_of(rubric.version), now)
    queue.store_samples(connection, change.samples)
    queue.supersede(connection, change.supersede, now)
    queue.add_judgements(connection, change.add)
    # what is judged already may want the stronger judge or stand elsewhere: content came back, a run's value or start
    # became known late
    known = {**pinned, **change.versions}
    escalate(connection, event_ids, known, deployment.settings, now)
    stale = {event_id for event_id, _ in outcomes.current_rollups(connection, event_ids)}
    if stale:
        roll_up_events(connection, lock_events(connection, stale), known, now)


def _history(connection: Connection, event_ids: set[str]) -> History:
    samples: dict[tuple[str, str], Sample] = {}
    for sample in sorted(queue.samples_of_events(connection, event_ids), key=lambda one: one.decided_at):
        samples[sample.run_id, sample.rubric_id] = sample
    judgements: dict[tuple[str, str], list[Judgement]] = defaultdict(list)
    for judgement in queue.judgements_of_events(connection, event_ids):
        if judgement.state != JudgementState.SUPERSEDED:
            judgements[judgement.run_id, judgement.rubric_id].append(judgement)
    return History(samples, judgements)


def _enrol_event(
    change: Enrolment,
    rubric: Rubric,
    pinned: dict[str, Rubric],
    facts: Sequence[tuple[Run, dict[str, Any]]],
    history: History,
    settings: Settings,
    now: datetime,
    *,
    requested: bool,
) -> None:
    fitting = []
    for run, of_run in facts:
        if applies(rubric, of_run):
            fitting.append((run, of_run))
        else:
            _leave_out(change, history, run, rubric, now)
    if not fitting:
        return
    before = [history.samples.get((run.run_id, rubric.id)) for run, _ in fitting]
    always = any(always_rule_matched(rubric, of_run) for _, of_run in fitting) or any(
        sample is not None and sample.taken and sample.reason == SampleReason.ALWAYS for sample in before
    )
    decision = decide(rubric.sample, fitting[0][0].event_id, always=always)
    for (run, of_run), sample in zip(fitting, before, strict=True):
        version = pinned.get(sample.rubric_version, rubric) if sample is not None else rubric
        if sample is not None and sample.taken:
            if not _content_changed(history, run, version, of_run):
                continue
            version = rubric
            change.supersede += [one.judgement_id for one in history.judgements[run.run_id, rubric.id]]
        elif sample is not None and sample.reason != SampleReason.LEFT_OUT and not decision.taken and not requested:
            continue
        else:
            version = rubric
        taken = decision.taken or requested or (sample is not None and sample.taken)
        change.samples.append(
            Sample(
                run_id=run.run_id,
                rubric_version=version.version,
                rubric_id=version.id,
                event_id=run.event_id,
                taken=taken,
                reason=decision.reason if decision.taken or not requested else SampleReason.REQUESTED,
                probability=decision.probability,
                decided_at=_after(sample, now),
            )
        )
        if taken or version.combine is not None:
            change.versions[version.version] = version
        if taken:
            change.add += judgements_for(run, version, content_for(version, of_run), settings, now)


def _leave_out(change: Enrolment, history: History, run: Run, rubric: Rubric, now: datetime) -> None:
    """Take out of force what was queued or judged while the rubric still applied to the run."""
    sample = history.samples.get((run.run_id, rubric.id))
    if sample is not None and sample.reason != SampleReason.LEFT_OUT:
        left_out = {"taken": False, "reason": SampleReason.LEFT_OUT, "decided_at": _after(sample, now)}
        change.samples.append(sample.model_copy(update=left_out))
        change.supersede += [one.judgement_id for one in history.judgements[run.run_id, rubric.id]]


def _after(sample: Sample | None, now: datetime) -> datetime:
    """Now, though later than the decision it replaces: clocks differ between processes, and the last one counts."""
    return now if sample is None else max(now, sample.decided_at + timedelta(microseconds=1))


def _content_changed(history: History, run: Run, rubric: Rubric, facts: dict[str, Any]) -> bool:
    judged = history.judgements.get((run.run_id, rubric.id), [])
    return not judged or any(one.content_hash != content_key(content_for(rubric, facts)) for one in judged)


def judgements_for(
    run: Run, rubric: Rubric, content: dict[str, Any], settings: Settings, now: datetime
) -> list[Judgement]:
    """One judgement per judge and repeat, named by what it is about."""
    key = content_key(content)
    return [
        Judgement(
            judgement_id=judgement_id(
                run.event_id, run.run_id, rubric.version, f"{place}:{spec.model}", repeat, key
            ),
            run_id=run.run_id,
            event_id=run.event_id,
            workflow=run.workflow,
            rubric_id=rubric.id,
            rubric_version=rubric.version,
            judge=spec.model,
            provider=provider_of(spec.model, settings),
            repeat=repeat,
            content_hash=key,
            draw=random.random(),  # noqa: S311 - an order, not a secret
            due_at=now,
            created_at=now,
        )
        for place, spec in enumerate(rubric.judges)
        for repeat in range(spec.repeats)
    ]
