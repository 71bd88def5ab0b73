"""One process that is everything: API, pages, worker. Started, announced, ended in order."""

from __future__ import annotations

import ctypes
import gc
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from evaluator.accounts.session_book import SessionBook
from evaluator.accounts.sign_in import AttemptCounter
from evaluator.accounts.single_sign_on import Provider
from evaluator.api.app import create_app
from evaluator.authoring.backtest_judging import Host
from evaluator.authoring.rubric_trial import Trials
from evaluator.deployment import Deployment
from evaluator.errors import Misconfigured
from evaluator.settings import Settings
from review_ui import assets
from review_ui.error_pages import install_error_pages
from review_ui.impatience import ImpatientProtocol
from review_ui.pages import (
    audit_page,
    backtest_page,
    batch_page,
    disagreements_page,
    focus_page,
    keys_page,
    people_page,
    preferences_page,
    provider_page,
    queue_page,
    rubric_page,
    rubrics,
    set_up_page,
    sign_in_page,
    status,
    story_page,
    trial_page,
)

if TYPE_CHECKING:
    from evaluator.engine import Engine

log = logging.getLogger(__name__)

REQUESTS_MAY_TAKE = 8
"""Seconds that requests may still take once the server is told to end."""
START_MAY_TAKE = 30
"""Seconds until the worker of this process is there."""
TRIAL_MAY_TAKE = 2
"""Seconds after that for what a trial is just asking."""
JUDGING_MAY_TAKE = 8
"""Seconds after that for judgements under way; all together stay below 20."""


def build_app(deployment: Deployment, worker: Worker | None = None) -> FastAPI:
    """API and pages over one deployment."""
    app = create_app(deployment, engine_status=worker.is_running if worker else None)
    app.state.sessions = SessionBook(deployment)
    app.state.attempts = AttemptCounter()
    app.state.provider = Provider(deployment)
    app.state.trials = Trials(deployment, worker.host if worker else Host)
    for screen in (
        status,
        rubrics,
        rubric_page,
        backtest_page,
        trial_page,
        sign_in_page,
        provider_page,
        set_up_page,
        preferences_page,
        people_page,
        keys_page,
        audit_page,
        queue_page,  # before focus_page, which takes any word behind /review/ for an item
        story_page,
        batch_page,
        disagreements_page,
        focus_page,
    ):
        app.include_router(screen.router)
    app.include_router(assets.router)
    install_error_pages(app)
    return app


class Worker:
    """The engine in this process, started beside the server so that neither waits for the other."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._engine: Engine | None = None
        self._thread = threading.Thread(target=self._start, name="adjudge-engine-start", daemon=True)
        self._started = threading.Event()
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin to start; returns at once."""
        self._thread.start()

    def _start(self) -> None:
        try:
            from evaluator.engine import Engine

            engine = Engine(self._deployment)
            engine.start()
            self._engine = engine
            self._started.set()
            _spare_the_collector()
        except Exception as failure:  # noqa: BLE001 - raised again in the main thread
            self.failure = failure

    def is_running(self) -> bool:
        return self._started.is_set()

    def host(self) -> Host:
        """Where trials judge: on the engine's loop, beside all other judging; raises Misconfigured where there is none."""
        if not self._started.wait(START_MAY_TAKE) or self._engine is None:
            raise Misconfigured("The worker is not running.", hint="The server's log says why.")
        return Host(self._engine.judge_beside, shared=True)

    def stop(self) -> None:
        """Let what is being judged finish; the rest is due again at once."""
        self._thread.join()
        if self._engine is not None:
            self._started.clear()
            self._engine.stop(patience_seconds=JUDGING_MAY_TAKE)


class Running:
    """A server that takes requests in a thread of its own."""

    def __init__(self, deployment: Deployment, listener: socket.socket, worker: Worker | None) -> None:
        self.deployment = deployment
        self.worker = worker
        host, self.port = listener.getsockname()[:2]
        self.host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
        self._listener = listener
        self.app = build_app(deployment, worker)
        self._server = _Server(
            uvicorn.Config(
                self.app,
                http=ImpatientProtocol,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                log_config=None,
                timeout_graceful_shutdown=REQUESTS_MAY_TAKE,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="adjudge-http", daemon=True)

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> None:
        """Take requests; returns once it does."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)
        _spare_the_collector()

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])

    def wait(self, ending: threading.Event) -> None:
        """Until the event is set; raises what keeps the worker from starting."""
        while not ending.wait(0.2):
            if self.worker is not None and self.worker.failure is not None:
                raise self.worker.failure
            if not self._thread.is_alive():
                raise Misconfigured("The server ended by itself.", hint="Its log above says why.")

    def stop(self) -> None:
        """End in order: no new requests, then no new judgements."""
        trials: Trials = self.app.state.trials
        self._server.should_exit = True
        trials.stop(trials.running)
        self._thread.join(REQUESTS_MAY_TAKE + 2)
        trials.stop(trials.running, patience_seconds=TRIAL_MAY_TAKE)
        if self.worker is not None:
            self.worker.stop()


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone: whoever runs it ends it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def running(settings: Settings, *, with_worker: bool) -> Iterator[Running]:
    """The whole service, ended in order when the block ends; raises Misconfigured where the port is taken."""
    listener = _listen(settings.host, settings.port)
    deployment = Deployment(settings)
    try:
        deployment.migrate()
        server = Running(deployment, listener, Worker(deployment) if with_worker else None)
        server.start()
        if server.worker is not None:
            server.worker.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        listener.close()
        deployment.close()


def _spare_the_collector() -> None:
    """Leave what the start has made out of garbage collection.

    It stays anyway, and going through it again and again took a fifth of intake's time, in stops of 0.1 s.
    """
    gc.freeze()
    _give_back_memory()


def _give_back_memory() -> None:
    """Return to the system what the start took and freed again, 2 MiB; glibc keeps it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with its protocol named: only then does asyncio switch Nagle's algorithm off, which held small answers up by 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.",
            hint="Choose another with --port or ADJUDGE_PORT; 0 picks a free one.",
        ) from None
    listener.listen(2048)
    return listener
