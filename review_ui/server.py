"""The composition root and the console script: every command, the server and the demo."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from evaluator import cli
from evaluator.settings import Settings, load_settings

if TYPE_CHECKING:
    from evaluator.deployment import Deployment

app = cli.app


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; left out: ADJUDGE_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Left out: ADJUDGE_PORT; 0 picks a free one.")
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="API and pages only; judge elsewhere.")] = False,
) -> None:
    """Run the whole service in one process: API, pages, worker."""
    from review_ui.serving import running

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load_settings(**changes)
    ending = end_on_signals()
    with running(settings, with_worker=not no_worker) as server:
        announce(settings, server.address, with_worker=not no_worker)
        announce_set_up(server.deployment, server.address)
        server.wait(ending)
        typer.echo("Ending: what is being judged may finish.", err=True)


def end_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; a second one ends at once."""
    ending = threading.Event()

    def end(number: int, _frame: object) -> None:
        if ending.is_set():
            sys.exit(128 + number)
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return ending


def announce(settings: Settings, address: str, *, with_worker: bool) -> None:
    """Where it is, what it keeps where, who judges, and how to get a key."""
    from evaluator.judging.endpoint import DEFAULT
    from evaluator.situation import judge_label

    store = "PostgreSQL" if settings.database_url.startswith("postgres") else str(settings.data_dir.absolute())
    lines = (
        f"Adjudge   {address}",
        f"Data      {store}",
        f"Rubrics   {settings.rubrics_dir.absolute()}",
        f"Judge     {judge_label(DEFAULT, settings)}" if with_worker else "Judge     no worker here (--no-worker)",
        "Keys      adjudge keys create --name NAME --scope ingest",
    )
    typer.echo("\n".join(lines))
    sys.stdout.flush()


def announce_set_up(deployment: Deployment, address: str) -> None:
    """Where the first account is made, and the code that takes from another machine; nothing once there is one."""
    from evaluator.accounts.people_directory import set_up_code
    from evaluator.store.people import anybody_has_account

    with deployment.database.read() as connection:
        if anybody_has_account(connection):
            return
    base = deployment.settings.public_url.rstrip("/") or address
    typer.echo(f"Set up    {base}/set-up?code={set_up_code(deployment)}")
    sys.stdout.flush()


@app.command()
def demo(
    stop: Annotated[bool, typer.Option("--exit", help="End after the table instead of staying up.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 0,
) -> None:
    """Judge a corpus of three workflows the real way, sent as OTLP, and show its outcomes."""
    from review_ui.demo import run_demo

    run_demo(stay=not stop, port=port, ending=end_on_signals())


def main() -> None:
    """The console script."""
    sys.exit(cli.run())


if __name__ == "__main__":
    main()
