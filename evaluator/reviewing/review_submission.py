"""A person's review: taken once, kept for ever, and what follows from it, in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from evaluator.deployment import Deployment
from evaluator.errors import BadInput, ClaimLost, Conflict
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, Review, ReviewAct, ReviewKind, ReviewSlot, SlotKind, SlotState
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import Verdict, VerdictLabel, VerdictSource
from evaluator.reviewing.adjudication import check_adjudicates, record_adjudication
from evaluator.reviewing.item_settlement import settle_item
from evaluator.reviewing.review_desk import lease_of, needs
from evaluator.reviewing.review_form import Answered, ReviewForm, read_answers
from evaluator.reviewing.review_ground import Ground, Shown, check_seen, hold, last_said, rubric_answered, shown_of
from evaluator.store.database import Connection
from evaluator.store.people import find_person
from evaluator.store.review_claims import add_slot, fill_slot, open_slots, slots_of_item, take_slot
from evaluator.store.review_items import add_act, reopen_item
from evaluator.store.reviews import SHOWN, append_review

ACT_OF = {
    ReviewKind.FIRST_PASS: "reviewed",
    ReviewKind.GOLD: "reviewed",  # nobody's story tells that an item is gold
    ReviewKind.REVISED: "revised",
    ReviewKind.SECOND_OPINION: "second_opinion",
    ReviewKind.ADJUDICATION: "adjudicated",
}
_KIND_OF = {
    SlotKind.REVIEW: ReviewKind.FIRST_PASS,
    SlotKind.GOLD: ReviewKind.GOLD,
    SlotKind.SECOND_OPINION: ReviewKind.SECOND_OPINION,
    SlotKind.ADJUDICATION: ReviewKind.ADJUDICATION,
}
_MILLISECOND = timedelta(milliseconds=1)
_MS_PER_HOUR = 3_600_000
_MOST_MS = 2**31 - 1
"""What a column of whole numbers holds: 24 days."""


@dataclass(frozen=True)
class Submitted:
    """A review as it was taken."""

    review: Review
    state: ItemState
    """The item's, now."""
    repeated: bool
    """This form was taken before; nothing was done twice."""


def submit(deployment: Deployment, person: Person, form: ReviewForm) -> Submitted:
    """Take a review under a claim: what it is, first pass, second opinion, gold or adjudication, is the claim's kind.

    A claim whose lease has run out is good as long as nobody else holds the item. Raises WrongRole, NotFound, BadInput
    naming each criterion, Unseen where the person was shown something else than is to be judged by now, Conflict for
    who has reviewed it already, and ClaimLost where another holds the item or it was settled meanwhile; the form is then
    good for `second_opinion`.
    """
    return _transact(deployment, lambda connection, now: submit_in(connection, deployment, person, form, now))


def submit_in(
    connection: Connection, deployment: Deployment, person: Person, form: ReviewForm, now: datetime
) -> Submitted:
    """As `submit`, within a transaction: it holds the event and the item until that ends."""
    needs(person, PersonRole.REVIEWER)
    ground = hold(connection, form.item_id)
    if (taken := _taken_before(person, form, ground)) is not None:
        return taken
    looked_at = _looked_at(connection, deployment, ground, form, now)
    seen = {kind: ground.has_seen(person, kind) for kind in SlotKind}
    slot = _filled(connection, deployment, ground, person, form, now)
    if slot.kind == SlotKind.ADJUDICATION:
        check_adjudicates(person)
    if slot.round != ground.item.round:  # it was withdrawn, and is open again for what was written about it
        ground = hold(connection, form.item_id)
    kind = _KIND_OF[SlotKind(slot.kind)]
    return _take(
        connection, deployment, ground, person, form, looked_at, kind, slot, seen[SlotKind(slot.kind)], now
    )


def second_opinion(deployment: Deployment, person: Person, form: ReviewForm) -> Submitted:
    """Take a review without a claim, of somebody who held the item in this round; raises as `submit`."""
    return _transact(deployment, lambda connection, now: _second_opinion(connection, deployment, person, form, now))


