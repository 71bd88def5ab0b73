"""OTLP intake: a request body becomes rows, redacted and packed; nothing is put together here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Any

import orjson
from google.protobuf.internal import api_implementation
from isal import isal_zlib
from isal.igzip_lib import IsalError

from evaluator.capture import otlp_json, otlp_protobuf
from evaluator.capture.attribute_names import KNOWN_PARTS, RESOURCE_KEPT, Part, part_of
from evaluator.capture.plain_otlp import Attributes, LogBlocks, PlainLog, PlainSpan, SpanBlocks
from evaluator.capture.redaction import Redactor
from evaluator.errors import Malformed, Misconfigured, TooLarge, Unsupported
from evaluator.store.packing import pack_json

_GZIP_WINDOW = 31
_INFLATE_STEP = 1 << 20
_NUL = b"\\u0000"
_CLIENT_CUT = 4096
"""The Botanu clients cut captured content at this many characters."""
_LONGEST_ID = 400
_LONGEST_NAME = 1000

Row = dict[str, Any]

EVENT_NAMES = ("botanu.event_id", "session.id", "gen_ai.conversation.id")
"""Attributes that name the event, strongest first."""


@dataclass(frozen=True)
class Limits:
    """How much of a request is kept."""

    max_text_chars: int = 1_000_000


@dataclass
class SpanBatch:
    """The rows of one trace request, ready for a bulk insert."""

    spans: list[Row] = field(default_factory=list)
    """Columns of model Span."""
    contents: list[Row] = field(default_factory=list)
    """Columns of model SpanContent, for the spans that carry content."""
    arrivals: set[tuple[str, str, str]] = field(default_factory=set)
    """(trace_id, run_id, event_id), empty where the span does not say."""
    rejected: int = 0
    rejection: str = ""


@dataclass
class LogBatch:
    """The rows of one log request: content, evaluations and claimed outcomes only."""

    logs: list[Row] = field(default_factory=list)
    """Columns of model SpanLog."""
    arrivals: set[tuple[str, str, str]] = field(default_factory=set)
    """(trace_id, "", event_id), event_id empty where the record does not say."""
    discarded: int = 0
    """Records of the application's own log, not read."""
    rejected: int = 0
    rejection: str = ""


def assert_fast_protobuf() -> None:
    """Raise Misconfigured on pure-Python protobuf, which parses 200 times slower."""
    if api_implementation.Type() == "python":
        raise Misconfigured(
            "protobuf runs in pure Python here, too slow for intake.",
            hint="Install the protobuf wheel of this platform and unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION.",
        )


def read_body(body: bytes, encoding: str | None, max_bytes: int, max_decompressed: int) -> bytes:
    """The decoded body of a request.

    Raises TooLarge above `max_bytes` as sent or `max_decompressed` bytes decoded, where decoding stops;
    Malformed for broken gzip; Unsupported for any other encoding.
    """
    if len(body) > max_bytes:
        raise TooLarge(f"The body has {len(body)} bytes; at most {max_bytes} are read.")
    coding = (encoding or "identity").strip().lower()
    if coding in ("gzip", "x-gzip"):
        return _gunzipped(body, max_decompressed)
    if coding not in ("identity", ""):
        raise Unsupported("The content encoding is neither gzip nor identity.")
    if len(body) > max_decompressed:
        raise TooLarge(f"The body has {len(body)} bytes; at most {max_decompressed} are read.")
    return body


def decode_traces(data: bytes, content_type: str, redactor: Redactor, limits: Limits) -> SpanBatch:
    """The rows of an OTLP trace request; raises Malformed or Unsupported."""
    blocks: SpanBlocks = _reader(content_type, otlp_protobuf.span_blocks, otlp_json.span_blocks)(data)
    batch = SpanBatch()
    for resource, scope, spans in blocks:
        context = _context(resource, scope)
        for span in spans:
            problem = "a span is not as OTLP/JSON describes it" if span is None else _id_problem(span)
            if problem:
                batch.rejected += 1
                batch.rejection = batch.rejection or problem
            elif span is not None:
                _add_span(batch, span, context, redactor, limits)
    return batch


