"""Quotes of judges marked where they stand in rendered content, across the borders of its elements.

Works on HTML that was made here: well-formed, every `<`, `>` and `&` of a text or an attribute escaped.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape, unescape
from itertools import pairwise

from evaluator.judging.evidence import normalised
from evaluator.wording import visible

MOST_MARKS = 100
_MOST_PLACES = 10
"""Of one quote: a word that is everywhere is not worth marking everywhere."""
_SHORTEST = 3
_AROUND = " \"'.…\n\t"

_TOKEN = re.compile(r"<(/?)([a-z][a-z0-9]*)([^>]*)>|[^<]+")
_CHARACTER = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);|.", re.DOTALL)
_SKIPPED = re.compile(r'class="[^"]*\b(?:escape|c-aside|c-data)\b')
"""Elements that hold words of ours, or escapes, which the judge was not shown."""
_BREAKING = frozenset(
    ("div", "p", "li", "ul", "ol", "tr", "td", "th", "table", "pre", "blockquote", "br", "hr", "details", "summary")
)
_VOID = frozenset(("br", "hr"))
_LIKE = ("'‘’‚‛′`´ʼ", '"“”„‟″«»', "-‐‑‒–—―−﹘﹣")
_CLASS_OF = {each: f"[{re.escape(kind)}]" for kind in _LIKE for each in kind}
_LINK_TARGET = re.compile(r"\]\([^()\s]*\)")


@dataclass(frozen=True)
class Mark:
    """A quote to be marked."""

    text: str
    """The quote, as the judge gave it."""
    title: str = ""
    """What it is evidence for; shown where somebody points at the mark."""
    label: str = ""
    """A character or two behind the mark, such as its number."""


@dataclass(frozen=True)
class _Stretch:
    """A piece of text between two tags."""

    html_at: int
    plain_at: int
    html: str
    plain: str

    def offset(self, plain_index: int) -> int:
        """Where in the HTML the character at this place of the whole plain text begins."""
        inside = plain_index - self.plain_at
        if len(self.html) == len(self.plain):
            return self.html_at + inside
        ends = 0
        for count, found in enumerate(_CHARACTER.finditer(self.html)):
            if count == inside:
                return self.html_at + found.start()
            ends = found.end()
        return self.html_at + ends


@dataclass(frozen=True)
class _Place:
    """Where a mark stands in the plain text."""

    mark: int
    start: int
    end: int
    is_first: bool


@dataclass
class _Reading:
    """HTML as a reader sees it: its text, where each stretch of it stands, and which folds hide it."""

    plain: str = ""
    stretches: list[_Stretch] = field(default_factory=list)
    folds: list[tuple[int, ...]] = field(default_factory=list)
    """Per stretch, where the closed `<details` tags around it begin."""


def marked(html: str, marks: Sequence[Mark], anchors: str) -> tuple[str, tuple[bool, ...]]:
    """The HTML with the quotes that stand in its text marked, and per mark whether it does.

    Mark N, counted from 1, has `data-mark="N"` and the id `{anchors}-N` at its first place. More than 100 are ignored.
    """
    if not marks:
        return html, ()
    reading = _read(html)
    skeleton = _Skeleton(reading.plain)
    places = [
        place
        for at, mark in enumerate(marks[:MOST_MARKS])
        for place in _places(at, mark.text, reading.plain, skeleton)
    ]
    there = {place.mark for place in places}
    found = tuple(at in there for at in range(len(marks)))
    return (_written(html, reading, places, marks, anchors) if places else html), found


def stands_in(quote: str, texts: Iterable[str]) -> bool:
    """Whether the quote stands word for word in one of the texts, by the rule that judges' evidence is held to."""
    words = normalised(quote).strip(_AROUND)
    return len(words) >= _SHORTEST and words in normalised("\x00".join(texts))


def _read(html: str) -> _Reading:
    reading = _Reading()
    parts: list[str] = []
    length = 0
    skipped: list[bool] = []
    folds: list[int] = []
    for token in _TOKEN.finditer(html):
        name = token[2]
        if name is None:
            if not (skipped and skipped[-1]):
                plain = unescape(token[0]) if "&" in token[0] else token[0]
                reading.stretches.append(_Stretch(token.start(), length, token[0], plain))
                reading.folds.append(tuple(folds))
                parts.append(plain)
                length += len(plain)
            continue
        if name in _BREAKING:
            parts.append("\n")
            length += 1
        if name in _VOID:
            continue
        if token[1]:
            skipped.pop()
            if name == "details" and folds:
                folds.pop()
        else:
            skipped.append(bool(skipped and skipped[-1]) or _SKIPPED.search(token[3]) is not None)
            if name == "details":
                folds.append(-1 if " open" in token[3] else token.start())
    reading.plain = "".join(parts)
    return reading


def _places(at: int, quote: str, plain: str, skeleton: _Skeleton) -> Iterator[_Place]:
    words = quote.strip(_AROUND)
    if len(words) < _SHORTEST:
        return
    spans = _spans(words, plain) or skeleton.spans(quote)
    for number, (start, end) in enumerate(spans):
        yield _Place(at, start, end, number == 0)


