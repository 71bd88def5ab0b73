"""OTLP as plain values: what the protobuf and the JSON reader both produce."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, Any]

LARGEST_INT = 2**63 - 1
"""The largest whole number either database stores; OTLP times go further."""
MAX_DEPTH = 32
"""Attribute values nested deeper than this are cut off there."""
LONGEST_NAME = 1000
"""Characters kept of the name of a span, a scope or a log record."""
CUT_MARK = "adjudge.cut"
"""Attribute that intake adds to a stored span: names of the attributes whose text was cut."""
_CLIENT_CUT = 4096
"""The Botanu clients cut captured content at this many characters."""


class PlainSpan(NamedTuple):
    """One span; ids in lower-case hex, times in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: Attributes
    span_events: list[dict[str, Any]]
    """Each with name, time_ns and attributes."""
    links: list[dict[str, str]]
    """Each with trace_id and span_id."""


class PlainLog(NamedTuple):
    """One log record that is kept."""

    trace_id: str
    span_id: str
    name: str
    time_ns: int
    body: Any
    attributes: Attributes


class SpanBlock(NamedTuple):
    """The spans of one scope of one resource."""

    resource: Attributes
    scope: str
    spans: Iterable[PlainSpan]


class MessageBlock(NamedTuple):
    """The spans of one scope of one resource as messages; None stands for one that cannot be read."""

    resource: Resource
    scope: str
    spans: Iterable[Span | None]


class LogBlock(NamedTuple):
    """The log records of one scope of one resource; None stands for one that is discarded."""

    resource: Attributes
    scope: str
    logs: Iterable[PlainLog | None]


SpanBlocks = Iterator[SpanBlock]
MessageBlocks = Iterator[MessageBlock]
LogBlocks = Iterator[LogBlock]


def is_kept(event_name: str, scope: str) -> bool:
    """Whether a log record is content, an evaluation or a claimed outcome: all else is discarded unread."""
    return event_name.startswith("gen_ai.") or scope == "botanu.outcome"


def is_client_cut(text: str) -> bool:
    """Whether the text is exactly as long as the client's limit, in characters or (JavaScript) UTF-16 units."""
    if len(text) == _CLIENT_CUT:
        return True
    return not text.isascii() and len(text) < _CLIENT_CUT and len(text.encode("utf-16-le")) == 2 * _CLIENT_CUT
