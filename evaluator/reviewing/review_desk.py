"""The desk: who may take which review item when."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from evaluator.deployment import Deployment
from evaluator.errors import BadInput, ClaimLost, Conflict, NotFound, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import (
    ItemState,
    ReviewAct,
    ReviewBatch,
    ReviewItem,
    ReviewSlot,
    SlotKind,
    SlotState,
    Stream,
)
from evaluator.reviewing.queue_filter import QueueFilter, wanted_by
from evaluator.reviewing.review_form import LONGEST_NOTE, storable
from evaluator.store import review_claims
from evaluator.store.database import Connection
from evaluator.store.people import find_person
from evaluator.store.review_batches import add_batch, batch_progress, end_batch, find_batch
from evaluator.store.review_claims import Wanted
from evaluator.store.review_items import add_act, add_acts, find_item, lock_item, set_state

LARGEST_BATCH = 200
AUDIT_WINDOW = 20
"""Claims in a row, the next one among them, over which the share of audits is kept: after a time without any, no more
than a few follow each other."""
GOLD_WINDOW = 200
"""The same for gold items, which are far fewer."""

_QUEUED = (SlotKind.REVIEW, SlotKind.GOLD)
"""What comes by asking for the next item; the others are opened one by one."""


@dataclass(frozen=True)
class Claim:
    """What somebody holds: only under its token can anything be done to the item."""

    item_id: str
    slot_id: str
    token: str
    kind: SlotKind
    lease_until: datetime
    batch_id: str | None


class Empty(StrEnum):
    """Why there is no next item."""

    NOTHING_TO_DO = "nothing_to_do"
    """No review is wanting; or the batch is over, which its `ended_at` tells."""
    ALL_CLAIMED = "all_claimed"
    """What is open is held by others, or was reviewed or declined by this person."""
    FILTERED_OUT = "filtered_out"
    """Something is open, though not for this filter."""
    NO_RUBRIC = "no_rubric"
    NOT_ALLOWED = "not_allowed"


def lease_of(deployment: Deployment) -> timedelta:
    """How long a claim lasts without being renewed."""
    return timedelta(minutes=deployment.settings.review_lease_minutes)


def begin_batch(deployment: Deployment, person: Person, filters: QueueFilter, size: int = 25) -> ReviewBatch:
    """Set out to review so many items; raises WrongRole, and BadInput for a size that is not allowed."""
    needs(person, PersonRole.REVIEWER)
    if not 1 <= size <= LARGEST_BATCH:
        raise BadInput(f"size is {size}; a batch has from 1 to {LARGEST_BATCH} items.")
    batch = ReviewBatch(
        batch_id=secrets.token_hex(8),
        person_id=person.person_id,
        size=size,
        filters=filters.neutral.as_dict(),
        started_at=utc_now(),
    )
    deployment.database.transact(lambda connection: add_batch(connection, batch))
    return batch


def next_item(
    deployment: Deployment, person: Person, *, batch_id: str | None = None, filters: QueueFilter = QueueFilter()
) -> Claim | Empty:
    """The best item there is for this person, held by them; or why there is none.

    Asked again before anything was done about the item, it is the same claim. In a batch the batch's own filter
    holds. Raises NotFound for a batch that is not theirs.
    """

    def act(connection: Connection) -> Claim | Empty:
        batch = _own_batch(connection, person, batch_id)
        return claim_next(connection, deployment, person, utc_now(), batch=batch, filters=filters)

    return deployment.database.transact(act)


def claim_next(
    connection: Connection,
    deployment: Deployment,
    person: Person,
    now: datetime,
    *,
    batch: ReviewBatch | None,
    filters: QueueFilter = QueueFilter(),
) -> Claim | Empty:
    """As `next_item`, inside another transaction: its locks on events and items have to be taken before."""
    if not person.may(PersonRole.REVIEWER):
        return Empty.NOT_ALLOWED
    batch_id = batch.batch_id if batch else None
    # a double click asks twice at once, and both would find that nothing is held yet
    deployment.database.lock_for_all(connection, f"reviewer {person.person_id}")
    held = review_claims.live_slots(connection, person.person_id, now)
    queued = next((one for one in held if one.kind in _QUEUED and one.batch_id == batch_id), None)
    if queued is not None:
        return claim_of(queued)
    if batch is not None and batch_progress(connection, batch).is_over:
        end_batch(connection, batch.batch_id, now)
        return Empty.NOTHING_TO_DO
    chosen = QueueFilter.from_mapping(batch.filters) if batch else filters
    wanted = wanted_by(chosen, now, hidden=True)
    slot = _first_in_line(connection, deployment, person, wanted, now, batch_id)
    if slot is None:
        return _why_empty(connection, deployment, person, wanted, now)
    _record_claim(connection, person, slot, now)
    return claim_of(slot)


def _first_in_line(
    connection: Connection,
    deployment: Deployment,
    person: Person,
    wanted: Wanted,
    now: datetime,
    batch_id: str | None,
) -> ReviewSlot | None:
    until = now + lease_of(deployment)
    before = review_claims.last_claimed(connection, person.person_id, GOLD_WINDOW)
    if gold_is_due([kind for kind, _ in before], deployment.settings.gold_share):
        item = review_claims.unseen_gold(connection, person.person_id, wanted)
        if item is not None:
            return review_claims.add_slot(
                connection, item, SlotKind.GOLD, person.person_id, now=now, until=until, batch_id=batch_id
            )
    streams = [stream for kind, stream in before if kind == SlotKind.REVIEW]
    first = audit_is_due(streams, deployment.settings.audit_share)
    for audit in (first, not first):
        slot = review_claims.claim_one(
            connection, person.person_id, wanted, audit=audit, now=now, until=until, batch_id=batch_id
        )
        if slot is not None:
            return slot
    return None


def audit_is_due(streams: Sequence[str], share: float) -> bool:
    """Whether the next claim is to come from the audit stream, after claims from these, newest first."""
    window = streams[: AUDIT_WINDOW - 1]
    return window.count(Stream.AUDIT) < share * (len(window) + 1)


def gold_is_due(kinds: Sequence[str], share: float) -> bool:
    """Whether the next claim is to be a gold item, after claims of these kinds, newest first.

    Only once the share makes a whole one: nobody's first item is gold.
    """
    window = kinds[: GOLD_WINDOW - 1]
    return window.count(SlotKind.GOLD) + 1 <= share * (len(window) + 1)


def _why_empty(
    connection: Connection, deployment: Deployment, person: Person, wanted: Wanted, now: datetime
) -> Empty:
    if review_claims.is_anything_open(connection, wanted):
        return Empty.ALL_CLAIMED
    if wanted.restricts and review_claims.is_anything_open(connection, Wanted()):
        return Empty.FILTERED_OUT
    return Empty.NOTHING_TO_DO if deployment.shelf.rubrics else Empty.NO_RUBRIC


def _record_claim(connection: Connection, person: Person, slot: ReviewSlot, now: datetime) -> None:
    if slot.claimed_before is not None:
        earlier = find_person(connection, slot.claimed_before)
        add_act(connection, slot.item_id, "expired", person=earlier, who="lease", now=now)
    claimed = ReviewAct(
        item_id=slot.item_id,
        person_id=person.person_id,
        who=person.name,
        act="claimed",
        detail={"kind": slot.kind, "slot": slot.slot_id},
        batch_id=slot.batch_id,
        at=now,
    )
    add_acts(connection, [claimed])


def claim_item(
    deployment: Deployment,
    person: Person,
    item_id: str,
    *,
    batch_id: str | None = None,
    kind: SlotKind | None = None,
) -> Claim:
    """This item, held by this person: their live claim where they have one, else what fits.

    Without a kind: a review of an open item, adjudication of one that was escalated or awaits resolution. A second
    opinion on a done item has to be named. Raises NotFound; WrongRole; Conflict, naming who holds it and how long, or
    why there is nothing to claim.
    """
    needs(person, PersonRole.REVIEWER)

    def act(connection: Connection) -> Claim:
        now = utc_now()
        item = _locked(connection, item_id)
        batch = _own_batch(connection, person, batch_id)
        deployment.database.lock_for_all(connection, f"reviewer {person.person_id}")
        held = held_claim(connection, person.person_id, item_id, now)
        if held is not None and kind in (None, held.kind):
            return held
        wanted = fitting_kind(item, person) if kind is None else kind
        _check_kind(item, person, wanted)
        until = now + lease_of(deployment)
        slot = _slot_for(connection, person, item, wanted, now, until, batch.batch_id if batch else None)
        _record_claim(connection, person, slot, now)
        return claim_of(slot)

    return deployment.database.transact(act)


_TO_SETTLE = (ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION)


def fitting_kind(item: ReviewItem, person: Person) -> SlotKind:
    """What a person would claim an item for; raises WrongRole or Conflict where there is nothing."""
    if item.state == ItemState.OPEN:
        return SlotKind.REVIEW
    if item.state in _TO_SETTLE:
        if person.may(PersonRole.AUTHOR):
            return SlotKind.ADJUDICATION
        raise WrongRole("This item waits for an author, who settles it.")
    if item.state == ItemState.DONE:
        raise Conflict("This item is done.", hint="Give a second opinion on it instead.")
    raise Conflict("This item was withdrawn: nothing asks for its review any more.")


def _check_kind(item: ReviewItem, person: Person, kind: SlotKind) -> None:
    match kind:
        case SlotKind.SECOND_OPINION if item.state == ItemState.DONE:
            return
        case SlotKind.REVIEW | SlotKind.ADJUDICATION if fitting_kind(item, person) == kind:
            return
        case _:
            raise Conflict(
                f"This item is {str(item.state).replace('_', ' ')}: it cannot be claimed for {_WORDS[kind]}."
            )


_WORDS = {
    SlotKind.REVIEW: "a review",
    SlotKind.SECOND_OPINION: "a second opinion",
    SlotKind.GOLD: "practice",
    SlotKind.ADJUDICATION: "adjudication",
}


def _slot_for(
    connection: Connection,
    person: Person,
    item: ReviewItem,
    kind: SlotKind,
    now: datetime,
    until: datetime,
    batch_id: str | None,
) -> ReviewSlot:
    me = person.person_id
    slots = [one for one in review_claims.slots_of_item(connection, item.item_id) if one.round == item.round]
    if kind != SlotKind.ADJUDICATION and any(
        one.claimed_by == me and one.state == SlotState.DONE and one.kind != SlotKind.GOLD for one in slots
    ):
        raise Conflict("You have reviewed this item already.", hint="Revise or undo what you said instead.")
    open_ones = [one for one in slots if one.kind == kind and one.state == SlotState.OPEN]
    if kind == SlotKind.SECOND_OPINION:
        open_ones = [one for one in open_ones if one.claimed_by == me]
    theirs_first = sorted(
        open_ones, key=lambda one: (one.claimed_by != me, one.claimed_by is not None, one.slot_id)
    )
    for one in theirs_first:
        if any(other.claimed_by == me for other in theirs_first if other is not one) and one.claimed_by != me:
            continue  # nobody has two slots of a kind
        taken = review_claims.take_slot(connection, one.slot_id, me, now=now, until=until, batch_id=batch_id)
        if taken is not None:
            return taken
    if kind == SlotKind.REVIEW or open_ones:
        raise Conflict(
            _who_holds(connection, item.item_id, me, now) or "No review of this item is wanting just now."
        )
    return review_claims.add_slot(connection, item, kind, me, now=now, until=until, batch_id=batch_id)


def _who_holds(connection: Connection, item_id: str, but: str, now: datetime) -> str:
    """ "Ada holds this item for another 4 min."; empty where nobody else does."""
    live = [
        (one.lease_until, one.claimed_by)
        for one in review_claims.slots_of_item(connection, item_id)
        if one.state == SlotState.OPEN
        and one.claimed_by not in (None, but)
        and one.lease_until is not None
        and one.lease_until > now
    ]
    if not live:
        return ""
    until, holder = min(live, key=lambda pair: pair[0])
    person = find_person(connection, holder or "")
    minutes = ceil((until - now) / timedelta(minutes=1))
    return f"{person.name if person else 'Somebody else'} holds this item for another {minutes} min."


def renew(deployment: Deployment, person: Person, item_id: str, token: str) -> datetime:
    """Hold on to an item for another lease; until when. Raises ClaimLost."""
    needs(person, PersonRole.REVIEWER)

    def act(connection: Connection) -> datetime:
        now = utc_now()
        until = now + lease_of(deployment)
        if not review_claims.renew_slot(connection, item_id, person.person_id, token, until):
            raise _lost(connection, item_id, person, now)
        return until

    return deployment.database.transact(act)


def release(deployment: Deployment, person: Person, item_id: str, token: str) -> None:
    """Let an item go; it may come again. Raises ClaimLost."""
    needs(person, PersonRole.REVIEWER)

    def act(connection: Connection) -> None:
        now = utc_now()
        slot = _let_go(connection, person, item_id, token, now)
        add_act(connection, item_id, "released", person=person, batch_id=slot.batch_id, now=now)

    deployment.database.transact(act)


def skip(deployment: Deployment, person: Person, item_id: str, token: str, note: str = "") -> None:
    """Let an item go and not be offered it again in this round; raises ClaimLost, and BadInput for a long note."""
    needs(person, PersonRole.REVIEWER)
    said = _bounded(note)

    def act(connection: Connection) -> None:
        now = utc_now()
        slot = _let_go(connection, person, item_id, token, now)
        detail = {"note": said} if said else {}
        add_act(connection, item_id, "skipped", person=person, detail=detail, batch_id=slot.batch_id, now=now)

    deployment.database.transact(act)


def escalate(deployment: Deployment, person: Person, item_id: str, token: str, note: str) -> None:
    """Pass an item on to an author, saying why; raises ClaimLost, BadInput without a note or for a long one.

    Others who hold it just now may finish; it is offered to nobody until an author settled it.
    """
    needs(person, PersonRole.REVIEWER)
    said = _bounded(note)
    if not said:
        raise BadInput("Say why the item is escalated: whoever settles it starts from that.")

    def act(connection: Connection) -> None:
        now = utc_now()
        item = _locked(connection, item_id)
        slot = _let_go(connection, person, item_id, token, now)
        if slot.kind not in _QUEUED:
            raise Conflict("Only a review can be escalated.", hint="Release the item instead.")
        detail = {"note": said, **({"kind": slot.kind} if slot.kind == SlotKind.GOLD else {})}
        add_act(connection, item_id, "escalated", person=person, detail=detail, batch_id=slot.batch_id, now=now)
        if item.state == ItemState.OPEN:
            set_state(connection, item_id, ItemState.ESCALATED, now, note=said)

    deployment.database.transact(act)


def held_claim(connection: Connection, person_id: str, item_id: str, now: datetime) -> Claim | None:
    """What a person holds of an item just now, the claim they made last; None where they hold nothing of it."""
    live = review_claims.live_slots(connection, person_id, now)
    return next((claim_of(one) for one in live if one.item_id == item_id), None)


def claim_of(slot: ReviewSlot) -> Claim:
    """The claim that a held slot is."""
    assert slot.token is not None
    assert slot.lease_until is not None
    return Claim(slot.item_id, slot.slot_id, slot.token, SlotKind(slot.kind), slot.lease_until, slot.batch_id)


def needs(person: Person, role: PersonRole) -> None:
    """Raise WrongRole unless the person may act in a role."""
    if not person.may(role):
        raise WrongRole(f"This takes the role {role}; yours is {person.role}.")


def _own_batch(connection: Connection, person: Person, batch_id: str | None) -> ReviewBatch | None:
    if batch_id is None:
        return None
    batch = find_batch(connection, batch_id)
    if batch is None or batch.person_id != person.person_id:
        raise NotFound("You have no such batch.")
    return batch


def _locked(connection: Connection, item_id: str) -> ReviewItem:
    item = lock_item(connection, item_id)
    if item is None:
        raise NotFound("There is no such review item.")
    return item


def _let_go(connection: Connection, person: Person, item_id: str, token: str, now: datetime) -> ReviewSlot:
    slot = review_claims.free_slot(connection, item_id, person.person_id, token)
    if slot is None:
        raise _lost(connection, item_id, person, now)
    return slot


def _lost(connection: Connection, item_id: str, person: Person, now: datetime) -> NotFound | ClaimLost:
    if find_item(connection, item_id) is None:
        return NotFound("There is no such review item.")
    holder = _who_holds(connection, item_id, person.person_id, now)
    return ClaimLost(holder or None)


def _bounded(note: str) -> str:
    said = storable(note).strip()
    if len(said) > LONGEST_NOTE:
        raise BadInput(f"The note has {len(said):,} characters; at most {LONGEST_NOTE:,} are kept.")
    return said
