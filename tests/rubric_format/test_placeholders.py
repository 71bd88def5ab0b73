"""Placeholders in questions."""

from __future__ import annotations

import pytest

from evaluator.rubric_format.placeholders import filled, placeholders


def test_a_placeholder_reads_as_the_name_in_the_data() -> None:
    assert filled("Is {answer} backed by {sources}?", ("answer", "sources")) == 'Is "answer" backed by "sources"?'


@pytest.mark.parametrize("text", ["Is it {a: 1}?", "Is it {}?", "Is it {Answer}?", "Is it {{x y}}?"])
def test_other_braces_are_text(text: str) -> None:
    assert list(placeholders(text)) == []
    assert filled(text, ("answer",)) == text


def test_each_placeholder_is_found_at_its_brace() -> None:
    assert list(placeholders("ab {x} {y-1}")) == [("x", 3), ("y-1", 7)]


def test_a_name_that_content_does_not_have_stays_as_written() -> None:
    assert filled("Is {source} right?", ("sources",)) == "Is {source} right?"
