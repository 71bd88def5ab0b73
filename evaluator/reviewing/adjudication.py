"""What is special to settling what others disagree about or passed on: an author's verdict stands above theirs."""

from __future__ import annotations

from evaluator.deployment import Deployment
from evaluator.errors import Conflict
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, Review
from evaluator.reviewing.review_desk import needs
from evaluator.reviewing.review_ground import hold
from evaluator.store import review_items
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection


def check_adjudicates(person: Person) -> None:
    """Raise WrongRole unless the person may settle what others said; a claim does not outlive the role."""
    needs(person, PersonRole.AUTHOR)


def record_adjudication(connection: Connection, person: Person, review: Review) -> None:
    """Audit that somebody's verdict was put above those of others."""
    audit(
        connection,
        actor=person.login,
        act="adjudicate_item",
        subject=review.item_id,
        detail={"review_id": review.review_id, "verdict": review.verdict, "event_id": review.event_id},
    )


def mark_gold(deployment: Deployment, person: Person, item_id: str, gold: bool) -> None:
    """Measure reviewers by an item, or no longer; its people's verdict is then what theirs is compared with.

    Raises WrongRole below author, NotFound, and Conflict for an item that is not done with a verdict.
    """
    needs(person, PersonRole.AUTHOR)

    def act(connection: Connection) -> None:
        now = utc_now()
        ground = hold(connection, item_id)
        if gold == ground.item.gold:
            return
        if gold and (
            ground.item.state != ItemState.DONE or not any(one.counts and one.verdict for one in ground.reviews)
        ):
            raise Conflict(
                "Only an item that is done, with a verdict of people, can be gold.",
                hint="Review or adjudicate it first.",
            )
        name = "marked_gold" if gold else "unmarked_gold"
        review_items.mark_gold(connection, item_id, gold)
        review_items.add_act(connection, item_id, name, person=person, now=now)
        audit(connection, actor=person.login, act=name, subject=item_id, detail={"event_id": ground.item.event_id})

    deployment.database.transact(act)
