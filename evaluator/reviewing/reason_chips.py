"""Why an item is here, in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from evaluator.model.review import ReviewItem
from evaluator.model.verdict import VerdictLabel
from evaluator.plain_json import decimal_text
from evaluator.review_state import shown_reasons
from evaluator.reviewing.review_sheet import Chip
from evaluator.wording import dollars

WORDS = {
    "policy": "sent by policy",
    "unknown": "judges could not tell",
    "critical_fail": "critical criterion failed",
    "panel_split": "judges split",
    "injection_suspected": "injection suspected",
    "near_threshold": "score near a threshold",
    "low_confidence": "the app was unsure",
    "value_above": "high value",
    "audit": "random audit",
    "picked": "picked by hand",
    "new_attempt": "judged anew since its last review",
}
"""Reason → what is said of it; reasons besides these are said as they are stored."""


def chips_of(item: ReviewItem, *, hidden: bool, said: Sequence[VerdictLabel] = ()) -> tuple[Chip, ...]:
    """An item's reasons as chips; with `hidden` those that would tell what judges said are one, `policy`.

    `said` are the judges' verdicts on the deciding run, to say how they split.
    """
    return tuple(Chip(reason, _word(reason, item, said)) for reason in shown_reasons(item, hidden=hidden))


def _word(reason: str, item: ReviewItem, said: Sequence[VerdictLabel]) -> str:
    word = WORDS.get(reason, reason.replace("_", " "))
    if reason == "value_above" and item.value_amount is not None:
        return f"value {value_word(item.value_amount, item.value_currency)}"
    counts = Counter(each for each in said if each != VerdictLabel.UNKNOWN)
    if reason == "panel_split" and len(counts) > 1:
        return f"{word} {'–'.join(str(number) for _, number in counts.most_common())}"
    return word


def value_word(amount: Decimal, currency: str | None) -> str:
    """An amount in its currency; in dollars where none is named."""
    if currency in (None, "", "USD"):
        return dollars(amount).removesuffix(".00")
    return f"{decimal_text(amount)} {currency}"