def _second_opinion(
    connection: Connection, deployment: Deployment, person: Person, form: ReviewForm, now: datetime
) -> Submitted:
    needs(person, PersonRole.REVIEWER)
    ground = hold(connection, form.item_id)
    if (taken := _taken_before(person, form, ground)) is not None:
        return taken
    looked_at = _looked_at(connection, deployment, ground, form, now)
    claimed = ground.last_claim(person)
    if claimed is None:
        raise Conflict("You never held this item.", hint="Claim it, and answer what its sheet shows.")
    if last_said(ground.said_by(person)) is not None:
        raise _said_already()
    was_gold = claimed.detail.get("kind") == SlotKind.GOLD
    slot_kind = SlotKind.GOLD if was_gold else SlotKind.SECOND_OPINION
    seen = ground.has_seen(person, slot_kind)
    filled = _place_of_their_own(connection, deployment, ground, person, slot_kind, claimed, now)
    return _take(connection, deployment, ground, person, form, looked_at, _KIND_OF[slot_kind], filled, seen, now)


def _place_of_their_own(
    connection: Connection,
    deployment: Deployment,
    ground: Ground,
    person: Person,
    kind: SlotKind,
    claimed: ReviewAct,
    now: datetime,
) -> ReviewSlot:
    """A place beyond those that the item wants, filled: what they hold of that kind, else a new one."""
    me, item = person.person_id, ground.item
    until, batch_id = now + lease_of(deployment), claimed.batch_id
    theirs = [
        one
        for one in slots_of_item(connection, item.item_id)
        if (one.round, one.kind, one.state, one.claimed_by) == (item.round, kind, SlotState.OPEN, me)
    ]
    held = (
        take_slot(connection, theirs[0].slot_id, me, now=claimed.at, until=until, batch_id=batch_id)
        if theirs
        else None
    )
    slot = held or add_slot(connection, item, kind, me, now=claimed.at, until=until, batch_id=batch_id)
    filled = fill_slot(connection, item.item_id, me, slot.token or "")
    assert filled is not None
    return filled


def revise(deployment: Deployment, person: Person, form: ReviewForm) -> Submitted:
    """Replace what the person said in what counts, after the reveal; agreement goes on counting the first pass.

    The form needs no token. Raises WrongRole, NotFound, BadInput, and Conflict where there is nothing to revise.
    """
    return _transact(deployment, lambda connection, now: _revise(connection, deployment, person, form, now))


def _revise(
    connection: Connection, deployment: Deployment, person: Person, form: ReviewForm, now: datetime
) -> Submitted:
    needs(person, PersonRole.REVIEWER)
    ground = hold(connection, form.item_id)
    if (taken := _taken_before(person, form, ground)) is not None:
        return taken
    looked_at = _looked_at(connection, deployment, ground, form, now)
    before = last_said(ground.said_by(person))
    if before is None:
        raise Conflict(
            "There is nothing of yours to revise: you said nothing in this round, or took it back.",
            hint="Claim the item and answer it.",
        )
    if before.kind == ReviewKind.GOLD:
        raise Conflict("What you said of this item was compared as it was; it counts nowhere.")
    slot = next(one for one in slots_of_item(connection, ground.item.item_id) if one.slot_id == before.slot_id)
    if slot.kind == SlotKind.ADJUDICATION:
        check_adjudicates(person)
    since = slot.model_copy(update={"claimed_at": before.created_at})
    return _take(
        connection, deployment, ground, person, form, looked_at, ReviewKind.REVISED, since, True, now, before
    )


def _transact(deployment: Deployment, act: Callable[[Connection, datetime], Submitted]) -> Submitted:
    return deployment.database.transact(lambda connection: act(connection, utc_now()))


@dataclass(frozen=True)
class LookedAt:
    """What a form answers: the rubric's version, and what the person was shown."""

    rubric: Rubric
    shown: Shown


def _looked_at(
    connection: Connection, deployment: Deployment, ground: Ground, form: ReviewForm, now: datetime
) -> LookedAt:
    rubric = rubric_answered(connection, deployment, ground.item, form.rubric_version, now)
    shown = shown_of(connection, deployment, ground.item, rubric)
    check_seen(form.shown, shown.mark)
    return LookedAt(rubric, shown)


