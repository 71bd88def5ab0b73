"""`adjudge rubrics lint`: check rubric files."""

from __future__ import annotations

from typing import Annotated

import typer

from evaluator.settings import load_settings


def lint(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders; - for standard input; left out: the rubrics folder."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text, json or github.")] = "text",
) -> None:
    """Check rubric files; every problem with file, line and column."""
    from evaluator.rubric_lint import FORMATS, lint_paths

    if form not in FORMATS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(FORMATS)}.", param_hint="--format")
    checked, problems = lint_paths(paths or [str(load_settings().rubrics_dir)])
    told = FORMATS[form](problems)
    if told:
        typer.echo(told)
    if problems:
        raise typer.Exit(1)
    if form == "text":
        typer.echo(f"{checked} rubric{'' if checked == 1 else 's'}, no problems.", err=True)