def _spans(words: str, plain: str) -> list[tuple[int, int]]:
    """Where the words stand, whatever the kind of space, quote or dash; between word borders if they can."""
    pattern = r"\s+".join(
        "".join(_CLASS_OF.get(each) or re.escape(each) for each in word) for word in words.split()
    )
    before = r"(?<!\w)" if words[0].isalnum() else ""
    after = r"(?!\w)" if words[-1].isalnum() else ""
    for bounded in (f"{before}{pattern}{after}", pattern):
        spans = [found.span() for _, found in zip(range(_MOST_PLACES), re.finditer(bounded, plain), strict=False)]
        if spans:
            return spans
    return []


class _Skeleton:
    """The letters and digits of a text: what is left of a quote whose markdown was laid out or whose JSON was drawn."""

    def __init__(self, plain: str) -> None:
        self._plain = plain
        self._letters = ""
        self._at: list[int] = []

    def spans(self, quote: str) -> list[tuple[int, int]]:
        """The first place between word borders, if there is any."""
        letters = "".join(map(_letters, _LINK_TARGET.sub("]", normalised(quote))))
        if len(letters) < _SHORTEST:
            return []
        self._fill()
        begin = self._letters.find(letters)
        while begin >= 0:
            start, last = self._at[begin], self._at[begin + len(letters) - 1]
            if not self._is_letter(start - 1) and not self._is_letter(last + 1):
                return [(start, last + 1)]
            begin = self._letters.find(letters, begin + 1)
        return []

    def _is_letter(self, at: int) -> bool:
        return 0 <= at < len(self._plain) and self._plain[at].isalnum()

    def _fill(self) -> None:
        if self._letters:
            return
        parts: list[str] = []
        for at, character in enumerate(self._plain):
            found = _letters(character)
            parts.append(found)
            self._at += [at] * len(found)
        self._letters = "".join(parts)


@lru_cache(maxsize=20_000)
def _letters(character: str) -> str:
    if character.isascii():
        return character if character.isalnum() else ""
    return "".join(each for each in unicodedata.normalize("NFKD", character) if each.isalnum())


def _written(html: str, reading: _Reading, places: Sequence[_Place], marks: Sequence[Mark], anchors: str) -> str:
    inserts: list[tuple[int, int, str]] = []
    opened: set[int] = set()
    anchored: set[int] = set()
    starts = [stretch.plain_at for stretch in reading.stretches]
    pieces: dict[int, set[int]] = {}
    for place in places:
        first = max(bisect_right(starts, place.start) - 1, 0)
        for at in range(first, len(starts)):
            if starts[at] >= place.end:
                break
            stretch = reading.stretches[at]
            if stretch.plain_at + len(stretch.plain) > place.start:
                borders = pieces.setdefault(at, {stretch.plain_at, stretch.plain_at + len(stretch.plain)})
                borders |= {
                    max(place.start, stretch.plain_at),
                    min(place.end, stretch.plain_at + len(stretch.plain)),
                }
                opened.update(reading.folds[at])
    replaced: list[tuple[int, int, str]] = []
    for at in sorted(pieces):
        stretch = reading.stretches[at]
        new = "".join(_pieces(stretch, sorted(pieces[at]), places, marks, anchors, anchored))
        replaced.append((stretch.html_at, stretch.html_at + len(stretch.html), new))
    inserts = [(at, at + len("<details"), "<details open") for at in opened if at >= 0]
    return _with_changes(html, sorted(replaced + inserts))


def _pieces(
    stretch: _Stretch,
    borders: Sequence[int],
    places: Sequence[_Place],
    marks: Sequence[Mark],
    anchors: str,
    anchored: set[int],
) -> Iterator[str]:
    offsets = [stretch.offset(border) - stretch.html_at for border in borders]
    for (start, end), (from_, to) in zip(pairwise(borders), pairwise(offsets), strict=True):
        text = stretch.html[from_:to]
        here = [place for place in places if place.start <= start and end <= place.end]
        if not here or not stretch.html.strip():  # between the rows of a table no mark may stand
            yield text
            continue
        numbers = list(dict.fromkeys(place.mark for place in here))
        new = [place.mark for place in here if place.is_first and place.mark not in anchored]
        anchored.update(new)
        more = "".join(f'<span class="c-anchor" id="{anchors}-{number + 1}"></span>' for number in new[1:])
        own = f' id="{anchors}-{new[0] + 1}"' if new else ""
        title = "; ".join(dict.fromkeys(marks[number].title for number in numbers if marks[number].title))
        told = f' title="{escape(visible(title))}"' if title else ""
        labels = [marks[place.mark].label for place in here if place.end == end and marks[place.mark].label]
        label = (
            f'<sup class="c-aside c-label">{escape(visible(" ".join(dict.fromkeys(labels))))}</sup>'
            if labels
            else ""
        )
        named = " ".join(str(number + 1) for number in numbers)
        yield f'{more}<mark class="evidence" data-mark="{named}"{own}{told}>{text}{label}</mark>'


def _with_changes(html: str, changes: Sequence[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    at = 0
    for start, end, new in changes:
        parts += (html[at:start], new)
        at = end
    return "".join((*parts, html[at:]))
