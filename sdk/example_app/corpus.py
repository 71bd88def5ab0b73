"""The corpus the example app sends: hand-written events and runs of three workflows, and what a person says of each run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Literal
from uuid import UUID

import orjson
import yaml
from pydantic import BaseModel, ConfigDict

WORKFLOWS = {"Support": "support.yaml", "Fulfillment": "fulfillment.yaml", "Extraction": "extraction.yaml"}

Json = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Truth(StrEnum):
    """What a careful person says of a run; unknown where too little was captured to say."""

    PASS = "pass"  # noqa: S105 - the verdict, not a password
    PARTIAL = "partial"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Form(StrEnum):
    """How the run was instrumented, which decides where its content lies."""

    DECORATOR = "decorator"
    """Arguments and return value as JSON on the root span."""
    OBJECT = "object"
    """The decorator around a function that takes an object of its own: only a description arrives."""
    CONTEXT = "context"
    """The context manager: content on the LLM span alone."""
    OPENINFERENCE = "openinference"
    GEN_AI = "gen_ai"


class LlmCall(_Part):
    """One call of a model: name as the provider reports it, tokens in and out."""

    model: str = "gpt-4o-mini-2024-07-18"
    provider: str = "openai"
    tokens: tuple[int, int] = (260, 70)


class ToolCall(_Part):
    name: str
    vendor: str
    success: bool = True


class Failure(_Part):
    """The exception that ended a run."""

    type: str
    message: str


class Diagnostics(_Part):
    """What the app says of its own run; `at` is the span it lands on."""

    value_type: str | None = None
    value_amount: float | None = None
    confidence: float | None = None
    reason: str | None = None
    error_type: str | None = None
    status: str | None = None
    """Only first-generation clients claim a status."""
    metadata: dict[str, str] = {}
    at: Literal["root", "step"] = "root"


class CorpusRun(_Part):
    """One run as written down; ids and times follow from it."""

    id: str
    truth: Truth
    shows: tuple[str, ...] = ()
    """What the run is an example of."""
    after_minutes: float = 0
    """Start, counted from the event's start."""
    form: Form = Form.DECORATOR
    capture: tuple[Literal["input", "output"], ...] = ("input", "output")
    """Which sides the client's content sampling let through."""
    input: Json | str
    output: Json | str | None = None
    sources: tuple[str, ...] = ()
    llm: tuple[LlmCall, ...] = (LlmCall(),)
    double_llm: bool = False
    """The call is reported twice, by hand and by auto-instrumentation."""
    tools: tuple[ToolCall, ...] = ()
    diagnostics: Diagnostics | None = None
    error: Failure | None = None
    crashed: bool = False
    """The process died: the root span never comes."""
    bare_children: bool = False
    """The app had OpenTelemetry before: only the root carries botanu attributes."""
    late: bool = False
    """One child span arrives long after its root."""
    parent: str | None = None
    """Corpus id of the run that called this one as a sub-agent."""

    @property
    def run_id(self) -> str:
        """A UUIDv7-shaped id that follows from the corpus id."""
        digest = bytearray(sha256(f"run {self.id}".encode()).digest()[:16])
        digest[0:2] = b"\x01\x9f"
        digest[6] = 0x70 | digest[6] & 0x0F
        digest[8] = 0x80 | digest[8] & 0x3F
        return str(UUID(bytes=bytes(digest)))

    @property
    def trace_id(self) -> int:
        """128 bits; a sub-agent's run shares its caller's trace."""
        return int.from_bytes(sha256(f"trace {self.parent or self.id}".encode()).digest()[:16])

    @property
    def speaks_botanu(self) -> bool:
        return self.form not in (Form.OPENINFERENCE, Form.GEN_AI)


class CorpusEvent(_Part):
    """One event and its runs, in the order they happened."""

    event: str | int
    customer: str
    hours_ago: float
    correlations: dict[str, str] = {}
    runs: tuple[CorpusRun, ...]
    workflow: str


@cache
def read_corpus() -> tuple[CorpusEvent, ...]:
    """Every event of the corpus, workflow by workflow."""
    return tuple(event for workflow, name in WORKFLOWS.items() for event in _read(workflow, name))


def truths() -> dict[str, Truth]:
    """What a person says of each run, by the run's id and, for clients without run ids, by its trace id in hex."""
    runs = [run for event in read_corpus() for run in event.runs]
    return {run.run_id if run.speaks_botanu else f"{run.trace_id:032x}": run.truth for run in runs}


def started_at(event: CorpusEvent, run: CorpusRun, day: datetime) -> datetime:
    """When a run began; everything lies in the three days before `day`."""
    return day - timedelta(hours=event.hours_ago) + timedelta(minutes=run.after_minutes)


def day_of(now: datetime) -> datetime:
    """The midnight the corpus counts back from, so that all sends of a day are the same to the byte."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def signals(now: datetime) -> list[tuple[str, Json]]:
    """What systems of record say: event id and a body for POST /v1/events/{event_id}/signals, oldest first."""
    text = files(__package__).joinpath("signals.jsonl").read_text(encoding="utf-8")
    bodies = [orjson.loads(line) for line in text.splitlines()]
    bodies.sort(key=lambda body: float(body["hours_ago"]), reverse=True)
    return [(body.pop("event_id"), {"occurred_at": _before(now, body.pop("hours_ago")), **body}) for body in bodies]


def _before(now: datetime, hours: float) -> str:
    return (day_of(now) - timedelta(hours=hours)).isoformat()


def _read(workflow: str, name: str) -> Iterator[CorpusEvent]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    for event in yaml.safe_load(text):
        yield CorpusEvent(workflow=workflow, **event)
