"""`adjudge rubrics lint`: check rubric files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from evaluator.errors import Misconfigured, NotFound
from evaluator.settings import Settings, load_settings

if TYPE_CHECKING:
    from evaluator.rubric_format.rubric_files import LoadedRubric
    from evaluator.rubric_format.rubric_problems import RubricProblem

_CONNECT_SECONDS = 5
"""How long a database that is out of reach holds up the check."""


def lint(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files or folders (without their subfolders), checked together; - for standard input; "
            "left out: the rubrics folder."
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text, json, or github for annotations.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as well.")] = False,
    no_runs: Annotated[
        bool,
        typer.Option(
            "--no-runs", help="Do not try the rubrics on the last runs of the database, where there is one."
        ),
    ] = False,
) -> None:
    """Check rubric files; every error and warning with file, line, column and what to write instead."""
    from evaluator.authoring.rubric_lint import FORMATS, lint_paths

    if form not in FORMATS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(FORMATS)}.", param_hint="--format")
    if not paths and not load_settings().rubrics_dir.exists():
        raise NotFound(
            f"There is no folder {load_settings().rubrics_dir} yet.",
            hint="`adjudge rubrics new` makes it with a first rubric; or set ADJUDGE_RUBRICS_DIR.",
        )
    linted = lint_paths(paths or [str(load_settings().rubrics_dir)])
    if linted.loaded and not no_runs:
        linted = linted.with_more(_of_recent_runs(linted.loaded))
    told = FORMATS[form](linted)
    if told:
        typer.echo(told)
    if linted.count("error") or (strict and linted.count("warning")):
        raise typer.Exit(1)


def _of_recent_runs(loaded: Sequence[LoadedRubric]) -> list[RubricProblem]:
    """What matches nothing in recent runs; where they cannot be looked at, that is told and nothing else."""
    from evaluator.console import err, plain

    try:
        settings = load_settings()
        return _warnings(loaded, settings) if _has_database(settings) else []
    except Misconfigured as error:
        told = f"Recent runs are left out: {error.message} `--no-runs` does so without a word."
        err.print(plain(told), highlight=False, soft_wrap=True)
        return []


def _has_database(settings: Settings) -> bool:
    """Whether a database is there already: looking for one must not make one."""
    from pathlib import Path

    kind, _, file = settings.resolved_database_url.partition(":///")
    if not kind.startswith("sqlite"):
        return True
    path = Path(file.partition("?")[0])
    return path.is_file() and path.stat().st_size > 0


def _warnings(loaded: Sequence[LoadedRubric], settings: Settings) -> list[RubricProblem]:
    from evaluator.authoring.recent_matches import recent_runs, run_warnings
    from evaluator.deployment import Deployment

    url = settings.resolved_database_url
    if url.startswith("postgresql") and "connect_timeout" not in url:
        settings = load_settings(
            database_url=f"{url}{'&' if '?' in url else '?'}connect_timeout={_CONNECT_SECONDS}"
        )
    deployment = Deployment(settings)
    try:
        recent = recent_runs(deployment, [one.rubric for one in loaded])
    finally:
        deployment.close()
    return [problem for one in loaded for problem in run_warnings(one, recent)]
