"""Captured content as HTML for people: whatever it holds, it is readable and does nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Any

from markupsafe import Markup

from evaluator.judging.shown import show
from review_ui.rendering.chat_view import chat_in, shown_chat, transcript
from review_ui.rendering.difference_view import shown_difference
from review_ui.rendering.json_view import json_in, shown_json, written
from review_ui.rendering.markdown_signs import reads_as_markdown
from review_ui.rendering.quote_marks import Mark, marked, stands_in
from review_ui.rendering.shown_pages import ShownPages
from review_ui.rendering.text_view import MOST_SHOWN, Drawn, shown_text, with_short_data

__all__ = ["Mark", "Rendered", "difference", "raw", "rendered"]

FOLDED_AT = 32_000
"""Characters of one value that are shown before somebody asks for all of it."""


@dataclass(frozen=True)
class Rendered:
    """Content as HTML."""

    html: Markup
    characters: int
    """How long the whole content is, as text or as JSON."""
    folded: bool
    """Whether less than the whole is shown."""
    found: tuple[bool, ...]
    """Per mark, whether its quote stands in the content."""


@dataclass(frozen=True)
class ContentRenderer:
    """One way to show content; the first one that can shows it."""

    name: str
    draw: Callable[[Any, int, bool], Drawn | None]
    """Of a value, a limit in characters, and whether the whole was asked for; None for a value it is not made for."""


def _as_chat(value: Any, limit: int, whole: bool) -> Drawn | None:
    chat = chat_in(value)
    return None if chat is None else shown_chat(chat, limit)


def _as_json(value: Any, limit: int, whole: bool) -> Drawn | None:
    if isinstance(value, str):
        value = json_in(value)
        return None if value is None else shown_json(value, limit, whole=whole)
    return shown_json(value, limit, whole=whole)


def _as_markdown(value: Any, limit: int, whole: bool) -> Drawn | None:
    if not isinstance(value, str) or not reads_as_markdown(value):
        return None
    from review_ui.rendering.markdown_view import shown_markdown  # 3 MiB that no start needs

    return shown_markdown(value, limit)


def _as_text(value: Any, limit: int, whole: bool) -> Drawn | None:
    return shown_text(written(value), limit)


RENDERERS = (
    ContentRenderer("chat", _as_chat),
    ContentRenderer("json", _as_json),
    ContentRenderer("markdown", _as_markdown),
    ContentRenderer("text", _as_text),
)
"""In the order in which they are asked; JSON before markdown, as text that is JSON may hold signs of markdown."""

_LONGEST_TO_UNFOLD = 400_000
"""Characters up to which a quote in the folded part unfolds the whole."""
_PAGES: ShownPages[Rendered] = ShownPages(most_bytes=32_000_000)


def rendered(
    value: Any, *, marks: Sequence[Mark] = (), limit: int | None = FOLDED_AT, anchors: str = "evidence"
) -> Rendered:
    """The value as chat, markdown, a JSON tree or text, with quotes marked in place.

    Folded at `limit` characters; None shows all, up to two million. The first place of mark N (from 1) has the id
    `{anchors}-N`: pass another name for each pane of a page.
    """
    return _shown("rendered", value, marks, limit, anchors, _as_kind)


def raw(
    value: Any, *, marks: Sequence[Mark] = (), limit: int | None = FOLDED_AT, anchors: str = "evidence"
) -> Rendered:
    """The value as it was captured: text as it is written, anything else as indented JSON."""
    return _shown("raw", value, marks, limit, anchors, _as_written)


def difference(before: Any, after: Any, *, limit: int | None = FOLDED_AT) -> Rendered:
    """What changed from one content to the other, by lines and words."""
    texts = _comparable(before), _comparable(after)
    drawn = shown_difference(*texts, MOST_SHOWN if limit is None else limit)
    return Rendered(_page("c-difference", drawn.html), len(texts[0]) + len(texts[1]), drawn.folded, ())


def _comparable(value: Any) -> str:
    chat = chat_in(value)
    return written(value) if chat is None else transcript(chat)


def _as_kind(value: Any, limit: int, whole: bool) -> Drawn:
    value = with_short_data(value) if isinstance(value, str) else value
    drawn = (renderer.draw(value, limit, whole) for renderer in RENDERERS)
    return next(each for each in drawn if each is not None)


def _as_written(value: Any, limit: int, whole: bool) -> Drawn:
    drawn = shown_text(written(value), limit)
    return Drawn(f'<div class="c-raw">{drawn.html}</div>', drawn.folded)


def _shown(
    how: str,
    value: Any,
    marks: Sequence[Mark],
    limit: int | None,
    anchors: str,
    draw: Callable[[Any, int, bool], Drawn],
) -> Rendered:
    whole = limit is None
    most = MOST_SHOWN if limit is None else min(max(limit, 0), MOST_SHOWN)
    text = value if isinstance(value, str) else written(value)
    key = ShownPages.key(how, type(value).__name__, text, most, whole, tuple(marks), anchors)
    known = _PAGES.find(key)
    if known is not None:
        return known
    drawn = draw(value, most, whole)
    html, placed = marked(drawn.html, marks, anchors)
    if drawn.folded and not all(placed) and len(text) <= _LONGEST_TO_UNFOLD:
        unfolded = draw(value, _LONGEST_TO_UNFOLD, True)
        html_of_all, placed_in_all = marked(unfolded.html, marks, anchors)
        if placed_in_all != placed:
            drawn, html, placed = unfolded, html_of_all, placed_in_all
    found = placed if all(placed) else _found(marks, placed, value)
    made = Rendered(_page("c-captured", html), len(text), drawn.folded, found)
    _PAGES.keep(key, made, getsizeof(html))
    return made


def _found(marks: Sequence[Mark], placed: Sequence[bool], value: Any) -> tuple[bool, ...]:
    """Which quotes stand in the content, also where they could not be marked: across JSON keys, in a folded part."""
    texts = show({"content": value}, sys.maxsize).texts
    return tuple(there or stands_in(mark.text, texts) for mark, there in zip(marks, placed, strict=True))


def _page(kind: str, html: str) -> Markup:
    return Markup(f'<div class="shown {kind}">{html}</div>')  # noqa: S704 - made of escaped and cleaned pieces only
