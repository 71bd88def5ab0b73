"""One span on its way in: what it joins, which of its texts to look at, and redaction in place.

Every span passes here while its sender waits, so the common attribute, a text that is short enough, takes the short way.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evaluator.capture.attribute_names import KNOWN_PARTS, Part, part_of
from evaluator.capture.otlp_protobuf import plain_value
from evaluator.capture.plain_otlp import CUT_MARK, is_client_cut
from evaluator.capture.redaction import SMALLEST_NUMBER, Redactor

EVENT_NAMES = ("botanu.event_id", "session.id", "gen_ai.conversation.id")
"""Attributes that name the event, strongest first."""
_RUN_NAME = "botanu.run_id"
_JOINING = frozenset([_RUN_NAME, *EVENT_NAMES])
_LONGEST_ID = 400
_IDENTITY = Part.IDENTITY  # looked up once: a member of an enum is slow to come by


def bounded_id(value: Any) -> str:
    """An id as text that an index takes: whole numbers as digits, over-long ones shortened without colliding."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else str(value)
    text = text.replace("\x00", "")
    if len(text) <= _LONGEST_ID:
        return text
    return f"{text[:_LONGEST_ID]}~{sha256(text.encode()).hexdigest()[:32]}"


def take_in(span: Span, texts: list[str], longest: int) -> tuple[str, str]:
    """The run id and event id the span names, empty where it does not; its free texts are added to `texts`.

    Changes the span: texts over `longest` characters are cut and marked, content that is no text becomes JSON,
    and what nothing here reads of links and trace state is taken out.
    """
    joins: dict[str, Any] = {}
    cut: list[str] = []
    known = KNOWN_PARTS.get
    for pair in span.attributes:
        name = pair.key
        part = known(name) or part_of(name)
        if part is _IDENTITY:
            if name in _JOINING:
                joins[name] = pair.value.string_value or plain_value(pair.value)
            continue
        text = pair.value.string_value
        if text and len(text) <= longest:
            texts.append(text)
        elif _look_into_odd(pair, part, texts, longest):
            cut.append(name)
    texts.append(span.name)
    message = span.status.message
    if message:
        if len(message) > longest:
            span.status.message = message = message[:longest]
        texts.append(message)
    if span.events:
        _take_in_events(span.events, texts, longest)
    if span.links or span.trace_state:
        _strip(span)
    if cut:
        _mark_cut(span, cut)
    run_id = joins.get(_RUN_NAME)
    event_id = next((joins[name] for name in EVENT_NAMES if name in joins), None)
    return "" if run_id is None else bounded_id(run_id), "" if event_id is None else bounded_id(event_id)


def redact_span(span: Span, redactor: Redactor) -> None:
    """Replace in place what must not be stored, in every text but those of identity attributes."""
    span.name = _redacted(span.name, redactor)
    if span.status.message:
        span.status.message = _redacted(span.status.message, redactor)
    cut = [
        pair.key
        for pair in span.attributes
        if pair.key.startswith("botanu.eval.") and is_client_cut(pair.value.string_value)
    ]
    if cut:  # marked now, as redaction changes the length by which it is known
        _mark_cut(span, cut)
    _redact_pairs(span.attributes, redactor)
    for event in span.events:
        event.name = _redacted(event.name, redactor)
        _redact_pairs(event.attributes, redactor)


def _take_in_events(events: Iterable[Span.Event], texts: list[str], longest: int) -> None:
    for event in events:
        texts.append(event.name)
        for pair in event.attributes:
            if part_of(pair.key) is not _IDENTITY:
                _look_into(pair.value, texts, longest)


def _strip(span: Span) -> None:
    """Take out what nothing here reads, so that it need not be redacted."""
    span.ClearField("trace_state")
    for link in span.links:
        link.ClearField("attributes")
        link.ClearField("trace_state")


def _look_into_odd(pair: KeyValue, part: Part, texts: list[str], longest: int) -> bool:
    """Look into an attribute that is no short text; whether it was cut."""
    kind = pair.value.WhichOneof("value")
    if kind == "bytes_value":
        pair.value.string_value = plain_value(pair.value)
    elif part is Part.CONTENT and kind not in (None, "string_value"):
        pair.value.string_value = orjson.dumps(plain_value(pair.value)).decode()
    return _look_into(pair.value, texts, longest)


def _look_into(value: AnyValue, texts: list[str], longest: int) -> bool:
    """Add the texts within the value, cut to `longest`; whether one was cut."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        text = value.string_value
        is_long = len(text) > longest
        if is_long:
            value.string_value = text = text[:longest]
        texts.append(text)
        return is_long
    if kind == "int_value" and abs(value.int_value) >= SMALLEST_NUMBER:
        texts.append(str(value.int_value))
    elif kind == "array_value":
        return sum([_look_into(item, texts, longest) for item in value.array_value.values]) > 0
    elif kind == "kvlist_value":
        texts.extend(pair.key for pair in value.kvlist_value.values)
        return sum([_look_into(pair.value, texts, longest) for pair in value.kvlist_value.values]) > 0
    return False


def _mark_cut(span: Span, names: list[str]) -> None:
    marked = next((pair for pair in span.attributes if pair.key == CUT_MARK), None)
    if marked is None:
        marked = span.attributes.add(key=CUT_MARK)
    marked.value.array_value.values.extend(AnyValue(string_value=name) for name in names)


def _redact_pairs(pairs: Iterable[KeyValue], redactor: Redactor) -> None:
    for pair in pairs:
        if part_of(pair.key) is not _IDENTITY and pair.key != CUT_MARK:
            _redact_value(pair.value, redactor)


def _redact_value(value: AnyValue, redactor: Redactor) -> None:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        value.string_value = _redacted(value.string_value, redactor)
    elif kind == "int_value" and abs(value.int_value) >= SMALLEST_NUMBER:
        text = str(value.int_value)
        if (redacted := _redacted(text, redactor)) != text:
            value.string_value = redacted
    elif kind == "array_value":
        for item in value.array_value.values:
            _redact_value(item, redactor)
    elif kind == "kvlist_value":
        for pair in value.kvlist_value.values:
            pair.key = _redacted(pair.key, redactor)
            _redact_value(pair.value, redactor)


def _redacted(text: str, redactor: Redactor) -> str:
    """The text redacted; NUL goes first, as it goes when the text is read and could hide what is looked for."""
    return redactor.redact(text.replace("\x00", ""))[0]
