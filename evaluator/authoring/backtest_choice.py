"""What a backtest compares: two versions of a rubric, and stored events, those that people have judged first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluator.applicability import applies, run_facts
from evaluator.authoring.heard_verdicts import ComparedRun, Labels
from evaluator.authoring.human_labels import HumanLabel, LabelFile
from evaluator.authoring.named_rubrics import NamedRubric, rubric_named
from evaluator.deployment import Deployment
from evaluator.errors import BadInput
from evaluator.model.capture import Capture, Fidelity
from evaluator.model.rubric import JudgeSpec, Rubric
from evaluator.model.run import Run, RunState
from evaluator.model.verdict import CriterionLabel, Verdict, VerdictLabel
from evaluator.store import backtests
from evaluator.store.database import Connection
from evaluator.store.rubric_versions import last_in_force
from evaluator.store.runs import load_captures, runs_of_events

MOST_LOOKED_AT = 10_000
"""Events looked through for runs that a version applies to."""
LOOKED_AT_MOST = (
    f"Only the newest {MOST_LOOKED_AT:,} events were looked through for runs that fit; older ones are left out."
)
_EVENTS_AT_ONCE = 50

_Fitting = tuple[Run, frozenset[str], bool]
"""A run, the versions that apply to it, and whether its event has no other run."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The candidate, and what it is compared with."""

    candidate: NamedRubric
    baseline: NamedRubric | None
    why: str
    """How the baseline was found, or why there is none."""

    @property
    def named(self) -> tuple[NamedRubric, ...]:
        """Baseline first, where there is one."""
        return (self.candidate,) if self.baseline is None else (self.baseline, self.candidate)


@dataclass(frozen=True, slots=True)
class Choice:
    """Events for a backtest, whole."""

    runs: tuple[ComparedRun, ...]
    """Events people have judged first, then newest first; an event's runs in order of their start."""
    applies_to: Mapping[str, frozenset[str]]
    """Rubric version → ids of the runs it applies to."""
    labels: Labels
    notes: tuple[str, ...] = ()

    @property
    def events(self) -> int:
        return len({run.event_id for run in self.runs})


def versions_for(deployment: Deployment, candidate: str, against: str | None = None) -> Versions:
    """The rubrics meant; without `against` the version in force, or the last one before it where that is the candidate.

    Raises what `rubric_named` raises, and BadInput where both are one and the same version.
    """
    new = rubric_named(candidate, deployment)
    if against is not None:
        old = rubric_named(against, deployment)
        if old.rubric.version == new.rubric.version:
            raise BadInput(
                f"{candidate} and {against} are the same version, {new.rubric.version[:8]}.",
                hint="Edit the candidate, or name another version with --against.",
            )
        return Versions(new, old, f"named with --against: {old.place}")
    return versions_beside(deployment, new)


def versions_beside(deployment: Deployment, new: NamedRubric) -> Versions:
    """A candidate and the version in force, or the last one before it where that is the candidate."""
    in_force = next((one for one in deployment.shelf.loaded if one.rubric.id == new.rubric.id), None)
    if in_force is not None and in_force.rubric.version != new.rubric.version:
        old = NamedRubric(in_force.rubric, in_force.source, str(in_force.path))
        return Versions(new, old, f"in force now: {old.place}")
    return _against_an_earlier_one(deployment, new)


def _against_an_earlier_one(deployment: Deployment, new: NamedRubric) -> Versions:
    with deployment.database.read() as connection:
        since = last_in_force(connection, new.rubric.id)
        since.pop(new.rubric.version, None)
        if not since:
            return Versions(new, None, f"no other version of {new.rubric.id} was ever in force")
        last = max(since, key=lambda version: (since[version], version))
    old = rubric_named(f"{new.rubric.id}@{last}", deployment)
    place = f"{new.rubric.id}@{last[:8]}"
    return Versions(new, NamedRubric(old.rubric, old.source, place), f"in force before: {place}")


def judged_by(rubric: Rubric, model: str) -> Rubric:
    """The rubric, its version kept, with one judge in place of its own and nobody above it."""
    spec: JudgeSpec = rubric.judges[0].model_copy(update={"model": model})
    return rubric.model_copy(update={"judges": (spec,), "escalate": None})


