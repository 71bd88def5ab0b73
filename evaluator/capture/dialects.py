"""Captured content of a span in every dialect that arrives; the first that is not empty wins, and which one it was is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from evaluator.capture.captured_text import LOST, read_text, value_fidelity
from evaluator.capture.chat_messages import as_input, as_output, is_empty, messages_of
from evaluator.capture.span_facts import LogFacts, SpanFacts
from evaluator.model.capture import Fidelity, Passage

Found = tuple[Any, Fidelity] | None
Reader = Callable[[SpanFacts, Sequence[LogFacts]], Found]

_MARKERS = (
    "gen_ai.",
    "llm.",
    "openinference.",
    "langfuse.",
    "traceloop.",
    "ai.",
    "mlflow.span",
    "pydantic_ai.",
    "retrieval.",
)
_MARKER_NAMES = frozenset(("input.value", "output.value"))
MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
DETAILS = "gen_ai.client.inference.operation.details"
_RETRIEVAL_TOOL = re.compile(
    r"search|retriev|lookup|knowledge|(?:^|[_\-.])kb(?:$|[_\-.])|vector|(?:^|[_\-.])rag(?:$|[_\-.])", re.I
)
_TOOL_RESULTS = (
    "gen_ai.tool.call.result",
    "output.value",
    "traceloop.entity.output",
    "ai.toolCall.result",
    "tool_response",
    "mlflow.spanOutputs",
)


def speaks_genai(span: SpanFacts) -> bool:
    """Whether the span carries attributes of an LLM call or of an agent in any dialect."""
    return any(name.startswith(_MARKERS) or name in _MARKER_NAMES for name in span.attributes)


def input_of(span: SpanFacts, logs: Sequence[LogFacts] = ()) -> Passage:
    """What the span was given; missing where no dialect has it."""
    return _first(span, logs, _INPUTS)


def output_of(span: SpanFacts, logs: Sequence[LogFacts] = ()) -> Passage:
    """What the span answered; missing where no dialect has it."""
    return _first(span, logs, _OUTPUTS)


def best_of(passages: Iterable[Passage]) -> Passage:
    """The passage of the earliest dialect in the order of precedence; the first of equals, missing where none is there."""
    present = [passage for passage in passages if passage.fidelity is not Fidelity.MISSING]
    return min(present, key=lambda passage: _PRECEDENCE.get(passage.dialect or "", 99), default=Passage())


def langfuse_trace(spans: Sequence[SpanFacts], side: str) -> Passage:
    """The content that Langfuse keeps for the whole trace, on whichever span it lies; `side` is input or output."""
    name = f"langfuse.trace.{side}"
    carriers = [span for span in spans if span.attributes.get(name)]
    if not carriers:
        return Passage()
    span = carriers[-1]
    found = _attribute(name)(span, ())
    return (
        Passage()
        if found is None
        else _passage(found, "langfuse", span, as_input if side == "input" else as_output)
    )


def retrieval_of(spans: Sequence[SpanFacts]) -> Passage:
    """What a run's spans retrieved, as a list in time order; the first dialect that has any wins."""
    for dialect, read in _RETRIEVALS:
        items: list[Any] = []
        fidelity, carrier = Fidelity.FULL, None
        for span in spans:
            found = read(span)
            if found is None or is_empty(found[0]):
                continue
            items += found[0] if isinstance(found[0], list) else [found[0]]
            fidelity = max(fidelity, found[1], key=LOST.__getitem__)
            carrier = carrier or span.span_id
        if items:
            return Passage(value=items, fidelity=fidelity, dialect=dialect, span_id=carrier)
    return Passage()


def _first(span: SpanFacts, logs: Sequence[LogFacts], readers: Iterable[tuple[str, Reader]]) -> Passage:
    shape = as_input if readers is _INPUTS else as_output
    for dialect, read in readers:
        found = read(span, logs)
        if found is not None and not is_empty(found[0]):
            passage = _passage(found, dialect, span, shape)
            if not is_empty(passage.value):
                return passage
    return Passage()