def _taken_before(person: Person, form: ReviewForm, ground: Ground) -> Submitted | None:
    """What this form became when it came first: the item is held, so whoever was quicker has ended."""
    theirs = (one for one in ground.reviews if one.person_id == person.person_id)
    review = next((one for one in theirs if one.form_key == form.form_key), None)
    return None if review is None else Submitted(review, ItemState(ground.item.state), repeated=True)


def _filled(
    connection: Connection,
    deployment: Deployment,
    ground: Ground,
    person: Person,
    form: ReviewForm,
    now: datetime,
) -> ReviewSlot:
    """The slot of the person's claim, filled; claimed again where its lease ran out and nobody is in the way."""
    item = ground.item
    slot = fill_slot(connection, item.item_id, person.person_id, form.token)
    if slot is None:
        slot = _claimed_again(connection, deployment, ground, person, now)
    if slot.kind == SlotKind.REVIEW and item.state == ItemState.DONE:
        raise ClaimLost("This item was settled while you wrote.", hint=_KEPT)
    return slot


def _claimed_again(
    connection: Connection, deployment: Deployment, ground: Ground, person: Person, now: datetime
) -> ReviewSlot:
    item = ground.item
    if last_said(ground.said_by(person)) is not None:
        raise _said_already()
    claimed = ground.last_claim(person)
    if claimed is None:
        raise ClaimLost("You do not hold this item.", hint="Claim it first: nothing is judged unseen.")
    if item.state == ItemState.WITHDRAWN:
        item = reopen_item(connection, item, now)
        open_slots(connection, [item])
    if item.state in (ItemState.OPEN, ItemState.ESCALATED) and claimed.detail.get("kind") == SlotKind.REVIEW:
        until = now + lease_of(deployment)
        slots = slots_of_item(connection, item.item_id)
        # their own first: nobody has two slots of an item
        for slot in sorted(slots, key=lambda one: (one.claimed_by != person.person_id, one.slot_id)):
            if slot.kind != SlotKind.REVIEW or slot.round != item.round or slot.state != SlotState.OPEN:
                continue
            taken = take_slot(
                connection, slot.slot_id, person.person_id, now=now, until=until, batch_id=claimed.batch_id
            )
            filled = taken and fill_slot(connection, item.item_id, person.person_id, taken.token or "")
            if filled is not None:
                return filled.model_copy(update={"claimed_at": claimed.at})
    raise ClaimLost(_why_lost(connection, ground, person, now), hint=_KEPT)


_KEPT = "What you wrote is not lost: it can be saved as a second opinion."


def _why_lost(connection: Connection, ground: Ground, person: Person, now: datetime) -> str:
    held = [
        one
        for one in slots_of_item(connection, ground.item.item_id)
        if one.state == SlotState.OPEN and one.claimed_by not in (None, person.person_id)
        if one.lease_until is not None and one.lease_until > now
    ]
    if held:
        first = min(held, key=lambda one: one.lease_until or now)
        holder = find_person(connection, first.claimed_by or "")
        return f"{holder.name if holder else 'Somebody else'} holds this item until {first.lease_until:%H:%M} UTC."
    if ground.item.state == ItemState.OPEN:
        return "Your claim on this item is gone, and nothing of it is free to be claimed."
    return "This item was settled while you wrote."


def _said_already() -> Conflict:
    return Conflict("You have reviewed this item already.", hint="Revise or undo what you said instead.")


