"""A captured text → its value: JSON is parsed, quotes are taken off, what was cut is closed and marked."""

from __future__ import annotations

import re
from typing import Any

from evaluator.capture.otlp_json import json_value
from evaluator.model.capture import Fidelity

LOST = {Fidelity.FULL: 0, Fidelity.TRUNCATED: 1, Fidelity.PARTIAL: 2, Fidelity.MISSING: 3}
"""How much each fidelity has lost."""
_OBJECT = re.compile(r"<[^<>\"]{1,300}(?:<locals>[^<>\"]{1,300})? at 0x[0-9A-Fa-f]+>")
_BROKEN_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?$")
_CLOSERS = {"{": "}", "[": "]"}
_MOST_UNQUOTED = 3
_DEEPEST = 100


def read_text(text: str, *, cut: bool = False) -> tuple[Any, Fidelity]:
    """The value of a captured text and its fidelity; `cut` says that its length is that of a limit.

    JSON that broke off is parsed as far as it goes and marked truncated.
    """
    value, whole = _parsed(text)
    for _ in range(_MOST_UNQUOTED):
        if not (isinstance(value, str) and value[:1] in ("{", "[", '"') and value != text):
            break
        inner, inner_whole = _parsed(value)
        if inner == value:
            break
        value, whole = inner, whole and inner_whole
    if not whole or (cut and isinstance(value, str) and value == text):
        return value, Fidelity.TRUNCATED
    return value, value_fidelity(value)


def value_fidelity(value: Any) -> Fidelity:
    """Partial where a text within is but the description of an object, else full."""
    return Fidelity.PARTIAL if _describes_object(value, 0) else Fidelity.FULL


def _describes_object(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return " at 0x" in value and _OBJECT.fullmatch(value.strip()) is not None
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(_describes_object(item, depth + 1) for item in value)


def _parsed(text: str) -> tuple[Any, bool]:
    """The value and whether it is whole; text that is no JSON is its own value."""
    stripped = text.strip()
    if stripped == "null":
        return None, True
    if stripped[:1] not in ("{", "[", '"'):
        return text, True
    try:
        return without_nul(json_value(stripped)), True
    except ValueError:
        pass
    if not _broke_off(stripped):
        return text, True
    try:
        return without_nul(json_value(_closed(stripped))), False
    except ValueError:
        return text, False


def without_nul(value: Any, depth: int = 0) -> Any:
    """The value without NUL characters, which PostgreSQL refuses."""
    if isinstance(value, str):
        return value.replace("\x00", "") if "\x00" in value else value
    if isinstance(value, (dict, list)) and depth > _DEEPEST:
        return None
    if isinstance(value, list):
        return [without_nul(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {without_nul(name): without_nul(item, depth + 1) for name, item in value.items()}
    return value


def _broke_off(text: str) -> bool:
    """Whether invalid JSON looks like the beginning of valid JSON rather than like prose in brackets."""
    if text.startswith('"'):
        return re.search(r'(?<!\\)(?:\\\\)*"', text[1:]) is None
    opened = text[0]
    return text[1:].lstrip()[:1] in ('"', "{", "[") and not text.endswith(_CLOSERS[opened])


def _closed(text: str) -> str:
    """JSON that broke off, ended after its last complete value or in the middle of its last text.

    Raises ValueError for what is nested too deep to be content.
    """
    closers: list[str] = []
    in_text = escaped = False
    safe, safe_closers = 0, ""
    for at, character in enumerate(text):
        if in_text:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_text = False
        elif character == '"':
            in_text = True
        elif character in _CLOSERS:
            closers.append(_CLOSERS[character])
            if len(closers) > _DEEPEST:
                raise ValueError("nested too deep")
            safe, safe_closers = at + 1, "".join(reversed(closers))
        elif character in "}]" and closers:
            closers.pop()
            safe, safe_closers = at + 1, "".join(reversed(closers))
        elif character == ",":
            safe, safe_closers = at, "".join(reversed(closers))
    ends = '"' + "".join(reversed(closers))
    for body in (text, _BROKEN_ESCAPE.sub("", text)) if in_text else ():
        try:
            json_value(body + ends)
        except ValueError:
            continue
        return body + ends
    return text[:safe] + safe_closers
