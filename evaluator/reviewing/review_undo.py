"""Taking a review back: nothing is deleted, a retraction is added, and the item is the person's to answer again."""

from __future__ import annotations

import secrets
from datetime import datetime

from evaluator.deployment import Deployment
from evaluator.errors import ClaimLost, Conflict, NotFound, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import Review, ReviewKind
from evaluator.reviewing.adjudication import check_adjudicates
from evaluator.reviewing.item_settlement import settle_item
from evaluator.reviewing.review_desk import Claim, claim_of, held_claim, lease_of, needs
from evaluator.reviewing.review_ground import Ground, hold
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.database import Connection
from evaluator.store.review_claims import give_back
from evaluator.store.review_items import add_act
from evaluator.store.reviews import append_review, find_review


def undo(deployment: Deployment, person: Person, review_id: str) -> Claim:
    """Take back what the person said under one claim, a revision with what it revised; they hold the item again.

    Asked twice, the second time changes nothing. Raises NotFound; WrongRole for a review of somebody else, which only
    an adjudication outvotes; Conflict for one of an earlier round; ClaimLost where it was undone and let go since.
    """
    needs(person, PersonRole.REVIEWER)
    return deployment.database.transact(
        lambda connection: _undo(connection, deployment, person, review_id, utc_now())
    )


def _undo(connection: Connection, deployment: Deployment, person: Person, review_id: str, now: datetime) -> Claim:
    review = find_review(connection, review_id)
    if review is None or review.kind == ReviewKind.RETRACTION:
        raise NotFound(f"No review {quoted(review_id)} is known here.")
    if review.person_id != person.person_id:
        raise WrongRole("Only who said it may take it back.", hint="An author's adjudication stands above it.")
    ground = hold(connection, review.item_id)
    if review.round != ground.item.round:
        raise Conflict("The item was opened again since, for another attempt.", hint="Review that one.")
    together = _said_together(ground, review)
    if not together:
        held = held_claim(connection, person.person_id, review.item_id, now)
        if held is None:
            raise ClaimLost("This review was taken back before, and the item let go since.", hint="Claim it again.")
        return held
    slot = give_back(connection, review.slot_id or "", person.person_id, now=now, until=now + lease_of(deployment))
    if slot is None:
        raise Conflict("This review cannot be taken back: its place was given to somebody else.")
    if any(one.kind == ReviewKind.ADJUDICATION for one in together):
        check_adjudicates(person)
    for one in together:
        append_review(connection, _retraction(one, person, now))
    add_act(
        connection,
        review.item_id,
        "retracted",
        person=person,
        detail={"review_id": review_id},
        batch_id=review.batch_id,
        now=now,
    )
    settle_item(connection, ground.item, ground.workflow, ground.acts, deployment.versions_read, now)
    return claim_of(slot)


def _said_together(ground: Ground, review: Review) -> list[Review]:
    """What the person said under the same claim and has not taken back."""
    gone = {one.retracts for one in ground.reviews if one.kind == ReviewKind.RETRACTION}
    return [
        one
        for one in ground.reviews
        if one.slot_id == review.slot_id
        and one.person_id == review.person_id
        and one.kind != ReviewKind.RETRACTION
        and one.review_id not in gone
    ]


def _retraction(review: Review, person: Person, now: datetime) -> Review:
    kept = ("item_id", "round", "event_id", "rubric_id", "rubric_version", "run_id", "stream", "probability")
    return Review(
        **{name: getattr(review, name) for name in kept},
        review_id=secrets.token_hex(12),
        person_id=person.person_id,
        reviewer=person.name,
        form_key=f"undo-{review.review_id}",
        kind=ReviewKind.RETRACTION,
        blind=False,
        seen_judge=True,
        counts=False,
        retracts=review.review_id,
        slot_id=review.slot_id,
        batch_id=review.batch_id,
        created_at=now,
    )
