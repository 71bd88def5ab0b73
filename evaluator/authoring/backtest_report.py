"""What a backtest found: verdicts of one or two versions on the same runs, beside what people said of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import ceil
from statistics import median
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from evaluator.authoring.human_labels import HumanLabel
from evaluator.model.backtest import BacktestState, BacktestVerdict
from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.panel import RunVerdict, Said, answer_of, run_verdict
from evaluator.rollup import RunStanding, roll_up
from evaluator.statistics.agreement import Agreement, Pair, agreement, difference

Level = Literal["run", "event"]
FlipKind = Literal["lost", "gained", "both_wrong", "unlabelled"]
"""Candidate wrong where the baseline was right; right where it was wrong; both wrong; nobody has said."""

FLIP_ORDER: tuple[FlipKind, ...] = ("lost", "gained", "both_wrong", "unlabelled")
REUSED = "cached"
"""The flag of a verdict that was taken over from earlier judging."""
SMALL_POINTS = 5.0
"""Where no difference is seen at all, the difference that more labels should be able to show, in points."""
_LONGEST_REASON = 160
_WEIGHTED = (RollupRule.MEAN, RollupRule.RECENCY_WEIGHTED)


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run of the backtest."""

    run_id: str
    event_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class ComparedVersion:
    """A version of the rubric with what it was asked about."""

    rubric: Rubric
    place: str
    """Where its author finds it: a file, or id@version."""
    judges: tuple[str, ...]
    run_ids: frozenset[str]
    """Runs it applies to."""
    unfinished: frozenset[str] = frozenset()
    """Those of them that the backtest did not get to."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What people said, and where that comes from."""

    by_item: Mapping[tuple[str, str], HumanLabel] = field(default_factory=dict)
    """("run" or "event", its id) → the label that counts."""
    reviewed: int = 0
    """Of those, how many are reviews kept here."""
    from_file: int = 0
    unknown_items: int = 0
    """Labels of the file whose run or event is not known here."""
    bad_lines: int = 0
    labelled_first: int = 0
    """Events that were chosen because they have a label."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The backtest itself, as far as its report tells it."""

    backtest_id: str
    state: BacktestState
    stopped_because: str | None
    cost_usd: Decimal
    unpriced_calls: int
    address: str
    """Of the pages, such as http://127.0.0.1:8700; empty where there are none."""
    notes: tuple[str, ...] = ()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Figure(_Part):
    """A value with its 95 % interval, over n items."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class AgreementFigures(_Part):
    """How a version's verdicts stand to people's."""

    n: int
    """Items where both decided."""
    events: int
    both_pass: int
    only_human_pass: int
    only_judge_pass: int
    neither_pass: int
    undecided: int
    """Items a person decided and the version did not."""
    human_unknown: int
    agreement: Figure
    sensitivity: Figure
    specificity: Figure
    pass_rate_bias: Figure
    kappa: Figure
    ac1: Figure


class VersionReport(_Part):
    """What one version said."""

    version: str
    place: str
    judges: list[str]
    rollup: RollupRule
    runs: int
    events: int
    run_verdicts: dict[VerdictLabel, int]
    event_verdicts: dict[VerdictLabel, int]
    not_evaluable: dict[str, int]
    """Reason → runs."""
    unfinished: int
    """Runs the backtest did not get to."""
    verdicts: int
    """Runs with a verdict."""
    reused_judgements: int
    cost_per_verdict_usd: Decimal | None
    """What its judgements cost when they were made ÷ runs with a verdict; None where there are none or no price."""
    unpriced_judgements: int
    median_latency_ms: float | None
    """Of one judgement that called a judge."""
    run_agreement: AgreementFigures | None
    event_agreement: AgreementFigures | None
    """None where no item has a human verdict."""
    criteria_agreement: dict[str, AgreementFigures]


class DifferenceFigures(_Part):
    """Candidate minus baseline in agreement with people, on items both decided."""

    level: Level
    value: float | None
    low: float | None
    high: float | None
    n: int
    events: int
    gained: int
    lost: int
    p_value: float
    words: str


class Side(_Part):
    """What one version said of a run or event, and why in a line."""

    verdict: VerdictLabel | None
    """None where it came to none; the reason says why."""
    score: float | None
    reason: str


class Flip(_Part):
    """A run or event of which the versions say different things."""

    level: Level
    kind: FlipKind
    event_id: str
    run_id: str | None
    baseline: Side
    candidate: Side
    human: VerdictLabel | None
    link: str


class LabelFigures(_Part):
    """Whose word the versions were compared with."""

    runs: int
    """Compared runs that a person judged."""
    events: int
    reviewed: int
    from_file: int
    unknown_items: int
    bad_lines: int
    labelled_first: int


class BacktestReport(_Part):
    """All that a backtest found."""

    backtest_id: str
    rubric_id: str
    title: str
    state: BacktestState
    stopped_because: str | None
    runs: int
    events: int
    baseline: VersionReport | None
    """None where there is nothing to compare with."""
    candidate: VersionReport
    labels: LabelFigures
    run_difference: DifferenceFigures | None
    event_difference: DifferenceFigures | None
    compared_runs: int
    """Runs that both versions ended with, whose verdicts can differ."""
    flips: list[Flip]
    """Those that matter first: lost, gained, both wrong, unlabelled; newest event first within each."""
    cost_usd: Decimal
    """What this backtest spent."""
    unpriced_calls: int
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Said:
    """All that one version said of one run."""

    standing: RunStanding
    rows: tuple[BacktestVerdict, ...]
    verdict: RunVerdict | None

    @property
    def ended(self) -> bool:
        return self.standing.state != "waiting"


@dataclass(frozen=True, slots=True)
class _Event:
    verdict: VerdictLabel
    score: float | None
    human: VerdictLabel | None
    ended: bool


@dataclass(frozen=True, slots=True)
class _Heard:
    """One version's words on every run and event."""

    version: ComparedVersion
    runs: Mapping[str, _Said]
    events: Mapping[str, _Event]


