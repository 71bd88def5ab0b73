"""`adjudge rubrics show`: the exact prompt a judge gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from evaluator.settings import load_settings
from evaluator.terminal import has_database, opened

if TYPE_CHECKING:
    from evaluator.authoring.prompt_preview import Preview

FORMATS = ("text", "json")


def show(
    name: Annotated[str, typer.Argument(metavar="RUBRIC", help="A file, an id, or id@version.")],
    run: Annotated[str | None, typer.Option(metavar="RUN_ID", help="This run.")] = None,
    event: Annotated[str | None, typer.Option(metavar="EVENT_ID", help="The newest run of this event.")] = None,
    example: Annotated[
        str | None, typer.Option(metavar="NAME", help="An example of the rubric; needs no runs.")
    ] = None,
    judge: Annotated[str | None, typer.Option(metavar="MODEL", help="As this judge gets it.")] = None,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """The exact prompt for a run, the newest the rubric applies to unless one is named; no call is made."""
    from evaluator.rubric_commands.preview_report import preview_json, print_preview

    if form not in FORMATS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(FORMATS)}.", param_hint="--format")
    if sum(each is not None for each in (run, event, example)) > 1:
        raise typer.BadParameter("Only one of --run, --event and --example can be shown.", param_hint="--run")
    preview = _previewed(name, run, event, example, judge)
    if form == "json":
        typer.echo(preview_json(preview))
    else:
        print_preview(preview)


def _previewed(name: str, run: str | None, event: str | None, example: str | None, judge: str | None) -> Preview:
    from evaluator.authoring.named_rubrics import rubric_named
    from evaluator.authoring.prompt_preview import named_in_files, no_runs, preview_example, preview_run

    settings = load_settings()
    in_files = named_in_files(name, settings)
    if in_files is not None and example is not None:
        return preview_example(in_files, example, settings, judge=judge)
    if in_files is not None and not has_database(settings):
        raise no_runs(in_files.rubric)
    with opened(settings) as deployment:
        named = in_files or rubric_named(name, deployment)
        if example is not None:
            return preview_example(named, example, settings, judge=judge)
        return preview_run(named, deployment, run_id=run, event_id=event, judge=judge)
