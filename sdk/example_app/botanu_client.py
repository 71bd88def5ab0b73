"""Runs as the Botanu SDK puts them on the wire: names and attributes of its captured traffic."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import sha256

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider, set_span_in_context

from sdk.example_app.corpus import CorpusEvent, CorpusRun, Diagnostics, Form, ToolCall
from sdk.example_app.run_spans import (
    CONTENT_LIMIT,
    Attributes,
    RunSpans,
    Value,
    call_attributes,
    duration_ms,
    nanoseconds,
    start_llm_span,
    takes,
)

ENVIRONMENT = "production"


def open_botanu_run(
    provider: TracerProvider,
    event: CorpusEvent,
    run: CorpusRun,
    start: datetime,
    caller: RunSpans | None,
) -> RunSpans:
    """A run with its steps, tools, reads and model calls, below its caller's root where it has one."""
    context = set_span_in_context(caller.root) if caller else Context()
    tracer = provider.get_tracer("botanu_sdk")
    baggage = _baggage(event, run)
    root = tracer.start_span(
        f"botanu.run/{event.workflow}", context, SpanKind.SERVER, baggage, start_time=nanoseconds(start)
    )
    spans = RunSpans(run, root, start + timedelta(milliseconds=duration_ms(run)))
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
            start_time=nanoseconds(clock),
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
        start_time=nanoseconds(clock),
    )
    within = set_span_in_context(step)
    for number, call in enumerate(run.llm):
        for scope in ("botanu.gen_ai", *(("opentelemetry.util.genai.handler",) if run.double_llm else ())):
            span = start_llm_span(
                provider.get_tracer(scope), within, {**baggage, **call_attributes(run, call, number)}, clock
            )
            spans.children.append((span, clock + takes(call)))
        clock += takes(call)
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
    root.add_event("botanu.run.started", named, nanoseconds(start))
    if run.form in (Form.DECORATOR, Form.OBJECT):
        root.set_attribute("botanu.workflow.version", f"v:{sha256(event.workflow.encode()).hexdigest()[:12]}")
        _capture(root, "input", run.input, run)
        if run.output is not None:
            _capture(root, "output", run.output, run)
    if run.diagnostics and run.diagnostics.at == "root":
        _emit_outcome(root, run.diagnostics, spans.ends_at)
    took = duration_ms(run)
    root.set_attribute("botanu.run.duration_ms", took)
    if run.error is None:
        root.set_status(Status(StatusCode.OK))
        root.add_event(
            "botanu.run.completed", {**named, "status": "success", "duration_ms": took}, nanoseconds(spans.ends_at)
        )
        return
    root.add_event(
        "exception",
        {"exception.type": run.error.type, "exception.message": run.error.message, "exception.escaped": "False"},
        nanoseconds(spans.ends_at),
    )
    failed: dict[str, Value] = {**named, "status": "failure", "duration_ms": took, "error_class": run.error.type}
    root.add_event("botanu.run.completed", failed, nanoseconds(spans.ends_at))
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
    span.add_event("botanu.outcome_emitted", shown, nanoseconds(at))


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
    begun = nanoseconds(at - timedelta(milliseconds=110))
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
    return tracer.start_span(
        "db.postgresql.select", context, SpanKind.CLIENT, attributes, start_time=nanoseconds(at)
    )
