"""A span as stored: its identity, times and attributes; its content lies in a body of its own."""

from __future__ import annotations

from typing import Any

from sqlmodel import BigInteger, Field, LargeBinary, SQLModel


class Span(SQLModel):
    """One OpenTelemetry span; times in nanoseconds since 1970."""

    trace_id: str = Field(primary_key=True)
    span_id: str = Field(primary_key=True)
    parent_span_id: str | None = None
    run_id: str | None = None
    """As the span itself says; children without one are joined when the run is assembled."""
    name: str = ""
    kind: int = 0
    start_ns: int = Field(default=0, sa_type=BigInteger)
    end_ns: int = Field(default=0, sa_type=BigInteger)
    status_code: int = 0
    """0 unset, 1 ok, 2 error."""
    detail: bytes = Field(default=b"", sa_type=LargeBinary)
    """Packed JSON: attributes without content, resource, scope, span_events, status_message."""


class SpanContent(SQLModel):
    """The captured texts of one span, packed: attribute name → text."""

    trace_id: str = Field(primary_key=True)
    span_id: str = Field(primary_key=True)
    body: bytes = Field(default=b"", sa_type=LargeBinary)


class SpanLog(SQLModel):
    """One log record that belongs to a span and carries content, an evaluation or a claimed outcome."""

    trace_id: str = Field(primary_key=True)
    span_id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    """Hash of the record, so that a record delivered twice is kept once."""
    name: str = ""
    time_ns: int = Field(default=0, sa_type=BigInteger)
    body: bytes = Field(default=b"", sa_type=LargeBinary)


class Arrival(SQLModel):
    """That spans of a run came in within a trace; dirty while they wait to be assembled.

    run_id and event_id are empty where the spans themselves did not say.
    """

    trace_id: str = Field(primary_key=True)
    run_id: str = Field(default="", primary_key=True)
    event_id: str = Field(default="", primary_key=True)
    dirty: bool = True
    version: int = 0
    """Counts arrivals, so that one that comes while a run is assembled is not overlooked."""
    last_arrival_us: int = Field(default=0, sa_type=BigInteger)
    """Microseconds since 1970, this server's clock."""


SpanDetail = dict[str, Any]