def decode_logs(data: bytes, content_type: str, redactor: Redactor, limits: Limits) -> LogBatch:
    """The rows of an OTLP log request; raises Malformed or Unsupported."""
    blocks: LogBlocks = _reader(content_type, otlp_protobuf.log_blocks, otlp_json.log_blocks)(data)
    batch = LogBatch()
    for resource, scope, logs in blocks:
        for log in logs:
            if log is None:
                batch.discarded += 1
            elif not _is_id(log.trace_id, 32):
                batch.rejected += 1
                batch.rejection = batch.rejection or "a log record belongs to no trace"
            else:
                _add_log(batch, log, scope, resource, redactor, limits)
    return batch


def bounded_id(value: Any) -> str:
    """An id as text that an index takes: whole numbers as digits, over-long ones shortened without colliding."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else str(value)
    text = text.replace("\x00", "")
    if len(text) <= _LONGEST_ID:
        return text
    return f"{text[:_LONGEST_ID]}~{sha256(text.encode()).hexdigest()[:32]}"


def _reader(
    content_type: str, protobuf: Callable[[bytes], Any], json: Callable[[bytes], Any]
) -> Callable[[bytes], Any]:
    media = content_type.partition(";")[0].strip().lower()
    if media in ("application/x-protobuf", "application/protobuf"):
        return protobuf
    if media == "application/json":
        return json
    raise Unsupported("The content type is neither application/x-protobuf nor application/json.")


def _gunzipped(body: bytes, limit: int) -> bytes:
    pieces: list[bytes] = []
    room = limit + 1
    rest = body
    while rest:
        member = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        while not member.eof:
            try:
                piece = member.decompress(rest, min(_INFLATE_STEP, room))
            except IsalError as error:  # type: ignore[misc]  # its stub types the class as an instance
                raise Malformed("The body is not the gzip that its content encoding names.") from error
            pieces.append(piece)
            room -= len(piece)
            if room <= 0:
                raise TooLarge(f"The body decodes to more than {limit} bytes.")
            rest = member.unconsumed_tail
            if not (piece or rest or member.eof):
                raise Malformed("The gzip body is broken or ends in the middle.")
        rest = member.unused_data
    return b"".join(pieces)


def _context(resource: Attributes, scope: str) -> Row:
    """What all spans of a scope share, serialised once."""
    kept = {name: value for name, value in resource.items() if name in RESOURCE_KEPT}
    return {
        "resource": orjson.Fragment(orjson.dumps(_without_nul(kept))),
        "scope": _without_nul(scope[:_LONGEST_NAME]),
    }


def _is_id(text: str, digits: int) -> bool:
    """Whether this is an id of that many hex digits; the readers have seen to it that they are hex."""
    return len(text) == digits and text.strip("0") != ""


def _id_problem(span: PlainSpan) -> str:
    if not _is_id(span.trace_id, 32):
        return "a span's trace id is not 16 bytes, not all zero"
    if not _is_id(span.span_id, 16):
        return "a span's id is not 8 bytes, not all zero"
    return ""


def _add_span(batch: SpanBatch, span: PlainSpan, context: Row, redactor: Redactor, limits: Limits) -> None:
    attributes = span.attributes
    detail, content, texts, cut = _parted(attributes, limits)
    texts.append(span.name)
    packed: Row = {"attributes": detail, **context}
    if span.span_events:
        packed["span_events"], text = _events(span.span_events, limits)
        texts.append(text)
    if span.status_message:
        packed["status_message"] = span.status_message[: limits.max_text_chars]
        texts.append(span.status_message)
    if span.links:
        packed["links"] = span.links
    if cut:
        packed["cut"] = cut
    name = span.name
    if not redactor.is_clean("\x00".join(texts)):
        name = redactor.redact(name)[0]
        packed["attributes"] = _redacted(detail, redactor)
        content = {key: redactor.redact(text)[0] for key, text in content.items()}
        if span.span_events:
            packed["span_events"] = [
                {**event, "attributes": _redacted(event["attributes"], redactor)} for event in packed["span_events"]
            ]
        if span.status_message:
            packed["status_message"] = redactor.redact(packed["status_message"])[0]
    run_id = attributes.get("botanu.run_id")
    event_id = next((attributes[name] for name in EVENT_NAMES if name in attributes), None)
    run_key = "" if run_id is None else bounded_id(run_id)
    batch.arrivals.add((span.trace_id, run_key, "" if event_id is None else bounded_id(event_id)))
    batch.spans.append(
        {
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            "parent_span_id": span.parent_span_id if span.parent_span_id.strip("0") else None,
            "run_id": run_key or None,
            "name": name[:_LONGEST_NAME].replace("\x00", ""),
            "kind": span.kind if 0 <= span.kind < 6 else 0,
            "start_ns": span.start_ns,
            "end_ns": span.end_ns,
            "status_code": span.status_code if 0 <= span.status_code < 3 else 0,
            "detail": _packed(packed),
        }
    )
    if content:
        batch.contents.append({"trace_id": span.trace_id, "span_id": span.span_id, "body": _packed(content)})


def _events(events: list[Row], limits: Limits) -> tuple[list[Row], str]:
    """Span events within the limits, and all their text in one."""
    text = orjson.dumps(events)
    if len(text) > limits.max_text_chars:
        events = _shortened(events, limits)
    return events, text.decode()


def _parted(attributes: Attributes, limits: Limits) -> tuple[Attributes, dict[str, str], list[str], list[str]]:
    """Attributes without content, content as texts, all texts to look at, and the names of those that were cut."""
    detail: Attributes = {}
    content: dict[str, str] = {}
    texts: list[str] = []
    cut: list[str] = []
    longest = limits.max_text_chars
    known = KNOWN_PARTS.get
    for name, value in attributes.items():
        part = known(name) or part_of(name)
        if part is Part.IDENTITY:
            detail[name] = value
            continue
        if type(value) is not str:
            if part is not Part.CONTENT:
                detail[name] = value
                if type(value) in (list, dict):
                    texts.append(orjson.dumps(value).decode())
                continue
            if value is None:
                continue
            value = orjson.dumps(value).decode()
        if len(value) > longest:
            value = value[:longest]
            cut.append(name)
        texts.append(value)
        if part is Part.CONTENT:
            content[name] = value
            if name.startswith("botanu.eval.") and _is_client_cut(value):
                cut.append(name)
        else:
            detail[name] = value
    return detail, content, texts, cut


def _is_client_cut(text: str) -> bool:
    """Whether the text is exactly as long as the client's limit, in characters or (JavaScript) UTF-16 units."""
    if len(text) == _CLIENT_CUT:
        return True
    return not text.isascii() and len(text) < _CLIENT_CUT and len(text.encode("utf-16-le")) == 2 * _CLIENT_CUT


