"""Chat messages of every dialect as turns: who said it, the text, and tool calls, results and attachments in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluator.capture.chat_messages import messages_of
from evaluator.wording import noun
from review_ui.rendering.json_view import json_in, shown_json, written
from review_ui.rendering.markdown_signs import reads_as_markdown
from review_ui.rendering.text_view import Drawn, cut_at, data_chip, inert, shown_text, with_short_data

Message = Mapping[str, Any]

MOST_LAID_OUT = 400_000
"""Characters of one chat; laying out more of markdown takes half a second and up."""
_LISTS = ("messages", "contents", "choices")
_SPOKEN = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""Role → how its turn looks."""
_LONGEST_ROLE = 40
_LONGEST_ID = 80
_TEXT_KEYS = ("content", "text")
_TEXT_TYPES = frozenset(("text", "input_text", "output_text", "refusal"))
_THOUGHT_TYPES = frozenset(("reasoning", "thinking", "redacted_thinking", "thought", "summary_text"))
_CALL_TYPES = frozenset(
    ("tool_call", "tool_use", "function_call", "tool-call", "server_tool_use", "mcp_call", "function")
)
_RESULT_TYPES = frozenset(("tool_call_response", "tool_result", "function_call_output", "tool-result"))
_CALL_KEYS = ("function_call", "functionCall", "toolUse", "function")
_RESULT_KEYS = ("function_response", "functionResponse", "toolResult")
_NAMES = ("name", "toolName", "tool_name")
_ARGUMENTS = ("arguments", "args", "input")
_RESULTS = ("response", "result", "content", "output")
_IDS = ("call_id", "tool_call_id", "toolCallId", "tool_use_id", "toolUseId", "id")
_ANSWERED = ("tool_call_id", "call_id")
_BLOBS = (("media_type", "data"), ("mime_type", "data"), ("mimeType", "data"), ("format", "data"))
_OWN_KEYS = frozenset(("role", "content", "parts", "tool_calls", "function_call", "reasoning_content", "reasoning"))


@dataclass(frozen=True)
class Chat:
    """Messages, and what stood beside them in the value."""

    messages: Sequence[Message]
    beside: Mapping[str, Any]


def chat_in(value: Any) -> Chat | None:
    """The chat in a value; None where it holds none."""
    value = json_in(value)
    if value is None:
        return None
    if isinstance(value, dict):
        for name in _LISTS:
            inner = _messages(value.get(name))
            if inner is not None:
                return Chat(inner, {key: each for key, each in value.items() if key != name})
    found = _messages([value] if isinstance(value, dict) else value)
    return None if found is None else Chat(found, {})


def _messages(value: Any) -> Sequence[Message] | None:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or not value:
        return None
    unwrapped = [
        each["message"] if isinstance(each, dict) and isinstance(each.get("message"), dict) else each
        for each in value
    ]
    return unwrapped if messages_of(unwrapped) is not None else None


