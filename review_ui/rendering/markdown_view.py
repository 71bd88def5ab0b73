"""Markdown as HTML that does nothing: no HTML of its own, nothing fetched, links to be opened from a list only.

Parsed by markdown-it, drawn by rules of our own that write nothing but what the allow-list holds, and then cleaned
by nh3 under that list as if it came from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from review_ui.rendering.text_view import Drawn, cut_at, inert, shown_text, with_short_data

LONGEST = 200_000
"""Characters of markdown that are laid out; longer texts are shown as they are written."""
LONGEST_LINE = 20_000
_STEPS_FREE = 8_000
_STEPS_A_BLOCK = 5
"""Laying out takes 0.15 steps a character, each some 5 µs. What needs more than 0.5 is made to be slow, and is shown as
written: no text takes more than about half a second, and none of 32,000 characters more than an eighth of one."""
_MOST_CELLS = 20_000
"""Of tables: a short row is filled up to the width of its head."""
_MOST_LINKS = 50

TAGS = {
    *("div", "p", "span", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "a"),
}
CLASSES = {
    "div": {"c-md", "c-wide", "c-text"},
    "p": {"c-h", "c-h1", "c-h2", "c-h3", "c-h4", "c-h5", "c-h6"},
    "span": {"escape", "c-data", "c-link", "c-aside", "c-image"},
    "details": {"c-links", "c-aside"},
    "pre": {"c-code"},
}
ATTRIBUTES = {"ol": {"start"}, "a": {"href"}}
TAG_ATTRIBUTE_VALUES = {
    "div": {"tabindex": {"0"}, "role": {"group"}, "aria-label": {"Table"}},
    "a": {"target": {"_blank"}},
    "th": {"scope": {"col"}},
}
LINK_REL = "noopener noreferrer nofollow ugc"

_EVIDENCE = re.compile(
    r"^ {0,3}(?:#{1,6} \S|```|~~~|> |(?:[-*+]|\d{1,9}[.)]) +\S|\|.+\||(?:-{3,}|={3,}|\*{3,})[ \t]*$)"
    r"|\*\*[^\s*][^*\n]{0,300}\*\*|(?<!\w)__[^\s_][^_\n]{0,300}__(?!\w)|`[^`\n]{1,300}`"
    r"|\[[^\[\]\n]{0,300}\]\([^()\s]{0,2000}\)|<https?://",
    re.MULTILINE,
)
"""Each alternative looks ahead no further than it says, so that no text takes long."""


class TooSlow(Exception):
    """The text would take too long to lay out."""


def reads_as_markdown(text: str) -> bool:
    """Whether a text has signs of markdown: fences, headings, lists, quotes, tables, emphasis, code or links."""
    return _EVIDENCE.search(text) is not None


def shown_markdown(text: str, limit: int) -> Drawn:
    """The text laid out; as it is written where it is too long or made to be slow."""
    short = with_short_data(text)
    cut = cut_at(short, limit)
    if len(cut) > LONGEST or _is_odd(cut.split("\n")):
        return shown_text(text, limit)
    try:
        laid_out = _laid_out(cut)
    except TooSlow:
        return shown_text(text, limit)
    return Drawn(laid_out, len(cut) < len(short))


def _is_odd(lines: Sequence[str]) -> bool:
    """Whether a line is longer, or a table could become larger, than any that is meant to be read."""
    widest = max(line.count("|") for line in lines)
    return max(map(len, lines)) > LONGEST_LINE or (widest > 12 and widest * len(lines) > _MOST_CELLS)


def _laid_out(text: str) -> str:
    env: dict[str, Any] = {"links": [], "steps": _STEPS_FREE + len(text) // 2}
    html = _parser().render(text.replace("\r\n", "\n"), env)
    return cleaned(f'<div class="c-md">{html}{_link_list(env["links"])}</div>')


def cleaned(html: str) -> str:
    """The HTML under the allow-list of markdown."""
    return nh3.clean(
        html,
        tags=TAGS,
        clean_content_tags={"script", "style"},
        attributes=ATTRIBUTES,
        tag_attribute_values=TAG_ATTRIBUTE_VALUES,
        allowed_classes=CLASSES,
        url_schemes={"http", "https"},
        url_relative="deny",
        link_rel=LINK_REL,
    )


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False}, renderer_cls=_Inert)
    parser.enable(["table", "strikethrough"])
    parser.disable(
        ["html_block", "html_inline", "entity", "reference"]
    )  # definitions of references hide their text
    parser.block.ruler.before("table", "steps", _count_block, {"alt": []})
    parser.inline.ruler.before("escape", "steps", _count)
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # nothing acts: all are shown alike
    return parser


def _count(state: StateInline, silent: bool) -> bool:
    """A rule that never applies and counts how often rules are tried."""
    _take(state.env, 1)
    return False


def _count_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    _take(state.env, _STEPS_A_BLOCK)
    return False


def _take(env: MutableMapping[str, Any], steps: int) -> None:
    env["steps"] -= steps
    if env["steps"] < 0:
        raise TooSlow


class _Inert(RendererHTML):
    """Writes tags of the allow-list; every text goes through `inert`."""

    def text(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return inert(tokens[idx].content)

    def code_inline(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f"<code>{inert(tokens[idx].content)}</code>"

    def code_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f'<pre class="c-code"><code>{inert(tokens[idx].content)}</code></pre>'

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return f'<pre class="c-code"><code>{inert(tokens[idx].content)}</code></pre>'

    def heading_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f'<p class="c-h c-{tokens[idx].tag}">'

    def heading_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return "</p>"

    def table_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return '<div class="c-wide" tabindex="0" role="group" aria-label="Table"><table>'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return "</table></div>"

    def th_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return '<th scope="col">'

    def td_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return "<td>"

    def link_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return '<span class="c-link">'

    def link_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        opened = next(each for each in reversed(tokens[:idx]) if each.type == "link_open")
        url = str(opened.attrGet("href") or "")
        if url not in env["links"]:
            env["links"].append(url)
        return f'</span><span class="c-aside"> ({destination(url)})</span>'

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        token = tokens[idx]
        described = self.renderInlineAsText(token.children or [], options, env).strip()
        told = f" {inert(described)}" if described else ""
        return f'<span class="c-image">image:{told}</span><span class="c-aside"> ({destination(str(token.attrGet("src") or ""))})</span>'


def destination(url: str) -> str:
    """Where a link or an image points, in a word or two: its host, its scheme, or what a data: URI holds."""
    if url.startswith("data:"):
        return inert(url) if ";size=" in url else inert(url.split(",")[0][:80])
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "no valid address"
    if parts.scheme in ("http", "https") and host:
        return inert(host)
    return inert(f"{parts.scheme}:" if parts.scheme else (host or "on this site"))


def _link_list(urls: Sequence[str]) -> str:
    """The addresses in full, to be opened by those who have read them."""
    web = [url for url in dict.fromkeys(urls) if url.lower().startswith(("http://", "https://"))]
    if not web:
        return ""
    rows = "".join(f'<li><a href="{inert(url)}" target="_blank">{inert(url)}</a></li>' for url in web[:_MOST_LINKS])
    more = f"<li>… {len(web) - _MOST_LINKS:,} more</li>" if len(web) > _MOST_LINKS else ""
    return f'<details class="c-links c-aside"><summary>Links, {len(web)}</summary><ul>{rows}{more}</ul></details>'
