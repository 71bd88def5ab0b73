"""What one person may do with one item just now, and whether anything is hidden from them: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluator.model.person import Person, PersonRole
from evaluator.model.review import (
    ItemState,
    Review,
    ReviewAct,
    ReviewItem,
    ReviewKind,
    ReviewSlot,
    SlotKind,
    SlotState,
    Stream,
)
from evaluator.reviewing.review_sheet import Mode

REVEALED = "revealed"
"""The act of a person who had the judges' verdict shown without having answered."""

_TO_SETTLE = (ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION)


@dataclass(frozen=True)
class Standing:
    """Where a person stands with an item."""

    mode: Mode
    hidden: bool
    mine: Review | None
    """What they said in this round and did not take back; a gold answer too."""
    held: ReviewSlot | None
    """Their own live claim, else the one that keeps them from claiming."""


def standing_of(
    item: ReviewItem,
    person: Person,
    *,
    slots: Sequence[ReviewSlot],
    reviews: Sequence[Review],
    acts: Iterable[ReviewAct],
    now: datetime,
) -> Standing:
    """Where the person stands; slots, reviews (oldest first) and acts are the item's, of any round."""
    live = [one for one in slots if is_live(one, now) and one.round == item.round]
    own = next((one for one in live if one.claimed_by == person.person_id), None)
    said = [
        one
        for one in reviews
        if one.person_id == person.person_id and one.round == item.round and one.kind != ReviewKind.RETRACTION
    ]
    retracted = {one.retracts for one in reviews if one.kind == ReviewKind.RETRACTION}
    mine = next((one for one in reversed(said) if one.review_id not in retracted), None)
    mode, held = _mode(item, person, own, mine, live, slots, now)
    revealed = any(
        one.act == REVEALED and one.person_id == person.person_id and one.at >= item.entered_at for one in acts
    )
    hidden = _is_blind(item, own) and not said and not revealed and not _settles(item, person, own)
    return Standing(mode, hidden, mine, held)


def is_live(slot: ReviewSlot, now: datetime) -> bool:
    """Whether somebody holds the slot."""
    held = slot.state == SlotState.OPEN and slot.claimed_by is not None
    return held and slot.lease_until is not None and slot.lease_until > now


def _mode(
    item: ReviewItem,
    person: Person,
    own: ReviewSlot | None,
    mine: Review | None,
    live: Sequence[ReviewSlot],
    slots: Sequence[ReviewSlot],
    now: datetime,
) -> tuple[Mode, ReviewSlot | None]:
    others = sorted(
        (one for one in live if one.claimed_by != person.person_id), key=lambda one: one.lease_until or now
    )
    if own is not None:
        return (Mode.ADJUDICATE if own.kind == SlotKind.ADJUDICATION else Mode.ANSWER), own
    if mine is not None and person.may(PersonRole.REVIEWER):
        return Mode.REVEALED, next(iter(others), None)
    wanted = _wanted(item, person)
    if wanted is None:
        return Mode.READ, next(iter(others), None)
    holders = [one for one in others if one.kind == wanted]
    if wanted is SlotKind.ADJUDICATION:
        return (Mode.HELD, holders[0]) if holders else (Mode.FREE, None)
    open_slots = [one for one in slots if _is_wanted(one, item)]
    free = [one for one in open_slots if not is_live(one, now)]
    if free:
        return Mode.FREE, None
    return (Mode.HELD, holders[0]) if holders else (Mode.READ, None)


def _wanted(item: ReviewItem, person: Person) -> SlotKind | None:
    """What the person could claim the item for, somebody else's claims aside."""
    if item.state == ItemState.OPEN and person.may(PersonRole.REVIEWER):
        return SlotKind.REVIEW
    if item.state in _TO_SETTLE and person.may(PersonRole.AUTHOR):
        return SlotKind.ADJUDICATION
    return None


def _is_wanted(slot: ReviewSlot, item: ReviewItem) -> bool:
    return slot.state == SlotState.OPEN and slot.kind == SlotKind.REVIEW and slot.round == item.round


def _is_blind(item: ReviewItem, own: ReviewSlot | None) -> bool:
    """Audits always are, and so is an answer that a known one is compared with."""
    return item.blind or item.stream == Stream.AUDIT or (own is not None and own.kind == SlotKind.GOLD)


def _settles(item: ReviewItem, person: Person, own: ReviewSlot | None) -> bool:
    """Whether the person is there to settle what others said, for which they have to see it."""
    if own is not None:
        return own.kind == SlotKind.ADJUDICATION
    return item.state in _TO_SETTLE and person.may(PersonRole.AUTHOR)
