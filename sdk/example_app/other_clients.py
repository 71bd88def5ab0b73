"""Runs of apps without the Botanu SDK: OpenInference, and OpenTelemetry's own gen_ai conventions."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from sdk.example_app.corpus import CorpusEvent, CorpusRun
from sdk.example_app.run_spans import (
    Attributes,
    RunSpans,
    call_attributes,
    duration_ms,
    nanoseconds,
    start_llm_span,
    takes,
)


def open_openinference_run(tracer: Tracer, event: CorpusEvent, run: CorpusRun, start: datetime) -> RunSpans:
    """A run as an OpenInference instrumentation sends it: no run id, the event as session."""
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
        start_time=nanoseconds(start),
    )
    spans = RunSpans(run, root, start + timedelta(milliseconds=duration_ms(run)))
    inside = set_span_in_context(root)
    if run.sources:
        documents = {f"retrieval.documents.{n}.document.content": text for n, text in enumerate(run.sources)}
        kind = {"openinference.span.kind": "RETRIEVER", "session.id": str(event.event)}
        found = tracer.start_span(
            "retrieve", inside, SpanKind.INTERNAL, {**kind, **documents}, start_time=nanoseconds(start)
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
    model = tracer.start_span("ChatOpenAI", inside, SpanKind.INTERNAL, attributes, start_time=nanoseconds(begun))
    spans.children.append((model, begun + takes(call)))
    root.set_status(Status(StatusCode.OK))
    return spans


def open_gen_ai_run(tracer: Tracer, event: CorpusEvent, run: CorpusRun, start: datetime) -> RunSpans:
    call = run.llm[0]
    shared = {"gen_ai.conversation.id": str(event.event), "gen_ai.workflow.name": event.workflow}
    root = tracer.start_span(
        "invoke_agent desk",
        Context(),
        SpanKind.INTERNAL,
        {**shared, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk"},
        start_time=nanoseconds(start),
    )
    spans = RunSpans(run, root, start + timedelta(milliseconds=duration_ms(run)))
    messages = {
        "gen_ai.input.messages": _message("user", str(run.input)),
        "gen_ai.output.messages": _message("assistant", str(run.output), finish_reason="stop"),
    }
    if run.sources:
        articles = " ".join(("Answer from these articles.", *run.sources))
        messages["gen_ai.system_instructions"] = json.dumps([{"type": "text", "content": articles}])
    usage = {key: value for key, value in call_attributes(run, call, 0).items() if not key.startswith("botanu.")}
    begun = start + timedelta(milliseconds=20)
    model = start_llm_span(tracer, set_span_in_context(root), {**shared, **usage, **messages}, begun)
    spans.children.append((model, begun + takes(call)))
    root.set_status(Status(StatusCode.OK))
    return spans


def _message(role: str, text: str, **more: str) -> str:
    message = {"role": role, "parts": [{"type": "text", "content": text}], **more}
    return json.dumps([message], ensure_ascii=False)
