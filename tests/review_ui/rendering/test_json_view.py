from __future__ import annotations

from typing import Any

import pytest

from review_ui.rendering.content import raw, rendered
from tests.review_ui.rendering.shown_html import Outline


def test_json_is_a_tree_of_keys_and_values() -> None:
    shown = Outline(rendered('{"order": {"id": 7, "paid": true, "note": null, "tags": [], "text": ""}}').html)
    assert shown.said == "order id 7paid truenote nulltags empty listtext empty text"
    assert sum(part == "/details" for part in shown.parts) == 2


@pytest.mark.parametrize("text", ["[not json]", "{curly}", "12", '"quoted"', "[1,", "null", "{" * 500 + "}" * 500])
def test_what_is_no_json_object_or_list_is_text(text: str) -> None:
    assert Outline(rendered(text).html).said == text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        ({}, "empty object"),
    ],
)
def test_a_bare_value_is_told(value: Any, told: str) -> None:
    assert Outline(rendered(value).html).said == told


def test_a_long_list_is_folded_and_says_how_many_are_left() -> None:
    rows = list(range(500))
    shown = rendered(rows)
    assert shown.folded
    assert "… 480 more" in shown.html
    assert not rendered(rows, limit=None).folded


def test_a_long_text_is_folded_beneath_its_beginning() -> None:
    html = str(rendered({"note": "word " * 1_000}).html)
    preview, _, whole = html.partition("</summary></details>")[0].rpartition("</summary>")
    assert "… 5,000 characters" in preview
    assert whole.count("word") == 1_000


def test_depth_is_bounded_and_said() -> None:
    value: Any = "bottom"
    for _ in range(3_000):
        value = [value]
    shown = rendered(value)
    assert shown.folded
    assert "nested too deep to show here" in shown.html


@pytest.mark.parametrize("limit", [32_000, None])
def test_size_is_bounded(limit: int | None) -> None:
    shown = rendered({str(at): {"a": at, "b": [at]} for at in range(60_000)}, limit=limit)
    assert shown.folded
    assert len(shown.html) < 4_000_000


def test_limits_hold_for_json_of_few_long_texts() -> None:
    shown = rendered({str(at): "x" * 4_000 for at in range(40)}, limit=10_000)
    assert shown.folded
    assert 10_000 <= shown.html.count("x") < 16_000


def test_a_number_that_nobody_can_read_is_told_by_its_size() -> None:
    assert Outline(rendered(10**9_000).html).said == "a number of 29,898 bits"
    assert "a number of 29,898 bits" in raw([10**9_000]).html
