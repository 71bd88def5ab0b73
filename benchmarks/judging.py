"""Judging: CPU and speed of durable verdicts against a bare `litellm.acompletion` loop in the same run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.figures import Figure
from benchmarks.load import StubModel, empty_database, environment, run_to_judge, stub_model
from evaluator.applicability import content_for, run_facts
from evaluator.deployment import Deployment
from evaluator.judging.prompt import build_messages, delimiter_for
from evaluator.judging.reply import reply_schema
from evaluator.model.columns import utc_now
from evaluator.pipeline import report_runs
from evaluator.settings import Settings
from evaluator.store import judgements as queue

ITEMS = 2000
CONCURRENCY = 100
DELAY_MS = 50
WARM_UP = 50
ROUNDS = 3


@dataclass(frozen=True)
class Judged:
    """One measured run over all items."""

    seconds: float
    cpu_seconds: float
    calls: int = ITEMS
    most_connections: int = 0
    most_open_calls: int = 0
    rss_mib: float = 0.0


def measure(database_url: str = "", *, items: int = ITEMS) -> list[Figure]:
    """Judge the items barely and as the service does, in turn; the median round counts. Empty URL: SQLite."""
    rounds = [_round(database_url, items) for _ in range(ROUNDS)]
    store = "PostgreSQL" if database_url else "SQLite"

    def middle(figure: Callable[[Judged, Judged], float]) -> float:
        return statistics.median(figure(bare, ours) for bare, ours in rounds)

    cpu = middle(lambda bare, ours: ours.cpu_seconds / bare.cpu_seconds)
    speed = middle(lambda bare, ours: bare.seconds / ours.seconds)
    connections = max(ours.most_connections for _, ours in rounds)
    return [
        Figure(f"judging, {store}: CPU per durable verdict ÷ bare call", cpu, "≤", 1.3),
        Figure(f"judging, {store}: verdicts a second ÷ bare calls a second", speed, "≥", 0.8),
        Figure(f"judging, {store}: calls per item", max(ours.calls for _, ours in rounds) / items, "=", 1.0),
        Figure(f"judging, {store}: connections at most", connections, "≤", CONCURRENCY + 5),
        Figure(f"judging, {store}: verdicts a second", middle(lambda _, ours: items / ours.seconds)),
        Figure(f"judging, {store}: bare calls a second", middle(lambda bare, _: items / bare.seconds)),
        Figure(f"judging, {store}: CPU ms per verdict", middle(lambda _, ours: ours.cpu_seconds / items * 1000)),
        Figure(f"judging, {store}: CPU ms per bare call", middle(lambda bare, _: bare.cpu_seconds / items * 1000)),
        Figure(f"judging, {store}: memory, MiB", middle(lambda _, ours: ours.rss_mib)),
    ]


def _round(database_url: str, items: int) -> tuple[Judged, Judged]:
    with tempfile.TemporaryDirectory() as folder:
        with stub_model(DELAY_MS) as model:
            bare = _bare(Path(folder), model, items)
        if database_url:
            empty_database(database_url)
        with stub_model(DELAY_MS) as model:
            return bare, _ours(Path(folder), model, database_url, items)


def _bare(folder: Path, model: StubModel, items: int) -> Judged:
    environment(folder, model.api_base)
    settings = Settings(data_dir=folder / "data", rubrics_dir=folder / "rubrics")
    [rubric] = Deployment(settings).shelf.rubrics
    messages = []
    for number in range(items):
        one = run_to_judge(number)
        content = content_for(rubric, run_facts(one.run, one.capture))
        mark = delimiter_for(content, b"bench")
        prompt = build_messages(rubric, rubric.criteria, content, max_content_chars=24_000, delimiter=mark)
        messages.append(prompt.messages)
    task = {
        "api_base": model.api_base,
        "messages": messages,
        "schema": reply_schema(rubric.criteria, bounded=False),
        "concurrency": CONCURRENCY,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_judge"],
        input=json.dumps(task) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return Judged(**json.loads(done.stdout.splitlines()[-1]))


class Worker:
    """A worker process that answers how much it has used."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.judge_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        self._line()

    def used(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("used\n")
        self._process.stdin.flush()
        return self._line()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("stop\n")
        self._process.stdin.close()
        self._process.wait(30)

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def _ours(folder: Path, model: StubModel, database_url: str, items: int) -> Judged:
    variables = environment(folder, model.api_base, database_url=database_url, judge_concurrency=CONCURRENCY)
    settings = Settings(
        data_dir=folder / "data",
        rubrics_dir=folder / "rubrics",
        database_url=database_url,
        judge_model="openai/stub",
        judge_api_base=model.api_base,
    )
    deployment = Deployment(settings).migrate()
    report_runs(deployment, [run_to_judge(10**6 + number) for number in range(WARM_UP)])
    worker = Worker(variables)
    try:
        _wait_for(deployment, WARM_UP)
        now = utc_now()
        hour = now + timedelta(hours=1)
        with deployment.database.write() as connection:
            queue.pause_judge(connection, judge="default", reason="bench", detail="", now=now, until=hour)
        for start in range(0, items, 250):
            report_runs(deployment, [run_to_judge(number) for number in range(start, start + 250)])
        before = worker.used()
        with deployment.database.write() as connection:
            queue.resume_judges(connection)
        while model.stats()["calls"] == WARM_UP:
            time.sleep(0.01)
        started = time.perf_counter()
        _wait_for(deployment, WARM_UP + items)
        seconds = time.perf_counter() - started
        after = worker.used()
        seen = model.stats()
    finally:
        worker.stop()
        deployment.close()
    return Judged(
        seconds=seconds,
        cpu_seconds=after["cpu_seconds"] - before["cpu_seconds"],
        calls=seen["calls"] - WARM_UP,
        most_connections=seen["most_connections"],
        most_open_calls=seen["most_open_calls"],
        rss_mib=after["rss_mib"],
    )


def _wait_for(deployment: Deployment, verdicts: int, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with deployment.database.read() as connection:
            if connection.execute(text("SELECT count(*) FROM verdict")).scalar_one() >= verdicts:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{verdicts} verdicts were not written within {seconds} s")
        time.sleep(0.05)
