"""Whatever is captured: it is shown as HTML that holds nothing but what we put there, and nothing of it is hidden."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review_ui.rendering.content import Mark, Rendered, difference, raw, rendered
from tests.review_ui.rendering.payloads import PAYLOADS, TEXTS
from tests.review_ui.rendering.shown_html import Outline, assert_harmless

Show = Callable[[Any], Rendered]

WAYS: dict[str, Show] = {
    "rendered": rendered,
    "rendered whole": lambda value: rendered(value, limit=None),
    "folded early": lambda value: rendered(value, limit=60),
    "raw": raw,
    "in a chat": lambda value: rendered([{"role": "user", "content": value}, {"role": "tool", "parts": [value]}]),
    "in a tool call": lambda value: rendered(
        {"role": "assistant", "tool_calls": [{"name": "x", "arguments": value}]}
    ),
    "in JSON": lambda value: rendered({"a": [value], "b": {"c": value}}),
    "as markdown": lambda value: rendered(f"# Heading\n\n- {value}\n\n{value}"),
    "marked": lambda value: rendered(value, marks=[Mark(str(value)[:40], str(value)[:80], str(value)[:2])]),
    "changed": lambda value: difference(value, [value, "new"]),
    "come": lambda value: difference("", value),
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)
spiced = st.lists(
    st.sampled_from(
        ["<", ">", "&", '"', "'", "`", "*", "_", "[", "](", ")", "|", "\n", "- ", "# ", "```", "~~", "data:"]
    )
    | st.sampled_from(
        ["javascript:", "https://a.example", "&#60;", "\\", "\r\n", "\r", "\t", "\u202e", "\x00", "\ud800"]
    )
    | st.text(st.characters(), max_size=8),
    max_size=40,
).map("".join)


def test_there_are_enough_payloads_to_speak_of() -> None:
    assert len(PAYLOADS) >= 100


@pytest.mark.parametrize("name", PAYLOADS)
def test_hostile_content_is_inert_however_it_is_shown(name: str) -> None:
    for show in WAYS.values():
        assert_harmless(show(PAYLOADS[name]).html)


@pytest.mark.parametrize("name", PAYLOADS)
def test_hostile_content_is_shown_in_a_moment(name: str) -> None:
    began = time.perf_counter()
    WAYS["rendered whole"]((PAYLOADS[name], "not kept from another test"))
    WAYS["as markdown"](PAYLOADS[name])
    assert time.perf_counter() - began < 2


WITHOUT_DATA = [name for name, text in TEXTS.items() if ";base64," not in text]


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_raw_text_loses_no_character(name: str) -> None:
    text = TEXTS[name]
    assert Outline(raw(text, limit=None).html).said == text.replace("\r\n", "\n")


def letters(text: str) -> Counter[str]:
    return Counter(filter(str.isalnum, text))


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_laid_out_text_loses_no_letter(name: str) -> None:
    shown = Outline(rendered(TEXTS[name], limit=None).html)
    lost = letters(TEXTS[name]) - (letters(shown.said) | letters(shown.text))
    assert set(lost) <= set("".join(re.findall(r"&#?\w+;|^ *\d+\.|```.*", TEXTS[name])))


@settings(max_examples=150, deadline=None)
@given(text=spiced)
def test_no_text_hides_a_word_in_markdown(text: str) -> None:
    shown = Outline(rendered(f"# x\n\n{text}\n\n| a |\n|---|\n| b | {text} {text} |", limit=None).html).text
    assert all(word in shown for word in re.findall(r"[a-z]{3,}", text))


def test_base64_is_told_by_its_kind_and_size() -> None:
    shown = Outline(raw(f"see data:image/png;base64,{'QUJD' * 125_000} there").html)
    assert shown.text == "see image/png, 375 KB there"


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters()) | spiced)
def test_any_text_is_inert_and_kept(text: str) -> None:
    assert_harmless(rendered(text).html)
    shown = raw(text)
    assert_harmless(shown.html)
    if "data:" not in text.lower():
        assert Outline(shown.html).said == text.replace("\r\n", "\n")


@settings(max_examples=150, deadline=None)
@given(value=anything)
def test_any_value_is_inert(value: Any) -> None:
    for shown in (rendered(value), raw(value), rendered([{"role": "user", "content": value, "x": value}])):
        assert_harmless(shown.html)


@settings(max_examples=100, deadline=None)
@given(text=spiced, quote=spiced, limit=st.integers(0, 200))
def test_marks_and_folds_leave_any_text_inert(text: str, quote: str, limit: int) -> None:
    marks = [Mark(quote, quote, quote), Mark(text[3:30], text), Mark(text[10:40])]
    assert_harmless(rendered(text, marks=marks, limit=limit).html)


@settings(max_examples=100, deadline=None)
@given(before=spiced, after=spiced)
def test_any_difference_is_inert(before: str, after: str) -> None:
    assert_harmless(difference(before, after).html)
