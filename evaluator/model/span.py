"""Spans and log records as stored: as they came in, redacted, until a run is put together from them."""

from __future__ import annotations

from sqlmodel import BigInteger, Field, LargeBinary, SQLModel


class SpanChunk(SQLModel):
    """The spans of one trace as one request brought them, after redaction."""

    trace_id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    """Hash of the span ids in it, so that a request delivered twice is kept once."""
    spans: int = 0
    """How many it holds."""
    received_us: int = Field(default=0, sa_type=BigInteger)
    """Microseconds since 1970, this server's clock; of a span that came twice the first one counts."""
    body: bytes = Field(default=b"", sa_type=LargeBinary)
    """Packed OTLP TracesData (protobuf)."""


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
    dirty_since_us: int = Field(default=0, sa_type=BigInteger)
    """When the first of what waits came; same clock."""
    last_arrival_us: int = Field(default=0, sa_type=BigInteger)
    """Microseconds since 1970, this server's clock."""
