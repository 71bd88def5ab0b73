"""docs/feed.md is true: its loop runs, and its tables are those of the API."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient
from pydantic import BaseModel

from evaluator.api.app import create_app
from evaluator.api.cursors import feed_cursor
from evaluator.api.signals import SignalReport
from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.outcome import DecidedBy, FinalOutcome, Outcome, OutcomeType
from evaluator.model.rollup import Rollup
from tests.world import Actor, actor

DOC = (Path(__file__).parent.parent / "docs" / "feed.md").read_text(encoding="utf-8")
(LOOP,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
PAGE, SIGNAL = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOC, re.DOTALL)]


@contextmanager
def serving(deployment: Deployment, port: int) -> Iterator[None]:
    """The API on loopback, until the block ends."""
    server = uvicorn.Server(uvicorn.Config(create_app(deployment), port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield
    server.should_exit = True
    thread.join(10)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that within 20 s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Resolver:
    """The loop of the page as a program of its own, with its store."""

    def __init__(self, folder: Path, port: int, reader: Actor) -> None:
        self.store = folder / "resolver.db"
        self._program = folder / "loop.py"
        self._program.write_text(LOOP)
        self._environment = {
            **os.environ,
            "FEED_URL": f"http://127.0.0.1:{port}",
            "FEED_KEY": reader.key,
            "FEED_STORE": str(self.store),
            "FEED_PAUSE": "0.05",
        }

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen([sys.executable, self._program], env=self._environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def knows(self) -> dict[str, tuple[int, str, str]]:
        try:
            with sqlite3.connect(self.store) as store:
                return {row[0]: row[1:] for row in store.execute("SELECT * FROM outcome")}
        except sqlite3.OperationalError:
            return {}


def report(deployment: Deployment, reporter: Actor, *outcomes: tuple[str, str]) -> None:
    with TestClient(create_app(deployment)) as api:
        for event_id, outcome in outcomes:
            body = {"outcome": outcome, "origin": "zendesk"}
            assert api.post(f"/v1/events/{event_id}/signals", json=body, headers=reporter.headers).is_success


def test_the_loop_keeps_up_with_outages_reversals_and_its_own_end(deployment: Deployment, tmp_path: Path) -> None:
    reporter = actor(deployment, "zendesk", Scope.REPORT)
    port = free_port()
    resolver = Resolver(tmp_path, port, actor(deployment, "resolver", Scope.READ))
    report(deployment, reporter, *((f"e{number}", "success") for number in range(3)))
    with resolver.running() as program:
        with serving(deployment, port):
            until(lambda: len(resolver.knows()) == 3)
            report(deployment, reporter, ("e0", "failed"))
            until(lambda: resolver.knows()["e0"] == (2, "failed", "sor"))
        report(deployment, reporter, ("e1", "canceled"))
        assert program.poll() is None
        with serving(deployment, port):
            until(lambda: resolver.knows()["e1"] == (2, "canceled", "sor"))
            program.send_signal(signal.SIGKILL)
            report(deployment, reporter, ("e2", "pending"), ("e3", "partial"))
            with resolver.running():
                until(lambda: len(resolver.knows()) == 4)
    assert resolver.knows()["e2"] == (2, "pending", "none")


def test_the_loop_ends_where_its_key_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    port = free_port()
    resolver = Resolver(tmp_path, port, Actor("nobody", "adj_unknown"))
    with serving(deployment, port), resolver.running() as program:
        assert program.wait(20) == 1


def test_the_loop_is_about_thirty_lines() -> None:
    assert len(list(filter(str.strip, LOOP.splitlines()))) <= 32


def rows() -> list[str]:
    return list(re.findall(r"^\| (`[^|]+`) \|", DOC, re.MULTILINE))


@pytest.mark.parametrize("shape", [Outcome, Rollup, SignalReport])
def test_each_field_stands_in_a_table(shape: type[BaseModel]) -> None:
    assert set(shape.model_fields) <= {name for cell in rows() for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("word", [*FinalOutcome, *OutcomeType, *DecidedBy, *Scope])
def test_each_word_of_the_feed_is_named(word: str) -> None:
    assert f"`{word}`" in DOC


def test_each_parameter_stands_in_the_table_under_its_feed(deployment: Deployment) -> None:
    paths = create_app(deployment).openapi()["paths"]
    asked = {
        feed: {one["name"] for one in paths[f"/v1/{feed}"]["get"]["parameters"]} for feed in ("outcomes", "rollups")
    }
    told = re.findall(r"^\| `(\w+)` \| (both|outcomes|rollups) \|", DOC, re.MULTILINE)
    assert asked == {
        feed: {name for name, where in told if where in ("both", feed)} for feed in ("outcomes", "rollups")
    }


def test_an_empty_feed_answers_as_shown(deployment: Deployment) -> None:
    reader = actor(deployment, "resolver", Scope.READ)
    with TestClient(create_app(deployment)) as api:
        assert api.get("/v1/outcomes", headers=reader.headers).json() == PAGE
    assert PAGE["next"] == feed_cursor("outcome", 0)


def test_a_repeated_signal_is_taken_as_the_page_says(deployment: Deployment) -> None:
    reporter = actor(deployment, "zendesk", Scope.REPORT)
    without_time = {name: value for name, value in SIGNAL.items() if name != "occurred_at"} | {"reference": "other"}
    unnamed = {name: value for name, value in without_time.items() if name != "reference"}
    with TestClient(create_app(deployment)) as api:

        def sent_twice(body: dict[str, str]) -> list[int]:
            answers = [api.post("/v1/events/4711/signals", json=body, headers=reporter.headers) for _ in range(2)]
            return [answer.status_code for answer in answers]

        assert sent_twice(SIGNAL) == [200, 200]
        assert sent_twice(without_time) == [200, 200]
        assert sent_twice(unnamed) == [200, 200]
        signals = api.get("/v1/events/4711", headers=actor(deployment, "reader", Scope.READ).headers).json()[
            "signals"
        ]
    assert len(signals) == 4
