"""The contract of rendered content: how long it is, whether it is folded, and that showing it twice costs once."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any

import pytest

from review_ui.rendering.content import RENDERERS, Mark, raw, rendered
from review_ui.rendering.shown_pages import ShownPages
from tests.review_ui.rendering.shown_html import Outline


@pytest.mark.parametrize(
    ("value", "renderer"),
    [
        ([{"role": "user", "content": "hi"}], "chat"),
        ({"a": 1}, "json"),
        ('{"a": "**1**"}', "json"),
        ("**bold**", "markdown"),
        ("plain", "text"),
        (None, "json"),
    ],
)
def test_the_first_renderer_that_can_shows_a_value(value: Any, renderer: str) -> None:
    assert next(one.name for one in RENDERERS if one.draw(value, 1_000, False) is not None) == renderer


@pytest.mark.parametrize("value", ["line of words\n" * 5_000, {"a": "line of words " * 5_000}])
def test_long_content_is_folded_and_shown_whole_on_demand(value: Any) -> None:
    folded, whole = rendered(value), rendered(value, limit=None)
    assert folded.folded
    assert not whole.folded
    assert folded.characters == whole.characters >= 70_000
    assert len(folded.html) < 40_000 < len(whole.html)


def test_the_whole_is_bounded_too() -> None:
    shown = raw("word " * 600_000, limit=None)
    assert shown.folded
    assert shown.characters == 3_000_000


def test_raw_json_is_written_out_with_all_its_characters() -> None:
    assert Outline(raw({"a": ["é", "\u202e"]}).html).said == '{\n  "a": [\n    "é",\n    "\u202e"\n  ]\n}'
    assert "\\ud800" in raw({"a": "\ud800"}).html


def test_content_that_differs_in_kind_is_not_mixed_up() -> None:
    text, value = '{\n  "a": 1\n}', {"a": 1}
    assert rendered(text).characters == len(text)
    assert rendered([1]).html != rendered([True]).html
    assert rendered(value).html == rendered(text).html
    assert rendered("x", marks=[Mark("xxx")]).found == (False,)
    assert rendered("x").found == ()


def test_showing_content_again_takes_next_to_no_time() -> None:
    text = "# Heading\n\nSome **bold** words and `code`.\n\n" * 600
    first = rendered(text)
    began = time.process_time()
    for _ in range(20):
        assert rendered(text) is first
    assert time.process_time() - began < 0.1


def test_what_was_not_asked_for_lately_makes_room() -> None:
    pages: ShownPages[str] = ShownPages(most_bytes=1_000)
    keys = [ShownPages.key("page", at) for at in range(6)]
    for key in keys:
        pages.keep(key, "x", 200)
        assert pages.find(keys[0]) == "x"
    assert [pages.find(key) for key in keys] == ["x", None, "x", "x", "x", "x"]
    pages.keep(ShownPages.key("large"), "x", 251)
    assert pages.find(ShownPages.key("large")) is None


def test_pages_made_of_other_things_have_other_keys() -> None:
    assert ShownPages.key("ab", "c") != ShownPages.key("a", "bc")
    assert ShownPages.key("\ud800") != ShownPages.key("\udc00")


def test_content_is_shown_to_many_at_a_time() -> None:
    texts = [f"**{at}** " * 500 for at in range(8)]
    shown: list[bool] = []

    def show() -> None:
        for _ in range(5):
            shown.extend(f"<strong>{at}</strong>" in rendered(text).html for at, text in enumerate(texts))

    threads = [Thread(target=show) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown == [True] * 160
