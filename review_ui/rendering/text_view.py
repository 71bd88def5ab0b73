"""Captured text as HTML that does nothing: escaped, with all that hides or turns text shown as an escape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from evaluator.wording import plural, visible


@dataclass(frozen=True, slots=True)
class Drawn:
    """A piece of HTML, and whether something of the value was left out for length."""

    html: str
    folded: bool = False


MOST_SHOWN = 2_000_000
"""Characters of one value that are shown even where the whole is asked for: what browsers still scroll with ease."""

_MARKS_KEPT = 4
"""Combining marks that one character may carry; more of them pile up over the lines above."""

_ODD = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0]"
    "|(?:(?<=[\\x00-\\x7f])|(?<![\\s\\S]))[\u200c\u200d\ufe00-\ufe0f](?!\u20e3)"
    "|(?<=[\u200c\u200d\ufe00-\ufe0f])[\u200c\ufe00-\ufe0f]|(?<=[\u200c\u200d])\u200d"
    "|[\U000e0100-\U000e01ef]"
    f"|(?<=[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{{{_MARKS_KEPT}}})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""Printable by Unicode's word, yet without a shape: fillers, joiners and selectors where nothing is to be joined or
selected, marks piled up. Texts for machines, and words broken up for people, hide in them."""

_LEFT = frozenset("\n\t\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000")
"""Line breaks, tabs, and spaces that can be seen: Japanese, French and some models' prose is full of them."""

_DATA = re.compile(
    r"data:([\w.+-]{1,60}/[\w.+-]{1,60})?((?:;[\w.+=-]{1,60}){0,6}),([^\s\"'<>()\[\]{}`\\]{64,})", re.IGNORECASE
)
_SHORT_DATA = re.compile(r"data:([\w.+-]{1,60}/[\w.+-]{1,60});size=(\d{1,12}),")
_LOOKED_BACK = 2_000
_JOINS_ON = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff\ufe00-\ufe0f\u200d\U0001f3fb-\U0001f3ff]")


def with_short_data(text: str) -> str:
    """The text with each long data: URI as its type and size, `data:image/png;size=375000,`."""
    return _DATA.sub(_short, text) if "data:" in text or "DATA:" in text else text


def _short(found: re.Match[str]) -> str:
    kind, options, payload = found[1] or "text/plain", found[2], found[3]
    size = len(payload) * 3 // 4 if options.lower().endswith(";base64") else len(payload)
    return f"data:{kind.lower()};size={size},"


def data_chip(kind: str, size: int | None) -> str:
    """`image/png, 375 KB` as a small label, for content that is not fetched and not shown."""
    told = f"{kind}, {byte_size(size)}" if size is not None else kind
    return f'<span class="c-data">{inert(told)}</span>'


def byte_size(size: int) -> str:
    """`900 bytes`, `375 KB` or `1.2 MB`."""
    if size < 1_000:
        return plural(size, "byte")
    return f"{round(size / 1_000):,} KB" if size < 999_500 else f"{size / 1_000_000:,.1f} MB"


def inert(text: str) -> str:
    """The text escaped for HTML, line breaks and tabs kept, escapes and data: URIs marked as what they are."""
    html = escape(text)
    if html.isascii() and html.isprintable():
        return _SHORT_DATA.sub(_chip, html) if "data:" in html else html
    html = html.replace("\r\n", "\n")
    hidden = frozenset(each for each in set(html) if each not in _LEFT and visible(each) != each)
    if hidden or not html.isascii():
        html = _hiding(hidden).sub(_escapes, html)
    return _SHORT_DATA.sub(_chip, html) if "data:" in html else html


@lru_cache(maxsize=256)
def _hiding(characters: frozenset[str]) -> re.Pattern[str]:
    """Runs of these characters, or one that is odd where it stands."""
    listed = "".join(f"\\U{ord(each):08x}" for each in sorted(characters))
    return re.compile(f"[{listed}]+|{_ODD}" if listed else _ODD)


def _escapes(found: re.Match[str]) -> str:
    return f'<span class="escape">{found[0].encode("unicode_escape").decode()}</span>'


def _chip(found: re.Match[str]) -> str:
    return f'<span class="c-data">{found[1]}, {byte_size(int(found[2]))}</span>'


def cut_at(text: str, limit: int) -> str:
    """The text's beginning of at most `limit` characters, ending with a line or a word where one ends nearby."""
    if len(text) <= limit:
        return text
    end = limit
    for _ in range(64):  # a character built of several is not taken apart
        if end and (_JOINS_ON.match(text[end]) or text[end - 1] == "\u200d" or text[end - 1 : end + 1] == "\r\n"):
            end -= 1
    nearby = max(end - _LOOKED_BACK, end // 2)
    for border in ("\n", " "):
        found = text.rfind(border, nearby, end)
        if found > 0:
            return text[:found]
    return text[:end]


def shown_text(text: str, limit: int) -> Drawn:
    """Plain text with its line breaks."""
    short = with_short_data(text)
    cut = cut_at(short, limit)
    return Drawn(f'<div class="c-text">{inert(cut)}</div>', len(cut) < len(short))
