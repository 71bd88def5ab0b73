"""Chat messages of every dialect → `{"role", "content", …}`.

Text parts are joined into `content`; parts of other types (tool calls, reasoning, images …) pass through
unchanged under `parts`.
"""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]

_TEXT_KEYS = ("content", "text")


def messages_of(value: Any) -> list[Message] | None:
    """The messages in a value of any dialect; None where the value holds no chat."""
    if isinstance(value, dict):
        if _is_message(value):
            return [_message(value)]
        return messages_of(value["messages"]) if isinstance(value.get("messages"), list) else None
    if not isinstance(value, list) or not value:
        return None
    if len(value) == 1 and isinstance(value[0], list):
        return messages_of(value[0])
    if not all(isinstance(item, dict) and _is_message(item) for item in value):
        return None
    return [_message(item) for item in value]


def as_input(value: Any, instructions: Any = None) -> Any:
    """Chat as `{"messages": […]}`, with system instructions in front; any other value as it is."""
    messages = messages_of(value)
    if messages is None:
        return value
    system = instructions_of(instructions)
    if system and not any(message["role"] == "system" for message in messages):
        messages = [{"role": "system", "content": system}, *messages]
    others = {} if not isinstance(value, dict) or _is_message(value) else value
    return {**others, "messages": messages}


def as_output(value: Any) -> Any:
    """The text of a single message that is nothing but text, other chat as `{"messages": […]}`, else the value."""
    messages = messages_of(_choices(value))
    if messages is None:
        return value
    only = messages[0] if len(messages) == 1 else {}
    if only.get("content") and set(only) <= {"role", "content", "finish_reason"}:
        return only["content"]
    return {"messages": messages}


def _choices(value: Any) -> Any:
    """The messages of an OpenAI chat completion; any other value as it is."""
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list):
        return value
    return [choice["message"] for choice in choices if isinstance(choice, dict) and "message" in choice] or value


def instructions_of(value: Any) -> str:
    """System instructions as text, from a text or from parts."""
    if isinstance(value, str):
        return value
    return _content_and_parts(value)[0] if isinstance(value, list) else ""


def is_empty(value: Any) -> bool:
    """Whether a captured value says nothing at all."""
    if isinstance(value, dict) and set(value) == {"messages"}:
        return all(
            not message.get("content") and set(message) <= {"role", "content"} for message in value["messages"]
        )
    return value is None or value in ("", [], {})


def _is_message(value: Message) -> bool:
    return isinstance(value.get("role"), str) and bool({"content", "parts", "tool_calls"} & set(value))


def _message(value: Message) -> Message:
    others = {
        name: item for name, item in value.items() if name not in ("role", "content", "parts") and item is not None
    }
    content, parts = _content_and_parts(value.get("content"))
    more, more_parts = _content_and_parts(value.get("parts"))
    content = "\n".join(text for text in (content, more) if text)
    if parts or more_parts:
        others["parts"] = [*parts, *more_parts]
    return {"role": value["role"], "content": content, **others}


def _content_and_parts(value: Any) -> tuple[str, list[Any]]:
    if value is None:
        return "", []
    if isinstance(value, str):
        return value, []
    texts: list[str] = []
    parts: list[Any] = []
    for part in value if isinstance(value, list) else [value]:
        text = _text_of(part)
        if text is None:
            parts.append(part)
        else:
            texts.append(text)
    return "\n".join(texts), parts


def _text_of(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type", "text") not in ("text", "input_text", "output_text"):
        return None
    return next((part[key] for key in _TEXT_KEYS if isinstance(part.get(key), str)), None)