def _redacted(attributes: Attributes, redactor: Redactor) -> Attributes:
    return {
        name: value if part_of(name) is Part.IDENTITY else redactor.redact_value(value)[0]
        for name, value in attributes.items()
    }


def _packed(value: Any) -> bytes:
    text = orjson.dumps(value)
    if _NUL in text:
        text = orjson.dumps(_without_nul(orjson.loads(text)))
    return pack_json(text)


def _without_nul(value: Any) -> Any:
    """The value without NUL characters, which PostgreSQL refuses in texts and in JSON."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    return value


def _add_log(
    batch: LogBatch, log: PlainLog, scope: str, resource: Attributes, redactor: Redactor, limits: Limits
) -> None:
    event_id = log.attributes.get("botanu.event_id")
    attributes, body = _redacted(log.attributes, redactor), redactor.redact_value(log.body)[0]
    packed: Row = {
        "scope": scope[:_LONGEST_NAME],
        "attributes": _shortened(attributes, limits),
        "body": _shortened(body, limits),
    }
    if packed["attributes"] != attributes or packed["body"] != body:
        packed["cut"] = True
    if "adjudge.judge" in resource:
        packed["resource"] = {"adjudge.judge": True}
    text = orjson.dumps(_without_nul(packed))
    span_id = log.span_id if _is_id(log.span_id, 16) else ""
    digest = blake2b(b"\x00".join((log.name.encode(), str(log.time_ns).encode(), text)), digest_size=16)
    batch.arrivals.add((log.trace_id, "", "" if event_id is None else bounded_id(event_id)))
    batch.logs.append(
        {
            "trace_id": log.trace_id,
            "span_id": span_id,
            "digest": digest.hexdigest(),
            "name": log.name[:_LONGEST_NAME].replace("\x00", ""),
            "time_ns": log.time_ns,
            "body": pack_json(text),
        }
    )


def _shortened(value: Any, limits: Limits) -> Any:
    """The value with over-long texts cut."""
    if isinstance(value, str):
        return value[: limits.max_text_chars]
    if isinstance(value, list):
        return [_shortened(item, limits) for item in value]
    if isinstance(value, dict):
        return {name: _shortened(item, limits) for name, item in value.items()}
    return value
