from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_ui.rendering.text_view import byte_size, cut_at, inert, shown_text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("a\rb", 'a<span class="escape">\\r</span>b'),
        ("\x1b[31m", '<span class="escape">\\x1b</span>[31m'),
        ("\u202e\u2066x", '<span class="escape">\\u202e\\u2066</span>x'),
        ("in\u200bvisible", 'in<span class="escape">\\u200b</span>visible'),
        ("in\u200dvisible", 'in<span class="escape">\\u200d</span>visible'),
        ("\ud83d", '<span class="escape">\\ud83d</span>'),
        ("\u3164", '<span class="escape">\\u3164</span>'),
        ("<&\"'>", "&lt;&amp;&quot;&#x27;&gt;"),
    ],
)
def test_what_hides_or_turns_text_is_an_escape(text: str, html: str) -> None:
    assert inert(text) == html


@pytest.mark.parametrize(
    "text",
    [
        "日本\u3000語",
        "12\u202f000\xa0€",
        "👩\u200d💻 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3",
        "می\u200cخواهم",
        "Ä a\u0308 ç",
        "naïve — “x” …",
    ],
)
def test_what_languages_and_emoji_need_stays(text: str) -> None:
    assert inert(text) == text


def test_marks_pile_up_no_higher_than_four() -> None:
    assert inert("e" + "\u0301" * 6) == "e" + "\u0301" * 4 + '<span class="escape">\\u0301\\u0301</span>'


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("one two three", 9, "one two"),
        ("line one\nline two is long", 14, "line one"),
        ("abcdefgh", 3, "abc"),
        ("👩\u200d💻x", 2, ""),
        ("ab\r\ncd", 3, "ab"),
        ("short", 9, "short"),
    ],
)
def test_text_is_cut_where_it_makes_sense(text: str, limit: int, cut: str) -> None:
    assert cut_at(text, limit) == cut


@given(text=st.text(), limit=st.integers(0, 50))
def test_a_cut_text_is_a_beginning_no_longer_than_asked_for(text: str, limit: int) -> None:
    cut = cut_at(text, limit)
    assert text.startswith(cut)
    assert len(cut) <= limit
    assert shown_text(text, limit).folded == (len(cut) < len(text))


@pytest.mark.parametrize(
    ("size", "told"),
    [(1, "1 byte"), (999, "999 bytes"), (375_000, "375 KB"), (999_600, "1.0 MB"), (1_250_000, "1.2 MB")],
)
def test_sizes_are_told_in_their_unit(size: int, told: str) -> None:
    assert byte_size(size) == told
