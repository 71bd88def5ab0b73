"""The spans of one corpus run: their ids, their times, and the order they end in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Span, SpanKind, Tracer

from sdk.example_app.corpus import CorpusRun, Form, LlmCall

CONTENT_LIMIT = 4096
"""Characters after which the client cuts a captured text."""

Value = str | bool | int | float | list[str]
Attributes = Mapping[str, Value]


class CorpusIds(IdGenerator):
    """Trace and span ids that follow from the corpus, so that sending twice stores nothing twice."""

    def __init__(self) -> None:
        self._run: CorpusRun | None = None
        self._spans = 0

    def begin(self, run: CorpusRun) -> None:
        """The spans started from here on belong to this run."""
        self._run = run
        self._spans = 0

    def generate_trace_id(self) -> int:
        assert self._run is not None, "begin() names the run first"
        return self._run.trace_id

    def generate_span_id(self) -> int:
        assert self._run is not None, "begin() names the run first"
        self._spans += 1
        return int.from_bytes(sha256(f"span {self._run.id} {self._spans}".encode()).digest()[:8])


@dataclass
class RunSpans:
    """The open spans of one run, each with the time it ends: children end before the root, which may never end."""

    run: CorpusRun
    root: Span
    ends_at: datetime
    children: list[tuple[Span, datetime]] = field(default_factory=list)
    late: list[tuple[Span, datetime]] = field(default_factory=list)

    def end_children(self) -> None:
        for span, at in self.children:
            span.end(nanoseconds(at))

    def end_root(self) -> None:
        if not self.run.crashed:
            self.root.end(nanoseconds(self.ends_at))

    def end_late(self) -> None:
        for span, at in self.late:
            span.end(nanoseconds(at))


def call_attributes(run: CorpusRun, call: LlmCall, number: int) -> dict[str, Value]:
    """What an LLM span says of one call; with the context manager also its content."""
    tokens_in, tokens_out = call.tokens
    response = f"resp-{sha256(f'{run.id} {number}'.encode()).hexdigest()[:20]}"
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.system": call.provider,
        "gen_ai.request.model": call.model,
        "gen_ai.response.model": call.model,
        "gen_ai.response.id": response,
        "gen_ai.response.finish_reasons": ["stop"],
        "botanu.vendor": call.provider,
        "gen_ai.usage.input_tokens": tokens_in,
        "gen_ai.usage.output_tokens": tokens_out,
    }
    if run.form is Form.CONTEXT:
        texts = {"input": run.input, "output": run.output}
        sides = {side: texts[side] for side in run.capture if texts[side] is not None}
        attributes |= {f"botanu.eval.{side}_content": str(text)[:CONTENT_LIMIT] for side, text in sides.items()}
    return attributes


def start_llm_span(tracer: Tracer, context: Context, attributes: Attributes, at: datetime) -> Span:
    """An LLM span, named as the convention has it: operation and model."""
    name = f"chat {attributes['gen_ai.request.model']}"
    return tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=nanoseconds(at))


def takes(call: LlmCall) -> timedelta:
    """How long a call takes: a third of a second, and 12 ms for each token written."""
    return timedelta(milliseconds=330 + 12 * call.tokens[1])


def duration_ms(run: CorpusRun) -> float:
    """How long a run takes, all its calls one after another."""
    calls = sum((takes(call) for call in run.llm), timedelta()) / timedelta(milliseconds=1)
    return round(calls + 130 * len(run.tools) + 60 * bool(run.sources) + 90, 3)


def nanoseconds(at: datetime) -> int:
    """Since 1970, to the microsecond."""
    return round(at.timestamp() * 1_000_000) * 1000