def shown_chat(chat: Chat, limit: int) -> Drawn:
    """The turns in their order; where they are too long, those in the middle are left out.

    A chat of which more than 400,000 characters are to be shown is shown as a transcript.
    """
    sizes = [_size(message) for message in chat.messages]
    if min(sum(sizes), limit) > MOST_LAID_OUT:
        return shown_text(transcript(chat), limit)
    longest = limit if sum(sizes) <= limit else max(limit // 4, 200)
    kept = _kept([min(size, longest) for size in sizes], limit)
    parts: list[str] = []
    folded = len(kept) < len(sizes)
    last = -1
    for at in sorted(kept):
        if at > last + 1:
            parts.append(_gap(at - last - 1))
        turn = _turn(chat.messages[at], longest)
        folded = folded or turn.folded
        parts.append(turn.html)
        last = at
    if last < len(sizes) - 1:
        parts.append(_gap(len(sizes) - 1 - last))
    beside = shown_json(chat.beside, max(limit // 4, 200)) if chat.beside else Drawn("")
    return Drawn(f'<ol class="c-chat">{"".join(parts)}</ol>{beside.html}', folded or beside.folded)


def _kept(sizes: Sequence[int], limit: int) -> set[int]:
    """Which messages fit: the first one, and then from the last one backwards, as what was said last counts most."""
    order = [0, *range(len(sizes) - 1, 0, -1)]
    kept: set[int] = set()
    for at in order:
        if kept and sizes[at] > limit:
            break
        kept.add(at)
        limit -= sizes[at]
    return kept


def _gap(count: int) -> str:
    return f'<li class="c-gap c-aside">… {count:,} {noun(count, "message")} more …</li>'


def _size(value: Any, depth: int = 0) -> int:
    if isinstance(value, str):
        return len(value)
    if depth > 24:
        return 0
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _size(each, depth + 1) for key, each in value.items())
    if isinstance(value, list | tuple):
        return sum(_size(each, depth + 1) for each in value)
    return 8


def _turn(message: Message, limit: int) -> Drawn:
    role = str(message.get("role", ""))
    look = _SPOKEN.get(role.strip().lower(), "other")
    named = message.get("name")
    name = (
        f' <span class="c-name">{inert(named[:_LONGEST_ROLE])}</span>' if isinstance(named, str) and named else ""
    )
    call_id = _text(message, _ANSWERED)
    called = f' <span class="c-id c-aside">{inert(call_id[:_LONGEST_ID])}</span>' if call_id else ""
    drawn = list(_body(message, look, limit))
    html = "".join(each.html for each in drawn) or '<p class="c-more c-aside">nothing said</p>'
    return Drawn(
        f'<li class="c-turn c-{look}"><p class="c-role">{inert(role[:_LONGEST_ROLE]) or "no role"}{name}{called}</p>{html}</li>',
        any(each.folded for each in drawn),
    )


def _body(message: Message, look: str, limit: int) -> Iterator[Drawn]:
    for name in ("reasoning_content", "reasoning"):
        if message.get(name):
            yield _thought(message[name], limit)
    for name in ("content", "parts"):
        yield from _parts(message.get(name), limit, is_result=look == "tool")
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else [calls] if calls else []:
        yield _part(call, limit)
    if message.get("function_call"):
        yield _part({"type": "function_call", "function_call": message["function_call"]}, limit)
    others = {
        key: each
        for key, each in message.items()
        if key not in _OWN_KEYS
        and each not in (None, "", [], {})
        and not (key in ("name", *_ANSWERED) and isinstance(each, str) and len(each) <= _LONGEST_ROLE)
    }
    if others:
        yield shown_json(others, limit)


def _parts(value: Any, limit: int, *, is_result: bool = False) -> Iterator[Drawn]:
    if value is None or value == "":
        return
    if isinstance(value, list):
        for part in value:
            yield _part(part, limit)
    elif isinstance(value, dict):
        yield _part(value, limit)
    else:
        yield shown_value(value, limit)


def _part(part: Any, limit: int) -> Drawn:
    if not isinstance(part, dict):
        return shown_value(part, limit)
    kind = part.get("type") if isinstance(part.get("type"), str) else ""
    text = next((part[key] for key in (*_TEXT_KEYS, "refusal") if isinstance(part.get(key), str)), None)
    if text is not None and (kind in _TEXT_TYPES or (not kind and set(part) <= {"text", "content"})):
        return shown_value(text, limit)
    if kind in _THOUGHT_TYPES:
        return _thought(text if text is not None else part.get("thinking") or part.get("summary") or part, limit)
    call = next((part[key] for key in _CALL_KEYS if isinstance(part.get(key), dict)), None)
    if call is not None or kind in _CALL_TYPES:
        return _call(call if call is not None else part, part, limit)
    result = next((part[key] for key in _RESULT_KEYS if isinstance(part.get(key), dict)), None)
    if result is not None or kind in _RESULT_TYPES:
        return _result(result if result is not None else part, part, limit)
    return _attachment(part) or shown_json(part, limit)


def _thought(value: Any, limit: int) -> Drawn:
    inner = shown_value(value, limit)
    return Drawn(f'<details class="c-thought"><summary>Reasoning</summary>{inner.html}</details>', inner.folded)


def _call(call: Message, part: Message, limit: int) -> Drawn:
    name = _text(call, _NAMES) or _text(part, _NAMES) or "a tool"
    arguments = next((call[key] for key in _ARGUMENTS if call.get(key) not in (None, "")), None)
    inner = shown_value(arguments, limit) if arguments is not None else Drawn("")
    return _tool("calls", name, _text(part, _IDS) or _text(call, _IDS), inner)


def _result(result: Message, part: Message, limit: int) -> Drawn:
    name = _text(result, _NAMES) or _text(part, _NAMES)
    value = next((result[key] for key in _RESULTS if result.get(key) is not None), None)
    drawn = list(_parts(value, limit)) if isinstance(value, list) else [shown_value(value, limit)]
    inner = Drawn("".join(each.html for each in drawn), any(each.folded for each in drawn))
    failed = result.get("is_error") is True or part.get("is_error") is True
    return _tool(
        "error of" if failed else "result of", name or "a tool", _text(part, _IDS) or _text(result, _IDS), inner
    )


def _tool(what: str, name: str, call_id: str, inner: Drawn) -> Drawn:
    named = f' <span class="c-id c-aside">{inert(call_id[:_LONGEST_ID])}</span>' if call_id else ""
    return Drawn(
        f'<div class="c-tool"><p class="c-what"><span class="c-aside">{what}</span> '
        f'<span class="c-name">{inert(name[:200])}</span>{named}</p>{inner.html}</div>',
        inner.folded,
    )


def _attachment(part: Message) -> Drawn | None:
    """An image, a sound or a file as its type and size: never fetched, never drawn."""
    for holder in (part, *(each for each in part.values() if isinstance(each, dict))):
        for kind_key, data_key in _BLOBS:
            kind, data = holder.get(kind_key), holder.get(data_key)
            if isinstance(kind, str) and isinstance(data, str):
                return Drawn(f'<p class="c-what">{data_chip(kind[:80], len(data) * 3 // 4)}</p>')
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if isinstance(url, str):
        return Drawn(
            f'<p class="c-what"><span class="c-aside">image at</span> {inert(cut_at(with_short_data(url), 400))}</p>'
        )
    return None


def _text(value: Message, names: Sequence[str]) -> str:
    return next((value[name] for name in names if isinstance(value.get(name), str)), "")


def shown_value(value: Any, limit: int) -> Drawn:
    """What stands inside a turn: JSON as a tree, text as markdown or as it is written."""
    inner = json_in(value)
    if inner is not None:
        return shown_json(inner, limit)
    if not isinstance(value, str):
        return shown_json(value, limit)
    if not reads_as_markdown(value):
        return shown_text(value, limit)
    from review_ui.rendering.markdown_view import shown_markdown  # 3 MiB that no start needs

    return shown_markdown(value, limit)


def transcript(chat: Chat) -> str:
    """The chat as plain lines, a role above what was said: what two chats are compared by."""
    lines: list[str] = []
    for message in chat.messages:
        lines.append(f"{message.get('role')}:")
        others = {
            key: each
            for key, each in message.items()
            if key not in ("role", "content") and each not in (None, "", [])
        }
        content = message.get("content")
        lines += [content] if isinstance(content, str) and content else []
        others |= {"content": content} if content and not isinstance(content, str) else {}
        lines += [written(others), ""] if others else [""]
    return "\n".join([*lines, written(chat.beside)] if chat.beside else lines)
