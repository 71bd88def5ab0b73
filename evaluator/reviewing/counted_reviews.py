"""Which of an item's reviews count, and as what: pure, from all that was ever said of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluator.model.review import ItemState, Review, ReviewItem, ReviewKind
from evaluator.model.verdict import VerdictLabel
from evaluator.review_state import Given, Settled, settle

_UNRESOLVED = (ItemState.OPEN, ItemState.ESCALATED, ItemState.WITHDRAWN)


@dataclass(frozen=True)
class Counted:
    """A review that counts."""

    review: Review
    part: ReviewKind
    """What it fills: a revision takes the part of what it revised."""


@dataclass(frozen=True)
class ItemSays:
    """What all reviews of an item come to."""

    state: ItemState
    counting: frozenset[str]
    """Ids of the reviews that take part in that."""
    standing: str | None
    """Id of the review whose verdict stands for the event; of an earlier round as long as this one is not settled."""


def counted(reviews: Iterable[Review]) -> list[Counted]:
    """The reviews of one round that count, oldest first: of each slot the last that was not taken back.

    Gold answers count nowhere.
    """
    said = sorted(reviews, key=lambda one: (one.created_at, one.review_id))
    gone = {one.retracts for one in said if one.kind == ReviewKind.RETRACTION}
    kept: dict[str, Counted] = {}
    for one in said:
        if one.kind in (ReviewKind.RETRACTION, ReviewKind.GOLD) or one.review_id in gone:
            continue
        slot = one.slot_id or one.review_id
        before = kept.pop(slot, None)
        kept[slot] = Counted(one, before.part if before else ReviewKind(one.kind))
    return sorted(kept.values(), key=lambda each: (each.review.created_at, each.review.review_id))


def item_says(item: ReviewItem, reviews: Sequence[Review], *, escalated: bool) -> ItemSays:
    """What an item's reviews, of all its rounds and in any order, come to; `escalated` in the present round."""
    now = counted(one for one in reviews if one.round == item.round)
    settled = _settled(now, item.reviewers, escalated=escalated, withdrawn=item.state == ItemState.WITHDRAWN)
    standing = settled.authoritative_review_id
    if settled.state in _UNRESOLVED:
        standing = _stood_before(item, reviews)
    return ItemSays(settled.state, frozenset(each.review.review_id for each in now), standing)


def _stood_before(item: ReviewItem, reviews: Sequence[Review]) -> str | None:
    """What people said in the last round before this one in which they said anything."""
    for number in range(item.round - 1, 0, -1):
        before = counted(one for one in reviews if one.round == number)
        if before:
            # that it was opened again shows that as many had spoken as were wanted then
            return _settled(before, 0).authoritative_review_id
    return None


def _settled(
    reviews: Sequence[Counted], wanted: int, *, escalated: bool = False, withdrawn: bool = False
) -> Settled:
    given = [
        Given(
            each.review.review_id,
            None if each.review.verdict is None else VerdictLabel(each.review.verdict),
            each.part,
            each.review.created_at,
        )
        for each in reviews
    ]
    return settle(wanted, given, escalated=escalated, withdrawn=withdrawn)
