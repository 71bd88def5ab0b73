from __future__ import annotations

import time

import pytest

from review_ui.rendering.content import difference
from tests.review_ui.rendering.shown_html import Outline


def test_changed_words_are_marked_and_told() -> None:
    html = difference("The refund was paid today.\nBye", "The refund was sent today.\nBye").html
    assert (
        '<del><span class="c-unseen">removed: </span>paid</del><ins><span class="c-unseen">added: </span>sent</ins>'
        in html
    )
    assert '<div class="c-line">Bye</div>' in html


def test_lines_that_came_and_went_are_whole() -> None:
    html = difference("a\nold line\nz", "a\nz\nnew line").html
    assert '<div class="c-line c-gone"><del><span class="c-unseen">removed: </span>old line</del></div>' in html
    assert '<div class="c-line c-new"><ins><span class="c-unseen">added: </span>new line</ins></div>' in html


def test_a_line_written_anew_is_not_mixed_word_by_word() -> None:
    html = difference("We value you as a customer", "Refund 4711 left yesterday by bank transfer").html
    assert "c-gone" in html
    assert "c-new" in html


def test_equal_stretches_are_folded() -> None:
    lines = [f"line {at}" for at in range(40)]
    html = difference("\n".join(lines), "\n".join([*lines[:20], "new", *lines[20:]])).html
    assert html.count("<details") == 2
    assert "<summary>17 equal lines</summary>" in html


def test_json_is_compared_key_by_key() -> None:
    html = difference({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}).html
    assert Outline(html).text.count("removed: ") == 1


def test_chats_are_compared_as_they_were_said() -> None:
    before = [{"role": "user", "content": "one\ntwo"}, {"role": "assistant", "content": "It is paid today."}]
    after = [before[0], {"role": "assistant", "content": "It is late today."}]
    html = difference(before, after).html
    assert '<div class="c-line">assistant:</div>' in html
    assert "\\n" not in html
    assert "It is <del>" in html


def test_the_same_is_said_to_be_the_same() -> None:
    assert "The same in both." in difference("x", "x").html


def test_what_is_too_different_stands_side_by_side() -> None:
    one, other = "\n".join(f"a{at}" for at in range(5_000)), "\n".join(f"b{at}" for at in range(5_000))
    shown = difference(one, other, limit=None)
    assert "Too long or too different" in shown.html
    assert "a4999" in shown.html
    assert "b4999" in shown.html


def test_a_long_difference_is_folded() -> None:
    one, other = "\n".join(f"a{at}" for at in range(900)), "\n".join(f"b{at}" for at in range(900))
    assert difference(one, other, limit=2_000).folded
    assert not difference(one, other, limit=None).folded


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n".join(str(at % 40) for at in range(3_000)), "\n".join(str(at * 7 % 40) for at in range(3_000))),
        ("\n".join(f"a{at}\nb{at}" for at in range(1_500)), "\n".join(f"a{at}\nc{at}" for at in range(1_500))),
        ("\n".join(map(str, range(2_900))), "\n".join(map(str, reversed(range(2_900))))),
        ("x " * 100_000, "y " * 100_000),
        ("\n" * 100_000, "a\n" * 100_000),
        (
            "\n".join(f"{at} " + "a b " * 90 for at in range(300)),
            "\n".join(f"{at}x " + "b a " * 90 for at in range(300)),
        ),
    ],
)
def test_texts_made_to_be_slow_to_compare_are_not_slow(before: str, after: str) -> None:
    began = time.process_time()
    difference(before, after, limit=None)
    assert time.process_time() - began < 1.5
