"""`adjudge rubrics schema`: write the JSON schema that editors complete rubrics by, and the tables of the docs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaluator.errors import AdjudgeError, NotFound
from evaluator.settings import load_settings


def schema(
    output: Annotated[
        str | None,
        typer.Option(
            help="File to write; - for standard output; left out: rubric.schema.json in the rubrics folder."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where the file differs.")
    ] = False,
    docs: Annotated[
        Path | None, typer.Option(help="Rewrite the tables of this Markdown page instead, as in docs/rubrics.md.")
    ] = None,
) -> None:
    """Write rubric.schema.json, which editors complete and explain rubrics by."""
    from evaluator.rubric_format.rubric_reference import with_reference
    from evaluator.rubric_format.rubric_schema import SCHEMA_FILE, schema_text

    if docs is not None:
        _keep(docs, with_reference(_text_of(docs)), check=check)
    elif output == "-":
        typer.echo(schema_text(), nl=False)
    else:
        _keep(Path(output) if output else load_settings().rubrics_dir / SCHEMA_FILE, schema_text(), check=check)


def _keep(path: Path, text: str, *, check: bool) -> None:
    from evaluator.rubric_format.rubric_files import is_file

    if check and not (is_file(path) and _text_of(path) == text):
        typer.echo(f"{path} is not what `adjudge rubrics schema` writes; run it without --check.", err=True)
        raise typer.Exit(1)
    if not check:
        try:
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise _away(path, "written", error) from None
    typer.echo(f"{path} {'is up to date' if check else 'written'}.", err=True)


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise _away(path, "read", error) from None


def _away(path: Path, done: str, error: OSError) -> AdjudgeError:
    return NotFound(f"{path} cannot be {done}: {error.strerror}.")