def _passage(found: tuple[Any, Fidelity], dialect: str, span: SpanFacts, shape: Callable[[Any], Any]) -> Passage:
    return Passage(value=shape(found[0]), fidelity=found[1], dialect=dialect, span_id=span.span_id)


def _text(span: SpanFacts, name: str) -> Found:
    raw = span.attributes.get(name)
    if raw is None or raw == "":
        return None
    if isinstance(raw, str):
        return read_text(raw, cut=name in span.cut)
    return raw, value_fidelity(raw)


def _attribute(*names: str) -> Reader:
    """A reader of the first of these attributes that is not empty."""

    def read(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
        for name in names:
            if name not in span.attributes:  # nearly all are absent, and every span is asked for each
                continue
            found = _text(span, name)
            if found is not None and not is_empty(found[0]):
                return found
        return None

    return read


def _any(*readers: Reader) -> Reader:
    """A reader that takes the first reader's find that is not empty."""

    def read(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
        for reader in readers:
            found = reader(span, logs)
            if found is not None and not is_empty(found[0]):
                return found
        return None

    return read


def _genai_input(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
    found = _attribute("gen_ai.input.messages")(span, logs)
    instructions = _text(span, "gen_ai.system_instructions")
    for log in logs:
        if found is None and log.name == DETAILS:
            found = _logged(log.attributes.get("gen_ai.input.messages"), log.cut)
            instructions = instructions or _logged(log.attributes.get("gen_ai.system_instructions"))
    if found is None:
        found = _message_events(span, logs)
    if found is None or instructions is None:
        return found
    return as_input(found[0], instructions[0]), max(found[1], instructions[1], key=LOST.__getitem__)


def _genai_output(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
    found = _attribute("gen_ai.output.messages")(span, logs)
    for log in logs:
        if found is None and log.name == DETAILS:
            found = _logged(log.attributes.get("gen_ai.output.messages"), log.cut)
    return found or _choice_events(span, logs)


def _logged(value: Any, cut: bool = False) -> Found:
    if value is None or is_empty(value):
        return None
    value, fidelity = read_text(value) if isinstance(value, str) else (value, value_fidelity(value))
    return value, Fidelity.TRUNCATED if cut else fidelity


def events_of(span: SpanFacts, logs: Sequence[LogFacts]) -> list[tuple[str, Mapping[str, Any]]]:
    """Log records and span events of the span as (name, fields), in time order."""
    told = [(log.time_ns, log.name, log.body if isinstance(log.body, dict) else log.attributes) for log in logs]
    told += [
        (event.get("time_ns", 0), event.get("name", ""), event.get("attributes") or {})
        for event in span.span_events
    ]
    return [(name, fields) for _, name, fields in sorted(told, key=lambda item: item[0])]


def _message_events(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
    messages = [
        {"role": MESSAGE_EVENTS[name], "content": None, **fields}
        for name, fields in events_of(span, logs)
        if name in MESSAGE_EVENTS and (fields.get("content") or fields.get("tool_calls"))
    ]
    return (messages, _told_whole(logs)) if messages else None


def _told_whole(logs: Sequence[LogFacts]) -> Fidelity:
    return Fidelity.TRUNCATED if any(log.cut for log in logs) else Fidelity.FULL


def _choice_events(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
    messages = []
    for name, fields in events_of(span, logs):
        if name != "gen_ai.choice":
            continue
        message = fields.get("message", fields)
        if isinstance(message, str):
            message = read_text(message)[0]
        if isinstance(message, dict) and (message.get("content") or message.get("tool_calls")):
            kept = {key: message[key] for key in ("content", "tool_calls") if message.get(key)}
            messages.append({"role": "assistant", **kept})
        elif isinstance(message, str) and message:
            messages.append({"role": "assistant", "content": message})
    return (messages, _told_whole(logs)) if messages else None


def _openinference(side: str) -> Reader:
    """`{side}.value`, unless that is the provider's raw JSON and the messages came along as well."""

    def read(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
        messages = _indexed_messages(span, f"llm.{side}_messages.", "user" if side == "input" else "assistant")
        raw_json = span.attributes.get(f"{side}.mime_type") == "application/json"
        if messages and raw_json:
            return messages
        return _attribute(f"{side}.value")(span, logs) or messages

    return read


def indexed(span: SpanFacts, prefix: str) -> list[dict[str, Any]]:
    """Attributes `prefix.N.rest` as one mapping of rest → value per N, in the order of N."""
    groups: dict[int, dict[str, Any]] = {}
    for name in [name for name in span.attributes if name.startswith(prefix)]:
        index, _, rest = name[len(prefix) :].partition(".")
        if index.isascii() and index.isdigit() and len(index) < 7:
            groups.setdefault(int(index), {})[rest] = span.attributes[name]
    return [groups[index] for index in sorted(groups)]


def _indexed_messages(span: SpanFacts, prefix: str, role: str) -> Found:
    """Flattened messages of OpenInference (`N.message.content`) or OpenLLMetry (`N.content`)."""
    messages = []
    for fields in indexed(span, prefix):
        plain = {name.removeprefix("message."): value for name, value in fields.items()}
        content = plain.get("content") or [
            plain[name] for name in sorted(plain) if name.endswith("message_content.text") and plain[name]
        ]
        if isinstance(content, str) and content[:1] in ("[", "{"):
            parsed = read_text(content)[0]
            content = parsed if messages_of([{"role": role, "content": parsed}]) and _are_parts(parsed) else content
        calls = indexed_calls(plain)
        message = {"role": str(plain.get("role") or role), "content": content or ""}
        if calls:
            message["parts"] = calls
        if plain.get("finish_reason"):
            message["finish_reason"] = plain["finish_reason"]
        if content or calls:
            messages.append(message)
    cut = any(name.startswith(prefix) for name in span.cut)
    return (messages, Fidelity.TRUNCATED if cut else Fidelity.FULL) if messages else None


def _are_parts(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(part, dict) and "type" in part for part in value)
    )


def indexed_calls(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls: dict[str, dict[str, Any]] = {}
    for name, value in sorted(fields.items()):
        if name.startswith("tool_calls."):
            index, _, rest = name.removeprefix("tool_calls.").partition(".")
            call = calls.setdefault(index, {"type": "tool_call"})
            call[rest.rpartition(".")[2]] = value
    return list(calls.values())


def _vercel_input(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
    found = _attribute("ai.prompt.messages", "ai.prompt")(span, logs)
    if found is None or not isinstance(found[0], dict):
        return found
    value, fidelity = found
    if isinstance(value.get("prompt"), str):
        value = {"messages": [{"role": "user", "content": value["prompt"]}], "system": value.get("system")}
    system = value.get("system")
    return as_input({"messages": value.get("messages")}, system) if "messages" in value else value, fidelity


def _legacy_events(side: str) -> Reader:
    """The span events in which early conventions carried `gen_ai.prompt` and `gen_ai.completion`."""

    def read(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
        for name, fields in events_of(span, logs):
            if name == f"gen_ai.content.{side}" and fields.get(f"gen_ai.{side}"):
                return _logged(fields[f"gen_ai.{side}"])
        return None

    return read


def _pydantic_history(span: SpanFacts, logs: Sequence[LogFacts]) -> tuple[list[Any], Fidelity] | None:
    found = _attribute("pydantic_ai.all_messages", "all_messages_events")(span, logs)
    if found is None or not isinstance(found[0], list):
        return None
    return found[0], found[1]


def _ends_with_answer(history: Sequence[Any]) -> bool:
    return bool(history) and isinstance(history[-1], dict) and history[-1].get("role") == "assistant"


def _pydantic_input(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
    found = _pydantic_history(span, logs)
    if found is None:
        return None
    history, fidelity = found
    return history[:-1] if _ends_with_answer(history) else history, fidelity


def _pydantic_output(span: SpanFacts, logs: Sequence[LogFacts]) -> Found:
    result = _attribute("final_result")(span, logs)
    if result is not None:
        return result
    found = _pydantic_history(span, logs)
    return None if found is None or not _ends_with_answer(found[0]) else (found[0][-1:], found[1])


def _documents(span: SpanFacts) -> Found:
    documents = []
    for fields in indexed(span, "retrieval.documents."):
        content = fields.get("document.content")
        if content:
            extra = {name: fields[f"document.{name}"] for name in ("id", "score") if f"document.{name}" in fields}
            documents.append({**extra, "content": content} if extra else content)
    cut = any(name.startswith("retrieval.documents.") for name in span.cut)
    return (documents, Fidelity.TRUNCATED if cut else Fidelity.FULL) if documents else None


def _tool_result(span: SpanFacts) -> Found:
    attributes = span.attributes
    kind = str(attributes.get("openinference.span.kind", "")).upper()
    operation = attributes.get("gen_ai.operation.name")
    is_tool = operation == "execute_tool" or kind == "TOOL" or attributes.get("traceloop.span.kind") == "tool"
    names = (
        attributes.get(name)
        for name in ("gen_ai.tool.name", "tool.name", "traceloop.entity.name", "ai.toolCall.name")
    )
    named = is_tool or "ai.toolCall.name" in attributes
    name = next((str(name) for name in names if name), span.name)
    if kind in ("RETRIEVER", "RERANKER") or operation == "retrieval" or (named and _RETRIEVAL_TOOL.search(name)):
        return _attribute(*_TOOL_RESULTS)(span, ())
    return None


_INPUTS: tuple[tuple[str, Reader], ...] = (
    ("botanu.eval", _attribute("botanu.eval.input_content")),
    ("langfuse", _attribute("langfuse.observation.input", "langfuse.trace.input")),
    ("gen_ai", _genai_input),
    ("openinference", _openinference("input")),
    ("traceloop", _attribute("traceloop.entity.input")),
    ("vercel", _vercel_input),
    ("mlflow", _attribute("mlflow.spanInputs")),
    ("pydantic_ai", _pydantic_input),
    (
        "gen_ai.legacy",
        _any(
            _attribute("gen_ai.prompt"),
            lambda span, logs: _indexed_messages(span, "gen_ai.prompt.", "user"),
            _legacy_events("prompt"),
        ),
    ),
)
_OUTPUTS: tuple[tuple[str, Reader], ...] = (
    ("botanu.eval", _attribute("botanu.eval.output_content")),
    ("langfuse", _attribute("langfuse.observation.output", "langfuse.trace.output")),
    ("gen_ai", _genai_output),
    ("openinference", _openinference("output")),
    ("traceloop", _attribute("traceloop.entity.output")),
    (
        "vercel",
        _attribute(
            "ai.response.text", "ai.response.object", "ai.response.toolCalls", "ai.result.text", "ai.result.object"
        ),
    ),
    ("mlflow", _attribute("mlflow.spanOutputs")),
    ("pydantic_ai", _pydantic_output),
    (
        "gen_ai.legacy",
        _any(
            _attribute("gen_ai.completion"),
            lambda span, logs: _indexed_messages(span, "gen_ai.completion.", "assistant"),
            _legacy_events("completion"),
        ),
    ),
)
_RETRIEVALS: tuple[tuple[str, Callable[[SpanFacts], Found]], ...] = (
    ("botanu.eval", lambda span: _text(span, "botanu.eval.retrieval_content")),
    ("openinference", _documents),
    ("gen_ai", lambda span: _text(span, "gen_ai.retrieval.documents")),
    ("tool_result", _tool_result),
)
_PRECEDENCE = {dialect: place for place, (dialect, _) in enumerate(_INPUTS)}
