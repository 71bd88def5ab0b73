"""Found values: which values of one piece of content stand in another, as numbers or word for word."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from decimal import Decimal, InvalidOperation
from time import monotonic
from typing import Any

_NUMBER = re.compile(r"(?<!\w)[-+]?(?:\d{1,3}(?: \d{3})+(?:[.,]\d+)?|\d+(?:[.,']\d+)*)")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_ENDS_WITHIN = re.compile(r"\w\Z|\d[.,]\Z")
_BEGINS_WITHIN = re.compile(r"\w|[.,]\d")
_MINUS = re.compile(r"\W?-")
_LONGEST_NUMBER = 100


def count_found(value: Any, reference: Any, *, within_seconds: float = 1.0) -> tuple[int, int]:
    """How many of the texts and numbers in `value` stand in `reference`, and how many there are.

    `value` is JSON, or text that may be JSON; null, true and false are no values to look for. A text is found where it
    stands between word boundaries, whatever its case and spacing: "2.40" is not found in "12.40". A number, or a
    text that is one, is found where an equal number stands: 1250 in "1,250.00", but not 5 in "-5". Raises TimeoutError
    where it takes longer than `within_seconds`: many values in long texts would hold up everything else.
    """
    until = monotonic() + within_seconds
    text = _plain(_as_text(reference))
    numbers = {number for word in _NUMBER.findall(text) for number in _readings(word)}
    leaves = Counter(leaf for each in _leaves(_parsed(value)) if (leaf := _plain(str(each))))
    found = sum(times for leaf, times in leaves.items() if _stands(leaf, text, numbers, until))
    return found, leaves.total()


def _stands(wanted: str, text: str, numbers: set[Decimal], until: float) -> bool:
    is_number = _NUMBER.fullmatch(wanted) is not None
    if is_number and not numbers.isdisjoint(_readings(wanted)):
        return True
    at = text.find(wanted)
    while at >= 0:
        if monotonic() > until:
            raise TimeoutError("Looking for the values takes too long.")
        before, after = text[max(at - 2, 0) : at], text[at + len(wanted) : at + len(wanted) + 2]
        within = _ENDS_WITHIN.search(before) or _BEGINS_WITHIN.match(after)
        if not within and not (is_number and _MINUS.fullmatch(before)):
            return True
        at = text.find(wanted, at + 1)
    if monotonic() > until:
        raise TimeoutError("Looking for the values takes too long.")
    return False


def _readings(word: str) -> set[Decimal]:
    """The numbers a word of digits may mean: a point or comma between groups of three may part them or begin decimals.

    None for what is longer than any number that means an amount: it is found as a text.
    """
    if len(word) > _LONGEST_NUMBER:
        return set()
    grouped = _GROUPED.fullmatch(word)
    bare = re.sub("[' ]", "", word)
    spelt = (
        {bare.replace(",", ""), bare.replace(".", "").replace(",", ".")} if grouped else {bare.replace(",", ".")}
    )
    return {number for each in spelt if (number := _decimal(each)) is not None}


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)  # equal ones hash alike, and none is rounded
    except InvalidOperation:
        return None


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _leaves(value: Any) -> list[str | int | float]:
    found: list[str | int | float] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)
        elif isinstance(each, str | int | float) and not isinstance(each, bool):
            found.append(each)
    return found


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("\N{MINUS SIGN}", "-").split())
