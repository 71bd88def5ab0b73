"""What `adjudge rubrics backtest` shows: the estimate, how far it is, and both versions side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from evaluator.authoring.backtest_choice import Choice, Versions
from evaluator.authoring.backtest_judging import Moved
from evaluator.authoring.backtest_plan import CHARS_PER_TOKEN, TOKENS_PER_ANSWER, Estimate, Plan
from evaluator.authoring.backtest_report import (
    AgreementFigures,
    BacktestReport,
    Figure,
    Flip,
    FlipKind,
    Side,
    VersionReport,
)
from evaluator.authoring.human_labels import LabelFile
from evaluator.console import PLAIN_SECONDS, err, out, plain
from evaluator.model.backtest import BacktestState
from evaluator.model.verdict import VerdictLabel
from evaluator.wording import counts, dollars, duration, judging_dollars, plural, visible

WIDTH = 100
FLIPS_SHOWN = 20
MOST_TOLD = 20
"""Bad lines of a file of labels told one by one; the others are only counted."""
KINDS: dict[FlipKind, tuple[str, str]] = {
    "lost": ("lost", "red"),
    "gained": ("gained", "green"),
    "both_wrong": ("both wrong", "yellow"),
    "unlabelled": ("unlabelled", "dim"),
}


def print_bad_labels(given: LabelFile, file: str) -> None:
    """Every line that is no label, by number."""
    for number, problem in given.problems[:MOST_TOLD]:
        _tell(f"[red]{plain(file)}, line {number}:[/] {plain(problem)}")
    if len(given.problems) > MOST_TOLD:
        _tell(f"and {plural(len(given.problems) - MOST_TOLD, 'more bad line')}.")
    if given.replaced:
        _tell(f"{plain(file)}: {plural(given.replaced, 'label')} replaced by a later line about the same item.")


def print_estimate(versions: Versions, choice: Choice, plan: Plan, concurrency: int, *, served: bool) -> None:
    """What is compared on what, and what it will take; on stderr, like all that is no result."""
    candidate = versions.candidate
    _tell(
        f"[bold]Backtest of {plain(candidate.rubric.id)}[/]: {_short(candidate.rubric.version)} ({plain(candidate.place)})"
    )
    if versions.baseline is None:
        _tell(f"There is nothing to compare with: {plain(versions.why)}. The candidate is shown alone.")
    else:
        _tell(f"against {_short(versions.baseline.rubric.version)} ({plain(versions.why)})")
    labels = choice.labels
    _tell(
        f"on {plural(choice.events, 'event')} with {plural(len(choice.runs), 'run')}, {labels.labelled_first} of the "
        f"events chosen because people have judged them."
    )
    if labels.unknown_items:
        _tell(f"{plural(labels.unknown_items, 'label')} of runs or events that are not known here: left out.")
    for note in (*choice.notes, *plan.notes):
        _tell(f"[yellow]{plain(note)}[/]")
    err.print(_estimate_table(versions, plan.estimate), width=_width())
    for line in _estimate_lines(plan, concurrency, served=served):
        _tell(line)


def _estimate_table(versions: Versions, estimate: Estimate) -> Table:
    table = _table("")
    names = ("candidate",) if versions.baseline is None else ("baseline", "candidate")
    for name, one in zip(names, estimate.versions, strict=True):
        table.add_column(f"{name} {_short(one.version)}", justify="right", no_wrap=True)
    rows: tuple[tuple[str, Callable[..., str]], ...] = (
        ("judgements", lambda one: f"{one.judgements:,}"),
        ("  judged before or alike", lambda one: f"{one.reused:,}"),
        ("  by code alone", lambda one: f"{one.without_call:,}"),
        ("  calls to make", lambda one: f"{one.calls:,}"),
        ("tokens in, about", lambda one: f"{one.input_tokens:,}"),
        ("tokens out, about", lambda one: f"{one.output_tokens:,}"),
        ("cost, about", lambda one: dollars(one.usd)),
    )
    for name, told in rows:
        table.add_row(name, *map(told, estimate.versions))
    return table


def _estimate_lines(plan: Plan, concurrency: int, *, served: bool) -> Iterator[str]:
    estimate = plan.estimate
    if not estimate.calls and not estimate.escalations:
        yield "[bold]Together:[/] no calls, $0."
        return
    takes = (
        "how long is not known yet: after the first calls"
        if estimate.seconds is None
        else f"about {duration(estimate.seconds)}, {1 if estimate.local else concurrency} at a time"
    )
    yield f"[bold]Together:[/] {plural(estimate.calls, 'call')}, {dollars(estimate.usd)}; {takes}."
    for one in estimate.escalations:
        most = "" if one.most_usd is None else f", {dollars(one.most_usd)}"
        yield f"On top, where verdicts escalate: at most {plural(one.most_calls, 'call')} of {plain(one.judge)}{most}."
    if estimate.unpriced:
        yield f"No price is known of {plain(', '.join(estimate.unpriced))}: its calls may cost, and are not in the sum."
    if estimate.calls:
        yield f"Tokens in are characters of the real prompts ÷ {CHARS_PER_TOKEN}."
    if estimate.assumed:
        yield (
            f"Tokens out are assumed, {TOKENS_PER_ANSWER} for each criterion: {plain(', '.join(estimate.assumed))} "
            "has not been called here before."
        )
    if estimate.local and served:
        yield (
            "The local judge of this command is a second one beside the server's: while both judge they share the "
            "processors and memory, and each takes about twice as long."
        )


class BacktestProgress:
    """A bar where there is a terminal, a line now and then where there is none; each failure told once."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._printed_at = time.monotonic()
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        if err.is_terminal:
            columns = (
                TextColumn("backtest"),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[told]}"),
                TimeElapsedColumn(),
            )
            self._bars = Bars(*columns, console=err)
            self._bars.start()
            self._task = self._bars.add_task("backtest", told="", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def moved(self, seen: Moved) -> None:
        told = f"{seen.done:,} of {seen.planned:,} judged, {judging_dollars(seen.cost_usd, seen.unpriced_calls)}"
        if seen.seconds_left and seen.done < seen.planned:
            told += f", about {duration(seen.seconds_left)} left"
        if self._bars is not None:
            self._bars.update(self._task, completed=seen.done, total=seen.planned, told=told)
        elif time.monotonic() - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = time.monotonic()
            _tell(f"backtest: {told}")

    def told(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            _tell(f"[yellow]{plain(line)}[/]")


def print_report(report: BacktestReport, following: str) -> None:
    """Both versions side by side, what the difference is worth, and the first flips; then the next command."""
    out.print(f"[bold]{plain(report.rubric_id)}[/]: {plain(report.title)}", highlight=False, width=_width())
    if report.state is BacktestState.STOPPED:
        because = f" {plain(report.stopped_because)}" if report.stopped_because else ""
        _say(
            f"[yellow]Stopped before its end.[/]{because} What follows is of what was judged; asked for again it "
            "goes on from there."
        )
    out.print(_side_by_side(report), width=_width())
    for line in _findings(report):
        _say(line)
    for note in report.notes:
        _say(f"[dim]{plain(note)}[/]")
    _print_flips(report)
    spent = f"spent {judging_dollars(report.cost_usd, report.unpriced_calls)}"
    if report.unpriced_calls and not report.cost_usd:
        spent = f"made {plural(report.unpriced_calls, 'call')} of unknown price"
    _say(f"\nThis backtest {spent}; it is kept as {report.backtest_id}. No outcome was touched.")
    _say(following)


def _side_by_side(report: BacktestReport) -> Table:
    sides = [one for one in (report.baseline, report.candidate) if one is not None]
    table = _table("")
    for name, one in zip(("baseline", "candidate")[-len(sides) :], sides, strict=True):
        table.add_column(f"{name} {_short(one.version)}", overflow="fold")
    for name, cells in _rows(report, sides):
        table.add_row(name, *map(plain, cells))
    return table


def _rows(report: BacktestReport, sides: Sequence[VersionReport]) -> Iterator[tuple[str, list[str]]]:
    yield "from", [PurePath(one.place).name for one in sides]
    yield "judges", [", ".join(one.judges) or "code alone" for one in sides]
    yield "judged", [f"{one.verdicts} of {plural(one.runs, 'run')}, {plural(one.events, 'event')}" for one in sides]
    yield "verdicts on runs", [_verdicts(one.run_verdicts) for one in sides]
    if any(one.runs > one.events for one in sides):
        yield "verdicts on events", [f"{_verdicts(one.event_verdicts)} by {one.rollup}" for one in sides]
    if any(one.not_evaluable for one in sides):
        yield "not evaluable", [counts(one.not_evaluable) for one in sides]
    if any(one.unfinished for one in sides):
        yield "not reached", [f"{plural(one.unfinished, 'run')}" for one in sides]
    yield from _agreement_rows(sides)
    yield "cost per verdict", [_cost(one) for one in sides]
    yield "median latency", [_latency(one.median_latency_ms) for one in sides]
    yield "taken over", [plural(one.reused_judgements, "judgement") for one in sides]


def _agreement_rows(sides: Sequence[VersionReport]) -> Iterator[tuple[str, list[str]]]:
    on_runs, on_events = [one.run_agreement for one in sides], [one.event_agreement for one in sides]
    if any(on_runs) and (any(one.runs > one.events for one in sides) or not any(on_events)):
        yield "agrees on runs", [_figure(each, "agreement") for each in on_runs]
    if any(on_events):
        yield "agrees on events", [_figure(each, "agreement") for each in on_events]
    shown = on_events if any(on_events) else on_runs
    if not any(shown):
        return
    for label, name in (
        ("sensitivity", "sensitivity"),
        ("specificity", "specificity"),
        ("pass-rate bias", "pass_rate_bias"),
        ("κ", "kappa"),
        ("AC1", "ac1"),
    ):
        yield f"  {label}", [_figure(each, name) for each in shown]
    if any(each is not None and each.undecided for each in shown):
        yield "  left undecided", [str(each.undecided) if each is not None else "—" for each in shown]
    named = dict.fromkeys(name for one in sides for name in one.criteria_agreement)
    for name in named:
        yield f"  on {name}", [_figure(one.criteria_agreement.get(name), "agreement") for one in sides]


def _figure(figures: AgreementFigures | None, name: str) -> str:
    figure: Figure | None = getattr(figures, name) if figures is not None else None
    if figure is None or figure.value is None:
        return "—"
    between = "" if figure.low is None or figure.high is None else f" ({_two(figure.low)} to {_two(figure.high)})"
    return f"{_two(figure.value)}{between} n={figure.n}"


def _two(number: float) -> str:
    """With two decimals; never -0.00."""
    return f"{round(number, 2) + 0.0:.2f}"


def _verdicts(found: dict[VerdictLabel, int]) -> str:
    return ", ".join(f"{number} {label}" for label, number in found.items() if number) or "—"


def _cost(one: VersionReport) -> str:
    if not one.verdicts:
        return "—"
    return dollars(one.cost_per_verdict_usd)


def _latency(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "—"
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"


def _findings(report: BacktestReport) -> Iterator[str]:
    if report.baseline is None:
        yield "There was nothing to compare with: the candidate is shown alone."
    known = [one for one in (report.run_difference, report.event_difference) if one is not None]
    for one in known if report.runs > report.events else known[-1:]:
        yield f"[bold]Agreement on {one.level}s, candidate against baseline:[/] {plain(one.words)}."
    if report.baseline is not None and not known:
        yield (
            "No run here has a human verdict that both versions can be held to: what follows says what changes, not "
            "which is right. Give labels with --labels FILE."
        )


def _print_flips(report: BacktestReport) -> None:
    if report.baseline is None:
        return
    on_runs = [flip for flip in report.flips if flip.level == "run"]
    of_events = len(report.flips) - len(on_runs)
    told = f"{len(on_runs)} of {plural(report.compared_runs, 'run')}"
    told += f", {plural(of_events, 'event')} of several runs" if of_events else ""
    if not report.compared_runs:
        _say("\n[bold]Flips:[/] none can be told; no run was judged under both versions.")
        return
    if not report.flips:
        _say(f"\n[bold]Flips:[/] none; on {plural(report.compared_runs, 'run')} both versions say the same.")
        return
    kinds = counts({KINDS[kind][0]: sum(flip.kind == kind for flip in report.flips) for kind in KINDS})
    _say(f"\n[bold]Flips:[/] {told} ({kinds})")
    for flip in report.flips[:FLIPS_SHOWN]:
        _print_flip(flip)
    if len(report.flips) > FLIPS_SHOWN:
        _say(f"and {len(report.flips) - FLIPS_SHOWN} more: --format json has all of them.")


def _print_flip(flip: Flip) -> None:
    kind, style = KINDS[flip.kind]
    name = f"run {flip.run_id} of {flip.event_id}" if flip.run_id is not None else f"event {flip.event_id}"
    said = "" if flip.human is None else f"; a person: {flip.human}"
    line = Text(f"{kind:<10} ", style=style)
    line.append(f"{_label(flip.baseline)} → {_label(flip.candidate)}{said}")
    out.print(line, width=_width(), no_wrap=True, overflow="ellipsis")
    link = f"link {flip.link}" if flip.link and out.is_terminal else ""
    out.print(Text(f"  {_cut(name, WIDTH)}", style=link), width=_width(), no_wrap=True, overflow="ellipsis")
    for side_name, side in (("baseline", flip.baseline), ("candidate", flip.candidate)):
        reason = Text(f"  {side_name:<9} {_reason(side)}", style="dim")
        out.print(reason, width=_width(), no_wrap=True, overflow="ellipsis")
    if flip.link and not out.is_terminal:
        out.print(f"  {plain(flip.link)}", highlight=False, soft_wrap=True)


def _cut(text: str, most: int) -> str:
    """Text from elsewhere on one line, cut where it is long."""
    shown = visible(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _reason(side: Side) -> str:
    """A side's one-line reason as a terminal may show it."""
    return _cut(side.reason, WIDTH) or "—"


def _label(side: Side) -> str:
    return "no verdict" if side.verdict is None else str(side.verdict)


def next_step(report: BacktestReport, versions: Versions, *, in_force: bool) -> str:
    """The command that comes next."""
    if report.state is BacktestState.STOPPED:
        return "Next: the same command again goes on; nothing that was judged is judged or paid for twice."
    place = plain(versions.candidate.place)
    if in_force:
        return (
            f"Next: nothing to promote, {place} is in force; `adjudge rubrics versions "
            f"{plain(report.rubric_id)}` lists what was."
        )
    known = report.event_difference or report.run_difference
    if known is not None and known.high is not None and known.high < 0:
        return (
            "Next: edit the candidate and try again, for it agrees less with people; `adjudge rubrics promote "
            f"{place}` would put it in force all the same."
        )
    return f"Next: `adjudge rubrics promote {place}` puts the candidate in force."


def _table(first: str) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    return table


def _width() -> int:
    return min(WIDTH, out.width) if out.is_terminal else WIDTH


def _short(version: str) -> str:
    return version[:8]


def _say(line: str) -> None:
    out.print(line, highlight=False, width=_width())


def _tell(line: str) -> None:
    err.print(line, highlight=False, soft_wrap=True)
