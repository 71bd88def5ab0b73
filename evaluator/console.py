"""What the commands print: tables, a live view of judging, and errors in one line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError
from evaluator.model.columns import utc_now
from evaluator.model.judgement import NotEvaluable
from evaluator.model.outcome import DecidedBy, FinalOutcome
from evaluator.situation import IN_WORDS, Situation, Waiting
from evaluator.store.event_list import EventLine
from evaluator.store.operations import last_failures
from evaluator.store.progress import Progress, judging_progress
from evaluator.wording import DECIDED_BY, ago, counts, dollars, duration, judging_dollars, moment, plural, visible

out = Console()
err = Console(stderr=True)

QUIET_SECONDS = 2.5
"""Nothing may be on the way for this long before judging counts as ended: the engine ticks once a second."""
SHORT_PAUSE = timedelta(seconds=90)
"""A judge that is paused no longer than this is waited for."""
PLAIN_SECONDS = 10.0
"""How often a line is printed where there is no terminal to draw on."""

OUTCOME_STYLE = {
    FinalOutcome.SUCCESS: "green",
    FinalOutcome.PARTIAL: "yellow",
    FinalOutcome.FAILED: "red",
    FinalOutcome.PENDING: "dim",
}


def plain(text: str) -> str:
    """Text from elsewhere, to be printed as it is: neither markup nor anything a terminal obeys."""
    return escape(visible(text))


def print_error(error: AdjudgeError) -> None:
    """One red line, and the hint where there is one."""
    message = "\n".join(map(plain, error.message.split("\n")))
    err.print(f"[bold red]Error:[/] {message}", highlight=False, soft_wrap=True)
    if error.hint:
        err.print(f"       {plain(error.hint)}", highlight=False, soft_wrap=True)


def outcomes_table(lines: Iterable[EventLine], *, title: str | None = None) -> Table:
    """Events with their outcome, who decided, coverage, cost, and the spend on judging in its own column."""
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("event", overflow="fold", min_width=10)
    table.add_column("workflow", overflow="fold", min_width=8)
    table.add_column("runs", justify="right", no_wrap=True)
    for name in ("outcome", "decided by"):
        table.add_column(name, no_wrap=True)
    for name in ("judged", "cost", "judging"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        outcome = line.outcome.final_outcome if line.outcome else FinalOutcome.PENDING
        decided_by = line.outcome.decided_by if line.outcome else DecidedBy.NONE
        style = OUTCOME_STYLE.get(FinalOutcome(outcome), "red")
        table.add_row(
            plain(line.event.event_id),
            plain(line.event.workflow or "—"),
            str(line.runs),
            f"[{style}]{outcome}[/]",
            DECIDED_BY[DecidedBy(decided_by)],
            "—" if line.coverage is None else f"{line.coverage[0]} of {line.coverage[1]}",
            dollars(line.cost.total) if line.runs else "—",
            judging_dollars(line.judging_usd, line.judging_unpriced),
        )
    return table


def print_situation(situation: Situation) -> None:
    """All that `adjudge status` shows."""
    seen = situation.overview
    stages = _two_columns("stage", "count")
    for name, text in (
        ("spans", f"{seen.spans}"),
        ("events", f"{seen.events}"),
        ("runs", counts(seen.runs)),
        ("content", counts(seen.fidelity)),
        ("sampled", counts(seen.samples)),
        ("judgements", counts(seen.judgements)),
        ("verdicts", counts(seen.verdicts)),
        ("rollups", counts(seen.rollups)),
        ("outcomes", counts(seen.outcomes)),
        ("decided by", counts({DECIDED_BY[DecidedBy(name)]: n for name, n in seen.decided_by.items()})),
    ):
        stages.add_row(name, text)
    out.print(stages)
    _print_waiting("What waits, and why", situation.waiting)
    _print_waiting("Not evaluable", situation.not_evaluable)
    _print_operation(situation)
    spent = judging_dollars(situation.spent_today_usd, situation.unpriced_calls_today)
    out.print(f"\n[bold]Spent on judging today (UTC):[/] {spent}, {plural(situation.calls_today, 'call')}")


def _two_columns(left: str, right: str) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column(left)
    table.add_column(right, overflow="fold")
    return table


def _print_waiting(title: str, lines: Iterable[Waiting]) -> None:
    table = Table(header_style="bold", box=None, pad_edge=False, title=f"\n{title}", title_justify="left")
    table.add_column("count", justify="right")
    table.add_column("what")
    table.add_column("why", overflow="fold")
    for line in lines:
        table.add_row(str(line.count), plain(line.what), plain(line.why))
    if table.row_count:
        out.print(table)


def _print_operation(situation: Situation) -> None:
    seen, now = situation.overview, situation.at
    out.print(f"\n[bold]Judge:[/] {plain(situation.judge)}", highlight=False)
    workers = "; ".join(f"{one.worker}, since {ago(one.started_at, now)}" for one in seen.workers)
    out.print(f"[bold]Workers:[/] {plain(workers) or '[red]none alive[/]'}", highlight=False)
    for pause in seen.pauses:
        out.print(
            f"[yellow]Paused:[/] judge {plain(pause.judge)} until {moment(pause.until, now)}, "
            f"{plain(pause.reason.replace('_', ' '))}: {plain(pause.detail)}",
            highlight=False,
        )
    for rubric in situation.rubrics:
        judges = ", ".join(rubric.judges)
        out.print(
            f"[bold]Rubric:[/] {plain(rubric.id)} ({rubric.role}, version {rubric.version[:8]}), "
            f"{rubric.sample_rate:.0%} of {plain(', '.join(rubric.workflows) or 'all workflows')}, by {plain(judges)}",
            highlight=False,
        )
    for problem in situation.rubric_problems:
        out.print(f"[red]Rubric problem:[/] {plain(problem)}", highlight=False, soft_wrap=True)
    for failure in seen.failures:
        out.print(
            f"[red]Failure:[/] {plain(f'{failure.stage}/{failure.kind}')} {plain(failure.subject)} × {failure.count}, "
            f"{ago(failure.last_at, now)}: {plain(failure.detail)}",
            highlight=False,
        )


def print_reasons(reasons: dict[str, int]) -> None:
    """Why judgements came to no verdict, and how to try them again."""
    for reason, number in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        words = IN_WORDS[NotEvaluable(reason)]
        again = "" if reason == NotEvaluable.NO_CONTENT else f"; `adjudge judge --again {reason}` tries again"
        err.print(
            f"{number} {reason.replace('_', ' ')}: {words}{again}.",
            highlight=False,
            soft_wrap=True,
        )


@dataclass
class JudgingView:
    """A live view of judging: a bar where there is a terminal, a line now and then where there is none."""

    deployment: Deployment
    event_id: str | None = None
    wait_for_open_runs: bool = False
    """Runs without a root become ready by the idle timeout; whether to wait for that."""
    ending: threading.Event = field(default_factory=threading.Event)
    """Set from outside, it ends the watching."""
    _began: datetime = field(default_factory=utc_now)
    _told_failures: set[str] = field(default_factory=set)

    def follow(self) -> Progress:
        """Watch until nothing is on the way any more; where judging stands then."""
        with ExitStack() as stack:
            bars = task = None
            if err.is_terminal:
                bars = stack.enter_context(
                    Bars(
                        TextColumn("judging"),
                        BarColumn(),
                        TextColumn("{task.fields[told]}"),
                        TimeElapsedColumn(),
                        console=err,
                    )
                )
                task = bars.add_task("judging", told="", total=None)
            return self._follow(bars, task)

    def _follow(self, bars: Bars | None, task: TaskID | None) -> Progress:
        began, quiet_since, printed_at = time.monotonic(), None, 0.0
        first = self.look()
        while True:
            seen = self.look()
            self._tell_failures()
            now = time.monotonic()
            told = self._told(seen, first, now - began)
            if bars is not None and task is not None:
                bars.update(task, completed=seen.ended, total=max(1, seen.known), told=told)
            elif now - printed_at >= PLAIN_SECONDS:
                err.print(f"judging: {told}", highlight=False, soft_wrap=True)
                printed_at = now
            if self._is_at_rest(seen):
                quiet_since = quiet_since or now
                if now - quiet_since >= QUIET_SECONDS:
                    return seen
            else:
                quiet_since = None
            if self.ending.wait(0.25):
                return seen

    def look(self) -> Progress:
        """Where judging stands now."""
        with self.deployment.database.read() as connection:
            return judging_progress(connection, now=utc_now(), event_id=self.event_id)

    def _is_at_rest(self, seen: Progress) -> bool:
        if seen.on_the_way or (self.wait_for_open_runs and seen.open_runs):
            return False
        soon = seen.resumes_at is not None and seen.resumes_at - utc_now() <= SHORT_PAUSE
        return not (seen.paused and soon)

    def _told(self, seen: Progress, first: Progress, elapsed: float) -> str:
        parts = [f"{seen.done} of {seen.known} done"]
        if seen.not_evaluable:
            parts.append(f"{seen.not_evaluable} not evaluable ({counts(seen.reasons)})")
        waiting = seen.known - seen.ended
        parts.append(f"{waiting} waiting")
        if seen.open_runs and self.wait_for_open_runs:
            parts.append(f"{seen.open_runs} runs without an end yet")
        fresh = seen.ended - first.ended
        if fresh >= 3 and waiting:
            parts.append(f"about {duration(elapsed / fresh * waiting)} left")
        return ", ".join(parts)

    def _tell_failures(self) -> None:
        """Each failure once, as it comes up: waiting for the next try of a judge that is away should not look like work."""
        with self.deployment.database.read() as connection:
            failures = last_failures(connection)
        for one in reversed(failures):
            if one.stage == "judge" and one.last_at >= self._began and one.detail not in self._told_failures:
                self._told_failures.add(one.detail)
                err.print(
                    f"[red]{plain(one.kind.replace('_', ' '))}:[/] {plain(one.detail)}",
                    highlight=False,
                    soft_wrap=True,
                )
