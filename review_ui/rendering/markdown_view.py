"""Markdown as HTML that does nothing: no HTML of its own, nothing fetched, links to be opened from a list only.

Parsed by markdown-it, drawn by rules of our own that write nothing but what the allow-list holds, and then cleaned
by nh3 under that list as if it came from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, MutableMapping, Sequence
from functools import cache
from html import escape
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLink
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
"""Laying out takes 0.15 steps a character, each some 5 µs. What needs much more is made to be slow, and is shown as
written: no text takes more than half a second, and none of 32,000 characters more than a tenth of one."""
_MOST_CELLS = 6_000
_MOST_FILLED_UP = 20_000
"""Of tables: cells as written, and as they come to be where short rows are filled up to the width of the head."""
_MOST_LINKS = 50
_NO_ADDRESS = "no valid address"
_ENTITY = re.compile(r"&#?\w{1,31};")
"""Character references, which addresses and the names of code blocks lose."""

TAGS = {
    *("div", "p", "span", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "a"),
}
CLASSES = {
    "div": {"c-md", "c-wide", "c-text"},
    "p": {"c-aside", "c-h", "c-h1", "c-h2", "c-h3", "c-h4", "c-h5", "c-h6"},
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


class NotLaidOut(Exception):
    """The text would take too long to lay out, or not all of it would be seen."""


def shown_markdown(text: str, limit: int) -> Drawn:
    """The text laid out; as it is written where it is too long or made to be slow."""
    short = with_short_data(text)
    cut = cut_at(short, limit)
    if len(cut) > LONGEST or _is_odd(cut.split("\n")):
        return shown_text(text, limit)
    try:
        laid_out = _laid_out(cut)
    except NotLaidOut:
        return shown_text(text, limit)
    return Drawn(laid_out, len(cut) < len(short))


def _is_odd(lines: Sequence[str]) -> bool:
    """Whether a line is longer, or a table could become larger, than any that is meant to be read."""
    borders = [line.count("|") for line in lines]
    widest = max(borders)
    return (
        max(map(len, lines)) > LONGEST_LINE
        or sum(borders) > _MOST_CELLS
        or (widest > 12 and widest * len(lines) > _MOST_FILLED_UP)
    )


def _laid_out(text: str) -> str:
    env: dict[str, Any] = {"links": {}, "steps": _STEPS_FREE + len(text) // 4}
    parser = _parser()
    tokens = parser.parse(text.replace("\r\n", "\n"), env)
    if _letters(text) - _letters_told(tokens) > sum(map(len, _ENTITY.findall(text))):
        raise NotLaidOut
    html = parser.renderer.render(tokens, parser.options, env)
    return cleaned(f'<div class="c-md">{html}{_link_list(env["links"])}</div>')


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _letters_told(tokens: Sequence[Token]) -> int:
    """Letters and digits that come out of a text; markdown drops table cells for which the head has no column."""
    told = 0
    for token in tokens:
        told += _letters(token.info)
        if token.children is None or token.type == "image":
            told += _letters(token.content)
        else:
            told += _letters_told(token.children)
        told += sum(_letters(str(token.attrs[name])) for name in ("href", "src", "title") if name in token.attrs)
    return told


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
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]  # shown as it is written
    parser.normalizeLinkText = lambda link: link  # type: ignore[method-assign]
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
        raise NotLaidOut


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
        info = tokens[idx].info.strip()
        named = f'<p class="c-aside">{inert(info)}</p>' if info else ""
        return f'{named}<pre class="c-code"><code>{inert(tokens[idx].content)}</code></pre>'

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
        depth = 0
        for at in range(idx, -1, -1):
            depth += -tokens[at].nesting if tokens[at].type in ("link_open", "link_close") else 0
            if depth == 0:
                return f"</span>{_aside(tokens[at], 'href', env)}"
        return "</span>"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        described = tokens[idx].content.strip()
        told = f" {inert(described)}" if described else ""
        return f'<span class="c-image">image:{told}</span>{_aside(tokens[idx], "src", env)}'


def _aside(token: Token, attribute: str, env: MutableMapping[str, Any]) -> str:
    """Where a link or an image points, in brackets behind it; its address is kept for the list."""
    url, title = str(token.attrGet(attribute) or ""), str(token.attrGet("title") or "")
    env["links"].setdefault(url)
    named = f": {inert(title)}" if title else ""
    return f'<span class="c-aside"> ({destination(url)}{named})</span>'


def destination(url: str) -> str:
    """Where a link or an image points, in a word or two: its host, its scheme, or what a data: URI holds."""
    if url.startswith("data:"):
        return inert(url) if ";size=" in url else inert(url.split(",")[0][:80])
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        plain = urlsplit(normalizeLink(url)).hostname or ""
    except (ValueError, IndexError):
        return _NO_ADDRESS
    if parts.scheme in ("http", "https") and host:
        return inert(host if host.isascii() else f"{host}, that is {plain}")
    return inert(f"{parts.scheme}:" if parts.scheme else (host or "on this site"))


def _link_list(urls: Collection[str]) -> str:
    """The addresses in full; those on the web to be opened by who has read them."""
    told = list(filter(None, urls))
    if not told:
        return ""
    rows = "".join(f"<li>{_address(url)}</li>" for url in told[:_MOST_LINKS])
    more = f"<li>… {len(told) - _MOST_LINKS:,} more</li>" if len(told) > _MOST_LINKS else ""
    summary = f"<summary>Links, {len(told):,}</summary>"
    return f'<details class="c-links c-aside">{summary}<ul>{rows}{more}</ul></details>'


def _address(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")) or destination(url) in ("", _NO_ADDRESS):
        return f"<span>{inert(url)}</span>"
    encoded = normalizeLink(url)
    return f'<a href="{escape(encoded)}" target="_blank">{inert(encoded)}</a>'
