"""The command line: everything an operator does without a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluator.errors import AdjudgeError, BadInput, Misconfigured
from evaluator.model.api_key import Scope
from evaluator.model.judgement import NotEvaluable
from evaluator.people_commands import people_app
from evaluator.review_commands.review_group import review_app
from evaluator.rubric_commands.rubric_group import rubrics_app
from evaluator.settings import Settings, load_settings, shown
from evaluator.terminal import actor, opened

if TYPE_CHECKING:
    from evaluator.deployment import Deployment

app = typer.Typer(
    name="adjudge",
    help="Decides what each AI event achieved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys_app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")
models_app = typer.Typer(no_args_is_help=True, help="The small local judge's weights.")
notifications_app = typer.Typer(no_args_is_help=True, help="Messages to others: try them, see what came of them.")
app.add_typer(keys_app, name="keys")
app.add_typer(people_app, name="people")
app.add_typer(rubrics_app, name="rubrics")
app.add_typer(review_app, name="review")
app.add_typer(models_app, name="models")
app.add_typer(notifications_app, name="notifications")


def run(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code: 0, 1 for what went wrong, 2 for how it was called. Never a traceback."""
    try:
        app(args=arguments, standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except AdjudgeError as error:
        _tell(error)
        return 1
    except Exception as error:
        from evaluator.store.database import unusable

        expected = _not_text(error, sys.argv[1:] if arguments is None else arguments) or unusable(error)
        if expected is None:
            raise
        _tell(expected)
        return 1
    return 0


def _not_text(error: Exception, arguments: list[str]) -> AdjudgeError | None:
    """What to tell where bytes of the command line went on to a database, which takes text only."""
    given = next((each for each in arguments if _readable(each) != each), None)
    if given is None or not isinstance(error, UnicodeEncodeError):
        return None
    return BadInput(f"{_readable(given)} is not text in UTF-8.", hint="Check the terminal's encoding.")


def _readable(argument: str) -> str:
    return argument.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _tell(error: AdjudgeError) -> None:
    from evaluator.console import print_error

    print_error(error)


@app.command()
def worker() -> None:
    """Judge what is due until stopped; any number of workers on PostgreSQL, one on SQLite."""
    import signal
    import threading

    from evaluator.console import err
    from evaluator.engine import Engine

    ending = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ending.set())
    with opened() as deployment:
        engine = Engine(deployment)
        engine.start()
        err.print(f"Worker {engine.worker} is judging; Ctrl+C ends it.", highlight=False)
        ending.wait()
        engine.stop()


@app.command("import")
def import_runs(
    file: Annotated[str, typer.Argument(help="A file with one JSON run a line, or - for standard input.")],
) -> None:
    """Store runs from a JSON-lines file; importing it again changes nothing."""
    from evaluator.console import err
    from evaluator.run_import import import_lines

    with opened() as deployment:
        done = import_lines(deployment, file)
    err.print(f"{done.stored} runs stored, {done.bad} lines could not be read.", highlight=False)
    if done.bad:
        raise typer.Exit(1)


