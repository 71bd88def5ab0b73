"""JSON as a tree that opens and closes without a script, bounded in depth, nodes and characters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from evaluator.capture.otlp_json import json_value
from evaluator.wording import plural
from review_ui.rendering.text_view import Drawn, cut_at, inert, with_short_data

DEEPEST = 24
_DEEPEST_WRITTEN = 100
MOST_NODES = 2_000
MOST_NODES_WHOLE = 20_000
"""Of one value, folded and whole."""
_FIRST_ITEMS = 20
_LONG_LIST = 50
_LONG_TEXT = 600
_PREVIEW = 120
_OPEN_LEVELS = 3
_LONGEST_KEY = 200
_MOST_BITS = 10_000
"""Of a whole number; Python refuses to write much larger ones."""
_LONGEST_JSON_TEXT = 4_000_000


def json_in(value: Any) -> Any | None:
    """The object or list in a value: itself, or what its text holds as JSON; None where it holds neither."""
    if isinstance(value, dict | list | tuple):
        return value
    if not isinstance(value, str) or len(value) > _LONGEST_JSON_TEXT:
        return None
    stripped = value.strip()
    if stripped[:1] + stripped[-1:] not in ("{}", "[]"):
        return None
    try:
        found = json_value(stripped)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


@dataclass
class _Budget:
    nodes: int
    characters: int
    short_lists: bool
    folded: bool = False

    @property
    def is_spent(self) -> bool:
        return self.nodes <= 0 or self.characters <= 0


def shown_json(value: Any, limit: int, *, whole: bool = False) -> Drawn:
    """The value as a tree of keys, types and values."""
    budget = _Budget(MOST_NODES_WHOLE if whole else MOST_NODES, limit, not whole)
    html = "".join(_node(None, value, 0, budget))
    return Drawn(f'<div class="c-json">{html}</div>', budget.folded)


def _node(key: str | None, value: Any, depth: int, budget: _Budget) -> Iterator[str]:
    budget.nodes -= 1
    named = (
        f'<span class="c-key">{inert(key[:_LONGEST_KEY])}{"…" if len(key) > _LONGEST_KEY else ""}</span> '
        if key is not None
        else ""
    )
    budget.characters -= len(key or "")
    if isinstance(value, dict | list | tuple) and value:
        yield from _branch(named, value, depth, budget)
    elif isinstance(value, str) and len(value) > _LONG_TEXT:
        yield from _long_text(named, value, budget)
    else:
        yield f'<div class="c-leaf">{named}{_leaf(value, budget)}</div>'


def _branch(named: str, value: Any, depth: int, budget: _Budget) -> Iterator[str]:
    is_object = isinstance(value, dict)
    size = plural(len(value), "key" if is_object else "item")
    opened = " open" if depth < _OPEN_LEVELS else ""
    yield f'<details class="c-node"{opened}><summary>{named}<span class="c-type c-aside">{"object" if is_object else "list"}, {size}</span></summary><div class="c-kids">'
    if depth >= DEEPEST:
        budget.folded = True
        yield '<p class="c-more c-aside">nested too deep to show here</p>'
    else:
        yield from _children(value, depth, budget)
    yield "</div></details>"


def _children(value: Any, depth: int, budget: _Budget) -> Iterator[str]:
    pairs = list(value.items()) if isinstance(value, dict) else [(str(at), each) for at, each in enumerate(value)]
    most = _FIRST_ITEMS if budget.short_lists and len(pairs) > _LONG_LIST else len(pairs)
    shown = 0
    for key, each in pairs[:most]:
        if budget.is_spent:
            break
        yield from _node(str(key), each, depth + 1, budget)
        shown += 1
    if shown < len(pairs):
        budget.folded = True
        yield f'<p class="c-more c-aside">… {len(pairs) - shown:,} more</p>'


def _long_text(named: str, value: str, budget: _Budget) -> Iterator[str]:
    short = with_short_data(value)
    if len(short) <= _LONG_TEXT:
        yield f'<div class="c-leaf">{named}{_leaf(short, budget)}</div>'
        return
    cut = cut_at(short, max(budget.characters, _LONG_TEXT))
    budget.characters -= len(cut)
    missing = len(short) - len(cut)
    budget.folded = budget.folded or missing > 0
    preview = inert(cut_at(short, _PREVIEW))
    rest = f'<span class="c-more c-aside"> … {missing:,} more characters</span>' if missing else ""
    yield (
        f'<details class="c-node"><summary>{named}<span class="c-aside"><span class="c-string">{preview}</span> '
        f'<span class="c-type">… {len(short):,} characters</span></span></summary>'
        f'<div class="c-string c-long">{inert(cut)}{rest}</div></details>'
    )


def _leaf(value: Any, budget: _Budget) -> str:
    if isinstance(value, str):
        short = with_short_data(value)
        budget.characters -= len(short)
        return (
            f'<span class="c-string">{inert(short)}</span>' if short else '<span class="c-type">empty text</span>'
        )
    if isinstance(value, dict | list | tuple):
        return f'<span class="c-type">{"empty object" if isinstance(value, dict) else "empty list"}</span>'
    kind = "c-none" if value is None else "c-flag" if isinstance(value, bool) else "c-number"
    told = bare_text(value)[:_LONGEST_KEY]
    budget.characters -= len(told)
    return f'<span class="{kind}">{inert(told)}</span>'


def bare_text(value: Any) -> str:
    """A value that is neither text nor list nor object, as JSON writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"a number of {value.bit_length():,} bits"
    return str(value)


def written(value: Any) -> str:
    """A text as it is, anything else as indented JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):  # too deep, a number too large, or half a surrogate pair
        return json.dumps(_writable(value, 0), ensure_ascii=False, indent=2)


def _writable(value: Any, depth: int) -> Any:
    if isinstance(value, dict | list | tuple) and depth > _DEEPEST_WRITTEN:
        return "nested too deep to show"
    if isinstance(value, dict):
        return {str(key): _writable(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(each, depth + 1) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return bare_text(value)
    return value if value is None or isinstance(value, str | float | bool) else str(value)
