"""Telemetry for tests: spans by hand, requests in both encodings, and the way from bytes to runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from evaluator.capture.assembly import AssembledRun, assemble
from evaluator.capture.otlp import Limits, LogBatch, SpanBatch, decode_logs, decode_traces
from evaluator.capture.price_table import price_of_call
from evaluator.capture.redaction import Redactor
from evaluator.capture.span_facts import LogFacts, SpanFacts, chunk_spans, log_facts

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def span_id(name: str) -> str:
    """A valid span id for a name a test can read."""
    return blake2b(name.encode(), digest_size=8).hexdigest()


def span(
    name: str = "chat",
    attributes: Mapping[str, Any] | None = None,
    *,
    parent: str | None = None,
    at: int = 1,
    until: int | None = None,
    trace: str = TRACE,
    run: str | None = None,
    status: int = 0,
    events: Iterable[tuple[str, int, Mapping[str, Any]]] = (),
    resource: Mapping[str, Any] | None = None,
    cut: Iterable[str] = (),
) -> SpanFacts:
    """A span named for the test; `at` and `until` in milliseconds."""
    attributes = dict(attributes or {})
    if run:
        attributes["botanu.run_id"] = run
    return SpanFacts(
        trace_id=trace,
        span_id=span_id(name),
        parent_span_id=span_id(parent) if parent else None,
        run_id=run,
        name=name,
        start_ns=at * 1_000_000,
        end_ns=(at + 1 if until is None else until) * 1_000_000,
        status_code=status,
        attributes=attributes,
        resource=dict(resource or {"service.name": "svc"}),
        span_events=[
            {"name": event, "time_ns": ms * 1_000_000, "attributes": dict(said)} for event, ms, said in events
        ],
        cut=frozenset(cut),
    )


def root(run: str, attributes: Mapping[str, Any] | None = None, **place: Any) -> SpanFacts:
    """A Botanu root span of workflow Support."""
    said = {"botanu.event_id": f"event-of-{run}", "botanu.workflow": "Support", **(attributes or {})}
    return span(f"botanu.run/{run}", said, run=run, **place)


def log(
    name: str, body: Any = None, attributes: Mapping[str, Any] | None = None, *, of: str, at: int = 1
) -> LogFacts:
    """A log record that belongs to the span of that name."""
    digest = blake2b(f"{name}{at}{body}{attributes}".encode(), digest_size=8).hexdigest()
    return LogFacts(
        trace_id=TRACE,
        span_id=span_id(of),
        digest=digest,
        name=name,
        time_ns=at * 1_000_000,
        body=body,
        attributes=dict(attributes or {}),
    )


def runs(*spans: SpanFacts, logs: Iterable[LogFacts] = ()) -> list[AssembledRun]:
    """The runs in these spans."""
    return assemble(spans, logs, price=price_of_call, now=NOW)


def the_run(*spans: SpanFacts, logs: Iterable[LogFacts] = ()) -> AssembledRun:
    """The only run in these spans."""
    (found,) = runs(*spans, logs=logs)
    return found


def trace_request(*attributes: Mapping[str, Any]) -> bytes:
    """A trace request with one span for each set of attributes."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, wanted in enumerate(attributes, 1):
        added = scope.spans.add(
            trace_id=bytes.fromhex(TRACE), span_id=number.to_bytes(8, "big"), name=f"span {number}"
        )
        for name, value in wanted.items():
            added.attributes.add(key=name).value.CopyFrom(any_value(value))
    return request.SerializeToString()


def any_value(value: Any) -> AnyValue:
    """A Python value as OTLP has it."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    made = AnyValue()
    if isinstance(value, str):
        made.string_value = value
    elif isinstance(value, list):
        made.array_value.values.extend(map(any_value, value))
    elif isinstance(value, dict):
        made.kvlist_value.SetInParent()
        for name, inner in value.items():
            made.kvlist_value.values.add(key=name).value.CopyFrom(any_value(inner))
    return made


def as_json(data: bytes, *, logs: bool) -> bytes:
    """The same request as OTLP/JSON, which differs from protobuf's own JSON by its hex ids."""
    message = ExportLogsServiceRequest() if logs else ExportTraceServiceRequest()
    message.ParseFromString(data)
    document = MessageToDict(message, use_integers_for_enums=True)
    records = (("resourceLogs", "scopeLogs", "logRecords"), ("resourceSpans", "scopeSpans", "spans"))[not logs]
    originals = iter(_records(message, logs))
    for resource in document.get(records[0], []):
        for scope in resource.get(records[1], []):
            for record in scope.get(records[2], []):
                original = next(originals)
                for field, plain in (
                    ("traceId", "trace_id"),
                    ("spanId", "span_id"),
                    ("parentSpanId", "parent_span_id"),
                ):
                    if field in record:
                        record[field] = getattr(original, plain).hex()
    return orjson.dumps(document)


def _records(message: Any, logs: bool) -> list[Any]:
    if logs:
        return [r for block in message.resource_logs for scope in block.scope_logs for r in scope.log_records]
    return [s for block in message.resource_spans for scope in block.scope_spans for s in scope.spans]


class Arrived:
    """What came in over several requests, as the database would hold it."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        self.redactor = redactor or Redactor()
        self.spans: dict[tuple[str, str], SpanFacts] = {}
        self.logs: dict[tuple[str, str, str], LogFacts] = {}
        self.discarded = 0

    def traces(self, data: bytes, content_type: str = PROTOBUF, limits: Limits | None = None) -> SpanBatch:
        batch = decode_traces(data, content_type, self.redactor, limits or Limits())
        for facts in chunk_spans(row["body"] for row in batch.chunks):
            self.spans.setdefault(facts.key, facts)
        return batch

    def log_records(self, data: bytes, content_type: str = PROTOBUF) -> LogBatch:
        batch = decode_logs(data, content_type, self.redactor, Limits())
        for row in batch.logs:
            key = (row["trace_id"], row["span_id"], row["digest"])
            self.logs.setdefault(key, log_facts(SimpleNamespace(**row)))
        self.discarded += batch.discarded
        return batch

    def runs(self) -> list[AssembledRun]:
        return assemble(self.spans.values(), self.logs.values(), price=price_of_call, now=NOW)
