"""OTLP protobuf → plain values."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evaluator.capture.plain_otlp import (
    LARGEST_INT,
    MAX_DEPTH,
    Attributes,
    LogBlock,
    LogBlocks,
    MessageBlock,
    MessageBlocks,
    PlainLog,
    PlainSpan,
    SpanBlock,
    SpanBlocks,
    is_kept,
)
from evaluator.errors import Malformed


def message_blocks(data: bytes) -> MessageBlocks:
    """The spans of an ExportTraceServiceRequest as messages, fields unknown here left out; raises Malformed."""
    request = _request(data)
    request.DiscardUnknownFields()  # nobody has redacted what they hold
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield MessageBlock(resource_spans.resource, scope_spans.scope.name, scope_spans.spans)


def span_blocks(data: bytes) -> SpanBlocks:
    """The spans of an ExportTraceServiceRequest; raises Malformed."""
    for resource_spans in _request(data).resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            yield SpanBlock(resource, scope_spans.scope.name, _spans(scope_spans.spans))


def log_blocks(data: bytes) -> LogBlocks:
    """The log records of an ExportLogsServiceRequest; raises Malformed."""
    try:
        request = ExportLogsServiceRequest.FromString(data)
    except DecodeError as error:
        raise Malformed("The body is not an OTLP ExportLogsServiceRequest.") from error
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            scope = scope_logs.scope.name
            yield LogBlock(resource, scope, (_log(record, scope) for record in scope_logs.log_records))


def _request(data: bytes) -> ExportTraceServiceRequest:
    try:
        return ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise Malformed("The body is not an OTLP ExportTraceServiceRequest.") from error


def _spans(spans: Iterable[Span]) -> Iterator[PlainSpan]:
    for span in spans:
        status = span.status
        yield PlainSpan(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.name,
            span.kind,
            min(span.start_time_unix_nano, LARGEST_INT),
            min(span.end_time_unix_nano, LARGEST_INT),
            status.code,
            status.message,
            _attributes(span.attributes),
            [
                {
                    "name": event.name,
                    "time_ns": min(event.time_unix_nano, LARGEST_INT),
                    "attributes": _attributes(event.attributes),
                }
                for event in span.events
            ],
            [{"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links],
        )


def _log(record: LogRecord, scope: str) -> PlainLog | None:
    name = record.event_name or next(
        (pair.value.string_value for pair in record.attributes if pair.key == "event.name"), ""
    )
    if not is_kept(name, scope):
        return None
    return PlainLog(
        record.trace_id.hex(),
        record.span_id.hex(),
        name,
        min(record.time_unix_nano or record.observed_time_unix_nano, LARGEST_INT),
        _value(record.body, 0),
        _attributes(record.attributes),
    )


def plain_value(value: AnyValue) -> Any:
    """The value as JSON has it; bytes as base64, what is nested too deep as null."""
    return value.string_value or _value(value, 0)


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    found: Attributes = {}
    for pair in pairs:
        value = pair.value
        # Most values are texts, and asking for one is half the price of asking which kind it is.
        found[pair.key] = value.string_value or _value(value, 0)
    return found


def _value(value: AnyValue, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > MAX_DEPTH:
        return None
    if kind == "array_value":
        return [_value(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    return getattr(value, kind)
