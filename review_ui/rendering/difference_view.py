"""What changed between two texts: lines, and words within lines, bounded in time whatever the texts are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from evaluator.wording import plural
from review_ui.rendering.text_view import Drawn, inert, shown_text, with_short_data

MOST_LINES = 3_000
_MOST_LINE_STEPS = 3_000_000
_MOST_WORDS = 400
_MOST_WORD_STEPS = 600_000
"""Comparing takes at most about as many steps as pairs of equal things times how many there are; then it is not done."""
_ALIKE = 0.4
"""Share of equal words from which on words are compared; below it a text was written anew."""
_CONTEXT = 3
_ROW = 20
"""Characters that a line counts for beside its own."""
_WORD = re.compile(r"\w+|\s+|[^\w\s]")

Change = tuple[str, Sequence[str], Sequence[str]]
"""`equal`, `replace`, `delete` or `insert`, the lines before and the lines after."""


def shown_difference(before: str, after: str, limit: int) -> Drawn:
    """The changes from one text to the other; both side by side where they are too long or too different to compare."""
    one, other = with_short_data(before), with_short_data(after)
    if one == other:
        same = shown_text(one, limit)
        whole = f'<details class="c-same"><summary>{plural(len(one), "character")}</summary>{same.html}</details>'
        return Drawn(f'<p class="c-more">The same in both.</p>{whole}', same.folded)
    changes = _changes(one.splitlines(), other.splitlines())
    if changes is None:
        return _side_by_side(before, after, limit)
    return _drawn(changes, limit)


def _side_by_side(before: str, after: str, limit: int) -> Drawn:
    left, right = shown_text(before, limit // 2), shown_text(after, limit // 2)
    return Drawn(
        '<p class="c-more">Too long or too different to compare line by line.</p><div class="c-sides">'
        f'<div><p class="c-role">before</p>{left.html}</div><div><p class="c-role">after</p>{right.html}</div></div>',
        left.folded or right.folded,
    )


def _changes(before: Sequence[str], after: Sequence[str]) -> list[Change] | None:
    """The changes in their order; None where finding them takes too long."""
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    one, other = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(one), len(other)) > MOST_LINES or _steps(one, other) > _MOST_LINE_STEPS:
        return None
    found: list[Change] = [("equal", before[:start], before[:start])] if start else []
    for what, a, b, c, d in SequenceMatcher(None, one, other).get_opcodes():
        found.append((what, one[a:b], other[c:d]))
    if end:
        found.append(("equal", before[len(before) - end :], before[len(before) - end :]))
    return found


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _steps(one: Sequence[str], other: Sequence[str]) -> int:
    """About how many steps comparing takes at worst."""
    counts = Counter(other)
    popular = len(other) // 100 + 1 if len(other) >= 200 else len(other)
    equal = sum(counts[each] for each in one if counts[each] <= popular)
    return equal * min(len(one), len(other))


def _drawn(changes: Sequence[Change], limit: int) -> Drawn:
    rows: list[str] = []
    words_left = [_MOST_WORD_STEPS]
    for at, (what, before, after) in enumerate(changes):
        if what == "equal":
            new = _equal(before, is_first=at == 0, is_last=at == len(changes) - 1)
        else:
            new = _changed(before, after, words_left)
        for row, size in new:
            if limit <= 0:
                rows.append('<p class="c-more">… more follows</p>')
                return Drawn(_lines(rows), True)
            rows.append(row)
            limit -= size + _ROW
    return Drawn(_lines(rows), False)


def _lines(rows: Sequence[str]) -> str:
    return f'<div class="c-lines">{"".join(rows)}</div>'


def _equal(lines: Sequence[str], *, is_first: bool, is_last: bool) -> Iterator[tuple[str, int]]:
    """Equal lines; of a long stretch only those next to a change are open."""
    head = 0 if is_first else _CONTEXT
    tail = 0 if is_last else _CONTEXT
    if len(lines) <= head + tail + 2:
        yield from ((_line(line), len(line)) for line in lines)
        return
    yield from ((_line(line), len(line)) for line in lines[:head])
    folded = lines[head : len(lines) - tail]
    inside = "".join(map(_line, folded))
    yield (
        f'<details class="c-same"><summary>{plural(len(folded), "equal line")}</summary>{inside}</details>',
        sum(map(len, folded)),
    )
    yield from ((_line(line), len(line)) for line in lines[len(lines) - tail :])


def _line(line: str) -> str:
    return f'<div class="c-line">{inert(line)}</div>'


def _changed(before: Sequence[str], after: Sequence[str], words_left: list[int]) -> Iterator[tuple[str, int]]:
    one, other = "\n".join(before), "\n".join(after)
    within = _words(one, other, words_left) if before and after else None
    if within is not None:
        yield f'<div class="c-line c-edited">{within}</div>', len(one) + len(other)
        return
    yield from ((f'<div class="c-line c-gone">{_removed(line)}</div>', len(line)) for line in before)
    yield from ((f'<div class="c-line c-new">{_added(line)}</div>', len(line)) for line in after)


def _words(before: str, after: str, words_left: list[int]) -> str | None:
    """Two texts in one, with the words that went and came; None where they are too long or have little in common."""
    one, other = _WORD.findall(before), _WORD.findall(after)
    steps = _steps(one, other)
    if max(len(one), len(other)) > _MOST_WORDS or steps > words_left[0]:
        return None
    words_left[0] -= steps
    changes = SequenceMatcher(None, one, other).get_opcodes()
    kept = sum(
        len(word) for what, a, b, _, _ in changes if what == "equal" for word in one[a:b] if not word.isspace()
    )
    if 2 * kept < _ALIKE * sum(len(word) for word in (*one, *other) if not word.isspace()):
        return None
    parts: list[str] = []
    for what, a, b, c, d in changes:
        if what == "equal":
            parts.append(inert("".join(one[a:b])))
            continue
        parts.append(_removed("".join(one[a:b])) if b > a else "")
        parts.append(_added("".join(other[c:d])) if d > c else "")
    return "".join(parts)


def _removed(text: str) -> str:
    return f'<del><span class="c-unseen">removed: </span>{inert(text)}</del>'


def _added(text: str) -> str:
    return f'<ins><span class="c-unseen">added: </span>{inert(text)}</ins>'
