"""What a backtest found: verdicts of one or two versions on the same runs, beside what people said of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from statistics import median

from evaluator.authoring.backtest_flips import flips_of
from evaluator.authoring.backtest_report import (
    AgreementFigures,
    BacktestReport,
    DifferenceFigures,
    Figure,
    LabelFigures,
    Level,
    VersionReport,
)
from evaluator.authoring.heard_verdicts import (
    ComparedRun,
    ComparedVersion,
    Heard,
    Labels,
    answers_of,
    both_ended,
    heard,
    human_event,
    human_runs,
    standing_rows,
)
from evaluator.authoring.human_labels import HumanLabel
from evaluator.model.backtest import BacktestState, BacktestVerdict
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionLabel, VerdictLabel
from evaluator.panel import answer_of
from evaluator.statistics.agreement import Agreement, Pair, agreement, difference
from evaluator.wording import plural

REUSED = "cached"
"""The flag of a verdict that was taken over from earlier judging."""
SMALL_POINTS = 5.0
"""Where no difference is seen at all, the difference that more labels should be able to show, in points."""


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
    human = human_runs(runs, labels)
    new = heard(candidate, runs, by_version[candidate.rubric.version], labels, human)
    old = heard(baseline, runs, by_version[baseline.rubric.version], labels, human) if baseline else None
    event_ids = list(dict.fromkeys(run.event_id for run in runs))
    about = {("run", run.run_id) for run in runs} | {("event", event_id) for event_id in event_ids}
    about &= labels.by_item.keys()
    flips = flips_of(old, new, runs, human, _page(ran, candidate.rubric)) if old else []
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
            events=sum(human_event(event_id, new, labels) is not None for event_id in event_ids),
            reviewed=len(about) - len(about & labels.filed),
            from_file=len(about & labels.filed),
            unknown_items=labels.unknown_items,
            bad_lines=labels.bad_lines,
            labelled_first=labels.labelled_first,
        ),
        run_difference=_difference("run", *_paired_runs(old, new, runs, human)) if old else None,
        event_difference=_difference("event", *_paired_events(old, new)) if old else None,
        compared_runs=sum(both_ended(old, new, run.run_id) for run in runs) if old else 0,
        flips=flips,
        cost_usd=ran.cost_usd,
        unpriced_calls=ran.unpriced_calls,
        notes=[*ran.notes, *_notes(new, labels, from_file=not labels.filed.isdisjoint(about))],
    )


def _version_report(
    heard: Heard, runs: Sequence[ComparedRun], labels: Labels, human: Mapping[str, HumanLabel]
) -> VersionReport:
    said, rows = heard.runs.values(), [row for one in heard.runs.values() for row in one.rows]
    verdicts = [one.verdict.verdict for one in said if one.verdict is not None]
    ended = [event for event in heard.events.values() if event.ended]
    costs = [row.cost_usd for row in rows if row.calls]
    priced = [cost for cost in costs if cost is not None]
    latencies = [row.latency_ms for row in rows if row.calls and row.latency_ms is not None]
    rubric = heard.version.rubric
    return VersionReport(
        rubric_id=rubric.id,
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


def _run_pairs(heard: Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel]) -> list[Pair]:
    return [
        Pair(run.event_id, human[run.run_id].verdict, heard.runs[run.run_id].standing.verdict)
        for run in runs
        if run.run_id in human and run.run_id in heard.runs and heard.runs[run.run_id].ended
    ]


def _event_pairs(heard: Heard) -> list[Pair]:
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
    heard: Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel]
) -> dict[str, AgreementFigures]:
    found = {}
    for criterion in heard.version.rubric.criteria:
        pairs = []
        for run in runs:
            one, label = heard.runs.get(run.run_id), human.get(run.run_id)
            if one is None or one.verdict is None or label is None or criterion.id not in label.criteria:
                continue
            answers = [each for row in standing_rows(one) for each in answers_of(row) if each.id == criterion.id]
            if answers:
                judged = answers[0] if len(answers) == 1 else answer_of(criterion, answers)
                pairs.append(Pair(run.event_id, _decision(label.criteria[criterion.id]), _decision(judged.verdict)))
        if (figures := _figures(pairs)) is not None:
            found[criterion.id] = figures
    return found


def _decision(answer: CriterionLabel) -> VerdictLabel:
    if answer in (CriterionLabel.PASS, CriterionLabel.FAIL):
        return VerdictLabel(answer.value)
    return VerdictLabel.UNKNOWN


def _paired_runs(
    old: Heard, new: Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel]
) -> tuple[list[Pair], list[Pair]]:
    both = [run for run in runs if run.run_id in human and both_ended(old, new, run.run_id)]
    return _run_pairs(old, both, human), _run_pairs(new, both, human)


def _paired_events(old: Heard, new: Heard) -> tuple[list[Pair], list[Pair]]:
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
    said = f"{'better' if points > 0 else 'worse'} by {_points(points)}" if round(points) else "no difference"
    said += f"; interval {_signed(low * 100)} to {_signed(high * 100)}"
    if low > 0 or high < 0:
        return f"{said}: distinguishable on {plural(events, 'event')}"
    # an interval narrows with the root of the events; it has to end before it reaches no difference
    reach = (value - low if points > 0 else high - value) * 100 if round(points) else (high - low) * 50
    more = ceil(events * (reach / (abs(points) if round(points) else SMALL_POINTS)) ** 2) - events
    said += f": not distinguishable on {plural(events, 'event')}"
    if more <= 0:
        return said
    aim = "would tell" if round(points) else f"would show a difference of {_points(SMALL_POINTS)}"
    return f"{said}; about {plural(_rounded(more), 'more labelled event')} {aim}"


def _signed(points: float) -> str:
    return f"{points:.0f}".replace("-", "−") if round(points) else "0"


def _points(points: float) -> str:
    return plural(round(abs(points)), "point")


def _rounded(number: int) -> int:
    """To two digits: an estimate of how many labels is no better than that."""
    size = int(10 ** max(0, len(str(number)) - 2))
    return ceil(number / size) * size


def _page(ran: Ran, rubric: Rubric) -> str:
    return f"{ran.address}/rubrics/{rubric.id}/backtests/{ran.backtest_id}" if ran.address else ""


def _notes(new: Heard, labels: Labels, *, from_file: bool) -> list[str]:
    notes = []
    if labels.labelled_first:
        first = labels.labelled_first
        notes.append(
            f"{plural(first, 'event')} {'was' if first == 1 else 'were'} chosen because people had judged "
            f"{'it' if first == 1 else 'them'}; counts of verdicts therefore do not stand for all runs."
        )
    if from_file:
        notes.append(
            "How the file's labels were selected is not known here: agreement with them speaks for those items only."
        )
    named = {name for label in labels.by_item.values() for name in label.criteria}
    strange = sorted(named - {criterion.id for criterion in new.version.rubric.criteria})
    if strange:
        notes.append(f"Labels name criteria that the candidate does not have: {', '.join(strange)[:200]}.")
    return notes
