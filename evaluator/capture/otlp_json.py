"""OTLP/JSON → plain values: hex ids, whole numbers as texts, enums as numbers or names, unknown fields ignored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evaluator.capture.otlp_message import resource_message, span_message
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
    is_kept,
)
from evaluator.errors import Malformed

_KINDS = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))
}
_STATUS_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_UNREADABLE = (TypeError, ValueError, AttributeError, KeyError, OverflowError)


def message_blocks(data: bytes) -> MessageBlocks:
    """The spans of an ExportTraceServiceRequest in JSON, as messages; raises Malformed."""
    for resource, scope, spans in _scopes(data, "resourceSpans", "scopeSpans", "spans"):
        yield MessageBlock(resource_message(resource), scope, map(_message, spans))


def log_blocks(data: bytes) -> LogBlocks:
    """The log records of an ExportLogsServiceRequest in JSON; raises Malformed."""
    for resource, scope, records in _scopes(data, "resourceLogs", "scopeLogs", "logRecords"):
        yield LogBlock(resource, scope, [_log(record, scope) for record in records])


def json_value(data: bytes | str) -> Any:
    """The JSON value; lone surrogates, which no database takes, are left out. Raises ValueError."""
    try:
        return orjson.loads(data)
    except ValueError:
        text = data if isinstance(data, str) else data.decode()
        if "\\ud" not in text.lower() and "NaN" not in text and "Infinity" not in text:
            raise
    try:
        return _without_surrogates(json.loads(text))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "ignore").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _scopes(data: bytes, outer: str, inner: str, items: str) -> Iterator[tuple[Attributes, str, list[Any]]]:
    try:
        request = json_value(data)
    except ValueError as error:
        raise Malformed(f"The body is not JSON{_place_of(error)}.") from error
    for block in _list(request, outer, "the request"):
        try:
            resource = _attributes((block.get("resource") or {}).get("attributes"))
        except _UNREADABLE as error:
            raise Malformed(f"A resource in {outer} is not as OTLP/JSON describes it.") from error
        for scoped in _list(block, inner, outer):
            found = _list(scoped, items, inner)
            scope = scoped.get("scope")
            yield resource, str(scope.get("name", "")) if isinstance(scope, dict) else "", found


def _place_of(error: ValueError) -> str:
    """Where JSON breaks off; nothing of what stands there."""
    if not isinstance(error, json.JSONDecodeError):
        return ""
    return f": {error.msg} at line {error.lineno}, column {error.colno}"


def _list(holder: Any, name: str, where: str) -> list[Any]:
    """The list of this name; an absent one is empty."""
    if not isinstance(holder, dict):
        raise Malformed(f"In {where}: an object is expected.")
    found = holder.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise Malformed(f"{name} in {where} is not a list.")
    return found


def _message(span: Any) -> Span | None:
    plain = _span(span)
    return None if plain is None else span_message(plain)


def _span(span: Any) -> PlainSpan | None:
    try:
        status = span.get("status") or {}
        return PlainSpan(
            _hex(span.get("traceId")),
            _hex(span.get("spanId")),
            _hex(span.get("parentSpanId")),
            str(span.get("name", "")),
            _enum(span.get("kind"), _KINDS),
            _time(span.get("startTimeUnixNano")),
            _time(span.get("endTimeUnixNano")),
            _enum(status.get("code"), _STATUS_CODES),
            str(status.get("message", "")),
            _attributes(span.get("attributes")),
            [
                {
                    "name": str(event.get("name", "")),
                    "time_ns": _time(event.get("timeUnixNano")),
                    "attributes": _attributes(event.get("attributes")),
                }
                for event in span.get("events") or ()
            ],
            [
                {"trace_id": _hex(link.get("traceId")), "span_id": _hex(link.get("spanId"))}
                for link in span.get("links") or ()
            ],
        )
    except _UNREADABLE:
        return None


def _log(record: Any, scope: str) -> PlainLog | None:
    try:
        pairs = record.get("attributes") or ()
        name = str(record.get("eventName") or "") or next(
            (str(pair["value"].get("stringValue", "")) for pair in pairs if pair.get("key") == "event.name"), ""
        )
        if not is_kept(name, scope):
            return None
        return PlainLog(
            _hex(record.get("traceId")),
            _hex(record.get("spanId")),
            name,
            _time(record.get("timeUnixNano")) or _time(record.get("observedTimeUnixNano")),
            _value(record.get("body"), 0),
            _attributes(pairs),
        )
    except _UNREADABLE:
        return None


def _hex(value: Any) -> str:
    """An id in lower-case hex; empty where it is none."""
    text = str(value or "").lower()
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        return ""


def _enum(value: Any, names: dict[str, int]) -> int:
    return names.get(value, 0) if isinstance(value, str) else _int(value or 0)


def _time(value: Any) -> int:
    return max(_int(value or 0), 0)


def _int(value: Any) -> int:
    return max(-LARGEST_INT, min(int(value), LARGEST_INT))


def _attributes(pairs: Iterable[Any] | None) -> Attributes:
    found: Attributes = {}
    for pair in pairs or ():
        value = pair.get("value")
        text = value.get("stringValue") if value else None
        found[str(pair["key"])] = text if type(text) is str else _value(value, 0)
    return found


def _value(value: Any, depth: int) -> Any:
    if not value or depth > MAX_DEPTH:
        return None
    kind, inner = next(iter(value.items()))
    if kind in ("stringValue", "bytesValue"):
        return str(inner)
    if kind == "intValue":
        return _int(inner)
    if kind == "boolValue":
        return bool(inner)
    if kind == "doubleValue":
        number = float(inner)
        return number if math.isfinite(number) else None
    if kind == "arrayValue":
        return [_value(item, depth + 1) for item in inner.get("values") or ()]
    if kind == "kvlistValue":
        return {str(pair["key"]): _value(pair.get("value"), depth + 1) for pair in inner.get("values") or ()}
    return None