def report_of(
    ran: Ran,
    baseline: ComparedVersion | None,
    candidate: ComparedVersion,
    runs: Sequence[ComparedRun],
    rows: Iterable[BacktestVerdict],
    labels: Labels,
) -> BacktestReport:
    """The report on a backtest that ended or was stopped; `runs` in the order in which their events were chosen."""
    by_version: dict[str, dict[str, list[BacktestVerdict]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_version[row.rubric_version][row.run_id].append(row)
    human = _human_runs(runs, labels)
    new = _heard(candidate, runs, by_version[candidate.rubric.version], labels, human)
    old = _heard(baseline, runs, by_version[baseline.rubric.version], labels, human) if baseline else None
    event_ids = list(dict.fromkeys(run.event_id for run in runs))
    flips = _flips(old, new, runs, human, _page(ran, candidate.rubric)) if old else []
    return BacktestReport(
        backtest_id=ran.backtest_id,
        rubric_id=candidate.rubric.id,
        title=candidate.rubric.title,
        state=ran.state,
        stopped_because=ran.stopped_because,
        runs=len(runs),
        events=len(event_ids),
        baseline=_version_report(old, runs, labels, human) if old else None,
        candidate=_version_report(new, runs, labels, human),
        labels=LabelFigures(
            runs=len(human),
            events=sum(_human_event(event_id, new, labels) is not None for event_id in event_ids),
            reviewed=labels.reviewed,
            from_file=labels.from_file,
            unknown_items=labels.unknown_items,
            bad_lines=labels.bad_lines,
            labelled_first=labels.labelled_first,
        ),
        run_difference=_difference("run", *_paired_runs(old, new, runs, human)) if old else None,
        event_difference=_difference("event", *_paired_events(old, new)) if old else None,
        compared_runs=sum(_both_ended(old, new, run.run_id) for run in runs) if old else 0,
        flips=flips,
        cost_usd=ran.cost_usd,
        unpriced_calls=ran.unpriced_calls,
        notes=[*ran.notes, *_notes(new, labels, human)],
    )


def _human_runs(runs: Sequence[ComparedRun], labels: Labels) -> dict[str, HumanLabel]:
    """Run id → what a person said of it; of an event with a single run, its event's label is the run's as well."""
    of_event = Counter(run.event_id for run in runs)
    found = {}
    for run in runs:
        label = labels.by_item.get(("run", run.run_id))
        if label is None and of_event[run.event_id] == 1:
            label = labels.by_item.get(("event", run.event_id))
        if label is not None:
            found[run.run_id] = label
    return found


def _heard(
    version: ComparedVersion,
    runs: Sequence[ComparedRun],
    rows: Mapping[str, Sequence[BacktestVerdict]],
    labels: Labels,
    human: Mapping[str, HumanLabel],
) -> _Heard:
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
    return _Heard(version, said, events)


def _said(version: ComparedVersion, run: ComparedRun, rows: tuple[BacktestVerdict, ...]) -> _Said:
    if run.run_id in version.unfinished or not rows:
        return _Said(RunStanding(run.run_id, run.started_at, "waiting", None, None, None), rows, None)
    given = [as_said(row) for row in rows if row.verdict is not None]
    if not given:
        reason = min(str(row.reason) for row in rows)
        return _Said(RunStanding(run.run_id, run.started_at, "not_evaluable", None, None, reason), rows, None)
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
    return _Said(standing, rows, verdict)


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
    said: Mapping[str, _Said],
    labels: Labels,
    human: Mapping[str, HumanLabel],
) -> _Event:
    standings = [said[run.run_id].standing for run in runs]
    rolled = roll_up(rubric.rollup, standings, thresholds=rubric.verdict, k=rubric.k)
    label = labels.by_item.get(("event", event_id))
    given = label.verdict if label is not None else _rolled_labels(rubric, runs, human)
    return _Event(rolled.verdict, rolled.score, given, all(each.state != "waiting" for each in standings))


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


def _human_event(event_id: str, heard: _Heard, labels: Labels) -> VerdictLabel | None:
    event = heard.events.get(event_id)
    if event is not None:
        return event.human
    label = labels.by_item.get(("event", event_id))
    return label.verdict if label is not None else None


def _version_report(
    heard: _Heard, runs: Sequence[ComparedRun], labels: Labels, human: Mapping[str, HumanLabel]
) -> VersionReport:
    said, rows = heard.runs.values(), [row for one in heard.runs.values() for row in one.rows]
    verdicts = [one.verdict.verdict for one in said if one.verdict is not None]
    ended = [event for event in heard.events.values() if event.ended]
    costs = [row.cost_usd for row in rows if row.calls]
    priced = [cost for cost in costs if cost is not None]
    latencies = [row.latency_ms for row in rows if row.calls and row.latency_ms is not None]
    rubric = heard.version.rubric
    return VersionReport(
        version=rubric.version,
        place=heard.version.place,
        judges=list(heard.version.judges),
        rollup=rubric.rollup,
        runs=len(heard.runs),
        events=len(heard.events),
        run_verdicts=_counted(verdicts),
        event_verdicts=_counted(event.verdict for event in ended),
        not_evaluable=dict(
            sorted(
                Counter(
                    one.standing.reason or "unspecified" for one in said if one.standing.state == "not_evaluable"
                ).items()
            )
        ),
        unfinished=sum(not one.ended for one in said),
        verdicts=len(verdicts),
        reused_judgements=sum(REUSED in row.flags for row in rows),
        cost_per_verdict_usd=(
            sum(priced, Decimal(0)) / len(verdicts) if verdicts and len(priced) == len(costs) else None
        ),
        unpriced_judgements=len(costs) - len(priced),
        median_latency_ms=median(latencies) if latencies else None,
        run_agreement=_figures(_run_pairs(heard, runs, human)),
        event_agreement=_figures(_event_pairs(heard)),
        criteria_agreement=_by_criterion(heard, runs, human),
    )


def _counted(verdicts: Iterable[VerdictLabel]) -> dict[VerdictLabel, int]:
    found = Counter(verdicts)
    return {label: found[label] for label in VerdictLabel}


def _run_pairs(heard: _Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel]) -> list[Pair]:
    return [
        Pair(run.event_id, human[run.run_id].verdict, heard.runs[run.run_id].standing.verdict)
        for run in runs
        if run.run_id in human and run.run_id in heard.runs and heard.runs[run.run_id].ended
    ]


