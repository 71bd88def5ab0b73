"""Start: seconds until the service is ready, and its memory while nothing happens."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.load import environment
from benchmarks.servers import adjudge, free_port, served

ROUNDS = 3
IDLE_SECONDS = 10


def measure() -> list[Figure]:
    """Start the service on a fresh folder, then on one that is there; leave it idle."""
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(Path(folder), "http://127.0.0.1:9/v1")
        fresh, idle = _start(variables)
        again = [_start(variables, idle_seconds=0)[0] for _ in range(ROUNDS)]
    return [
        Figure("start to ready, s", statistics.median(again), "≤", 2.0),
        Figure("first start to ready, with its migrations, s", fresh, "≤", 2.0),
        Figure("idle memory, MiB", idle, "≤", 120),
    ]


def _start(variables: dict[str, str], *, idle_seconds: float = IDLE_SECONDS) -> tuple[float, float]:
    port = free_port()
    with served(adjudge(port), port, "/readyz", variables) as server:
        time.sleep(idle_seconds)
        return server.ready_seconds, server.rss_mib
