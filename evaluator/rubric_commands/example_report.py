"""What `adjudge rubrics test` prints: tables, differences with their reasons, JSON, annotations, a live view."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from evaluator.authoring.github_annotations import annotation
from evaluator.authoring.golden_examples import (
    Answer,
    CriterionResult,
    ExampleResult,
    Flips,
    RubricResult,
    Spent,
    Step,
)
from evaluator.console import PLAIN_SECONDS, err, out, plain
from evaluator.plain_json import json_bytes
from evaluator.wording import judging_dollars, noun, plural

_LONGEST_QUOTE = 200


def print_results(results: Sequence[RubricResult]) -> None:
    """Per rubric a table of examples and criteria, then what differs, with the judge's words."""
    for result in results:
        judged_by = plain(", ".join(result.judges))
        rounds = f", {result.rounds} times each" if result.rounds > 1 else ""
        out.print(
            f"\n[bold]{plain(result.rubric.id)}[/] ({plain(str(result.path))}), by {judged_by}{rounds}",
            highlight=False,
            soft_wrap=True,
        )
        out.print(_answers_table(result))
        if result.rounds > 1:
            out.print(_flips_table(result))
        for example in result.examples:
            _print_differences(example)
    out.print(f"\n{_summary(results)}", highlight=False, soft_wrap=True)


def results_json(results: Sequence[RubricResult]) -> str:
    """Everything, for programs."""
    rubrics = [
        {
            "id": result.rubric.id,
            "version": result.rubric.version,
            "path": str(result.path),
            "judges": list(result.judges),
            "rounds": result.rounds,
            "as_expected": result.as_expected,
            "examples": [_example_json(each) for each in result.examples],
            **_spent_json(result.spent),
            "cassette": str(result.recorded[0]) if result.recorded else None,
        }
        for result in results
    ]
    whole = {"as_expected": all(each.as_expected for each in results), "rubrics": rubrics}
    return json_bytes(whole, indented=True).decode()


def results_github(results: Sequence[RubricResult]) -> str:
    """Workflow commands, which GitHub shows beside the example's line."""
    lines = [
        annotation("error", told, file=str(result.path), line=example.line)
        for result in results
        for example in result.examples
        for told in _differences(example)
    ]
    return "\n".join([*lines, _summary(results)])


@contextmanager
def live_view() -> Iterator[_View]:
    """A bar where there is a terminal, a line now and then where there is none."""
    if not err.is_terminal:
        yield _View(None)
        return
    columns = (TextColumn("testing"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Bars(*columns, console=err, transient=True) as bars:
        yield _View(bars)


class _View:
    def __init__(self, bars: Bars | None) -> None:
        self._bars = bars
        self._task = bars.add_task("testing", told="", total=None) if bars is not None else None
        self._printed_at = time.monotonic()

    def __call__(self, step: Step) -> None:
        told = f"{step.done} of {plural(step.total, 'judgement')}, {_spent(step.spent)}"
        now = time.monotonic()
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=step.done, total=step.total, told=told)
        elif now - self._printed_at >= PLAIN_SECONDS:
            err.print(f"testing: {told}", highlight=False, soft_wrap=True)
            self._printed_at = now


def _answers_table(result: RubricResult) -> Table:
    table = _table(result)
    for example in result.examples:
        mark = "[green]✓[/]" if example.as_expected else "[red]✗[/]"
        cells = [_cell(each) for each in example.results] or ["–"] * len(result.rubric.criteria)
        table.add_row(f"{mark} {plain(example.name)}", *cells)
    totals = [_total(result, place) for place in range(len(result.rubric.criteria))]
    table.add_section()
    table.add_row("[dim]as expected[/]", *totals)
    return table


def _flips_table(result: RubricResult) -> Table:
    """Of what a judge was asked; code answers the same each time."""
    table = _table(result, "flip rate, 95 % interval")
    pooled = [Flips(0, 0) for _ in result.rubric.criteria]
    for example in result.examples:
        asked = [each.flips if each.got.decided_by == "judge" else Flips(0, 0) for each in example.results]
        if any(each.answers for each in asked):
            table.add_row(plain(example.name), *map(_rate, asked))
            pooled = [one + other for one, other in zip(pooled, asked, strict=True)]
    table.add_section()
    table.add_row("[dim]all examples[/]", *map(_rate, pooled))
    return table


def _table(result: RubricResult, title: str = "example") -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, overflow="fold")
    for criterion in result.rubric.criteria:
        table.add_column(plain(criterion.id), overflow="fold")
    return table