def _event_pairs(heard: _Heard) -> list[Pair]:
    return [
        Pair(event_id, event.human, event.verdict)
        for event_id, event in heard.events.items()
        if event.human is not None and event.ended
    ]


def _figures(pairs: Sequence[Pair]) -> AgreementFigures | None:
    if not pairs:
        return None
    found: Agreement = agreement(pairs)
    rates = ("agreement", "sensitivity", "specificity", "pass_rate_bias", "kappa", "ac1")
    return AgreementFigures(
        n=found.n,
        events=found.events,
        both_pass=found.table.both_pass,
        only_human_pass=found.table.only_human,
        only_judge_pass=found.table.only_judge,
        neither_pass=found.table.neither,
        undecided=found.undecided,
        human_unknown=found.human_unknown,
        **{name: _figure(getattr(found, name)) for name in rates},
    )


def _figure(one: object) -> Figure:
    return Figure.model_validate({name: getattr(one, name) for name in Figure.model_fields})


def _by_criterion(
    heard: _Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel]
) -> dict[str, AgreementFigures]:
    found = {}
    for criterion in heard.version.rubric.criteria:
        pairs = []
        for run in runs:
            one, label = heard.runs.get(run.run_id), human.get(run.run_id)
            if one is None or one.verdict is None or label is None or criterion.id not in label.criteria:
                continue
            answers = [each for row in _standing_rows(one) for each in answers_of(row) if each.id == criterion.id]
            if answers:
                judged = answers[0] if len(answers) == 1 else answer_of(criterion, answers)
                pairs.append(Pair(run.event_id, _decision(label.criteria[criterion.id]), _decision(judged.verdict)))
        if (figures := _figures(pairs)) is not None:
            found[criterion.id] = figures
    return found


