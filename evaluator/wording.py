"""How numbers, times and decisions are said, the same on pages and in commands."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from evaluator.model.outcome import DecidedBy

DECIDED_BY = {
    DecidedBy.SOR: "system of record",
    DecidedBy.HUMAN: "human",
    DecidedBy.JUDGE: "judge",
    DecidedBy.NONE: "—",
}


def dollars(amount: Decimal | None) -> str:
    """US dollars with as many decimals as small amounts need; "unpriced" where it is not known."""
    if amount is None:
        return "unpriced"
    if amount == 0:
        return "$0"
    if abs(amount) < Decimal("0.0001"):
        return "< $0.0001" if amount > 0 else "> -$0.0001"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    return f"{sign}${size:,.2f}" if size >= 1 else f"{sign}${size:.4f}"


def judging_dollars(spent: Decimal, unpriced: int) -> str:
    """Spend on judging; what has no known price is said, never counted as 0."""
    if unpriced and not spent:
        return "unpriced"
    return f"{dollars(spent)} + {unpriced} unpriced" if unpriced else dollars(spent)


_KEPT = frozenset("\u200c\u200d\ufe0f\xa0")
"""Not printable by Unicode's word, but part of how some languages and emoji are written."""


def visible(text: str) -> str:
    """The text with control and direction characters as escapes, so that it shows what it holds and does nothing."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in _KEPT else each.encode("unicode_escape").decode() for each in text
    )


def ago(then: datetime, now: datetime) -> str:
    """How long ago, in its largest unit."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def duration(seconds: float) -> str:
    """`2 min 5 s`, or `42 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(at: datetime, now: datetime) -> str:
    """A time to come, with its date where that is not today's (UTC)."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def noun(number: int, word: str) -> str:
    """`call` for one, else `calls`."""
    return word if number == 1 else f"{word}s"


def plural(number: int, word: str) -> str:
    """`1 call`, `2,000 calls`."""
    return f"{number:,} {noun(number, word)}"


def counts(numbers: dict[str, int]) -> str:
    """`3 ready, 1 open`, or a dash."""
    told = (f"{number} {name.replace('_', ' ')}" for name, number in sorted(numbers.items()) if number)
    return ", ".join(told) or "—"
