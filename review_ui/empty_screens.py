"""What a reviewer reads where there is nothing to show: five different screens, each with what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluator.model.person import Person, PersonRole
from evaluator.reviewing.review_desk import Empty
from review_ui.review_words import ROLE, listed


@dataclass(frozen=True)
class Link:
    """Where to go from here."""

    word: str
    href: str


@dataclass(frozen=True)
class Holder:
    """Who has claims, and until when."""

    name: str
    said: str


@dataclass(frozen=True)
class EmptyScreen:
    """A drawing's name, a title, a few lines, and what to do."""

    kind: str
    title: str
    lines: tuple[str, ...]
    links: tuple[Link, ...] = ()
    holders: tuple[Holder, ...] = ()
    command: str = ""


def nothing_to_do(*, is_author: bool, waiting_elsewhere: str = "", asks_for_people: bool = True) -> EmptyScreen:
    """All that asked for people is reviewed; or no rubric in force asks for any."""
    if not asks_for_people:
        return EmptyScreen(
            Empty.NOTHING_TO_DO, "Nothing to review", (_NOBODY_ASKED,), (Link("Rubrics", "/rubrics"),)
        )
    lines = (
        "Every item that asked for a person is reviewed. New ones come as judges find what they are unsure of, "
        "and as events are drawn for audit.",
        *((waiting_elsewhere,) if waiting_elsewhere else ()),
    )
    links = (Link("What was done", "/review?tab=done"), *((Link("Rubrics", "/rubrics"),) if is_author else ()))
    return EmptyScreen(Empty.NOTHING_TO_DO, "Nothing to review", lines, links)


_NOBODY_ASKED = (
    "No rubric in force asks for people: under `review` it says which events to send, and how many to draw at random. "
    "Authors can add events by hand."
)


def all_claimed(holders: Sequence[Holder], first_end: str) -> EmptyScreen:
    """Items are left, and others hold every one of them."""
    lines = (f"Others hold every item that is left for you. {first_end}".strip(),)
    return EmptyScreen(
        Empty.ALL_CLAIMED,
        "All items are claimed",
        lines,
        (Link("Look again", "/review"), Link("In progress", "/review?tab=in_progress")),
        tuple(holders),
    )


def filtered_out(filters: Sequence[str], clear: str, unfiltered: str) -> EmptyScreen:
    """The filter leaves nothing of what there is without it, so many items."""
    left = (
        "There is nothing without the filter either."
        if unfiltered == "0"
        else f"Without it there are {unfiltered}."
    )
    return EmptyScreen(
        Empty.FILTERED_OUT,
        "Nothing matches this filter",
        (f"It asks for {listed(filters)}. {left}",),
        (Link("Clear filters", clear),),
    )


def no_rubric(folder: str, *, is_author: bool, is_admin: bool = False) -> EmptyScreen:
    """Nothing can ask for people without a rubric in force."""
    if not is_author:
        return EmptyScreen(
            Empty.NO_RUBRIC,
            "No rubric is in force yet",
            (
                "Items come here once a rubric judges what your application does and asks for people.",
                "An author puts the first one in place; nothing is to be done by you until then.",
            ),
            (Link("Status", "/"),),
        )
    return EmptyScreen(
        Empty.NO_RUBRIC,
        "No rubric is in force yet",
        (
            "A rubric says what good is, and under `review` what people look at. This writes the first, "
            f"into the folder {folder}:",
        ),
        (
            Link("Rubrics", "/rubrics"),
            Link("Status", "/"),
            *((Link("First steps", "/set-up/next"),) if is_admin else ()),
        ),
        command="adjudge rubrics new",
    )


def not_allowed(person: Person, who: str) -> EmptyScreen:
    """The person's role does not include reviewing."""
    return EmptyScreen(
        Empty.NOT_ALLOWED,
        "Reviewing needs the role reviewer",
        (f"You are signed in as {person.name}, and your role is {ROLE[PersonRole(person.role)]}. {who}".strip(),),
        (Link("Status", "/"), Link("Rubrics", "/rubrics")),
    )


def none_of(tab: str) -> EmptyScreen:
    """An empty tab beside the first: that is good news, or nothing yet."""
    title, line = _TABS[tab]
    return EmptyScreen(tab, title, (line,), (Link("For me", "/review"),))


_TABS = {
    "in_progress": ("Nobody is reviewing just now", "Items that somebody holds stand here, with whose they are."),
    "escalated": (
        "Nothing is passed on",
        "What reviewers pass on to an author stands here, with what they said of it.",
    ),
    "disagreements": (
        "Nobody disagrees",
        "Items whose reviewers say different things stand here until an author settles them.",
    ),
    "done": ("Nothing is reviewed yet", "Reviewed items stand here with their verdict, and can be exported."),
}
