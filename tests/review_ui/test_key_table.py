"""The table of keys, and what is made of it: documentation, buttons, the script that acts by it."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from review_ui.key_table import BY_ACTION, IGNORED, KEYS, grouped_keys

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"
TEMPLATES = files("review_ui").joinpath("templates")
HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
"""SHA-256 of htmx 4.0.1's htmx.min.js as its authors publish it (0BSD)."""

BY_SCRIPT = {"option", "leave"}
"""Keys that have no one button: digits belong to the options, Esc to whatever is open."""


def test_no_key_does_two_things() -> None:
    names = [name for key in KEYS for name in key.names]
    assert len(names) == len(set(names))
    assert "Backspace" not in names


def test_the_documentation_lists_every_key_in_its_group() -> None:
    text = DOCS.read_text(encoding="utf-8")
    groups = dict(re.findall(r"## ([A-Z][\w ]+)\n\n\| key \| does \|\n\|---\|---\|\n((?:\|.*\n)+)", text))
    for group, keys in grouped_keys():
        assert re.findall(r"\| `(.+?)` \| (.+?) \|", groups[group]) == [(key.shown, key.does) for key in keys]
    assert len(groups) == len(grouped_keys())


def test_the_documentation_says_when_keys_do_nothing() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"* {line}\n" in text for line in IGNORED)


def test_every_key_is_a_button_or_a_link_of_the_page() -> None:
    text = "".join(one.read_text() for one in TEMPLATES.iterdir() if one.name.startswith("focus_"))
    page = text + (Path(__file__).parents[2] / "review_ui" / "item_panes.py").read_text()
    for action in set(BY_ACTION) - BY_SCRIPT:
        assert f'"{action}"' in page, action


def test_what_assistive_technology_is_told_names_real_keys() -> None:
    assert BY_ACTION["submit"].aria == "Control+Enter Meta+Enter"
    assert BY_ACTION["note"].aria == "N"
    assert BY_ACTION["leave"].aria == "Escape"


def test_htmx_is_the_file_its_authors_published() -> None:
    content = files("review_ui").joinpath("static", "htmx.min.js").read_bytes()
    assert sha256(content).hexdigest() == HTMX
