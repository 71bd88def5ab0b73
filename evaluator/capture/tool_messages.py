"""Calls of tools as chat messages tell of them: what a model asked for, and what it was answered.

Known are the shapes of OpenAI (chat and responses), Anthropic, Bedrock, Gemini, LangChain, the Vercel AI SDK and the
OpenTelemetry GenAI conventions, wherever in a value they stand.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evaluator.capture.captured_text import read_text
from evaluator.capture.tool_call import ToolCall, completed
from evaluator.model.capture import Fidelity

_MARK = re.compile(r"tool[_-]?(?:call|use|result|name)|function_?call", re.IGNORECASE)
_CALL_TYPES = frozenset(("tool_call", "tool_use", "function_call", "tool-call", "server_tool_use", "mcp_call"))
_RESULT_TYPES = frozenset(("tool_call_response", "tool_result", "function_call_output", "tool-result"))
_CALL_KEYS = frozenset(("function_call", "functionCall", "toolUse"))
_RESULT_KEYS = frozenset(("function_response", "functionResponse", "toolResult"))
_CALL_IDS = ("call_id", "tool_call_id", "toolCallId", "tool_use_id", "toolUseId", "id")
_NAMES = ("name", "toolName", "tool_name")
_ARGUMENTS = ("arguments", "args", "input")
_RESULTS = ("response", "result", "content", "output")
_TEXTS = ("text", "input_text", "output_text")
_DEEPEST = 24
_MOST_TOLD = 5000
_LONGEST_NAME = 200
_LONGEST_ERROR = 1000

_Told = list[tuple[str, ToolCall]]


def mentions_calls(value: Any) -> bool:
    """Whether a captured value may tell of tool calls; cheap, and false for nearly all that does not."""
    if isinstance(value, str):
        return ("tool" in value or "unction" in value) and _MARK.search(value) is not None
    return isinstance(value, dict | list)


def calls_told(value: Any, *, of_this_turn: bool) -> list[ToolCall]:
    """The calls in messages in their order, each with its result; results without their call come without a name.

    `of_this_turn` leaves out what stands before the last thing a user said: the history of earlier turns.
    """
    told: _Told = []
    _walk(value, told, 0)
    if of_this_turn:
        turns = [place for place, (kind, _) in enumerate(told) if kind == "turn"]
        told = told[turns[-1] + 1 :] if turns else told
    return _with_results(told)


def _with_results(told: _Told) -> list[ToolCall]:
    """Each result joined to the first call that waits for one under its id; without an id, under its name."""
    calls: list[ToolCall] = []
    waiting: dict[tuple[str, str], deque[int]] = {}
    for kind, said in told:
        if kind == "call":
            for key in (("id", said.call_id), ("name", said.name)):
                waiting.setdefault(key, deque()).append(len(calls))
            calls.append(said)
        elif kind == "result":
            queue = waiting.get(("id", said.call_id) if said.call_id else ("name", said.name), deque())
            while queue and (calls[queue[0]].result is not None or calls[queue[0]].error is not None):
                queue.popleft()
            if queue:
                place = queue.popleft()
                calls[place] = completed(calls[place], said)
            elif said.call_id or said.name:
                calls.append(said)
    return calls


def _walk(value: Any, told: _Told, depth: int) -> None:
    if depth > _DEEPEST or len(told) >= _MOST_TOLD:
        return
    if isinstance(value, list):
        for each in value:
            _walk(each, told, depth + 1)
        return
    if not isinstance(value, dict):
        return
    if _is_users_word(value):
        told.append(("turn", ToolCall()))
    found = _call(value)
    kind = "call"
    if found is None:
        found, kind = _result(value), "result"
    if found is not None:
        told.append((kind, found))
        return
    for key, each in value.items():
        if key in _CALL_KEYS and isinstance(each, dict) and _text(each, _NAMES):
            told.append(("call", _made(each)))
        elif key in _RESULT_KEYS and isinstance(each, dict):
            told.append(("result", _answered(each)))
        elif key == "content" and isinstance(each, str) and each[:1] == "[" and mentions_calls(each):
            _walk(read_text(each)[0], told, depth + 1)
        else:
            _walk(each, told, depth + 1)


def _is_users_word(message: Mapping[str, Any]) -> bool:
    """Whether a user speaks, rather than a tool's result stand in the user's place as Anthropic has it."""
    if (message.get("role") or message.get("type")) not in ("user", "human"):
        return False
    parts = [part for key in ("content", "parts") for part in _listed(message.get(key))]
    return bool(parts) and not any(
        isinstance(part, dict) and (part.get("type") in _RESULT_TYPES or _RESULT_KEYS & set(part)) for part in parts
    )


def _call(said: Mapping[str, Any]) -> ToolCall | None:
    function = said.get("function")
    if isinstance(function, dict) and "arguments" in function and _text(function, _NAMES):
        return replace(_made(function), call_id=_text(said, _CALL_IDS))
    keys = set(said)
    is_call = said.get("type") in _CALL_TYPES or (
        not keys & {"result", "output"}
        and said.get("type") not in _RESULT_TYPES
        and (
            keys >= {"name", "args", "id"} or (keys >= {"toolName", "toolCallId"} and bool(keys & set(_ARGUMENTS)))
        )
    )
    return _made(said) if is_call and _text(said, _NAMES) else None


def _made(said: Mapping[str, Any]) -> ToolCall:
    arguments = next((said[key] for key in _ARGUMENTS if said.get(key) is not None), None)
    arguments, fidelity = _value(arguments)
    return ToolCall(
        name=_text(said, _NAMES)[:_LONGEST_NAME],
        call_id=_text(said, _CALL_IDS),
        arguments=arguments,
        fidelity=fidelity,
        dialect="messages",
    )


def _result(said: Mapping[str, Any]) -> ToolCall | None:
    if said.get("type") in _RESULT_TYPES:
        return _answered(said)
    is_tools = said.get("role") in ("tool", "function") or (said.get("type") == "tool" and "tool_call_id" in said)
    if is_tools and (isinstance(said.get("content"), str) or "tool_call_id" in said):
        return _answered(said)
    return None


def _answered(said: Mapping[str, Any]) -> ToolCall:
    raw = next((said[key] for key in _RESULTS if said.get(key) is not None), None)
    failed = said.get("is_error") is True or said.get("isError") is True or said.get("status") == "error"
    if isinstance(raw, dict) and set(raw) == {"type", "value"}:  # the Vercel AI SDK says what kind of value it is
        failed = failed or str(raw["type"]).startswith("error")
        raw = raw["value"]
    raw = _plain_text(raw)
    value, fidelity = _value(raw)
    return ToolCall(
        name=_text(said, _NAMES)[:_LONGEST_NAME],
        call_id=_text(said, _CALL_IDS),
        result=None if failed else value,
        error=(raw if isinstance(raw, str) and raw else "failed")[:_LONGEST_ERROR] if failed else None,
        fidelity=fidelity,
        dialect="messages",
    )


def _value(raw: Any) -> tuple[Any, Fidelity]:
    return read_text(raw) if isinstance(raw, str) and raw else (None if raw == "" else raw, Fidelity.FULL)


def _plain_text(value: Any) -> Any:
    """The text of parts that are all text; any other value as it is."""
    if not isinstance(value, list) or not value:
        return value
    texts = [
        part.get("text", part.get("content")) if part.get("type", "text") in _TEXTS else None
        for part in value
        if isinstance(part, dict)
    ]
    if len(texts) != len(value) or not all(isinstance(text, str) for text in texts):
        return value
    return "\n".join(str(text) for text in texts)


def _text(said: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((value for key in keys if isinstance(value := said.get(key), str) and value), "")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None or value == "" else [value]
