"""OTLP protobuf messages, the one form in which spans are stored: from plain values, and from spans that came."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from evaluator.capture.plain_otlp import Attributes, PlainSpan

_LENGTH_DELIMITED = 2
_RESOURCE_SPANS, _RESOURCE, _SCOPE_SPANS, _SCOPE, _SPAN = (
    bytes([number << 3 | _LENGTH_DELIMITED])
    for number in (
        ExportTraceServiceRequest.RESOURCE_SPANS_FIELD_NUMBER,
        ResourceSpans.RESOURCE_FIELD_NUMBER,
        ResourceSpans.SCOPE_SPANS_FIELD_NUMBER,
        ScopeSpans.SCOPE_FIELD_NUMBER,
        ScopeSpans.SPANS_FIELD_NUMBER,
    )
)


def span_message(span: PlainSpan) -> Span:
    """The span as a message; a kind or status code that is none becomes 0."""
    message = Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_span_id),
        name=span.name,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_pairs(span.attributes),
    )
    message.kind = span.kind if 0 <= span.kind < 6 else 0  # type: ignore[assignment]  # the stub wants its enum
    if span.status_message:
        message.status.message = span.status_message
    if 0 < span.status_code < 3:
        message.status.code = span.status_code  # type: ignore[assignment]  # likewise
    for event in span.span_events:
        message.events.add(
            name=event["name"], time_unix_nano=event["time_ns"], attributes=_pairs(event["attributes"])
        )
    for link in span.links:
        message.links.add(trace_id=bytes.fromhex(link["trace_id"]), span_id=bytes.fromhex(link["span_id"]))
    return message


def resource_message(attributes: Attributes) -> Resource:
    """A resource with these attributes."""
    return Resource(attributes=_pairs(attributes))


def resource_spans(resource: bytes, scope: bytes, spans: Iterable[Span]) -> bytes:
    """A serialised ResourceSpans with one scope.

    Written from its serialised parts, a third of the time of copying messages into one another.
    """
    parts = [*_field(_SCOPE, scope)]
    for span in spans:
        parts += _field(_SPAN, span.SerializeToString())
    return b"".join((*_field(_RESOURCE, resource), *_field(_SCOPE_SPANS, b"".join(parts))))


def trace_request(blocks: Iterable[bytes]) -> bytes:
    """A serialised ExportTraceServiceRequest of serialised ResourceSpans."""
    return b"".join(part for block in blocks for part in _field(_RESOURCE_SPANS, block))


def _field(tag: bytes, message: bytes) -> tuple[bytes, bytes, bytes]:
    """A field that holds a message, as the protobuf wire format has it."""
    return tag, _varint(len(message)), message


@lru_cache(10_000)
def _varint(number: int) -> bytes:
    """Seven bits a byte, lowest first; the eighth says that more follow."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def _pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any_value(value)) for name, value in attributes.items()]


def _any_value(value: Any) -> AnyValue:
    made = AnyValue()
    match value:
        case str():
            made.string_value = value
        case bool():
            made.bool_value = value
        case int():
            made.int_value = value
        case float():
            made.double_value = value
        case list():
            made.array_value.SetInParent()
            made.array_value.values.extend(map(_any_value, value))
        case dict():
            made.kvlist_value.SetInParent()
            made.kvlist_value.values.extend(_pairs(value))
    return made
