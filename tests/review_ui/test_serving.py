"""The whole service as a process: started, asked, ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from evaluator.settings import Settings
from review_ui.serving import JUDGING_MAY_TAKE, REQUESTS_MAY_TAKE, TRIAL_MAY_TAKE

pytestmark = pytest.mark.slow


def environment(settings: Settings, **more: str) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("ADJUDGE_")}
    paths = {name: str(getattr(settings, name)) for name in ("data_dir", "database_url", "rubrics_dir")}
    return {**given, **{f"ADJUDGE_{name.upper()}": value for name, value in {**paths, **more}.items()}}


@contextmanager
def serving(settings: Settings, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address."""
    command = [sys.executable, "-m", "review_ui.server", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, process.stderr.read() if process.stderr else ""
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def until_ready(address: str, patience: float = 40) -> None:
    deadline = time.monotonic() + patience
    while httpx.get(f"{address}/readyz", trust_env=False).status_code != 200:
        assert time.monotonic() < deadline, "never ready"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_becomes_ready_and_ends_in_order_when_told(settings: Settings, number: signal.Signals) -> None:
    with serving(settings) as (process, address):
        until_ready(address)
        answer = httpx.get(address, trust_env=False)
        assert "Nothing has arrived yet" in answer.text
        assert "server" not in answer.headers
        process.send_signal(number)
        assert process.wait(20) == 0


def test_without_a_worker_it_serves_and_is_not_ready(settings: Settings) -> None:
    with serving(settings, "--no-worker") as (_, address):
        assert httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
        assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 503


def test_a_port_that_is_taken_is_told_in_one_line(settings: Settings) -> None:
    with serving(settings, "--no-worker") as (_, address):
        command = [
            sys.executable,
            "-m",
            "review_ui.server",
            "serve",
            "--no-worker",
            "--port",
            address[-5:].lstrip(":"),
        ]
        second = subprocess.run(command, env=environment(settings), capture_output=True, text=True)
    assert second.returncode == 1
    assert second.stderr.startswith("Error: Cannot listen on 127.0.0.1:")
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_proxys_word_about_the_client_is_not_taken(settings: Settings) -> None:
    with serving(settings, "--no-worker") as (_, address):
        answer = httpx.get(address, headers={"x-forwarded-for": "127.0.0.1"}, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_ending_takes_no_longer_than_an_orchestrator_waits() -> None:
    assert REQUESTS_MAY_TAKE + TRIAL_MAY_TAKE + JUDGING_MAY_TAKE < 20


def test_a_second_worker_on_one_sqlite_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url="", rubrics_dir=tmp_path)
    with serving(settings) as (_, address):
        until_ready(address)
        command = [sys.executable, "-m", "review_ui.server", "serve", "--port", "0"]
        second = subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "Another worker already judges" in second.stderr
    assert "Traceback" not in second.stderr
