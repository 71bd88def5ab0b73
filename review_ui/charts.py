"""Charts: what the drawings on pages are made of, in percent of their width or height; words and hues beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

HUE = {
    "success": "pass",
    "pass": "pass",
    "done": "pass",
    "partial": "partial",
    "failed": "fail",
    "fail": "fail",
    "timeout": "fail",
    "canceled": "fail",
    "abandoned": "fail",
}
"""Word → one of the four verdict hues; what is not here is unknown."""
ICON = {"pass": "✓", "partial": "◐", "fail": "✕", "unknown": "–"}

VERDICT_ORDER = ("pass", "partial", "fail", "unknown")
CRITERION_ORDER = ("pass", "fail", "unknown", "not_applicable")


@dataclass(frozen=True)
class Share:
    """One part of a bar: x and width in percent."""

    word: str
    count: int
    hue: str
    icon: str
    x: float
    width: float


def shares(numbers: Mapping[str, int], order: Sequence[str]) -> tuple[Share, ...]:
    """The parts of a bar in the given order; nothing where there is nothing."""
    total = sum(numbers.values())
    parts: list[Share] = []
    x = 0.0
    for word in order:
        count = numbers.get(word, 0)
        if count:
            width = 100 * count / total
            hue = HUE.get(word, "unknown")
            parts.append(Share(str(word).replace("_", " "), count, hue, ICON[hue], round(x, 3), round(width, 3)))
            x += width
    return tuple(parts)


@dataclass(frozen=True)
class DayBar:
    """One day's column: x, width and height in percent."""

    day: date
    usd: Decimal
    calls: int
    unpriced_calls: int
    x: float
    width: float
    height: float


def day_bars(days: Sequence[tuple[date, Decimal, int, int]]) -> tuple[DayBar, ...]:
    """Columns for (day, US dollars, calls, unpriced calls), the dearest as high as the drawing.

    A day that cost anything stays visible beside a dear one.
    """
    dearest = max((usd for _, usd, _, _ in days), default=Decimal(0))
    step = 100 / len(days) if days else 0.0
    return tuple(
        DayBar(
            day,
            usd,
            calls,
            unpriced,
            x=round(place * step + step * 0.12, 3),
            width=round(step * 0.76, 3),
            height=round(max(3.0, float(100 * usd / dearest)), 3) if usd else 0.0,
        )
        for place, (day, usd, calls, unpriced) in enumerate(days)
    )


@dataclass(frozen=True)
class IntervalMark:
    """A share with its interval on an axis from 0 to 100: all in percent."""

    value: float
    low: float | None
    high: float | None
    words: str


def interval_mark(value: float | None, low: float | None, high: float | None, n: int) -> IntervalMark | None:
    """How a share from 0 to 1 is drawn and said; None where there is none."""
    if value is None:
        return None
    if low is None or high is None:
        return IntervalMark(round(100 * value, 2), None, None, f"{100 * value:.0f} % of {n:,}, no interval")
    words = f"{100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f} %) of {n:,}"
    return IntervalMark(round(100 * value, 2), round(100 * low, 2), round(100 * high, 2), words)
