"""`adjudge rubrics new`: a rubric from three answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from evaluator.errors import Misconfigured
from evaluator.model.rubric import Role
from evaluator.settings import Settings, load_settings
from evaluator.terminal import has_database, opened

if TYPE_CHECKING:
    from evaluator.authoring.rubric_drafts import Draft, Seen
    from evaluator.deployment import Deployment

T = TypeVar("T")

_EVERY = "*"
"""Asked for a workflow, this means all of them, where nothing means the one that was seen."""


def new(
    workflow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Which workflow it is for, or several; an empty one means all."),
    ] = None,
    ask: Annotated[
        str | None, typer.Option(metavar="SENTENCE", help="What a good answer does, as a sentence or a question.")
    ] = None,
    role: Annotated[Role | None, typer.Option(help="Whether it decides outcomes, or only measures.")] = None,
    rubric_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Left out: made of workflow and role.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="PATH", help="Left out: ID.yaml in the rubrics folder; - prints it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Make a rubric from three answers: asked for in a terminal, or given as options."""
    from evaluator.authoring.rubric_drafts import Answers, draft, id_for, write

    settings = load_settings()
    if (workflow is None or ask is None or role is None) and not sys.stdin.isatty():
        missing = [
            name for name, given in (("--workflow", workflow), ("--ask", ask), ("--role", role)) if given is None
        ]
        raise typer.BadParameter("Without a terminal this has to be given.", param_hint=", ".join(missing))
    workflows = _workflows(workflow, settings)
    sentence = ask if ask is not None else typer.prompt("2/3 What does a good answer do? One sentence", err=True)
    answers = Answers(workflows, sentence, role or _role(workflows, settings, output), rubric_id)
    path = Path(output) if output not in (None, "-") else settings.rubrics_dir / f"{id_for(answers)}.yaml"
    seen = _seen(workflows, settings)
    made = draft(answers, path, folder=path.parent, seen=seen)
    if output == "-":
        typer.echo(made.text, nl=False)
    else:
        write(made, path, force=force)
    _tell(made, path if output != "-" else None, settings, has_runs=seen is not None)


def _workflows(given: list[str] | None, settings: Settings) -> tuple[str, ...]:
    from evaluator.authoring.rubric_drafts import known_workflows
    from evaluator.console import plain

    if given is None:
        known: list[str] = []
        if has_database(settings):
            known = _from_runs(settings, known_workflows) or []
        seen = f" Seen in runs: {', '.join(map(plain, known[:8]))}." if known else ""
        default = known[0] if len(known) == 1 else ""
        typer.echo(f"1/3 Which workflow is it for?{seen} {_EVERY if default else 'Nothing'} means all.", err=True)
        given = [typer.prompt("Workflow", default=default, show_default=bool(default), err=True)]
        given = [] if given == [_EVERY] else given
    return tuple(dict.fromkeys(name.strip() for name in given if name.strip()))


def _role(workflows: tuple[str, ...], settings: Settings, output: str | None) -> Role:
    from evaluator.authoring.rubric_drafts import deciding
    from evaluator.console import plain

    folder = Path(output).parent if output not in (None, "-") else settings.rubrics_dir
    others = deciding(folder, workflows)
    told = f" {plain(str(others[0].path))} decides it already." if others else ""
    typer.echo(f"3/3 Does it decide the event's outcome, or only measure quality?{told}", err=True)
    choice = typer.prompt(
        "outcome or quality",
        default=str(Role.QUALITY if others else Role.OUTCOME),
        type=Role,
        show_choices=False,
        err=True,
    )
    return Role(choice)


def _seen(workflows: tuple[str, ...], settings: Settings) -> Seen | None:
    from evaluator.authoring.rubric_drafts import newest_run

    if not has_database(settings):
        return None
    return _from_runs(settings, lambda deployment: newest_run(deployment, workflows))


def _from_runs(settings: Settings, look: Callable[[Deployment], T]) -> T | None:
    """What stored runs tell; where the database cannot be had a rubric is made without them, and that is said."""
    from evaluator.console import err, plain
    from evaluator.store.database import usable

    try:
        with usable(), opened(settings) as deployment:
            return look(deployment)
    except Misconfigured as error:
        err.print(f"Stored runs are left out: {plain(error.message)}", highlight=False, soft_wrap=True)
    return None


def _tell(made: Draft, path: Path | None, settings: Settings, *, has_runs: bool) -> None:
    from evaluator.console import err, plain

    for warning in made.warnings:
        err.print(f"[yellow]Look again:[/] {plain(warning.told())}", highlight=False, soft_wrap=True)
    if path is None:
        return
    is_in_force = path.resolve().parent == settings.rubrics_dir.resolve()
    lines = [f"Wrote {path}: {made.question}"]
    lines += [*(["It is in force for what arrives from now on."] if is_in_force else []), "Next:"]
    steps = list(_steps(path, "" if has_runs else made.example, is_in_force=is_in_force))
    width = max(len(command) for command, _ in steps)
    lines += [f"  {command:<{width}}  # {why}" for command, why in steps]
    for line in lines:
        err.print(plain(line), highlight=False, soft_wrap=True)


def _steps(path: Path, example: str, *, is_in_force: bool) -> Iterator[tuple[str, str]]:
    """What to do with a new rubric, in order; an example is named where there are no runs."""
    import shlex

    from evaluator.rubric_format.rubric_schema import SCHEMA_FILE

    name = shlex.quote(str(path))
    yield f"adjudge rubrics test {name}", "is the judge right about its examples?"
    shown = f"{name} --example {shlex.quote(example)}" if example else name
    yield f"adjudge rubrics show {shown}", "what is it asked, word for word?"
    if is_in_force and not (path.parent / SCHEMA_FILE).exists():
        yield "adjudge rubrics schema", "once: editors complete its keys"
    if example:
        yield "adjudge import FILE", "stores runs to try it on"
    elif is_in_force:
        yield "adjudge judge --last 100", "judges stored runs under it"
    else:
        yield f"adjudge rubrics backtest {name}", "tries it on stored runs"
