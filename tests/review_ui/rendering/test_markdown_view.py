from __future__ import annotations

import re
import time
from html import escape

import pytest

from review_ui.rendering.content import rendered
from tests.review_ui.rendering.shown_html import Outline


def drawn(text: str) -> str:
    return str(rendered(text).html).removeprefix('<div class="shown c-captured">').removesuffix("</div>")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("# One\ntext", '<p class="c-h c-h1">One</p><p>text</p>'),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("```py\nx < 1\n```", '<p class="c-aside">py</p><pre class="c-code"><code>x &lt; 1</code></pre>'),
        ("&amp; **b**", "<p>&amp;amp; <strong>b</strong></p>"),
    ],
)
def test_markdown_is_laid_out(text: str, html: str) -> None:
    assert re.sub(r"\n", "", drawn(text)) == f'<div class="c-md">{html}</div>'


@pytest.mark.parametrize(
    "text",
    [
        "Two * three = 6 and 4 * 5 = 20",
        "snake_case_name and __init__.py and 5 < 6 > 4",
        "Dear Ann,\n\nyour order 1234 has shipped.\n\nKind regards",
        "a - b - c",
        "",
    ],
)
def test_plain_prose_keeps_its_line_breaks_as_they_are(text: str) -> None:
    assert drawn(text) == f'<div class="c-text">{escape(text)}</div>'


def test_a_table_can_be_scrolled_by_keyboard() -> None:
    html = drawn("| a | b |\n|---|:-:|\n| 1 | 2 |")
    assert '<div class="c-wide" tabindex="0" role="group" aria-label="Table"><table>' in html
    assert '<th scope="col">' in html
    assert "style" not in html


def test_a_link_says_where_it_leads_and_is_opened_from_the_list_only() -> None:
    html = drawn("see [the policy](https://shop.example/a?b=1&c=2 'Our \"policy\"')")
    text, _, links = html.partition("<details")
    assert '<span class="c-link">the policy</span>' in text
    assert ' (shop.example: Our "policy")' in text
    assert "<a " not in text
    assert (
        'href="https://shop.example/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer nofollow ugc"' in links
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://bank.example@evil.example/x", "evil.example"),
        ("https://EVIL.example:8443/", "evil.example"),
        ("//evil.example/x", "evil.example"),
        ("/settings", "on this site"),
        ("javascript:alert(1)", "javascript:"),
        ("https://раураl.example/", "раураl.example, that is xn--l-7sba6dbr.example"),
        ("https://[bad", "no valid address"),
    ],
)
def test_where_a_link_leads_cannot_be_dressed_up(url: str, told: str) -> None:
    html = drawn(f"[https://bank.example]({url}) **now**")
    assert f'<span class="c-aside"> ({told})</span>' in html
    assert ("<a " in html) == (url.lower().startswith("https://") and "[bad" not in url)


def test_an_image_is_named_and_not_fetched() -> None:
    html = drawn("![a chart](https://t.example/p.png) ![](data:image/png;base64," + "A" * 400 + ")")
    assert "<img" not in html
    seen = Outline(html).text
    assert "image: a chart (t.example)" in seen
    assert "image: (image/png, 300 bytes)" in seen


@pytest.mark.parametrize(
    "text",
    [
        "| a |\n|---|\n| b | not seen |",
        "| a | b |\n|---|---|\n| 1 | 2 | 3 | not seen |",
    ],
)
def test_what_markdown_would_drop_is_shown_as_written(text: str) -> None:
    assert drawn(text) == f'<div class="c-text">{text}</div>'


def test_definitions_of_references_are_seen() -> None:
    assert "[hidden]: not seen" in Outline(drawn("**x**\n\n[hidden]: not seen")).text


@pytest.mark.parametrize(
    "text",
    [
        "**x** " + "![" * 9_000,
        "**x** " + ("![" * 9_000 + "\n") * 11,
        "# x\n\n" + "a\n\n" * 60_000,
        "# x\n\n" + "> - " * 4_000 + "a",
        "**x**\n\n" + "|a" * 2_000 + "|\n" + "|-" * 2_000 + "|\n" + "|\n" * 10_000,
        "| a | b |\n|---|---|\n" + "| c | d |\n" * 20_000,
        "**x** " + "[a](" * 4_500,
        "**x** " + "*a _b **c " * 1_500,
        "**x** " + "`" * 9_000 + "a" + "`` ` " * 1_000,
    ],
    ids=[
        "brackets",
        "lines of brackets",
        "paragraphs",
        "quotes",
        "wide table",
        "long table",
        "links",
        "emphasis",
        "ticks",
    ],
)
def test_markdown_made_to_be_slow_is_not_slow(text: str) -> None:
    began = time.process_time()
    rendered(text, limit=None)
    assert time.process_time() - began < 2


def test_a_megabyte_is_shown_as_written() -> None:
    began = time.process_time()
    shown = rendered("**word** and more\n" * 60_000, limit=None)
    assert time.process_time() - began < 2
    assert not shown.folded
    assert "c-text" in shown.html
