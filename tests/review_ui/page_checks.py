"""What every page has to be: well-formed, its references whole, its controls labelled, nothing inline."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """A page's ids, references, headings and controls, and tags that are open at the end."""

    VOID = frozenset({"meta", "link", "path", "rect", "line", "br", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.referred: list[str] = []
        self.inline: list[str] = []
        self.headings: list[int] = []
        self.radios_alone: list[str] = []
        self.controls: list[str] = []
        self.labelled: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        self.referred += f"{given.get('aria-labelledby', '')} {given.get('aria-describedby', '')}".split()
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []
        self.headings += [int(tag[1])] if tag in ("h1", "h2", "h3", "h4") else []
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self._look_at_control(tag, given)
        self.labelled += [given["for"]] if tag == "label" and "for" in given else []
        if tag not in self.VOID:
            self.open.append(tag)

    def _look_at_control(self, tag: str, given: dict[str, str]) -> None:
        """A control is labelled by a label with its id, by a label around it, or by itself."""
        name = given.get("id") or given.get("name", tag)
        if "label" not in self.open and not {"aria-label", "aria-labelledby"} & given.keys():
            self.controls.append(name)
        if given.get("type") == "radio" and "fieldset" not in self.open:
            self.radios_alone.append(name)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def assert_well_made(text: str) -> None:
    """Raises AssertionError where a browser or a reader would stumble."""
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert not any(" " in each for each in page.ids)
    assert set(page.referred) <= set(page.ids)
    assert set(page.controls) <= set(page.labelled)
    assert page.radios_alone == []
    assert page.inline == []
    assert page.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
