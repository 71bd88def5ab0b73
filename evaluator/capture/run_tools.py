"""The tool calls of a run: those its tool spans executed, and those that only its messages tell of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evaluator.capture.captured_text import LOST, read_text
from evaluator.capture.dialects import DETAILS, MESSAGE_EVENTS, events_of, indexed, indexed_calls
from evaluator.capture.llm_calls import is_llm_call
from evaluator.capture.span_facts import LogFacts, SpanFacts
from evaluator.capture.span_tree import SpanKey
from evaluator.capture.tool_call import ToolCall, joined, told_again
from evaluator.capture.tool_messages import calls_told, mentions_calls
from evaluator.capture.tool_spans import executed_calls, tool_dialect
from evaluator.model.capture import Fidelity, Passage

MOST_CALLS = 1000
"""Later ones are left out, and the list is marked truncated."""
_MOST_READ = 2 * MOST_CALLS
"""No more are told apart, which takes longer with each; in time order, so that the first ones are among them."""

_INPUTS = (
    "gen_ai.input.messages",
    "langfuse.observation.input",
    "langfuse.trace.input",
    "input.value",
    "traceloop.entity.input",
    "ai.prompt.messages",
    "ai.prompt",
    "mlflow.spanInputs",
    "pydantic_ai.all_messages",
    "all_messages_events",
    "gen_ai.prompt",
    "botanu.eval.input_content",
)
_OUTPUTS = (
    "gen_ai.output.messages",
    "langfuse.observation.output",
    "langfuse.trace.output",
    "output.value",
    "traceloop.entity.output",
    "ai.response.toolCalls",
    "ai.result.toolCalls",
    "mlflow.spanOutputs",
    "gen_ai.completion",
    "botanu.eval.output_content",
)
_PLACES = {name: place for place, name in enumerate((*_INPUTS, *_OUTPUTS))}
_INDEXED_INPUTS = ("llm.input_messages.", "gen_ai.prompt.")
_INDEXED_OUTPUTS = ("llm.output_messages.", "gen_ai.completion.")

_Told = tuple[list[ToolCall], list[ToolCall]]
"""What a span tells of calls: before it, and by it."""


def tools_of(spans: Sequence[SpanFacts], logs: Mapping[SpanKey, Sequence[LogFacts]]) -> Passage:
    """The run's tool calls in time order, from its spans in time order and the log records of each span.

    A call that several spans, messages or both tell of is there once.
    """
    executed = executed_calls(spans, most=_MOST_READ)
    asked_for = _asked_for(spans, logs)
    if not executed and not asked_for:
        return Passage()
    return listed(joined(executed, asked_for))


def tools_in_messages(input_: Any, output: Any) -> Passage:
    """The tool calls that a run's input and output tell of, where they are chat messages."""
    return listed(told_again(calls_told(input_, of_this_turn=True), calls_told(output, of_this_turn=False)))


def listed(calls: Iterable[ToolCall]) -> Passage:
    """Calls as a passage, in time order; missing where there are none."""
    named = sorted((call for call in calls if call.name), key=lambda call: call.at_ns)
    if not named:
        return Passage()
    kept = named[:MOST_CALLS]
    fidelity = max((call.fidelity for call in kept), key=LOST.__getitem__)
    if len(named) > MOST_CALLS and fidelity is Fidelity.FULL:
        fidelity = Fidelity.TRUNCATED
    return Passage(
        value=[call.plain() for call in kept],
        fidelity=fidelity,
        dialect=kept[0].dialect,
        span_id=kept[0].span_id,
    )


