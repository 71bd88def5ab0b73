from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from evaluator.wording import ago, counts, dollars, duration, judging_dollars, plural, visible


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (None, "unpriced"),
        ("0", "$0"),
        ("0.00004", "< $0.0001"),
        ("0.0042", "$0.0042"),
        ("1299", "$1,299.00"),
        ("-12.5", "-$12.50"),
        ("-0.00001", "> -$0.0001"),
    ],
)
def test_money_is_said_as_small_as_it_is_and_never_as_nothing(amount: str | None, said: str) -> None:
    assert dollars(None if amount is None else Decimal(amount)) == said


def test_what_has_no_price_is_said() -> None:
    assert judging_dollars(Decimal(0), 3) == "unpriced"
    assert judging_dollars(Decimal("0.5"), 3) == "$0.5000 + 3 unpriced"
    assert judging_dollars(Decimal(0), 0) == "$0"


@pytest.mark.parametrize(
    ("seconds", "said"), [(-5, "0 s ago"), (59, "59 s ago"), (3700, "1 h ago"), (200000, "2 d ago")]
)
def test_times_are_said_in_their_largest_unit(seconds: int, said: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == said


def test_counts_read_as_words() -> None:
    assert counts({"not_evaluable": 2, "done": 5, "due": 0}) == "5 done, 2 not evaluable"
    assert counts({}) == "—"
    assert (plural(1, "call"), plural(2000, "call")) == ("1 call", "2,000 calls")
    assert duration(125.2) == "2 min 5 s"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ticket-4711", "ticket-4711"),
        ("Straße 日本 🚚\u200d👩", "Straße 日本 🚚\u200d👩"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("two\r\nlines\u2028", "two\\r\\nlines\\u2028"),
    ],
)
def test_what_turns_or_hides_text_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
