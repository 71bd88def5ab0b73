"""The one table of keys: buttons show it, the ? sheet and docs/keys.md list it, review.js acts by it, tests go through it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class KeyGroup(StrEnum):
    """Where the ? sheet lists a key."""

    ANSWER = "Answer"
    GO_ON = "Go on"
    READ = "Read"
    ELSEWHERE = "Elsewhere"


@dataclass(frozen=True)
class Key:
    """What a key does on the page of one item."""

    action: str
    """How templates name it."""
    names: tuple[str, ...]
    """As the browser's KeyboardEvent.key says them; Mod+ stands for Ctrl or ⌘."""
    shown: str
    """On the button and in the sheet."""
    does: str
    """In the sheet and in docs/keys.md."""
    group: KeyGroup

    @property
    def data(self) -> str:
        """What review.js finds the button by."""
        return " ".join(self.names)

    @property
    def aria(self) -> str:
        """The value of aria-keyshortcuts; empty where the key is one of several that the button owns."""
        if self.names == ("Mod+Enter",):
            return "Control+Enter Meta+Enter"
        return " ".join(_ARIA.get(name, name.upper() if len(name) == 1 else name) for name in self.names)


_ARIA = {"?": "Shift+?"}

KEYS: tuple[Key, ...] = (
    Key("option", tuple("123456789"), "1 – 9", "Choose an answer to the criterion you are at", KeyGroup.ANSWER),
    Key("previous_criterion", ("ArrowUp",), "↑", "Previous criterion", KeyGroup.ANSWER),
    Key("next_criterion", ("ArrowDown",), "↓", "Next criterion", KeyGroup.ANSWER),
    Key("note", ("n",), "N", "Write a note", KeyGroup.ANSWER),
    Key("submit", ("Mod+Enter",), "Ctrl ↵", "Submit, also while typing (⌘ ↵ on a Mac)", KeyGroup.ANSWER),
    Key("go_on", ("Enter",), "Enter", "Go on: keep yours after the reveal, else the next item", KeyGroup.GO_ON),
    Key("change", ("c",), "C", "Change yours, after the reveal", KeyGroup.GO_ON),
    Key("skip", ("s",), "S", "Skip the item; it is offered to others", KeyGroup.GO_ON),
    Key("escalate", ("e",), "E", "Escalate to an author", KeyGroup.GO_ON),
    Key("release", ("r",), "R", "Release your claim and leave", KeyGroup.GO_ON),
    Key("undo", ("z",), "Z", "Undo your last review", KeyGroup.GO_ON),
    Key("previous", ("j",), "J", "Previous item of this batch", KeyGroup.GO_ON),
    Key("next", ("k",), "K", "Next item of this batch that you have seen", KeyGroup.GO_ON),
    Key("rendered_raw", ("t",), "T", "Switch between rendered and raw content", KeyGroup.READ),
    Key("difference", ("d",), "D", "Show the difference to attempt 1", KeyGroup.READ),
    Key("previous_pane", ("[",), "[", "Previous pane", KeyGroup.READ),
    Key("next_pane", ("]",), "]", "Next pane", KeyGroup.READ),
    Key("evidence", ("m",), "M", "Next quote that a judge rests on", KeyGroup.READ),
    Key("filter", ("/",), "/", "Filter the queue", KeyGroup.ELSEWHERE),
    Key("sheet", ("?",), "?", "Show these keys, and switch single keys off or on", KeyGroup.ELSEWHERE),
    Key("leave", ("Escape",), "Esc", "Leave the note, or close what is open", KeyGroup.ELSEWHERE),
)
"""Every key; each has a button or link that does the same."""

BY_ACTION = {key.action: key for key in KEYS}

IGNORED = (
    "while you type in a field, except Ctrl+Enter and Esc",
    "while a dialog is open, except Esc",
    "with Ctrl, Alt or ⌘ held; AltGr is none of them, since some keyboards need it for [ and ]",
    "when the key repeats because it is held down",
    "while an input method composes a character",
    "while a request is on its way",
    "in the first quarter of a second of an item, so that nothing is judged unseen",
)
"""When single keys do nothing; a button that has the focus owns Enter and Space besides."""


def grouped_keys() -> tuple[tuple[str, tuple[Key, ...]], ...]:
    """The table by group, in its own order."""
    return tuple((group.value, tuple(key for key in KEYS if key.group is group)) for group in KeyGroup)