def _cell(one: CriterionResult) -> str:
    if one.expected is None:
        return "[dim]·[/]"
    share = f" {one.matches}/{one.flips.answers}" if one.flips.answers > 1 else ""
    if one.as_expected:
        return f"[green]✓[/]{share}"
    return f"[red]✗[/]{share} {_word(one.expected)}→{_word(one.answer)}"


def _total(result: RubricResult, place: int) -> str:
    expected = [
        one for example in result.examples for one in example.results[place : place + 1] if one.expected is not None
    ]
    return f"{sum(one.as_expected for one in expected)} of {len(expected)}" if expected else "[dim]·[/]"


def _rate(flips: Flips) -> str:
    if not flips.answers:
        return "[dim]·[/]"
    interval = flips.interval
    return f"{flips.rate:.0%} ({interval.low:.0%} to {interval.high:.0%})"


def _word(answer: Answer) -> str:
    return str(answer).replace("_", " ")


def _print_differences(example: ExampleResult) -> None:
    if example.failure is not None:
        out.print(f"[red]✗[/] {plain(example.name)}: {plain(example.failure)}", highlight=False, soft_wrap=True)
    for one in example.differences:
        out.print(f"[red]✗[/] {plain(_told(example, one))}", highlight=False, soft_wrap=True)
        for line in _reasons(one):
            out.print(f"    {plain(line)}", highlight=False, soft_wrap=True)


def _differences(example: ExampleResult) -> Iterator[str]:
    """Each difference in a line, with the judge's words."""
    if example.failure is not None:
        yield f"{example.name}: {example.failure}"
    for one in example.differences:
        yield " ".join((_told(example, one), *_reasons(one)))


def _told(example: ExampleResult, one: CriterionResult) -> str:
    assert one.expected is not None
    answers = one.flips.answers
    times = f" {answers - one.matches} of {answers} times" if answers > 1 else ""
    by = {"check": " (code check)", "precheck": " (pre-check, no call)"}.get(one.got.decided_by, "")
    criterion = one.criterion.id
    return f"{example.name}: {criterion}: expected {_word(one.expected)}, got {_word(one.answer)}{times}{by}"


def _reasons(one: CriterionResult) -> Iterator[str]:
    if one.got.reasoning:
        yield one.got.reasoning
    for quote in one.got.evidence:
        text = quote.text if len(quote.text) <= _LONGEST_QUOTE else quote.text[: _LONGEST_QUOTE - 1] + "…"
        yield f"“{text}”" + ("" if quote.found else " (does not stand there)")
    if one.got.note:
        yield one.got.note


def _summary(results: Sequence[RubricResult]) -> str:
    examples = [example for result in results for example in result.examples]
    good = sum(example.as_expected for example in examples)
    spent = Spent()
    for result in results:
        spent.add(result.spent)
    parts = [f"{good} of {plural(len(examples), 'example')} as expected", _spent(spent)]
    parts += [
        f"{plural(n, 'call')} in {plain(str(path))}" for path, n in (r.recorded for r in results if r.recorded)
    ]
    return "; ".join(parts) + "."


def _spent(spent: Spent) -> str:
    if spent.replayed:
        return f"{spent.replayed} recorded {noun(spent.replayed, 'call')} replayed, none made"
    return f"{plural(spent.calls, 'call')}, {judging_dollars(spent.cost_usd, spent.unpriced)}"


def _example_json(example: ExampleResult) -> dict[str, Any]:
    return {
        "name": example.name,
        "line": example.line,
        "as_expected": example.as_expected,
        "failure": example.failure,
        "criteria": [_criterion_json(each) for each in example.results],
    }


def _criterion_json(one: CriterionResult) -> dict[str, Any]:
    interval = one.flips.interval
    return {
        "id": one.criterion.id,
        "expected": one.expected,
        "got": one.answer,
        "as_expected": one.as_expected if one.expected is not None else None,
        "level": one.got.level,
        "reasoning": one.got.reasoning,
        "evidence": [quote.model_dump() for quote in one.got.evidence],
        "note": one.got.note,
        "decided_by": one.got.decided_by,
        "answers": one.flips.answers,
        "matches": one.matches if one.expected is not None else None,
        "flip_rate": one.flips.rate,
        "flip_rate_interval": [interval.low, interval.high],
    }


def _spent_json(spent: Spent) -> dict[str, Any]:
    return {
        "calls": spent.calls,
        "replayed_calls": spent.replayed,
        "cost_usd": f"{spent.cost_usd:f}",
        "unpriced_calls": spent.unpriced,
    }