def _standing_rows(said: _Said) -> list[BacktestVerdict]:
    """The rows a run's verdict rests on: the stronger judge's where it was asked."""
    given = [row for row in said.rows if row.verdict is not None]
    return [row for row in given if row.escalated] or given


def _decision(answer: CriterionLabel) -> VerdictLabel:
    if answer in (CriterionLabel.PASS, CriterionLabel.FAIL):
        return VerdictLabel(answer.value)
    return VerdictLabel.UNKNOWN


def _both_ended(old: _Heard, new: _Heard, run_id: str) -> bool:
    before, after = old.runs.get(run_id), new.runs.get(run_id)
    return before is not None and after is not None and before.ended and after.ended


def _paired_runs(
    old: _Heard, new: _Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel]
) -> tuple[list[Pair], list[Pair]]:
    both = [run for run in runs if run.run_id in human and _both_ended(old, new, run.run_id)]
    return _run_pairs(old, both, human), _run_pairs(new, both, human)


def _paired_events(old: _Heard, new: _Heard) -> tuple[list[Pair], list[Pair]]:
    """Where the versions' rules make different things of the same labels, the event is left out."""
    before, after = [], []
    for event_id, then in old.events.items():
        now = new.events.get(event_id)
        if now is None or not (then.ended and now.ended) or then.human is None or now.human != then.human:
            continue
        before.append(Pair(event_id, then.human, then.verdict))
        after.append(Pair(event_id, then.human, now.verdict))
    return before, after


def _difference(level: Level, before: Sequence[Pair], after: Sequence[Pair]) -> DifferenceFigures | None:
    found = difference(before, after)
    if not found.n:
        return None
    events = len(
        {
            old.event_id
            for old, new in zip(before, after, strict=True)
            if VerdictLabel.UNKNOWN not in (old.human, old.judge, new.judge) and old.judge and new.judge
        }
    )
    return DifferenceFigures(
        level=level,
        **{name: getattr(found, name) for name in ("value", "low", "high", "n", "gained", "lost", "p_value")},
        events=events,
        words=in_words(found.value, found.low, found.high, events),
    )


def in_words(value: float | None, low: float | None, high: float | None, events: int) -> str:
    """A paired difference as an author reads it: how much, how sure, and how many more labels would tell."""
    if value is None or low is None or high is None:
        return "too few labelled events to say"
    points = value * 100
    said = (
        f"{'better' if points > 0 else 'worse'} by {abs(points):.0f} points" if round(points) else "no difference"
    )
    said += f"; interval {_signed(low * 100)} to {_signed(high * 100)}"
    if low > 0 or high < 0:
        return f"{said}: distinguishable on {_events(events)}"
    wanted = max(abs(points), SMALL_POINTS if not round(points) else 1.0)
    more = ceil(events * ((high - low) * 50 / wanted) ** 2) - events
    said += f": not distinguishable on {_events(events)}"
    if more <= 0:
        return said
    aim = "would tell" if round(points) else f"would show a difference of {SMALL_POINTS:.0f} points"
    return f"{said}; about {_rounded(more):,} more labels {aim}"


def _signed(points: float) -> str:
    return f"{points:.0f}".replace("-", "−") if round(points) else "0"


def _events(number: int) -> str:
    return f"{number} event{'' if number == 1 else 's'}"


def _rounded(number: int) -> int:
    """To two digits: an estimate of how many labels is no better than that."""
    size = int(10 ** max(0, len(str(number)) - 2))
    return ceil(number / size) * size


def _flips(
    old: _Heard, new: _Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel], page: str
) -> list[Flip]:
    found: list[Flip] = []
    several = {event_id for event_id, number in Counter(run.event_id for run in runs).items() if number > 1}
    told: set[str] = set()
    for run in runs:
        if run.event_id in several and run.event_id not in told:
            told.add(run.event_id)
            found += _event_flip(run.event_id, old, new, page)
        found += _run_flip(run, old, new, human.get(run.run_id), page)
    return sorted(found, key=lambda flip: FLIP_ORDER.index(flip.kind))


