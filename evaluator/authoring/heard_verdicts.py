"""What one version said of every run and event of a backtest, beside what people said of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from evaluator.authoring.human_labels import HumanLabel
from evaluator.model.backtest import BacktestVerdict
from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionVerdict, VerdictLabel
from evaluator.panel import RunVerdict, Said, run_verdict
from evaluator.rollup import RunStanding, roll_up

_WEIGHTED = (RollupRule.MEAN, RollupRule.RECENCY_WEIGHTED)


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run of the backtest."""

    run_id: str
    event_id: str
    started_at: datetime
    sole: bool = True
    """Whether its event has no other run, compared or not."""


@dataclass(frozen=True, slots=True)
class ComparedVersion:
    """A version of the rubric with what it was asked about."""

    rubric: Rubric
    place: str
    """Where its author finds it: a file, or id@version."""
    judges: tuple[str, ...]
    """None where code answers all."""
    run_ids: frozenset[str]
    """Runs it applies to."""
    unfinished: frozenset[str] = frozenset()
    """Those of them that the backtest did not get to."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What people said, and where that comes from."""

    by_item: Mapping[tuple[str, str], HumanLabel] = field(default_factory=dict)
    """("run" or "event", its id) → the label that counts."""
    filed: frozenset[tuple[str, str]] = frozenset()
    """Those of them that a file said; the others are reviews kept here."""
    unknown_items: int = 0
    """Labels of the file whose run or event is not known here."""
    bad_lines: int = 0
    labelled_first: int = 0
    """Events that were chosen because they have a label."""


@dataclass(frozen=True, slots=True)
class HeardRun:
    """All that one version said of one run."""

    standing: RunStanding
    rows: tuple[BacktestVerdict, ...]
    verdict: RunVerdict | None

    @property
    def ended(self) -> bool:
        """Whether the backtest got to it."""
        return self.standing.state != "waiting"


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """What one version says of an event by its rule, and what people say of it."""

    verdict: VerdictLabel
    score: float | None
    human: VerdictLabel | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """One version's words on every run and event."""

    version: ComparedVersion
    runs: Mapping[str, HeardRun]
    events: Mapping[str, HeardEvent]


def human_runs(runs: Sequence[ComparedRun], labels: Labels) -> dict[str, HumanLabel]:
    """Run id → what a person said of it; of an event with a single run, its event's label is the run's as well."""
    of_event = Counter(run.event_id for run in runs)
    found = {}
    for run in runs:
        label = labels.by_item.get(("run", run.run_id))
        if label is None and run.sole and of_event[run.event_id] == 1:
            label = labels.by_item.get(("event", run.event_id))
        if label is not None:
            found[run.run_id] = label
    return found


def heard(
    version: ComparedVersion,
    runs: Sequence[ComparedRun],
    rows: Mapping[str, Sequence[BacktestVerdict]],
    labels: Labels,
    human: Mapping[str, HumanLabel],
) -> Heard:
    """The version's verdicts on the runs it applies to and on their events; `human` as `human_runs` gives it."""
    said = {
        run.run_id: _said(version, run, tuple(rows.get(run.run_id, ())))
        for run in runs
        if run.run_id in version.run_ids
    }
    by_event: dict[str, list[ComparedRun]] = defaultdict(list)
    for run in runs:
        if run.run_id in said:
            by_event[run.event_id].append(run)
    events = {
        event_id: _event(version.rubric, event_id, of_event, said, labels, human)
        for event_id, of_event in by_event.items()
    }
    return Heard(version, said, events)


def _said(version: ComparedVersion, run: ComparedRun, rows: tuple[BacktestVerdict, ...]) -> HeardRun:
    if run.run_id in version.unfinished or not rows:
        return HeardRun(RunStanding(run.run_id, run.started_at, "waiting", None, None, None), rows, None)
    given = [as_said(row) for row in rows if row.verdict is not None]
    if not given:
        reason = min(str(row.reason) for row in rows)
        return HeardRun(RunStanding(run.run_id, run.started_at, "not_evaluable", None, None, reason), rows, None)
    verdict = run_verdict(version.rubric, given)
    standing = RunStanding(
        run.run_id,
        run.started_at,
        "judged",
        verdict.verdict,
        verdict.score,
        None,
        critical_failed=verdict.critical_failed,
    )
    return HeardRun(standing, rows, verdict)


def as_said(row: BacktestVerdict) -> Said:
    """A row that is a verdict, as panels combine it."""
    assert row.verdict is not None
    return Said(
        judge=row.judge,
        repeat=row.repeat,
        escalated=row.escalated,
        verdict=VerdictLabel(row.verdict),
        score=row.score,
        flags=tuple(row.flags),
        criteria=answers_of(row),
    )


def answers_of(row: BacktestVerdict) -> tuple[CriterionVerdict, ...]:
    """A row's answers to the criteria."""
    return tuple(CriterionVerdict.model_validate(each) for each in row.criteria)


def _event(
    rubric: Rubric,
    event_id: str,
    runs: Sequence[ComparedRun],
    said: Mapping[str, HeardRun],
    labels: Labels,
    human: Mapping[str, HumanLabel],
) -> HeardEvent:
    standings = [said[run.run_id].standing for run in runs]
    rolled = roll_up(rubric.rollup, standings, thresholds=rubric.verdict, k=rubric.k)
    label = labels.by_item.get(("event", event_id))
    given = label.verdict if label is not None else _rolled_labels(rubric, runs, human)
    return HeardEvent(rolled.verdict, rolled.score, given, all(each.state != "waiting" for each in standings))


def _rolled_labels(
    rubric: Rubric, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel]
) -> VerdictLabel | None:
    """What labels of its runs say of an event by the rubric's own rule; None where too few of them are labelled."""
    known = [run for run in runs if run.run_id in human]
    if not known or (rubric.rollup in _WEIGHTED and len(known) < len(runs)):
        return None
    standings = [
        RunStanding(run.run_id, run.started_at, "judged", human[run.run_id].verdict, None, None)
        if run.run_id in human
        else RunStanding(run.run_id, run.started_at, "waiting", None, None, None)
        for run in runs
    ]
    verdict = roll_up(rubric.rollup, standings, thresholds=rubric.verdict, k=rubric.k).verdict
    return None if verdict is VerdictLabel.UNKNOWN and len(known) < len(runs) else verdict


def human_event(event_id: str, heard: Heard, labels: Labels) -> VerdictLabel | None:
    """What people say of an event: their word on it as a whole, else what their words on its runs come to."""
    event = heard.events.get(event_id)
    if event is not None:
        return event.human
    label = labels.by_item.get(("event", event_id))
    return label.verdict if label is not None else None


def standing_rows(said: HeardRun) -> list[BacktestVerdict]:
    """The rows a run's verdict rests on: the stronger judge's where it was asked."""
    given = [row for row in said.rows if row.verdict is not None]
    return [row for row in given if row.escalated] or given


def both_ended(old: Heard, new: Heard, run_id: str) -> bool:
    """Whether the backtest got to this run under both versions."""
    before, after = old.runs.get(run_id), new.runs.get(run_id)
    return before is not None and after is not None and before.ended and after.ended
