"""Which values stand in a document."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.judging.found_values import count_found

RECEIPT = "Receipt No. 4711\nBakery  Lund\nTotal 12.40 EUR, paid 3 March 2026. VAT 1,250.00 7 items 2 300,50 NOK"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"vendor": "Bakery Lund", "total": "12.40 EUR"}, (2, 2)),
        ('{"vendor": "bakery lund", "total": 12.4}', (2, 2)),
        ({"total": "2.40 EUR"}, (0, 1)),
        ({"total": "12.4"}, (1, 1)),
        ({"total": "2.40"}, (0, 1)),
        ({"vat": 1250}, (1, 1)),
        ({"vat": "1.250,00"}, (1, 1)),
        ({"items": 7, "nok": 2300.5}, (2, 2)),
        ({"number": 471}, (0, 1)),
        ({"number": "4711"}, (1, 1)),
        ({"date": "3 March"}, (1, 1)),
        ({"date": "3 Mar"}, (0, 1)),
        ({"items": [{"name": "Lund"}, {"name": "Malmö"}]}, (1, 2)),
        ({"missing": None, "paid": True}, (0, 0)),
        ("Bakery Lund", (1, 1)),
        ("The vendor is Bakery Lund.", (0, 1)),
        ("", (0, 0)),
    ],
)
def test_a_value_is_found_where_it_stands_as_a_whole(value: Any, found: tuple[int, int]) -> None:
    assert count_found(value, RECEIPT) == found


@pytest.mark.parametrize(
    ("value", "reference", "found"),
    [
        (5, "Balance: -5 EUR", False),
        (-5, "Balance: -5 EUR", True),
        (-5, "Balance: \N{MINUS SIGN}5 EUR", True),
        (-5, "Pages 3-5", False),
        (5, "Pages 3-5", True),
        (5, {"balance": -5}, False),
        ("12%", "up by 12%, then by 3%", True),
        ("2%", "up by 12%", False),
        (1.25, "1.250", True),
        (1250, "1.250", True),
        (1.251, "1.25", False),
        ("12345678901234567890123456789012341", "12345678901234567890123456789012342", False),
        ("9" * 2_000_000, "9" * 2_000_000, True),
    ],
)
def test_a_number_is_found_by_what_it_says_its_sign_and_every_digit(
    value: Any, reference: Any, found: bool
) -> None:
    assert count_found([value], reference) == (int(found), 1)


def test_many_values_in_a_long_text_are_looked_for_at_once_or_given_up() -> None:
    text = "lorem ipsum dolor " * 60_000
    began = perf_counter()
    assert count_found([f"word{number}" for number in range(500)], text) == (0, 500)
    with pytest.raises(TimeoutError):
        count_found(
            [f"{'a' * 50}{number}"[number:] for number in range(40)], "a" * 5_000_000 + "1", within_seconds=0.2
        )
    assert perf_counter() - began < 5


words = st.text(alphabet=st.characters(categories=("L", "N")), min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=6), st.data())
def test_each_word_of_a_document_is_found_in_it(document: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(document))
    assert count_found(json.dumps({"field": word}), " ".join(document)) == (1, 1)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists), st.text())
def test_no_more_is_found_than_there_is(value: Any, reference: str) -> None:
    found, of = count_found(value, reference)
    assert 0 <= found <= of
