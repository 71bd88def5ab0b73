"""Found values: which values of one piece of content stand in another, as numbers or word for word."""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any

_NUMBER = re.compile(r"(?<!\w)[-+]?(?:\d{1,3}(?: \d{3})+(?:[.,]\d+)?|\d+(?:[.,']\d+)*)")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")


def count_found(value: Any, reference: Any) -> tuple[int, int]:
    """How many of the texts and numbers in `value` stand in `reference`, and how many there are.

    `value` is JSON, or text that may be JSON; null, true and false are no values to look for. A text is found where it
    stands between word boundaries, whatever its case and spacing: "2.40" is not found in "12.40". A number, or a
    text that is one, is found where an equal number stands: 1250 in "1,250.00".
    """
    text = _plain(_as_text(reference))
    numbers = {number for word in _NUMBER.findall(text) for number in _readings(word)}
    leaves = [leaf for leaf in _leaves(_parsed(value)) if str(leaf).strip()]
    return sum(_stands(leaf, text, numbers) for leaf in leaves), len(leaves)


def _stands(leaf: str | int | float, text: str, numbers: set[Decimal]) -> bool:
    wanted = _plain(str(leaf))
    if _NUMBER.fullmatch(wanted) and not numbers.isdisjoint(_readings(wanted)):
        return True
    return re.search(rf"(?<![\w])(?<!\d[.,]){re.escape(wanted)}(?![\w])(?![.,]\d)", text) is not None


def _readings(word: str) -> set[Decimal]:
    """The numbers a word of digits may mean: a point or comma between groups of three may part them or begin decimals."""
    grouped = _GROUPED.fullmatch(word)
    bare = re.sub("[' ]", "", word)
    spelt = (
        {bare.replace(",", ""), bare.replace(".", "").replace(",", ".")} if grouped else {bare.replace(",", ".")}
    )
    return {number for each in spelt if (number := _decimal(each)) is not None}


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text).normalize()
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
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
