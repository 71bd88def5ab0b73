"""The difference of two rubrics as lines of text, in the author's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import orjson

from evaluator.authoring.rubric_difference import Change, Kind, RubricDifference, name_of
from evaluator.model.rubric import Criterion, Example, JudgeSpec


def as_text(found: RubricDifference) -> Iterator[str]:
    """The difference as lines for a terminal; each is one line of text, whatever the rubrics hold."""
    yield f"{name_of(found.before)} → {name_of(found.after)}"
    if not found.changes:
        yield "Both mean the same; only comments, spacing, spelling of values or order of keys may differ."
        return
    yield from ("", "What changed in meaning")
    for change in found.changes:
        yield from (f"  {line}" for line in _told(change))
    yield from ("", "What the judge reads")
    yield from (f"  {line}" for line in found.prompt or ("the same instructions",))
    yield from ("", "Fingerprints")
    for each in found.fingerprints:
        same = each.before == each.after
        yield f"  {each.judge}: {each.before or '—'} → {each.after or '—'}{' (the same)' if same else ''}"
    yield from ("", "What stops being comparable")
    for one in found.consequences:
        yield f"  {one.reach}: {one.says}"
        yield f"    because of {', '.join(one.fields)}"
    if not found.consequences:
        yield "  nothing: every statistic goes on."


_MARKS: Mapping[Kind, str] = {"added": "+", "removed": "-", "changed": "~", "renamed": "~", "moved": "~"}
LONGEST = 60
"""Characters of a value that still stand on the line of its field."""


def _told(change: Change) -> Iterator[str]:
    mark = _MARKS[change.kind]
    if change.kind in ("added", "removed"):
        value = change.after if change.kind == "added" else change.before
        yield f"{mark} {change.field}: {_short(change.field, value)}"
    elif change.kind == "renamed":
        yield f"{mark} {change.field}: {change.before} is now called {change.after}"
    elif change.kind == "moved":
        yield f"{mark} {change.field}: order was {', '.join(change.before)}; is {', '.join(change.after)}"
    elif isinstance(change.before, list) and isinstance(change.after, list):
        yield f"{mark} {change.field}: {_list_change(change.before, change.after)}"
    elif _is_prose(change.before) and _is_prose(change.after):
        yield f"{mark} {change.field}:"
        yield f"    {marked_words(change.before, change.after)}"
    else:
        old, new = _compact(change.before), _compact(change.after)
        if len(old) + len(new) <= LONGEST:
            yield f"{mark} {change.field}: {old} → {new}"
        else:
            yield from (f"{mark} {change.field}:", f"    - {old}", f"    + {new}")


def marked_words(before: str, after: str) -> str:
    """The new text with what went as [-words-] and what came as {+words+}."""
    old, new = before.split(), after.split()
    marked = []
    for tag, at, to, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            marked.append(" ".join(new[start:end]))
            continue
        gone, come = " ".join(old[at:to]), " ".join(new[start:end])
        marked.append((f"[-{gone}-]" if gone else "") + (f"{{+{come}+}}" if come else ""))
    return " ".join(marked) if old != new else "other spacing within the text"


def _is_prose(value: Any) -> bool:
    return isinstance(value, str) and len(value.split()) > 2


def _list_change(before: Sequence[Any], after: Sequence[Any]) -> str:
    old, new = Counter(map(_compact, before)), Counter(map(_compact, after))
    parts = [
        f"{word} {', '.join(found.elements())}"
        for word, found in (("without", old - new), ("with", new - old))
        if found
    ]
    return "; ".join(parts) or f"order is now {', '.join(map(_compact, after))}"


def _defaults(part: type[Criterion | Example | JudgeSpec]) -> dict[str, Any]:
    return {name: field.default for name, field in part.model_fields.items()}


_DEFAULTS = {"criteria": _defaults(Criterion), "examples": _defaults(Example), "judges": _defaults(JudgeSpec)}


def _short(field: str, value: Any) -> str:
    """A value as one line; of an entry, only what its author had to write."""
    usual = _DEFAULTS.get(field.split(".")[0], {})
    if isinstance(value, dict) and field.count(".") >= 1:
        value = {name: each for name, each in value.items() if each is not None and usual.get(name) != each}
    return _compact(value)


def _compact(value: Any) -> str:
    match value:
        case str():
            return value if value.isprintable() and value.strip() == value and value else repr(value)
        case dict():
            return ", ".join(f"{name}: {_nested(each)}" for name, each in value.items()) or "nothing"
        case list():
            return ", ".join(map(_nested, value)) or "nothing"
        case _:
            return "none" if value is None else orjson.dumps(value).decode()


def _nested(value: Any) -> str:
    opening, closing = (
        ("{", "}") if isinstance(value, dict) else ("[", "]") if isinstance(value, list) else ("", "")
    )
    return f"{opening}{_compact(value)}{closing}"
