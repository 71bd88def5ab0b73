"""`adjudge rubrics diff`: what sets two versions of a rubric apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from evaluator.terminal import opened

if TYPE_CHECKING:
    from evaluator.authoring.rubric_difference import RubricDifference

_STYLES = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}


def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="A rubric file, an id, or id@version.")],
    other: Annotated[
        str | None,
        typer.Argument(metavar="B", help="The same; left out: A is compared with what was in force before it."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 where they differ in meaning.")
    ] = False,
) -> None:
    """What changed in meaning, in the prompt and in the fingerprint, and which statistics stop being comparable."""
    from evaluator.authoring.named_rubrics import rubric_named
    from evaluator.authoring.rubric_difference import as_json, rubric_difference
    from evaluator.authoring.rubric_history import version_before
    from evaluator.judging.endpoint import label_of
    from evaluator.plain_json import json_bytes

    if form not in ("text", "json"):
        raise typer.BadParameter(f"{form!r} is none of text, json.", param_hint="--format")
    with opened() as deployment:
        after = rubric_named(other or one, deployment)
        before = rubric_named(one, deployment) if other else version_before(after, deployment)
        found = rubric_difference(
            before.rubric, after.rubric, label=lambda model: label_of(model, deployment.settings)
        )
    if form == "json":
        typer.echo(json_bytes(as_json(found), indented=True).decode())
    else:
        print_difference(found)
    if exit_code and found.changes:
        raise typer.Exit(1)


def print_difference(found: RubricDifference) -> None:
    """The difference as coloured lines; what rubrics hold is printed as it is."""
    from evaluator.authoring.difference_text import as_text
    from evaluator.console import out, plain

    for line in as_text(found):
        heading = bool(line) and not line.startswith(" ")
        style = "bold" if heading else _STYLES.get(line.strip()[:1], "")
        out.print(plain(line), style=style, highlight=False, soft_wrap=True)
