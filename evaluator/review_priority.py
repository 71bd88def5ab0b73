"""How much earlier than it came in an item stands in line: how likely the judge is wrong × what is at stake."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from math import log10

from evaluator.model.verdict import VerdictLabel

SPLIT = 8.0
"""Judges or repeats that disagree: the best sign of an error there is, so it stands before everything single."""
PASSED = 4.0
"""A judge's pass: judges err towards pass, so with nothing else known passes come before fails and partials."""
UNKNOWN = 3.0
"""No verdict at all: somebody has to say, and it is said after the passes that may be wrong."""
FLAGGED = 2.0
"""Content that seems to speak to the judge, or an app unsure of itself: a weaker sign, which adds to a pass."""
NEAR = 1.0
"""A score near a threshold: the weakest sign, worth six hours of waiting and no more."""
PARTIAL = 1.0
"""A partial verdict may be wrong either way, though a failed one rarely is."""

HOURS_A_POINT = 6.0
"""So long an item without any sign has to wait until it stands level with one that has a point: age always wins."""
MOST = timedelta(days=7)
"""Nothing overtakes what has waited a week, whatever its value: nobody waits for ever."""
VALUE_DOUBLES_AT = 1000.0
"""At this value stakes count twice as much as at none, at a million three times: more value more, without taking over."""


def head_start(
    reasons: Collection[str],
    judge_verdict: VerdictLabel | None = None,
    *,
    split: bool = False,
    value: Decimal | None = None,
) -> timedelta:
    """How much earlier than it came in an item stands in line; from 0 to MOST, and more the more speaks for it.

    `reasons` are those of the review policy, `judge_verdict` is what the rollup says (None: nothing yet), `split`
    that judges disagreed, which the reason `panel_split` says as well. `value` is what the app said the event is
    worth, in whatever currency; nothing or less counts as nothing. What comes by the audit, whatever else sends it, has
    no head start: statistics want all that came in up to a time.
    """
    if "audit" in reasons:
        return timedelta(0)
    doubt = _doubt(reasons, judge_verdict, split=split or "panel_split" in reasons)
    return min(timedelta(hours=HOURS_A_POINT * doubt * _stakes(value)), MOST)


def _doubt(reasons: Collection[str], verdict: VerdictLabel | None, *, split: bool) -> float:
    by_verdict = {VerdictLabel.PASS: PASSED, VerdictLabel.UNKNOWN: UNKNOWN, VerdictLabel.PARTIAL: PARTIAL}
    doubt = by_verdict.get(verdict, 0.0) if verdict is not None else 0.0
    if "unknown" in reasons:
        doubt = max(doubt, UNKNOWN)
    doubt += SPLIT if split else 0.0
    doubt += FLAGGED if {"injection_suspected", "low_confidence"} & set(reasons) else 0.0
    return doubt + (NEAR if "near_threshold" in reasons else 0.0)


def _stakes(value: Decimal | None) -> float:
    """1 without a value, 2 at VALUE_DOUBLES_AT, and slowly on from there: currencies and scales differ."""
    if value is None or not value.is_finite() or value <= 0:
        return 1.0
    return 1.0 + log10(1 + float(value)) / log10(1 + VALUE_DOUBLES_AT)
