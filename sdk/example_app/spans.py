"""One corpus run as OpenTelemetry spans, with the names and attributes real clients put on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider, set_span_in_context

from sdk.example_app.corpus import CorpusEvent, CorpusRun, Diagnostics, Form, LlmCall, ToolCall

CONTENT_LIMIT = 4096
"""Characters after which the client cuts a captured text."""

Value = str | bool | int | float | list[str]
Attributes = Mapping[str, Value]

ENVIRONMENT = "production"


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
            span.end(_ns(at))

    def end_root(self) -> None:
        if not self.run.crashed:
            self.root.end(_ns(self.ends_at))

    def end_late(self) -> None:
        for span, at in self.late:
            span.end(_ns(at))


def open_run(
    provider: TracerProvider, event: CorpusEvent, run: CorpusRun, start: datetime, caller: RunSpans | None
) -> RunSpans:
    """Start every span of a run at its own past time; nothing is sent before they end."""
    context = set_span_in_context(caller.root) if caller else Context()
    if run.form is Form.OPENINFERENCE:
        return _openinference(provider.get_tracer("openinference.instrumentation.langchain"), event, run, start)
    if run.form is Form.GEN_AI:
        return _gen_ai(provider.get_tracer("opentelemetry.util.genai.handler"), event, run, start)
    return _botanu(provider, event, run, start, context, caller)


def _botanu(
    provider: TracerProvider,
    event: CorpusEvent,
    run: CorpusRun,
    start: datetime,
    context: Context,
    caller: RunSpans | None,
) -> RunSpans:
    tracer = provider.get_tracer("botanu_sdk")
    baggage = _baggage(event, run)
    root = tracer.start_span(
        f"botanu.run/{event.workflow}", context, SpanKind.SERVER, baggage, start_time=_ns(start)
    )
    spans = RunSpans(run, root, start + timedelta(milliseconds=_duration_ms(run)))
    if caller:
        root.set_attribute("botanu.parent_run_id", caller.run.run_id)
    _add_children(spans, provider, {} if run.bare_children else baggage, start)
    _finish_root(spans, event, start)
    return spans


def _baggage(event: CorpusEvent, run: CorpusRun) -> dict[str, str | int]:
    return {
        "botanu.run_id": run.run_id,
        "botanu.workflow": event.workflow,
        "botanu.event_id": event.event,
        "botanu.customer_id": event.customer,
        "botanu.environment": ENVIRONMENT,
    }


def _add_children(spans: RunSpans, provider: TracerProvider, baggage: Attributes, start: datetime) -> None:
    """Steps with their tools, reads and model calls, one after another within the run."""
    run, clock, inside = spans.run, start, set_span_in_context(spans.root)
    steps, data, model = (provider.get_tracer(name) for name in ("botanu_sdk", "botanu.data", "botanu.gen_ai"))
    if run.sources or run.tools:
        step = steps.start_span(
            "botanu.step/retrieval",
            inside,
            SpanKind.INTERNAL,
            {**baggage, "botanu.step": "retrieval"},
            start_time=_ns(clock),
        )
        within = set_span_in_context(step)
        for tool in run.tools:
            clock += timedelta(milliseconds=130)
            spans.children.append((_tool(model, within, baggage, run, tool, clock), clock))
        if run.sources:
            read = _read(data, within, baggage, run, clock)
            clock += timedelta(milliseconds=40)
            (spans.late if run.late else spans.children).append((read, clock))
        spans.children.append((step, clock))
    if run.error:
        return
    step = steps.start_span(
        "botanu.step/generation",
        inside,
        SpanKind.INTERNAL,
        {**baggage, "botanu.step": "generation"},
        start_time=_ns(clock),
    )
    within = set_span_in_context(step)
    for number, call in enumerate(run.llm):
        for scope in ("botanu.gen_ai", *(("opentelemetry.util.genai.handler",) if run.double_llm else ())):
            span = _llm(provider.get_tracer(scope), within, {**baggage, **_call(run, call, number)}, clock)
            spans.children.append((span, clock + _takes(call)))
        clock += _takes(call)
    if run.diagnostics and run.diagnostics.at == "step":
        _emit_outcome(step, run.diagnostics, clock)
    spans.children.append((step, clock))


def _finish_root(spans: RunSpans, event: CorpusEvent, start: datetime) -> None:
    """The attributes and span events a client sets on the root between start and end."""
    run, root = spans.run, spans.root
    root.set_attribute("botanu.run.start_time", start.isoformat())
    root.set_attribute("botanu.root_run_id", run.run_id)
    root.set_attribute("botanu.attempt", 1)
    for key, value in event.correlations.items():
        root.set_attribute(f"botanu.correlation.{key}", value)
    named = {"run_id": run.run_id, "workflow": event.workflow}
    root.add_event("botanu.run.started", named, _ns(start))
    if run.form in (Form.DECORATOR, Form.OBJECT):
        root.set_attribute("botanu.workflow.version", f"v:{sha256(event.workflow.encode()).hexdigest()[:12]}")
        _capture(root, "input", run.input, run)
        if run.output is not None:
            _capture(root, "output", run.output, run)
    if run.diagnostics and run.diagnostics.at == "root":
        _emit_outcome(root, run.diagnostics, spans.ends_at)
    took = _duration_ms(run)
    root.set_attribute("botanu.run.duration_ms", took)
    if run.error is None:
        root.set_status(Status(StatusCode.OK))
        root.add_event(
            "botanu.run.completed", {**named, "status": "success", "duration_ms": took}, _ns(spans.ends_at)
        )
        return
    root.add_event(
        "exception",
        {"exception.type": run.error.type, "exception.message": run.error.message, "exception.escaped": "False"},
        _ns(spans.ends_at),
    )
    failed: dict[str, Value] = {**named, "status": "failure", "duration_ms": took, "error_class": run.error.type}
    root.add_event("botanu.run.completed", failed, _ns(spans.ends_at))
    root.set_status(Status(StatusCode.ERROR, f"{run.error.type}: {run.error.message}"))


def _capture(root: Span, side: str, content: object, run: CorpusRun) -> None:
    if side in run.capture:
        text = json.dumps(content, ensure_ascii=False)
        root.set_attribute(f"botanu.eval.{side}_content", text[:CONTENT_LIMIT])


def _emit_outcome(span: Span, said: Diagnostics, at: datetime) -> None:
    plain = said.model_dump(exclude={"metadata", "at"}, exclude_none=True)
    for key, value in plain.items():
        span.set_attribute(f"botanu.outcome.{key}", value)
    for key, value in said.metadata.items():
        span.set_attribute(f"botanu.outcome.metadata.{key}", value)
    shown: dict[str, Value] = {
        key: plain[key] for key in ("status", "value_type", "value_amount", "error_type") if key in plain
    }
    span.add_event("botanu.outcome_emitted", shown, _ns(at))


def _tool(
    tracer: Tracer, context: Context, baggage: Attributes, run: CorpusRun, tool: ToolCall, at: datetime
) -> Span:
    attributes: Attributes = {
        **baggage,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.call.id": f"call_{run.id}_{tool.name}",
        "gen_ai.provider.name": tool.vendor,
        "botanu.vendor": tool.vendor,
        "botanu.tool.success": tool.success,
        "botanu.tool.duration_ms": 110.0,
    }
    begun = _ns(at - timedelta(milliseconds=110))
    return tracer.start_span(f"execute_tool {tool.name}", context, SpanKind.INTERNAL, attributes, start_time=begun)


def _read(tracer: Tracer, context: Context, baggage: Attributes, run: CorpusRun, at: datetime) -> Span:
    attributes: Attributes = {
        **baggage,
        "db.system": "postgresql",
        "db.operation": "SELECT",
        "db.name": "help_articles",
        "botanu.vendor": "postgresql",
        "botanu.data.rows_returned": len(run.sources),
        "botanu.data.duration_ms": 38.5,
        "botanu.eval.retrieval_content": "\n\n".join(run.sources)[:CONTENT_LIMIT],
    }
    return tracer.start_span("db.postgresql.select", context, SpanKind.CLIENT, attributes, start_time=_ns(at))


def _call(run: CorpusRun, call: LlmCall, number: int) -> dict[str, Value]:
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


def _llm(tracer: Tracer, context: Context, attributes: Attributes, at: datetime) -> Span:
    name = f"chat {attributes['gen_ai.request.model']}"
    return tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=_ns(at))


def _openinference(tracer: Tracer, event: CorpusEvent, run: CorpusRun, start: datetime) -> RunSpans:
    call = run.llm[0]
    root = tracer.start_span(
        "answer_question",
        Context(),
        SpanKind.INTERNAL,
        {
            "openinference.span.kind": "AGENT",
            "session.id": str(event.event),
            "user.id": event.customer,
            "gen_ai.agent.name": event.workflow,
            "input.value": str(run.input),
            "output.value": str(run.output),
        },
        start_time=_ns(start),
    )
    spans = RunSpans(run, root, start + timedelta(milliseconds=_duration_ms(run)))
    inside = set_span_in_context(root)
    if run.sources:
        documents = {f"retrieval.documents.{n}.document.content": text for n, text in enumerate(run.sources)}
        kind = {"openinference.span.kind": "RETRIEVER", "session.id": str(event.event)}
        found = tracer.start_span(
            "retrieve", inside, SpanKind.INTERNAL, {**kind, **documents}, start_time=_ns(start)
        )
        spans.children.append((found, start + timedelta(milliseconds=60)))
    attributes: Attributes = {
        "openinference.span.kind": "LLM",
        "session.id": str(event.event),
        "llm.model_name": call.model,
        "llm.provider": call.provider,
        "llm.token_count.prompt": call.tokens[0],
        "llm.token_count.completion": call.tokens[1],
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": str(run.input),
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": str(run.output),
    }
    begun = start + timedelta(milliseconds=70)
    model = tracer.start_span("ChatOpenAI", inside, SpanKind.INTERNAL, attributes, start_time=_ns(begun))
    spans.children.append((model, begun + _takes(call)))
    root.set_status(Status(StatusCode.OK))
    return spans


def _gen_ai(tracer: Tracer, event: CorpusEvent, run: CorpusRun, start: datetime) -> RunSpans:
    call = run.llm[0]
    shared = {"gen_ai.conversation.id": str(event.event), "gen_ai.workflow.name": event.workflow}
    root = tracer.start_span(
        "invoke_agent desk",
        Context(),
        SpanKind.INTERNAL,
        {**shared, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk"},
        start_time=_ns(start),
    )
    spans = RunSpans(run, root, start + timedelta(milliseconds=_duration_ms(run)))
    messages = {
        "gen_ai.input.messages": _message("user", str(run.input)),
        "gen_ai.output.messages": _message("assistant", str(run.output), finish_reason="stop"),
    }
    if run.sources:
        articles = " ".join(("Answer from these articles.", *run.sources))
        messages["gen_ai.system_instructions"] = json.dumps([{"type": "text", "content": articles}])
    usage = {key: value for key, value in _call(run, call, 0).items() if not key.startswith("botanu.")}
    begun = start + timedelta(milliseconds=20)
    model = _llm(tracer, set_span_in_context(root), {**shared, **usage, **messages}, begun)
    spans.children.append((model, begun + _takes(call)))
    root.set_status(Status(StatusCode.OK))
    return spans


def _message(role: str, text: str, **more: str) -> str:
    message = {"role": role, "parts": [{"type": "text", "content": text}], **more}
    return json.dumps([message], ensure_ascii=False)


def _takes(call: LlmCall) -> timedelta:
    """How long a call takes: a third of a second, and 12 ms for each token written."""
    return timedelta(milliseconds=330 + 12 * call.tokens[1])


def _duration_ms(run: CorpusRun) -> float:
    calls = sum((_takes(call) for call in run.llm), timedelta()) / timedelta(milliseconds=1)
    return round(calls + 130 * len(run.tools) + 60 * bool(run.sources) + 90, 3)


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
