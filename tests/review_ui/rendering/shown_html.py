"""What HTML that shows content may hold, and what a reader sees of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import nh3

TAGS = {
    *("div", "p", "span", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "a", "mark", "sup", "ins", "del"),
}
ATTRIBUTES = {
    **{tag: {"class"} for tag in TAGS},
    "details": {"class", "open"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "ol": {"class", "start"},
    "th": {"scope"},
    "a": {"href", "target", "rel"},
    "mark": {"class", "data-mark", "id", "title"},
    "span": {"class", "id"},
}
_CLASS = re.compile(r"(?:shown|escape|evidence|c-[a-z0-9-]+)(?: (?:c-[a-z0-9-]+))*")
_ID = re.compile(r"evidence-\d+")
_VOID = {"br", "hr"}


def assert_harmless(html: str) -> None:
    """Raises AssertionError unless cleaning the HTML changes nothing and each attribute says what it may."""
    seen = Outline(html)
    assert seen.open == [], "not every element ends"
    assert seen.parts == Outline(_cleaned(str(html))).parts
    for tag, name, value in seen.attributes:
        assert _may_say(tag, name, value), (tag, name, value)


def _cleaned(html: str) -> str:
    attributes = {tag: names - {"rel"} for tag, names in ATTRIBUTES.items()}
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=attributes,
        url_schemes={"http", "https"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow ugc",
        generic_attribute_prefixes=set(),
    )


def _may_say(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return _CLASS.fullmatch(value) is not None
    if name == "id":
        return _ID.fullmatch(value) is not None
    if name == "href":
        return re.match(r"https?://[^\s\"'<>\\]+$", value) is not None
    if name == "data-mark":
        return re.fullmatch(r"\d+( \d+)*", value) is not None
    fixed = {
        "target": {"_blank"},
        "rel": {"noopener noreferrer nofollow ugc"},
        "tabindex": {"0"},
        "role": {"group"},
        "aria-label": {"Table"},
        "scope": {"col"},
        "open": {""},
    }
    return value in fixed[name] if name in fixed else (tag, name) in (("mark", "title"), ("ol", "start"))


@dataclass
class _Open:
    tag: str
    classes: frozenset[str]


@dataclass
class Outline(HTMLParser):
    """HTML as its tags and texts, what may be seen of it, and its escapes as the characters they stand for."""

    html: str
    parts: list[object] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    open: list[_Open] = field(default_factory=list)
    text: str = ""
    """All text."""
    said: str = ""
    """The text without words of ours, and with the characters that escapes stand for."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(str(self.html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = sorted((name, value or "") for name, value in attrs)
        self.parts.append((tag, given))
        self.attributes += [(tag, name, value) for name, value in given]
        if tag not in _VOID:
            self.open.append(_Open(tag, frozenset(dict(given).get("class", "").split())))

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"/{tag}")
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        if self.parts and isinstance(self.parts[-1], list):
            self.parts[-1][0] += data
        else:
            self.parts.append([data])
        self.text += data
        classes = frozenset().union(*(each.classes for each in self.open)) if self.open else frozenset()
        if "escape" in classes:
            self.said += data.encode("ascii").decode("unicode_escape")
        elif "c-aside" not in classes:
            self.said += data
