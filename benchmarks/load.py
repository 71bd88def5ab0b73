"""What benchmarks and crash tests share: a stub model in its own process, a deployment, runs to judge."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from evaluator.capture.assembly import AssembledRun
from evaluator.model.capture import Capture, Fidelity, Passage
from evaluator.model.columns import utc_now
from evaluator.model.run import ClosedBy, ExecutionStatus, Run, RunState

RUBRIC = """\
id: load
title: Does the answer help?
role: outcome
criteria:
  - {id: solves, ask: Does the answer solve the stated problem?, critical: true, weight: 2}
  - {id: kind, ask: Is the answer kind?}
"""


_WORDS = [
    "the",
    "a",
    "to",
    "of",
    "and",
    "in",
    "your",
    "our",
    "order",
    "parcel",
    "refund",
    "account",
    "invoice",
    "customer",
    "address",
    "delivery",
    "carrier",
    "depot",
    "week",
    "day",
    "morning",
    "label",
    "tracking",
    "number",
    "was",
    "is",
    "has",
    "been",
    "sent",
    "packed",
    "checked",
    "changed",
    "returned",
    "paid",
    "issued",
    "confirmed",
    "because",
    "when",
    "where",
    "which",
    "please",
    "after",
    "before",
    "with",
    "without",
    "for",
    "from",
    "by",
    "on",
    "at",
    "it",
    "they",
    "we",
    "you",
    "can",
    "could",
    "will",
    "not",
    "yet",
    "soon",
    "again",
    "only",
    "also",
    "still",
    "already",
    "next",
    "last",
    "first",
    "second",
    "email",
    "phone",
    "card",
    "bank",
    "branch",
    "office",
    "team",
    "warehouse",
    "driver",
    "neighbour",
    "door",
    "key",
    "code",
    "price",
    "tax",
    "total",
    "discount",
    "voucher",
    "receipt",
    "warranty",
    "repair",
    "part",
    "model",
]


class StubModel:
    """A running stub of a model server."""

    def __init__(self, process: subprocess.Popen[str], api_base: str) -> None:
        self.process = process
        self.api_base = api_base

    def stats(self) -> dict[str, int]:
        """What the stub has seen so far."""
        with urllib.request.urlopen(self.api_base.removesuffix("/v1") + "/stats", timeout=10) as response:
            found: dict[str, int] = json.load(response)
            return found


@contextmanager
def stub_model(delay_ms: float = 50) -> Iterator[StubModel]:
    """A stub model server on a free loopback port."""
    command = [sys.executable, "-m", "benchmarks.stub_model", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield StubModel(process, json.loads(process.stdout.readline())["api_base"])
        finally:
            process.kill()


def run_to_judge(number: int, *, runs_per_event: int = 2, padding: int = 1500) -> AssembledRun:
    """A run with about 2 KB of content, unlike any other; its prompt names it as item-<number>."""
    now = utc_now()
    capture = Capture(
        input=Passage(value=f"item-{number} Where is my order?", fidelity=Fidelity.FULL, dialect="report"),
        output=Passage(
            value=f"It is on its way. {words_of(number, padding)}", fidelity=Fidelity.FULL, dialect="report"
        ),
    )
    run = Run(
        run_id=f"run-{number}",
        event_id=f"event-{number // runs_per_event}",
        workflow="Load",
        state=RunState.READY,
        closed_by=ClosedBy.REPORT,
        execution_status=ExecutionStatus.SUCCESS,
        started_at=now + timedelta(milliseconds=number),
        fidelity=capture.fidelity,
        content_hash=capture.content_hash,
    )
    return AssembledRun(run=run, capture=capture)


def words_of(number: int, chars: int) -> str:
    """At least `chars` characters of plausible prose, another for each number."""
    words = random.Random(number).choices(_WORDS, k=chars // 4 + 12)
    return ". ".join(" ".join(words[start : start + 12]) for start in range(0, len(words), 12))


def empty_database(database_url: str) -> None:
    """Drop everything in a PostgreSQL database."""
    import psycopg

    with psycopg.connect(database_url, autocommit=True) as connection:
        for schema in ("dbos", "public"):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
        connection.execute("CREATE SCHEMA public")


def environment(folder: Path, api_base: str, **settings: object) -> dict[str, str]:
    """ADJUDGE_* variables of a deployment in `folder` whose judge is the stub."""
    rubrics = folder / "rubrics"
    rubrics.mkdir(parents=True, exist_ok=True)
    (rubrics / "load.yaml").write_text(RUBRIC)
    return {
        "ADJUDGE_DATA_DIR": str(folder / "data"),
        "ADJUDGE_RUBRICS_DIR": str(rubrics),
        "ADJUDGE_JUDGE_MODEL": "openai/stub",
        "ADJUDGE_JUDGE_API_BASE": api_base,
        "ADJUDGE_JUDGE_INPUT_USD_PER_MTOK": "0.4",
        "ADJUDGE_JUDGE_OUTPUT_USD_PER_MTOK": "1.6",
        **{f"ADJUDGE_{name.upper()}": str(value) for name, value in settings.items()},
    }


def as_json(value: Any) -> str:
    """One line of JSON."""
    return json.dumps(value, default=str)
