"""An item's story: what happened to it and what was said of it on one line of time, as one person may read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evaluator.deployment import Deployment
from evaluator.errors import WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import Review, ReviewAct, ReviewItem
from evaluator.reviewing.review_sheet import Chip, ReviewSheet
from evaluator.reviewing.sheet_mode import REVEALED
from evaluator.reviewing.sheet_reading import read_sheet
from evaluator.store.database import Connection
from evaluator.store.judges_heard import Heard, judges_heard
from evaluator.store.review_items import acts_of_item, add_act, lock_item
from evaluator.store.reviews import reviews_of_item

JUDGED = "judged"

_OF_EVERYBODY = frozenset({"entered", "reopened", "withdrawn"})
"""Acts that tell nothing of what anybody said; of people's acts only the reader's own are told while something is hidden."""
_TOLD_BY_REVIEWS = frozenset({"reviewed", "revised", "second_opinion", "retracted", "adjudicated"})


@dataclass(frozen=True)
class StoryLine:
    """One thing that happened."""

    at: datetime
    act: str
    """As ReviewAct.act; judged for a judge's verdict, or the reason why there is none."""
    who: str
    detail: dict[str, Any] = field(default_factory=dict)
    review: Review | None = None
    judge: Heard | None = None


@dataclass(frozen=True)
class ItemStory:
    """What one person may read of an item's story, oldest first."""

    item: ReviewItem
    """As in the sheet."""
    chips: tuple[Chip, ...]
    hidden: bool
    """Whether there is more that they may read once they have answered."""
    lines: tuple[StoryLine, ...]


def item_story(deployment: Deployment, person: Person, item_id: str, *, now: datetime | None = None) -> ItemStory:
    """The story as this person may read it just now; raises NotFound."""
    with deployment.database.read() as connection:
        sheet = read_sheet(connection, deployment, person, item_id, now=now or utc_now())
        acts = acts_of_item(connection, item_id)
        if sheet.hidden:
            lines = [_act(one, told=False) for one in acts if _is_harmless(one, person)]
        else:
            reviews = reviews_of_item(connection, item_id)
            heard = judges_heard(connection, sheet.item.event_id, sheet.item.rubric_id)
            lines = whole_story(acts, reviews, heard)
    return ItemStory(sheet.item, sheet.chips, sheet.hidden, tuple(sorted(lines, key=lambda one: one.at)))


def whole_story(acts: Iterable[ReviewAct], reviews: Iterable[Review], heard: Sequence[Heard]) -> list[StoryLine]:
    """Everything, in no order: a review's own line stands for the act that took it."""
    return [
        *(_act(one, told=True) for one in acts if one.act not in _TOLD_BY_REVIEWS),
        *(StoryLine(one.created_at, str(one.kind), one.reviewer, review=one) for one in reviews),
        *(StoryLine(one.at, JUDGED, one.judge, judge=one) for one in heard if not one.is_to_come),
    ]


def reveal(deployment: Deployment, person: Person, item_id: str) -> ReviewSheet:
    """Show an author what was said without their having answered; recorded, so that their review is no longer blind.

    Where nothing is hidden from them nothing is recorded. Raises WrongRole and NotFound.
    """
    if not person.may(PersonRole.AUTHOR):
        raise WrongRole(
            f"Seeing what was said before answering needs the role author; yours is {person.role}.",
            hint="Answer the item first: everything is shown to you then.",
        )

    def act(connection: Connection) -> ReviewSheet:
        now = utc_now()
        lock_item(connection, item_id)
        sheet = read_sheet(connection, deployment, person, item_id, now=now)
        if not sheet.hidden:
            return sheet
        add_act(connection, item_id, REVEALED, person=person, now=now)
        return read_sheet(connection, deployment, person, item_id, now=now)

    return deployment.database.transact(act)


def _is_harmless(act: ReviewAct, person: Person) -> bool:
    return act.act in _OF_EVERYBODY or (act.person_id == person.person_id and act.act not in _TOLD_BY_REVIEWS)


def _act(act: ReviewAct, *, told: bool) -> StoryLine:
    """An act; what it holds may tell why the item is here or what it is compared with, so it is left out unless told."""
    return StoryLine(act.at, act.act, act.who, dict(act.detail) if told else {})