def choose(
    deployment: Deployment,
    rubrics: Sequence[Rubric],
    given: LabelFile,
    *,
    last: int,
    since: datetime | None = None,
    labelled_only: bool = False,
) -> Choice:
    """Up to `last` events with a ready run that has content and that one of the rubrics applies to, all such runs of each."""
    with deployment.database.read() as connection:
        labels, labelled = _labels(connection, rubrics, given)
        workflows = _workflows(connection, rubrics)
        chosen: list[_Fitting] = []
        events: set[str] = set()
        order, all_seen = _in_order(connection, workflows, since, labelled, labelled_only)
        for event_id, runs in _fitting(connection, deployment, rubrics, order):
            events.add(event_id)
            chosen += runs
            if len(events) == last:
                break
    first = len(events & labelled)
    cut = () if all_seen or len(events) == last else (LOOKED_AT_MOST,)
    return Choice(
        runs=tuple(ComparedRun(run.run_id, run.event_id, run.started_at, sole) for run, _, sole in chosen),
        applies_to={
            rubric.version: frozenset(run.run_id for run, versions, _ in chosen if rubric.version in versions)
            for rubric in rubrics
        },
        labels=Labels(
            by_item=labels.by_item,
            filed=labels.filed,
            unknown_items=labels.unknown_items,
            bad_lines=labels.bad_lines,
            labelled_first=first,
        ),
        notes=cut,
    )


def _labels(connection: Connection, rubrics: Sequence[Rubric], given: LabelFile) -> tuple[Labels, set[str]]:
    """All that people said, a file's word before a stored one, and the events concerned."""
    stored = backtests.human_verdicts(connection, {rubric.id for rubric in rubrics})
    kept = {label.item: label for verdict, _ in stored if (label := _as_label(verdict))}
    events_of = backtests.events_of_runs(connection, {label.run_id for label in given.labels if label.run_id})
    known = backtests.known_events(connection, {label.item[1] for label in given.labels if label.run_id is None})
    usable = {
        label.item: label
        for label in given.labels
        if (label.run_id in events_of if label.run_id is not None else label.event_id in known)
    }
    filed_events = {events_of[name] if kind == "run" else name for kind, name in usable}
    whole = {
        ("event", verdict.event_id): _as_label(verdict)
        for verdict, is_review in stored
        if is_review and verdict.event_id not in filed_events
    }
    by_item = {**kept, **whole, **usable}
    labelled = {verdict.event_id for verdict, _ in stored} | filed_events
    labels = Labels(
        by_item=by_item,
        filed=frozenset(usable),
        unknown_items=len(given.labels) - len(usable),
        bad_lines=len(given.problems),
    )
    return labels, labelled


def _as_label(verdict: Verdict) -> HumanLabel:
    return HumanLabel(
        verdict=VerdictLabel(verdict.verdict),
        run_id=verdict.run_id,
        event_id=verdict.event_id,
        criteria={str(each["id"]): CriterionLabel(each["verdict"]) for each in verdict.criteria},
        reviewer=verdict.judge,
    )


def _workflows(connection: Connection, rubrics: Sequence[Rubric]) -> list[str] | None:
    """The workflows, as runs spell them, that the rubrics are for; None where one is for all."""
    if any(not rubric.applies_to.workflow for rubric in rubrics):
        return None
    named = {name.casefold() for rubric in rubrics for name in rubric.applies_to.workflow}
    return [name for name in backtests.workflows_of_runs(connection) if name.casefold() in named]


def _in_order(
    connection: Connection,
    workflows: list[str] | None,
    since: datetime | None,
    labelled: Collection[str],
    labelled_only: bool,
) -> tuple[list[str], bool]:
    """Events in the order in which they are looked at, and whether these are all there are."""
    first = backtests.events_with_ready_runs(
        connection, workflows=workflows, since=since, limit=MOST_LOOKED_AT, among=labelled
    )
    if labelled_only:
        return first, len(first) < MOST_LOOKED_AT
    others = backtests.events_with_ready_runs(connection, workflows=workflows, since=since, limit=MOST_LOOKED_AT)
    return list(dict.fromkeys([*first, *others])), len(others) < MOST_LOOKED_AT


def _fitting(
    connection: Connection, deployment: Deployment, rubrics: Sequence[Rubric], event_ids: Sequence[str]
) -> Iterator[tuple[str, list[_Fitting]]]:
    """Events with the runs that a rubric applies to, where one of these has content."""
    for start in range(0, len(event_ids), _EVENTS_AT_ONCE):
        some = event_ids[start : start + _EVENTS_AT_ONCE]
        runs = runs_of_events(connection, some)
        ready = {
            event_id: [run for run in of_event if run.state == RunState.READY]
            for event_id, of_event in runs.items()
        }
        captures = load_captures(
            connection, [run.run_id for of_event in ready.values() for run in of_event], deployment.bodies
        )
        for event_id in some:
            fitting: list[_Fitting] = []
            for run in ready[event_id]:
                facts = run_facts(run, captures.get(run.run_id, Capture()))
                versions = frozenset(rubric.version for rubric in rubrics if applies(rubric, facts))
                if versions:
                    fitting.append((run, versions, len(runs[event_id]) == 1))
            if any(run.fidelity != Fidelity.MISSING for run, _, _ in fitting):
                yield event_id, fitting
