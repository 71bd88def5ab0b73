"""What a judge is shown of a run's content: cleaned, cut to a limit, written as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_INVISIBLE = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
    "\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb"
    "\\U000e0000-\\U000e0fff]"
)
"""Control, zero-width, bidirectional, variation and tag characters: they hide text from people, not from models."""

_SURROGATE = re.compile("[\\ud800-\\udfff]")

_ROLE_MARK = re.compile(
    r"<(?=[|｜]|<SYS>>|(?i:/?(?:s|bos|eos|pad|unk|think|thinking|system|user|assistant|human|tool_call|tool_response"
    r"|start_of_turn|end_of_turn)>))"
    r"|\[(?=/?[A-Z_]{3,}\])"
)
"""Openings of chat-template tokens: servers that tokenise the whole prompt would read them as roles."""

_DEEPEST = 16
_AROUND_AN_ITEM = len('"", ')
_SMALLEST_SHARE = 200
"""Below this many characters a piece says nothing; the list is then cut as one text."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Content as the judge sees it."""

    data: str
    """One JSON object, a line per content name."""
    texts: tuple[str, ...]
    """The texts a quote may come from."""
    cut: tuple[str, ...]
    """Names of what lost its middle for length."""


def show(content: Mapping[str, Any], max_chars: int) -> Shown:
    """The content without invisible characters, at most about max_chars characters long, as JSON.

    Each name gets a fair share of the limit; what is longer loses its middle. Markers of chat templates are
    written as JSON escapes, so that no server takes them for a role.
    """
    values = {name: clean(value) for name, value in content.items()}
    sizes = [_size(value) for value in values.values()]
    cut: tuple[str, ...] = ()
    if sum(sizes) > max_chars:
        shares = fair_shares(sizes, max_chars)
        cut = tuple(name for name, size, share in zip(values, sizes, shares, strict=True) if size > share)
        values = {name: _fit(value, share) for (name, value), share in zip(values.items(), shares, strict=True)}
    lines = ",\n".join(f"{_json(name)}: {_json(value)}" for name, value in values.items())
    data = _ROLE_MARK.sub(lambda found: f"\\u{ord(found[0]):04x}", f"{{{lines}}}")
    return Shown(data, tuple(text for value in values.values() for text in _texts(value)), cut)


def fair_shares(sizes: Sequence[int], limit: int) -> list[int]:
    """How much of the limit each size gets: small ones whole, large ones an equal part of the rest."""
    shares = [0] * len(sizes)
    left = limit
    for done, index in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[index] = min(sizes[index], left // (len(sizes) - done))
        left -= shares[index]
    return shares


def cut_middle(text: str, limit: int) -> str:
    """The text's beginning and end with a note of how much is missing, at most limit characters."""
    if len(text) <= limit:
        return text
    note = f" [… {len(text) - limit:,} characters cut …] "
    if limit <= 2 * len(note):
        return text[:limit]
    head = (limit - len(note) + 1) // 2
    tail = limit - len(note) - head
    return text[:head] + note + text[-tail:]


def _fit(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return cut_middle(value, limit)
    if _size(value) <= limit:
        return value
    if isinstance(value, list):
        shares = fair_shares([_size(each) for each in value], limit)
        if max(shares) >= _SMALLEST_SHARE:
            return [_fit(each, share) for each, share in zip(value, shares, strict=True)]
        if all(isinstance(each, str) for each in value):
            return cut_middle(" | ".join(value), limit)
    return cut_middle(_json(value), limit)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_size, value)) + _AROUND_AN_ITEM * len(value)
    return len(_json(value))


def clean(value: Any, depth: int = 0) -> Any:
    """The value as plain JSON: no invisible characters, keys sorted, nested no deeper than 16."""
    if isinstance(value, str):
        return _visible(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth == _DEEPEST:
        return "[nested too deep to show]"
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(value[key], depth + 1) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [clean(each, depth + 1) for each in value]
    return clean(str(value))


def _visible(text: str) -> str:
    if text.isascii():
        return text if text.isprintable() else _INVISIBLE.sub("", text)
    return _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [] if value is None else [_json(value), *_leaves(value)]


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _leaves(each)]
    if isinstance(value, list):
        return [text for each in value for text in _leaves(each)]
    return [value] if isinstance(value, str) else []


_json = json.JSONEncoder(ensure_ascii=False).encode
