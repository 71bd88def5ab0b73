"""OTLP intake: a request body becomes rows, redacted and packed; nothing is put together here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson
from google.protobuf.internal import api_implementation
from isal import isal_zlib
from isal.igzip_lib import IsalError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evaluator.capture import otlp_json, otlp_protobuf
from evaluator.capture.attribute_names import RESOURCE_KEPT, Part, part_of
from evaluator.capture.otlp_message import resource_spans, trace_request
from evaluator.capture.plain_otlp import LONGEST_NAME, Attributes, LogBlocks, MessageBlocks, PlainLog
from evaluator.capture.redaction import Redactor
from evaluator.capture.span_intake import bounded_id, redact_span, take_in
from evaluator.errors import Malformed, Misconfigured, TooLarge, Unsupported
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.packing import pack_json, pack_message

_GZIP_WINDOW = 31
_INFLATE_STEP = 1 << 20
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)

Row = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """How much of a request is kept."""

    max_text_chars: int = 1_000_000


@dataclass
class SpanBatch:
    """The rows of one trace request, ready for a bulk insert."""

    chunks: list[Row] = field(default_factory=list)
    """Columns of model SpanChunk but for the time of arrival: one row for each trace."""
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
        raise Unsupported(f"The content encoding {quoted(coding)} is not read here.", hint="Send gzip or none.")
    if len(body) > max_decompressed:
        raise TooLarge(f"The body has {len(body)} bytes; at most {max_decompressed} are read.")
    return body


def decode_traces(data: bytes, content_type: str, redactor: Redactor, limits: Limits) -> SpanBatch:
    """The rows of an OTLP trace request; raises Malformed or Unsupported."""
    blocks: MessageBlocks = _reader(content_type, otlp_protobuf.message_blocks, otlp_json.message_blocks)(data)
    batch = SpanBatch()
    chunks: dict[bytes, _Chunk] = {}
    for resource, scope, spans in blocks:
        resource_bytes, scope_bytes = _trimmed(resource), _scope(scope)
        for trace_id, of_trace in _by_trace(spans, batch).items():
            texts: list[str] = []
            trace = trace_id.hex()
            for span in of_trace:
                batch.arrivals.add((trace, *take_in(span, texts, limits.max_text_chars)))
            if not redactor.are_clean(texts):
                for span in of_trace:
                    redact_span(span, redactor)
            chunk = chunks.setdefault(trace_id, _Chunk())
            chunk.blocks.append(resource_spans(resource_bytes, scope_bytes, of_trace))
            chunk.span_ids += [span.span_id for span in of_trace]
    batch.chunks = [_row(trace_id, chunk) for trace_id, chunk in chunks.items()]
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


def _reader(
    content_type: str, protobuf: Callable[[bytes], Any], json: Callable[[bytes], Any]
) -> Callable[[bytes], Any]:
    media = content_type.partition(";")[0].strip().lower()
    if media in ("application/x-protobuf", "application/protobuf"):
        return protobuf
    if media == "application/json":
        return json
    raise Unsupported(
        f"The content type {quoted(media)} is not read here.",
        hint="Send application/x-protobuf or application/json.",
    )


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


def _is_id(text: str, digits: int) -> bool:
    """Whether this is an id of that many hex digits; the readers have seen to it that they are hex."""
    return len(text) == digits and text.strip("0") != ""


@dataclass
class _Chunk:
    """The spans of one trace in one request."""

    blocks: list[bytes] = field(default_factory=list)
    """ResourceSpans, serialised."""
    span_ids: list[bytes] = field(default_factory=list)


def _id_problem(span: Span | None) -> str:
    if span is None:
        return "a span is not as OTLP/JSON describes it"
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        return "a span's trace id is not 16 bytes, not all zero"
    if len(span_id) != 8 or span_id == _NO_SPAN:
        return "a span's id is not 8 bytes, not all zero"
    return ""


def _by_trace(spans: Iterable[Span | None], batch: SpanBatch) -> dict[bytes, list[Span]]:
    """Trace id → its spans; those without usable ids are counted as rejected."""
    traces: dict[bytes, list[Span]] = {}
    for span in spans:
        problem = _id_problem(span)
        if problem:
            batch.rejected += 1
            batch.rejection = batch.rejection or problem
        elif span is not None:
            traces.setdefault(span.trace_id, []).append(span)
    return traces


def _row(trace_id: bytes, chunk: _Chunk) -> Row:
    span_ids = sorted(set(chunk.span_ids))
    digest = blake2b(b"".join(span_ids), digest_size=16)
    return {
        "trace_id": trace_id.hex(),
        "digest": digest.hexdigest(),
        "spans": len(span_ids),
        "body": pack_message(trace_request(chunk.blocks)),
    }


def _trimmed(resource: Resource) -> bytes:
    """The resource with nothing but what is kept of it."""
    kept = [pair for pair in resource.attributes if pair.key in RESOURCE_KEPT]
    return Resource(attributes=kept).SerializeToString()


def _scope(name: str) -> bytes:
    return InstrumentationScope(name=name[:LONGEST_NAME]).SerializeToString()


def _redacted(attributes: Attributes, redactor: Redactor) -> Attributes:
    return {
        name: value if part_of(name) is Part.IDENTITY else redactor.redact_value(value)[0]
        for name, value in attributes.items()
    }


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
        "scope": scope[:LONGEST_NAME],
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
            "name": log.name[:LONGEST_NAME].replace("\x00", ""),
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
