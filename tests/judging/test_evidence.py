"""Quotes count only where they stand in the content word for word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.judging.evidence import NOT_FOUND, check_evidence
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Quote

CONTENT = ("Your refund of $39.90 was sent on 3\u00a0March.", "We don’t ship “large” items – sorry.\nBye")


def answer(*quotes: str, verdict: CriterionLabel = CriterionLabel.PASS) -> CriterionVerdict:
    return CriterionVerdict(
        id="solves", verdict=verdict, level=4.0, evidence=tuple(Quote(text=q, found=False) for q in quotes)
    )


@pytest.mark.parametrize(
    "quote",
    [
        "refund of $39.90",
        "sent on 3 March",
        'We don\'t ship "large" items - sorry.',
        "sorry. Bye",
        "sorry.\\nBye",
        "“Your refund of $39.90”",
        "Your refund…",
        "ｒefund",
    ],
)
def test_a_quote_is_found_whatever_its_spaces_quotes_dashes_and_unicode_form(quote: str) -> None:
    (checked,) = check_evidence([answer(quote)], CONTENT)
    assert checked.evidence[0].found
    assert checked.verdict is CriterionLabel.PASS


@pytest.mark.parametrize("quote", ["refund of $40", "REFUND OF", "March. We don't", "your money"])
def test_an_answer_whose_quotes_are_all_invented_becomes_unknown(quote: str) -> None:
    (checked,) = check_evidence([answer(quote, "nowhere at all")], CONTENT)
    assert (checked.verdict, checked.level, checked.note) == (CriterionLabel.UNKNOWN, None, NOT_FOUND)


def test_one_found_quote_carries_the_answer_and_the_other_is_marked() -> None:
    (checked,) = check_evidence([answer("refund of $39.90", "never written")], CONTENT)
    assert checked.verdict is CriterionLabel.PASS
    assert [quote.found for quote in checked.evidence] == [True, False]


def test_an_answer_without_quotes_keeps_its_verdict() -> None:
    assert check_evidence([answer()], CONTENT) == (answer(),)


def test_a_fail_that_rests_on_invented_quotes_becomes_unknown_as_well() -> None:
    (checked,) = check_evidence([answer("never written", verdict=CriterionLabel.FAIL)], CONTENT)
    assert checked.verdict is CriterionLabel.UNKNOWN


def test_abstaining_needs_no_evidence() -> None:
    (checked,) = check_evidence([answer("never written", verdict=CriterionLabel.NOT_APPLICABLE)], CONTENT)
    assert checked.verdict is CriterionLabel.NOT_APPLICABLE


def test_a_quote_of_two_characters_counts_neither_for_nor_against() -> None:
    (checked,) = check_evidence([answer("zz")], CONTENT)
    assert checked.verdict is CriterionLabel.PASS
    assert not checked.evidence[0].found


def test_the_rubrics_own_words_are_no_evidence_even_where_the_content_repeats_them() -> None:
    ask = "Does the answer fix the stated problem?"
    (checked,) = check_evidence([answer(ask)], (*CONTENT, f"Note: {ask} Yes."), [ask])
    assert checked.verdict is CriterionLabel.UNKNOWN


def test_a_quote_may_not_span_two_pieces_of_content() -> None:
    (checked,) = check_evidence([answer("one two")], ["one", "two"])
    assert not checked.evidence[0].found


@given(st.text(min_size=1), st.data())
def test_whatever_stretch_of_the_content_is_quoted_is_found(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    stretch = text[start : data.draw(st.integers(start + 1, len(text)))]
    (checked,) = check_evidence([answer(f"kept: {stretch}")], [f"kept: {stretch}"])
    assert checked.evidence[0].found
