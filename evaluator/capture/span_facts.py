"""What assembly knows of a span or of a log record: the stored row, unpacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from evaluator.store.packing import unpack


class SpanRow(Protocol):
    """A row with the columns of model Span."""

    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def parent_span_id(self) -> str | None: ...
    @property
    def run_id(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> int: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def status_code(self) -> int: ...
    @property
    def detail(self) -> bytes: ...


class LogRow(Protocol):
    """A row with the columns of model SpanLog."""

    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def time_ns(self) -> int: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True)
class SpanFacts:
    """One span with its attributes, captured texts among them; times in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    run_id: str | None = None
    name: str = ""
    kind: int = 0
    start_ns: int = 0
    end_ns: int = 0
    status_code: int = 0
    status_message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    span_events: Sequence[Mapping[str, Any]] = ()
    """Each with name, time_ns and attributes."""
    cut: frozenset[str] = frozenset()
    """Names of attributes whose text was cut, by the client or here."""

    @property
    def key(self) -> tuple[str, str]:
        """Trace id and span id."""
        return (self.trace_id, self.span_id)

    @property
    def order(self) -> tuple[int, int, str, str]:
        """By start, then by end; ids make the order total."""
        return (self.start_ns, self.end_ns, self.trace_id, self.span_id)

    @property
    def is_root(self) -> bool:
        """Whether this is the root span of a Botanu run; such a span may have a parent."""
        return self.name.startswith("botanu.run/") or "botanu.run.start_time" in self.attributes


@dataclass(frozen=True)
class LogFacts:
    """One log record that belongs to a trace."""

    trace_id: str
    span_id: str = ""
    digest: str = ""
    name: str = ""
    time_ns: int = 0
    scope: str = ""
    body: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    cut: bool = False
    """Whether a text of it was over the limit here."""

    @property
    def order(self) -> tuple[int, str]:
        """By time; the digest makes the order total."""
        return (self.time_ns, self.digest)


def span_facts(row: SpanRow, content: bytes | None = None) -> SpanFacts:
    """The span of a stored row and of its content body, where it has one."""
    detail = unpack(row.detail) if row.detail else {}
    attributes = detail.get("attributes") or {}
    if content:
        attributes = {**attributes, **unpack(content)}
    return SpanFacts(
        trace_id=row.trace_id,
        span_id=row.span_id,
        parent_span_id=row.parent_span_id,
        run_id=row.run_id,
        name=row.name,
        kind=row.kind,
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        status_code=row.status_code,
        status_message=detail.get("status_message", ""),
        attributes=attributes,
        resource=detail.get("resource") or {},
        scope=detail.get("scope", ""),
        span_events=tuple(detail.get("span_events") or ()),
        cut=frozenset(detail.get("cut") or ()),
    )


def log_facts(row: LogRow) -> LogFacts:
    """The log record of a stored row."""
    record = unpack(row.body)
    return LogFacts(
        trace_id=row.trace_id,
        span_id=row.span_id,
        digest=row.digest,
        name=row.name,
        time_ns=row.time_ns,
        scope=record.get("scope", ""),
        body=record.get("body"),
        attributes=record.get("attributes") or {},
        resource=record.get("resource") or {},
        cut=bool(record.get("cut")),
    )
