"""`adjudge rubrics test`: run golden examples through their judges or from a cassette."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evaluator.authoring.named_rubrics import NamedRubric
    from evaluator.rubric_format.rubric_files import LoadedRubric

FORMATS = ("text", "json", "github")


def run_golden(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUBRIC]...", help="Files, folders, ids or id@version; left out: the rubrics folder."
        ),
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Ask this judge instead of the rubric's own.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(min=1, max=100, help="Run each example so often; shows how often answers flip.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the judge's replies there, to be replayed.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Take the replies from there: no model, no key, no cost.")
    ] = None,
    example: Annotated[str | None, typer.Option(metavar="NAME", help="Only the examples of this name.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where a rubric has no examples.")] = False,
    form: Annotated[str, typer.Option("--format", help="text, json or github.")] = "text",
) -> None:
    """Run the examples of rubrics; exit code 0 where all came out as expected."""
    from evaluator.authoring.golden_examples import Plan, only_example, run_examples, targets
    from evaluator.console import err, plain
    from evaluator.rubric_commands.example_report import live_view, print_results, results_github, results_json

    if form not in FORMATS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(FORMATS)}.", param_hint="--format")
    if record is not None and replay is not None:
        raise typer.BadParameter(
            "takes replies from a folder, --record makes new ones: one of the two.", param_hint="--replay"
        )
    found = targets(names or [], _kept)
    for problem in found.problems:
        err.print(f"[red]Error:[/] {plain(str(problem))}", highlight=False, soft_wrap=True)
    if not found.loaded and not found.problems:
        err.print("No rubrics there: `adjudge rubrics new` writes the first.")
    loaded = found.loaded if example is None else only_example(found.loaded, example)
    bare = [one for one in loaded if not one.rubric.examples]
    _tell_bare(bare)
    plan = Plan(judge=judge, repeat=repeat, example=example, record=record, replay=replay)
    recorded: list[tuple[Path, int]] = []
    try:
        with live_view() as view:
            tried = [one for one in loaded if one.rubric.examples]
            results = run_examples(tried, plan, view, lambda path, calls: recorded.append((path, calls)))
    except KeyboardInterrupt:
        if record is not None:
            _tell_interrupted(recorded)
        raise typer.Exit(130) from None
    if form == "text" and results:
        print_results(results)
    elif form != "text":
        typer.echo(results_json(results) if form == "json" else results_github(results))
    if found.problems or (strict and bare) or not all(each.as_expected for each in results):
        raise typer.Exit(1)


def _kept(name: str) -> NamedRubric:
    from evaluator.authoring.named_rubrics import rubric_named
    from evaluator.terminal import opened

    with opened() as deployment:
        return rubric_named(name, deployment)


def _tell_interrupted(recorded: list[tuple[Path, int]]) -> None:
    from evaluator.console import err, plain
    from evaluator.wording import plural

    kept = "; ".join(f"{plural(calls, 'call')} in {path}" for path, calls in recorded)
    told = f"Kept: {kept}; `--record` with `--example NAME` adds what is missing." if kept else "Nothing was kept."
    err.print(plain(f"Interrupted. {told}"), highlight=False, soft_wrap=True)


def _tell_bare(bare: list[LoadedRubric]) -> None:
    from evaluator.console import err, plain

    for one in bare:
        content = ", ".join(f"{name}: …" for name in one.rubric.content)
        expected = one.rubric.criteria[0].id
        err.print(
            f"[yellow]{plain(one.rubric.id)} has no examples.[/] Add some to {plain(str(one.path))}:\n"
            f"  examples:\n"
            f"    - {{name: what it shows, {plain(content)}, expect: {{{plain(expected)}: pass}}}}",
            highlight=False,
            soft_wrap=True,
        )
