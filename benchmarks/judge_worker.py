"""A worker that tells its CPU seconds and memory on request: one line in on stdin, one JSON line out."""

from __future__ import annotations

import json
import resource
import sys
import time

import psutil

from evaluator.deployment import Deployment
from evaluator.engine import Engine
from evaluator.settings import Settings


def report() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "rss_mib": psutil.Process().memory_info().rss / 2**20,
        "at": time.perf_counter(),
    }


if __name__ == "__main__":
    deployment = Deployment(Settings()).migrate()
    engine = Engine(deployment)
    engine.start()
    print(json.dumps(report()), flush=True)
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        print(json.dumps(report()), flush=True)
    engine.stop()
    deployment.close()