def _run_flip(run: ComparedRun, old: _Heard, new: _Heard, label: HumanLabel | None, page: str) -> list[Flip]:
    if not _both_ended(old, new, run.run_id):
        return []
    before, after = old.runs[run.run_id], new.runs[run.run_id]
    if before.standing.verdict == after.standing.verdict:
        return []
    human = label.verdict if label is not None else None
    return [
        Flip(
            level="run",
            kind=_kind(human, before.standing.verdict, after.standing.verdict),
            event_id=run.event_id,
            run_id=run.run_id,
            baseline=_side(before, old.version.rubric),
            candidate=_side(after, new.version.rubric),
            human=human,
            link=f"{page}#run-{quote(run.run_id, safe='')}" if page else "",
        )
    ]


def _event_flip(event_id: str, old: _Heard, new: _Heard, page: str) -> list[Flip]:
    before, after = old.events.get(event_id), new.events.get(event_id)
    if before is None or after is None or not (before.ended and after.ended) or before.verdict == after.verdict:
        return []
    return [
        Flip(
            level="event",
            kind=_kind(after.human, before.verdict, after.verdict),
            event_id=event_id,
            run_id=None,
            baseline=_event_side(before, old.version.rubric),
            candidate=_event_side(after, new.version.rubric),
            human=after.human,
            link=f"{page}#event-{quote(event_id, safe='')}" if page else "",
        )
    ]


def _kind(human: VerdictLabel | None, before: VerdictLabel | None, after: VerdictLabel | None) -> FlipKind:
    if human is None or human is VerdictLabel.UNKNOWN:
        return "unlabelled"
    if human == before:
        return "lost"
    return "gained" if human == after else "both_wrong"


def _event_side(event: _Event, rubric: Rubric) -> Side:
    return Side(verdict=event.verdict, score=event.score, reason=f"its runs by {rubric.rollup}")


def _side(said: _Said, rubric: Rubric) -> Side:
    if said.verdict is None:
        return Side(verdict=None, score=None, reason=f"not evaluable: {said.standing.reason}".replace("_", " "))
    return Side(verdict=said.verdict.verdict, score=said.verdict.score, reason=_why(said, said.verdict, rubric))


def _why(said: _Said, verdict: RunVerdict, rubric: Rubric) -> str:
    """The answer that decided, with the judge's words where there are any."""
    rows = _standing_rows(said)
    row = next((row for row in rows if row.verdict == verdict.verdict), rows[0])
    critical = {criterion.id for criterion in rubric.criteria if criterion.critical}
    order = {
        VerdictLabel.PASS: (CriterionLabel.PASS,),
        VerdictLabel.UNKNOWN: (CriterionLabel.UNKNOWN, CriterionLabel.FAIL),
    }.get(verdict.verdict, (CriterionLabel.FAIL, CriterionLabel.UNKNOWN))
    answers = sorted(answers_of(row), key=lambda each: each.id not in critical)
    deciding = next((each for label in order for each in answers if each.verdict is label), None)
    if deciding is None:
        return ""
    words = " ".join((deciding.reasoning or deciding.note or "").split())
    said_so = f"{deciding.id} {deciding.verdict.replace('_', ' ')}"
    return _short(f"{said_so}: {words}" if words else said_so)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1].rstrip() + "…"


def _page(ran: Ran, rubric: Rubric) -> str:
    return f"{ran.address}/rubrics/{rubric.id}/backtests/{ran.backtest_id}" if ran.address else ""


def _notes(new: _Heard, labels: Labels, human: Collection[str]) -> list[str]:
    notes = []
    if labels.labelled_first:
        first = labels.labelled_first
        notes.append(
            f"{_events(first)} {'was' if first == 1 else 'were'} chosen because people had judged "
            f"{'it' if first == 1 else 'them'}; counts of verdicts therefore do not stand for all runs."
        )
    if labels.from_file and human:
        notes.append(
            "How the file's labels were selected is not known here: agreement with them speaks for those items only."
        )
    named = {name for label in labels.by_item.values() for name in label.criteria}
    strange = sorted(named - {criterion.id for criterion in new.version.rubric.criteria})
    if strange:
        notes.append(f"Labels name criteria that the candidate does not have: {', '.join(strange)[:200]}.")
    return notes
