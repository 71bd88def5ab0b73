"""What assembly knows of a span or of a log record: what is stored, unpacked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

from evaluator.capture.attribute_names import Part, part_of
from evaluator.capture.otlp_protobuf import span_blocks
from evaluator.capture.plain_otlp import CUT_MARK, LONGEST_NAME, PlainSpan, is_client_cut
from evaluator.capture.span_intake import bounded_id
from evaluator.store.packing import unpack, unpack_message


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


def chunk_spans(chunks: Iterable[bytes]) -> list[SpanFacts]:
    """The spans of stored chunks, each once: of one that came several times the first one counts."""
    found: dict[tuple[str, str], SpanFacts] = {}
    for body in chunks:
        for resource, scope, spans in span_blocks(unpack_message(body)):
            of_all = (_storable(resource), _storable(scope))
            for span in spans:
                found.setdefault((span.trace_id, span.span_id), _span_facts(span, *of_all))
    return list(found.values())


def _span_facts(span: PlainSpan, resource: Mapping[str, Any], scope: str) -> SpanFacts:
    attributes: dict[str, Any] = {}
    cut: set[str] = set()
    for name, value in span.attributes.items():
        if name == CUT_MARK:
            cut.update(map(str, value if isinstance(value, list) else ()))
            continue
        if type(value) is str:
            if name.startswith("botanu.eval.") and is_client_cut(value):
                cut.add(name)
        elif value is None and part_of(name) is Part.CONTENT:
            continue
        attributes[_storable(name)] = _storable(value)
    run_id = span.attributes.get("botanu.run_id")
    return SpanFacts(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id if span.parent_span_id.strip("0") else None,
        run_id=(bounded_id(run_id) or None) if run_id is not None else None,
        name=_storable(span.name[:LONGEST_NAME]),
        kind=span.kind if 0 <= span.kind < 6 else 0,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        status_code=span.status_code if 0 <= span.status_code < 3 else 0,
        status_message=_storable(span.status_message),
        attributes=attributes,
        resource=resource,
        scope=scope,
        span_events=_storable(span.span_events),
        cut=frozenset(cut),
    )


def _storable(value: Any) -> Any:
    """The value without what no database takes in JSON: NUL characters, NaN and infinities."""
    if isinstance(value, str):
        return value.replace("\x00", "") if "\x00" in value else value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


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