def _take(
    connection: Connection,
    deployment: Deployment,
    ground: Ground,
    person: Person,
    form: ReviewForm,
    looked_at: LookedAt,
    kind: ReviewKind,
    slot: ReviewSlot,
    seen: bool,
    now: datetime,
    revises: Review | None = None,
) -> Submitted:
    """Keep the review with its verdict, and let follow what follows."""
    item, rubric, shown = ground.item, looked_at.rubric, looked_at.shown
    if shown.purged and form.cannot_judge is None:
        raise BadInput(
            "Nothing of this event's content is here any more: all that can be said is that it cannot be judged.",
            hint="Send cannot_judge with why.",
        )
    answered = read_answers(rubric, form, by_code=shown.by_code)
    review = _review(ground, person, form, answered, kind, slot, seen, now)
    review.run_id = shown.run_id
    if revises is not None:
        review.blind = revises.blind
    review.cost_usd = cost_of(review.active_ms, person.usd_per_hour, deployment.settings.reviewer_usd_per_hour)
    if not append_review(connection, review, _verdict(review, answered, rubric)):
        raise Conflict(
            "form_key was sent before, for another item.",
            hint="Make a new key with each form; a retry keeps its own.",
        )
    add_act(
        connection,
        item.item_id,
        ACT_OF[kind],
        person=person,
        detail={"review_id": review.review_id, SHOWN: form.shown},
        batch_id=slot.batch_id,
        now=now,
    )
    if kind == ReviewKind.GOLD:
        return Submitted(review, ItemState(item.state), repeated=False)
    if slot.kind == SlotKind.ADJUDICATION:
        record_adjudication(connection, person, review)
    known = {**deployment.versions_read, rubric.version: rubric}
    reviews = sorted([*ground.reviews, review], key=lambda one: (one.created_at, one.review_id))
    state = settle_item(
        connection, item, ground.workflow, ground.acts, known, now, reviews=reviews, rollups=ground.rollups
    )
    return Submitted(review, state, repeated=False)


def _review(
    ground: Ground,
    person: Person,
    form: ReviewForm,
    answered: Answered,
    kind: ReviewKind,
    slot: ReviewSlot,
    seen: bool,
    now: datetime,
) -> Review:
    item, rollup = ground.item, ground.rollup
    judged = VerdictLabel(rollup.verdict) if rollup is not None and rollup.runs else None
    elapsed = min(max(0, (now - (slot.claimed_at or now)) // _MILLISECOND), _MOST_MS)
    return Review(
        review_id=secrets.token_hex(12),
        item_id=item.item_id,
        round=item.round,
        event_id=item.event_id,
        rubric_id=item.rubric_id,
        rubric_version=form.rubric_version,
        person_id=person.person_id,
        reviewer=person.name,
        form_key=form.form_key,
        kind=kind,
        verdict=answered.verdict,
        cannot_judge=answered.cannot_judge,
        proposed=answered.proposed,
        criteria=[one.model_dump(mode="json") for one in answered.criteria],
        note=answered.note,
        stream=item.stream,
        probability=item.probability,
        blind=not seen,
        seen_judge=seen,
        judge_verdict=judged,
        judge_score=rollup.score if rollup is not None else None,
        rollup_revision=rollup.revision if rollup is not None else 0,
        agrees=agreement_of(answered.verdict, judged),
        counts=kind != ReviewKind.GOLD,
        slot_id=slot.slot_id,
        batch_id=slot.batch_id,
        active_ms=min(max(0, form.active_ms), elapsed),
        elapsed_ms=elapsed,
        created_at=now,
    )


def agreement_of(person: VerdictLabel | None, judges: VerdictLabel | None) -> bool | None:
    """Whether person and judges say the same; None where one of the two says nothing, unknown being nothing."""
    if VerdictLabel.UNKNOWN in (person, judges) or person is None or judges is None:
        return None
    return person == judges


def cost_of(active_ms: int, own: Decimal | None, general: Decimal | None) -> Decimal | None:
    """US dollars for the time; None where no rate is known, and where no time was measured."""
    rate = own if own is not None else general
    return None if rate is None or not active_ms else rate * active_ms / _MS_PER_HOUR


def _verdict(review: Review, answered: Answered, rubric: Rubric) -> Verdict | None:
    """The review's verdict, under its own id; whether it stands is settled afterwards."""
    if review.verdict is None:
        return None
    return Verdict(
        verdict_id=review.review_id,
        event_id=review.event_id,
        run_id=review.run_id,
        rubric_id=rubric.id,
        rubric_version=rubric.version,
        source=VerdictSource.HUMAN,
        verdict=review.verdict,
        score=answered.score,
        criteria=review.criteria,
        summary=review.note,
        judge=review.reviewer,
        stands=False,
        created_at=review.created_at,
    )
