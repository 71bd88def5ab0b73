"""Which values stand in a document."""

from __future__ import annotations

import json
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


words = st.text(alphabet=st.characters(categories=("L", "N")), min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=6), st.data())
def test_each_word_of_a_document_is_found_in_it(document: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(document))
    assert count_found(json.dumps({"field": word}), " ".join(document)) == (1, 1)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists), st.text())
def test_no_more_is_found_than_there_is(value: Any, reference: str) -> None:
    found, of = count_found(value, reference)
    assert 0 <= found <= of
