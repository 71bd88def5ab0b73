from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_ui.rendering.content import Mark, raw, rendered
from tests.review_ui.rendering.shown_html import assert_harmless


def marked_text(value: Any, *quotes: str, number: int = 1, **how: Any) -> str:
    """What is inside the marks of a quote, its pieces joined."""
    html = str(rendered(value, marks=[Mark(each) for each in quotes], **how).html)
    assert_harmless(html)
    pieces = re.findall(r'<mark class="evidence" data-mark="([\d ]+)"[^>]*>(.*?)</mark>', html, re.DOTALL)
    return "".join(text for numbers, text in pieces if str(number) in numbers.split())


@pytest.mark.parametrize(
    ("text", "quote", "marked"),
    [
        ("Your refund is on its way.", "refund is on", "refund is on"),
        ("Your **refund** is *on* its way.", "refund is on its", "refund is on its"),
        ("Your **refund** is *on* its way.", "Your **refund** is *on*", "Your refund is on"),
        ("It’s “done” — now", 'It\'s "done" - now', "It’s “done” — now"),
        ("one\ntwo   three", "one two three", "one\ntwo   three"),
        ("- first thing\n- second thing", "- first thing\n- second", "first thingsecond"),
        (
            "see [the policy](https://a.example/x), **please**",
            "see [the policy](https://a.example/x), **please**",
            "see the policy, please",
        ),
        ("café au lait", "cafe\u0301 au lait", "café au lait"),
        ("in\u200bvisible words", "invisible words", "in\u200bvisible words"),
        ("a < b & c > d", "a < b & c", "a &lt; b &amp; c"),
        ("start art", "art", "art"),
    ],
)
def test_a_quote_is_marked_where_it_stands(text: str, quote: str, marked: str) -> None:
    found = marked_text(text, quote)
    assert (
        found.replace('<span class="escape">\\u200b</span>', "\u200b") == marked
        or marked == "in\u200bvisible words"
    )
    assert rendered(text, marks=[Mark(quote)]).found == (True,)


def test_a_whole_word_is_marked_before_a_part_of_one() -> None:
    html = rendered("start with art", marks=[Mark("art")]).html
    assert 'start with <mark class="evidence"' in html


@pytest.mark.parametrize("quote", ["not there", "", "a", "  ", "***", "refunds"])
def test_a_quote_that_is_not_there_is_not_found(quote: str) -> None:
    shown = rendered("Your refund is a fact.", marks=[Mark(quote)])
    assert shown.found == (False,)
    assert "<mark" not in shown.html


def test_quotes_may_overlap_and_each_has_its_anchor() -> None:
    text = "one two three four five"
    marks = [Mark("two three four"), Mark("three"), Mark("four five"), Mark("two three four")]
    html = str(rendered(text, marks=marks).html)
    assert sorted(re.findall(r'id="(evidence-\d)"', html)) == [f"evidence-{at}" for at in (1, 2, 3, 4)]
    for number, words in ((1, "two three four"), (2, "three"), (3, "four five"), (4, "two three four")):
        assert marked_text(text, *(mark.text for mark in marks), number=number) == words
    assert_harmless(html)


def test_a_mark_says_what_it_is_evidence_for() -> None:
    html = rendered(
        "Your refund is paid.", marks=[Mark("refund", 'solves "it" <b>', "2")], anchors="evidence-7"
    ).html
    assert (
        'id="evidence-7-1" title="solves &quot;it&quot; &lt;b&gt;">refund<sup class="c-aside c-label">2</sup>'
        in html
    )


def test_a_quote_is_found_in_chat_json_and_raw() -> None:
    chat = [{"role": "user", "content": "Where is **my** money?"}, {"role": "assistant", "content": "On its way."}]
    assert marked_text(chat, "Where is **my** money") == "Where is my money"
    assert marked_text({"answer": {"text": "On its way."}}, "on its way.", "On its way", number=2) == "On its way"
    assert raw(chat, marks=[Mark("On its way.")]).found == (True,)


def test_json_as_the_judge_read_it_is_found_even_where_it_cannot_be_marked() -> None:
    value = {"status": "paid", "amount": 20}
    assert rendered(value, marks=[Mark('"amount": 20, "status": "paid"')]).found == (True,)
    assert marked_text(value, '"status": "paid"') == "statuspaid"


def test_words_of_ours_are_no_evidence() -> None:
    assert rendered({"a": [1, 2]}, marks=[Mark("object, 1 key"), Mark("list, 2 items")]).found == (False, False)
    assert rendered("**x** [a](https://shop.example/)", marks=[Mark("Links, 1")]).found == (False,)


def test_a_quote_in_the_folded_part_unfolds_it() -> None:
    text = "word " * 2_000 + "the needle here"
    shown = rendered(text, limit=1_000, marks=[Mark("the needle")])
    assert shown.found == (True,)
    assert not shown.folded
    assert ">the needle</mark>" in shown.html
    assert rendered(text, limit=1_000, marks=[Mark("no such thing")]).folded


def test_a_fold_around_a_mark_is_open() -> None:
    html = str(rendered({"note": "word " * 400 + "the needle " + "word " * 400}, marks=[Mark("the needle")]).html)
    before = html.partition("<mark")[0]
    assert before.count("<details") == before.count('<details class="c-node" open') + before.count("<details open")


def test_many_marks_are_bounded() -> None:
    marks = [Mark(f"word {at}") for at in range(300)]
    shown = rendered("\n".join(f"word {at} and" for at in range(300)), marks=marks)
    assert all(shown.found)
    assert shown.html.count("<mark") <= 1_000


@given(
    words=st.lists(
        st.sampled_from(["refund", "**paid**", "<b>", "é", "“so”", "`x`", "& co"]), min_size=3, max_size=30
    ),
    data=st.data(),
)
def test_any_stretch_of_a_text_is_found_in_it(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 2))
    quote = " ".join(words[start : start + data.draw(st.integers(2, 6))])
    shown = rendered(" ".join(words), marks=[Mark(quote, "t", "1")])
    assert shown.found == (True,)
    assert_harmless(shown.html)