@app.command()
def judge(
    event: Annotated[str | None, typer.Option(help="Only this event, whether it was sampled or not.")] = None,
    last: Annotated[
        int, typer.Option(min=0, help="First sample this many stored events, for a rubric newer than they are.")
    ] = 0,
    again: Annotated[
        list[NotEvaluable] | None, typer.Option(help="First make due again what ended for this reason.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="First lift all pauses of judges.")] = False,
) -> None:
    """Judge here until nothing is due; where a worker runs already, watch it."""
    from evaluator.console import JudgingView, err, plain, print_reasons
    from evaluator.judging_orders import give_orders
    from evaluator.wording import counts

    with opened() as deployment:
        for line in give_orders(
            deployment, actor=actor(), event_id=event, last=last, again=again or [], resume=resume
        ):
            err.print(plain(line), highlight=False, soft_wrap=True)
        view = JudgingView(deployment, event_id=event)
        before = view.look()
        with judging_here(deployment):
            seen = view.follow()
    ended = {"done": seen.done, "not evaluable": seen.not_evaluable, "on hold": seen.paused}
    if any(ended.values()):
        err.print(counts(ended), highlight=False)
    if not before.on_the_way and seen.ended == before.ended and not seen.paused:
        more = "" if last or event else " Runs older than a rubric come under it with `adjudge judge --last 100`."
        err.print(f"Nothing was due.{more}", soft_wrap=True)
    print_reasons(seen.reasons)
    if seen.paused:
        err.print("`adjudge status` says why a judge is paused; `adjudge judge --resume` tries it again.")
        raise typer.Exit(1)


@contextmanager
def judging_here(deployment: Deployment) -> Iterator[None]:
    """A worker in this process, unless SQLite has one already."""
    from evaluator.console import err, plain
    from evaluator.engine import Engine

    engine = Engine(deployment)
    try:
        engine.start()
    except Misconfigured as taken:
        err.print(f"{plain(taken.message)} Watching it.", highlight=False)
        yield
        return
    try:
        yield
    finally:
        engine.stop()


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False) -> None:
    """Counts per stage, what waits and why, failures, workers, spend."""
    from evaluator.console import print_situation
    from evaluator.model.columns import utc_now
    from evaluator.plain_json import json_bytes
    from evaluator.situation import situation_of

    with opened() as deployment:
        situation = situation_of(deployment, utc_now())
    if as_json:
        typer.echo(json_bytes(situation, indented=True).decode())
    else:
        print_situation(situation)


@app.command()
def outcomes(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    workflow: Annotated[str | None, typer.Option(help="Only this workflow.")] = None,
) -> None:
    """Events with their outcome, who decided, coverage and cost, newest activity first."""
    from evaluator.console import out, outcomes_table
    from evaluator.store.event_list import list_events

    with opened() as deployment, deployment.database.read() as connection:
        lines = list_events(connection, limit=limit, workflow=workflow)
    if not lines:
        out.print("No events yet: send runs to POST /v1/traces or /v1/runs, or `adjudge import FILE`.")
        return
    out.print(outcomes_table(lines))


@app.command("settings")
def show_settings() -> None:
    """Every setting, its value and where that comes from; secrets are masked."""
    from rich.table import Table

    from evaluator.console import out, plain

    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("variable", "value", "from"):
        table.add_column(name, overflow="fold")
    for variable, value, source in settings_lines(load_settings()):
        table.add_row(variable, plain(value), plain(source))
    out.print(table)


def settings_lines(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Variable, value with secrets masked, and source of every setting."""
    from dotenv import dotenv_values

    config = os.environ.get("ADJUDGE_CONFIG", "")
    in_file = {name.upper() for name in dotenv_values(Path(config).expanduser())} if config else set()
    in_environment = {name.upper() for name in os.environ}
    for name in Settings.model_fields:
        variable = f"ADJUDGE_{name.upper()}"
        source = "environment" if variable in in_environment else config if variable in in_file else "default"
        yield variable, shown(name, getattr(settings, name)), source


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Who or what uses it.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; may be given several times.")],
    quiet: Annotated[bool, typer.Option(help="Print the key alone.")] = False,
) -> None:
    """Make a key; it is shown this once."""
    from evaluator.console import err
    from evaluator.store.api_keys import issue_key

    with opened() as deployment:
        key, stored = deployment.database.transact(
            lambda connection: issue_key(connection, name=name, scopes=set(scope), actor=actor())
        )
    typer.echo(key)
    if not quiet:
        err.print(f"This key may {', '.join(stored.scopes)}. It is not shown again; only its hash is kept.")


@keys_app.command("list")
def show_keys() -> None:
    """All keys, revoked ones too; how each begins, never the rest."""
    from rich.table import Table

    from evaluator.console import out, plain
    from evaluator.store.api_keys import list_keys

    with opened() as deployment, deployment.database.read() as connection:
        known = list_keys(connection)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("hint", "name", "scopes", "made", "revoked"):
        table.add_column(column)
    for key in known:
        table.add_row(key.hint, plain(key.name), ", ".join(key.scopes), _day(key.created_at), _day(key.revoked_at))
    out.print(table if known else "No keys yet: `adjudge keys create --name NAME --scope ingest`.")


def _day(at: datetime | None) -> str:
    return "—" if at is None else f"{at:%Y-%m-%d %H:%M}"


@keys_app.command("revoke")
def revoke_a_key(hint: Annotated[str, typer.Argument(help="How the key begins, as `keys list` shows it.")]) -> None:
    """Revoke a key; it stops working within five seconds."""
    from evaluator.errors import NotFound
    from evaluator.model.columns import utc_now
    from evaluator.store.api_keys import HINT_LENGTH, audit, revoke_key
    from evaluator.store.database import Connection

    begins = hint[:HINT_LENGTH]

    def act(connection: Connection) -> int:
        revoked = revoke_key(connection, begins, utc_now())
        if revoked:
            audit(connection, actor=actor(), act="revoke_key", subject=begins)
        return revoked

    with opened() as deployment:
        if not deployment.database.transact(act):
            raise NotFound(
                f"No active key begins with {begins!r}.", hint="`adjudge keys list` shows how each begins."
            )
    typer.echo(f"Revoked {begins}….", err=True)


@notifications_app.command("test")
def try_notifications() -> None:
    """Send a test message over each channel that is set, and say what came of it."""
    from evaluator.console import err, out, plain
    from evaluator.model.columns import utc_now
    from evaluator.notifications.channel_check import try_channels
    from evaluator.notifications.delivery_round import channels_of

    told = try_channels(channels_of(load_settings()), utc_now())
    for channel, attempt in told:
        out.print(f"{'✓' if attempt.arrived else '✗'} {plain(channel)}: {plain(attempt.detail)}", highlight=False)
    if not told:
        err.print("No channel is set: ADJUDGE_REVIEW_WEBHOOK_URL or ADJUDGE_SMTP_URL sets one.", highlight=False)
    if not told or not all(attempt.arrived for _, attempt in told):
        raise typer.Exit(1)


@notifications_app.command("list")
def show_notifications(limit: Annotated[int, typer.Option(min=1, max=1000)] = 20) -> None:
    """The last messages, newest first: what they told, how far each got."""
    from rich.table import Table

    from evaluator.console import out, plain
    from evaluator.store.deliveries import last_deliveries

    with opened() as deployment, deployment.database.read() as connection:
        known = last_deliveries(connection, limit=limit)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("made", "what", "by", "state", "attempts", "last attempt"):
        table.add_column(column, overflow="fold")
    for one in known:
        state = one.state.replace("_", " ")
        table.add_row(_day(one.created_at), one.kind, one.channel, state, f"{one.attempts}", plain(one.detail))
    out.print(table if known else "No message was sent or queued yet.")


@models_app.command("pull")
def pull_weights() -> None:
    """Fetch the small local judge's weights, about 1.1 GB, once."""
    from evaluator.judging.weights import pull_with_progress

    typer.echo(str(pull_with_progress(load_settings().models_dir)))


if __name__ == "__main__":
    sys.exit(run())