def _asked_for(spans: Sequence[SpanFacts], logs: Mapping[SpanKey, Sequence[LogFacts]]) -> list[ToolCall]:
    """The calls that messages tell of; LLM calls say it first hand, spans around them can only repeat it."""
    first_hand: list[tuple[SpanFacts, _Told]] = []
    around: list[tuple[SpanFacts, _Told]] = []
    for span in spans:
        told = _told_by(span, logs.get(span.key, ()))
        if told[0] or told[1]:
            (first_hand if is_llm_call(span) else around).append((span, told))
    known: list[ToolCall] = []
    answers: set[str] = set()
    for span, (before, by_it) in first_hand:
        if len(known) >= _MOST_READ:
            break
        known = told_again(known, before)
        response_id = str(span.attributes.get("gen_ai.response.id") or span.attributes.get("ai.response.id") or "")
        if response_id and response_id in answers:
            known = told_again(known, by_it)
            continue
        answers.add(response_id)
        known = told_again(known, [call for call in by_it if call.call_id])
        known += [call for call in by_it if not call.call_id]
    for _, (before, by_it) in around:
        if len(known) >= _MOST_READ:
            break
        known = told_again(known, told_again(before, by_it))
    return known


def _told_by(span: SpanFacts, logs: Sequence[LogFacts]) -> _Told:
    attributes = span.attributes
    telling: list[str] = []
    flattened = False
    for name, raw in attributes.items():  # every span passes here, and nearly none has anything to tell
        if name in _PLACES:
            if mentions_calls(raw):
                telling.append(name)
        elif "tool_call" in name:
            flattened = True
    if not (telling or flattened or logs or span.span_events) or tool_dialect(span) is not None:
        return [], []
    before: list[ToolCall] = []
    by_it: list[ToolCall] = []
    for name in sorted(telling, key=_PLACES.__getitem__):
        calls = _read(attributes[name], name in span.cut, of_this_turn=name in _INPUTS)
        if name in _INPUTS:
            before = told_again(before, calls)
        else:
            by_it = told_again(by_it, calls)
    if flattened:
        for prefix in _INDEXED_INPUTS:
            before = told_again(before, calls_told(_messages(span, prefix), of_this_turn=True))
        for prefix in _INDEXED_OUTPUTS:
            by_it = told_again(by_it, calls_told(_messages(span, prefix), of_this_turn=False))
    if logs or span.span_events:
        inputs, outputs = _in_events(span, logs)
        before = told_again(before, calls_told(inputs, of_this_turn=True))
        by_it = told_again(by_it, calls_told(outputs, of_this_turn=False))
    return (
        [replace(call, at_ns=span.start_ns, span_id=span.span_id) for call in before],
        [replace(call, at_ns=span.end_ns, span_id=span.span_id) for call in by_it],
    )


def _read(raw: Any, cut: bool, *, of_this_turn: bool) -> list[ToolCall]:
    value, fidelity = read_text(raw, cut=cut) if isinstance(raw, str) else (raw, Fidelity.FULL)
    calls = calls_told(value, of_this_turn=of_this_turn)
    if calls and fidelity is Fidelity.TRUNCATED:  # where it broke off, the last one need not be whole
        calls[-1] = replace(calls[-1], fidelity=fidelity)
    return calls


def _messages(span: SpanFacts, prefix: str) -> list[dict[str, Any]]:
    """Flattened messages of OpenInference and OpenLLMetry as far as tool calls are concerned."""
    messages = []
    for fields in indexed(span, prefix):
        plain = {name.removeprefix("message."): value for name, value in fields.items()}
        said = {key: plain[key] for key in ("role", "content", "name", "tool_call_id") if plain.get(key)}
        messages.append({**said, "tool_calls": indexed_calls(plain)})
    return messages


def _in_events(span: SpanFacts, logs: Sequence[LogFacts]) -> tuple[list[Any], list[Any]]:
    """The messages of input and output that came as log records or span events."""
    inputs: list[Any] = []
    outputs: list[Any] = []
    for name, fields in events_of(span, logs):
        said = {key: _parsed(value) for key, value in fields.items()}
        if name in MESSAGE_EVENTS:
            inputs.append({"role": MESSAGE_EVENTS[name], **said})
        elif name == "gen_ai.choice":
            outputs.append(said)
    for log in logs:
        if log.name == DETAILS:
            inputs.append(_parsed(log.attributes.get("gen_ai.input.messages")))
            outputs.append(_parsed(log.attributes.get("gen_ai.output.messages")))
    return inputs, outputs


def _parsed(value: Any) -> Any:
    return read_text(value)[0] if isinstance(value, str) and mentions_calls(value) else value
