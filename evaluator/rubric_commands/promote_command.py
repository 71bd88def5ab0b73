"""`adjudge rubrics promote`: put another version of a rubric in force."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evaluator.terminal import actor, opened

if TYPE_CHECKING:
    from evaluator.authoring.promotion import Promotion


def promote(
    candidate: Annotated[str, typer.Argument(help="A rubric file, or id@version to go back to that version.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and change nothing.")] = False,
    untested: Annotated[
        bool, typer.Option("--untested", help="Never mind that no backtest tried how it judges.")
    ] = False,
) -> None:
    """Put a version in force: shows what changes, then writes its file; the server takes it up by itself."""
    from evaluator.authoring.promotion import prepare_promotion
    from evaluator.authoring.promotion import promote as put_in_force
    from evaluator.console import err, out, plain
    from evaluator.model.columns import utc_now

    with opened() as deployment:
        plan = prepare_promotion(candidate, deployment)
        name = f"{plan.candidate.id}@{plan.candidate.version}"
        if plan.is_in_force:
            out.print(plain(f"{name} is in force already, in {plan.target}."), highlight=False, soft_wrap=True)
            return
        _show(plan)
        if dry_run:
            err.print("Nothing was changed.")
            return
        _ask(plan, yes=yes, untested=untested)
        moved = put_in_force(plan, deployment, actor=actor(), now=utc_now())
    out.print(plain(f"In force: {name}, in {plan.target}."), highlight=False, soft_wrap=True)
    if plan.in_file is not None:
        back = f"{plan.candidate.id}@{plan.in_file.rubric.version}"
        err.print(plain(f"`adjudge rubrics promote {back}` goes back."), highlight=False, soft_wrap=True)
    if moved is not None:
        err.print(plain(f"The file had errors; what stood in it is in {moved}."), highlight=False, soft_wrap=True)


def _show(plan: Promotion) -> None:
    from evaluator.console import err, out, plain
    from evaluator.rubric_commands.diff_command import print_difference

    for problem in plan.warnings:
        err.print(plain(str(problem)), style="yellow", highlight=False, soft_wrap=True)
    if plan.difference is not None:
        print_difference(plan.difference)
        out.print()
    for line in _facts(plan):
        out.print(plain(line), highlight=False, soft_wrap=True)


def _facts(plan: Promotion) -> Iterator[str]:
    """What else an author should know, a line each."""
    from evaluator.wording import plural

    if plan.difference is None:
        yield f"{plan.candidate.id} is new: nothing is in force under this id."
    for version, number in sorted(plan.waiting.items()):
        yield f"Queue: {plural(number, 'judgement')} still under {version}, and kept there."
    examples = len(plan.candidate.examples)
    yield (
        f"Examples: {examples}; `adjudge rubrics test {plan.place}` runs them."
        if examples
        else "Examples: none yet."
    )
    yield f"Backtest: {_tried(plan)}"


def _tried(plan: Promotion) -> str:
    if plan.backtest is None:
        if plan.was_in_force:
            return "none, but this version was in force before."
        makes = f"none of this version; `adjudge rubrics backtest {plan.place}` makes one."
        return makes if plan.is_untested else "none, and none is needed for such a change."
    at, state = f"{plan.backtest.started_at:%Y-%m-%d %H:%M}", plan.backtest.state
    found = _agreement_told(plan.backtest.report)
    return f"{plan.backtest.backtest_id} of {at}, {state}{f': {found}' if found else ''}."


def _agreement_told(report: dict[str, Any]) -> str:
    """How well both versions agreed with people, run by run or else event by event, as far as the report says."""
    for level in ("run", "event"):
        sides = [_side_told(report.get(name) or {}, level) for name in ("baseline", "candidate")]
        words = (report.get(f"{level}_difference") or {}).get("words", "")
        if any(sides):
            told = f"agreement with people by {level} {' → '.join(filter(None, sides))}"
            return f"{told}; {words}" if words else told
    return ""


def _side_told(side: dict[str, Any], level: str) -> str:
    figure = (side.get(f"{level}_agreement") or {}).get("agreement") or {}
    if figure.get("value") is None:
        return ""
    between = "" if figure.get("low") is None else f" ({figure['low']:.2f} to {figure['high']:.2f})"
    return f"{figure['value']:.2f}{between}"


def _ask(plan: Promotion, *, yes: bool, untested: bool) -> None:
    """Have it confirmed; ends the command where it is not."""
    from evaluator.console import err

    unproved = plan.is_untested and not untested
    if yes and not unproved:
        return
    if not sys.stdin.isatty():
        wanted = "--yes" if not yes else "--untested"
        why = "nobody can be asked here" if not yes else "no backtest tried how this version judges"
        raise typer.BadParameter(f"{why}; add {wanted}.", param_hint=wanted)
    question = "Put it in force without a backtest?" if unproved else "Put it in force?"
    if not typer.confirm(question, err=True):
        err.print("Nothing was changed.")
        raise typer.Exit(1)
