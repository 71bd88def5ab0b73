"""Spans that are the execution of a tool, in every dialect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from evaluator.capture.captured_text import LOST, read_text, value_fidelity
from evaluator.capture.span_facts import SpanFacts
from evaluator.capture.tool_call import LOOKED_AT, ToolCall, completed, is_same
from evaluator.model.capture import Fidelity

_KINDS = (
    ("gen_ai.operation.name", "execute_tool", "gen_ai"),
    ("openinference.span.kind", "tool", "openinference"),
    ("traceloop.span.kind", "tool", "traceloop"),
    ("langfuse.observation.type", "tool", "langfuse"),
    ("mlflow.spanType", "tool", "mlflow"),
    ("ai.operationId", "ai.toolcall", "vercel"),
)
TOOL_DIALECTS = (*(dialect for _, _, dialect in _KINDS), "pydantic_ai")
_NAMES = ("gen_ai.tool.name", "tool.name", "ai.toolCall.name", "traceloop.entity.name", "mlflow.spanFunctionName")
_IDS = ("gen_ai.tool.call.id", "ai.toolCall.id", "tool_call.id", "tool.id")
_ARGUMENTS = (
    "gen_ai.tool.call.arguments",
    "tool_arguments",
    "ai.toolCall.args",
    "langfuse.observation.input",
    "input.value",
    "tool.parameters",
    "traceloop.entity.input",
    "mlflow.spanInputs",
    "botanu.eval.input_content",
)
_RESULTS = (
    "gen_ai.tool.call.result",
    "tool_response",
    "ai.toolCall.result",
    "langfuse.observation.output",
    "output.value",
    "traceloop.entity.output",
    "mlflow.spanOutputs",
    "botanu.eval.output_content",
)
_FURTHEST = 50
"""Spans up from a call's among which another is looked for that tells of it."""
_ERROR = 2
_LONGEST_NAME = 200
_LONGEST_ERROR = 1000

Found = tuple[Any, Fidelity]


def tool_dialect(span: SpanFacts) -> str | None:
    """Which dialect says that the span is the execution of a tool; None where none does."""
    get = span.attributes.get
    for name, kind, dialect in _KINDS:
        said = get(name)
        if said is not None and str(said).strip('"').lower() == kind:
            return dialect
    # Pydantic AI's older spans say no more than the tool's name.
    if get("gen_ai.tool.name") and not get("gen_ai.operation.name"):
        return "pydantic_ai"
    return None


def executed_calls(spans: Sequence[SpanFacts], *, most: int | None = None) -> list[ToolCall]:
    """The first calls, at most `most`, that tool spans tell of in time order, each once though several spans tell of it."""
    tools = [(span, dialect) for span in spans if (dialect := tool_dialect(span))]
    if not tools:
        return []
    parents = {span.key: (span.trace_id, span.parent_span_id or "") for span in spans}
    calls: list[ToolCall] = []
    place_of: dict[tuple[str, str], int] = {}
    by_id: dict[str, list[int]] = {}
    for span, dialect in tools:
        call = _call(span, dialect)
        place = _told_around(span, call, parents, place_of, calls)
        under_its_id = islice(reversed(by_id.get(call.call_id, [])), LOOKED_AT)
        again = next((each for each in under_its_id if is_same(calls[each], call)), None)
        if place is not None:
            calls[place] = completed(calls[place], call)
        elif again is not None:  # tried again under one id: what it came to last counts
            place, known = again, calls[again]
            calls[place] = completed(replace(call, at_ns=known.at_ns, span_id=known.span_id), known)
        elif most is not None and len(calls) >= most:
            continue
        else:
            place = len(calls)
            calls.append(call)
        place_of[span.key] = place
        if call.call_id:
            by_id.setdefault(call.call_id, []).append(place)
    return calls


def _told_around(
    span: SpanFacts,
    call: ToolCall,
    parents: dict[tuple[str, str], tuple[str, str]],
    place_of: dict[tuple[str, str], int],
    calls: list[ToolCall],
) -> int | None:
    """Where a span around this one tells of the same call, as where a framework and a tool's client both do."""
    seen = {span.key}
    at = parents[span.key]
    while at in parents and at not in seen and len(seen) <= _FURTHEST:
        place = place_of.get(at)
        if place is not None and is_same(calls[place], call):
            return place
        seen.add(at)
        at = parents[at]
    return None


def _call(span: SpanFacts, dialect: str) -> ToolCall:
    arguments, arguments_fidelity = _first_value(span, _ARGUMENTS)
    result, result_fidelity = _first_value(span, _RESULTS)
    return ToolCall(
        name=_name(span),
        call_id=_first_text(span, _IDS),
        arguments=arguments,
        result=result,
        error=_error(span),
        at_ns=span.start_ns,
        span_id=span.span_id,
        dialect=dialect,
        fidelity=max(arguments_fidelity, result_fidelity, key=LOST.__getitem__),
    )


def _name(span: SpanFacts) -> str:
    named = _first_text(span, _NAMES).strip('"')
    if not named:
        named = span.name.removeprefix("execute_tool ").removeprefix("running tool: ").removesuffix(".tool")
    return named[:_LONGEST_NAME]


def _first_text(span: SpanFacts, names: Iterable[str]) -> str:
    values = (span.attributes.get(name) for name in names)
    return next((str(value) for value in values if value is not None and value != ""), "")


def _first_value(span: SpanFacts, names: Iterable[str]) -> Found:
    for name in names:
        raw = span.attributes.get(name)
        if raw is None or raw == "":
            continue
        return read_text(raw, cut=name in span.cut) if isinstance(raw, str) else (raw, value_fidelity(raw))
    return None, Fidelity.FULL


def _error(span: SpanFacts) -> str | None:
    """What went wrong, as far as it is told: the error's class and the message; None where nothing did."""
    attributes = span.attributes
    failed = (
        span.status_code == _ERROR
        or str(attributes.get("langfuse.observation.level", "")).upper() == "ERROR"
        or str(attributes.get("botanu.tool.success", "")).lower() == "false"
    )
    if not failed:
        return None
    raised: dict[str, Any] = {}
    for event in span.span_events:
        if event.get("name") == "exception":
            raised = event.get("attributes") or {}
    kind = str(attributes.get("error.type") or raised.get("exception.type") or "")
    message = str(
        span.status_message
        or attributes.get("langfuse.observation.status_message")
        or raised.get("exception.message")
        or ""
    )
    told = message if message.startswith(kind) else f"{kind}: {message}" if message else kind
    return told[:_LONGEST_ERROR] or "failed"
