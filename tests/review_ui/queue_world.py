"""A queue with something under every tab: people, claims, a batch, disagreements, what was passed on and what is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ReviewBatch, ReviewItem, SlotKind, Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.adjudication import mark_gold
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_desk import Claim, begin_batch, claim_item, escalate, next_item, skip
from evaluator.reviewing.review_submission import submit
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer, form_of
from tests.reviewing.review_world import item_in_queue, reviewed_rubric

REASONS = (
    ("critical_fail",),
    ("panel_split", "near_threshold"),
    ("unknown",),
    ("value_above",),
    ("injection_suspected", "critical_fail"),
    ("low_confidence",),
)
WHY_ESCALATED = "The refund was promised by a person on the phone; is that in scope?"
SKIPPED_WITH = "Not my language."


@dataclass(frozen=True)
class Desk:
    """Who works at the queue, and what to look at."""

    ada: Person
    ben: Person
    eve: Person
    root: Person
    vera: Person
    """Who may only look."""
    waiting: tuple[ReviewItem, ...]
    disputed: ReviewItem
    escalated: ReviewItem
    done: ReviewItem
    batch: ReviewBatch


def people(deployment: Deployment) -> tuple[Person, Person, Person, Person]:
    """Two reviewers, an author and an admin."""
    return (
        somebody(deployment, "Ada Lovelace"),
        somebody(deployment, "Ben Okri"),
        somebody(deployment, "Eve Adebayo", PersonRole.AUTHOR),
        somebody(deployment, "Root", PersonRole.ADMIN),
    )


def waiting(deployment: Deployment, number: int) -> tuple[ReviewItem, ...]:
    """Open items of two workflows, of all reasons and streams, the first of them overdue."""
    reviewed_rubric(deployment, "refunds", workflow="Refunds")
    made = []
    for one in range(number):
        rubric, workflow = (("support", "Support"), ("refunds", "Refunds"))[one % 3 == 2]
        audit = one % 5 == 4
        made.append(
            item_in_queue(
                deployment,
                event_id=f"{'refund' if rubric == 'refunds' else 'ticket'}-{4711 + 37 * one}",
                rubric=rubric,
                reasons=("audit",) if audit else REASONS[one % len(REASONS)],
                stream=Stream.AUDIT if audit else Stream.TARGETED,
                entered=utc_now() - timedelta(hours=30) + timedelta(minutes=53 * one),
                run={
                    "workflow": workflow,
                    "diagnostics": {"value_amount": 12.5 + 431 * (one % 4)} if one % 3 else {},
                },
            )
        )
    return tuple(made)


def dispute(deployment: Deployment, *reviewers: Person, event_id: str = "ticket-88") -> ReviewItem:
    """An item whose reviewers say different things, one of them against the judge."""
    item = item_in_queue(deployment, event_id=event_id, reasons=("panel_split",), reviewers=len(reviewers))
    for place, person in enumerate(reviewers):
        verdict = (VerdictLabel.PASS, VerdictLabel.FAIL)[place % 2]
        note = "" if place == 0 else "The parcel was already lost; a date does not help."
        answer(deployment, person, item, verdict, note=note, active_ms=31_000 + 9_000 * place)
    return item


def passed_on(deployment: Deployment, person: Person, event_id: str = "ticket-77") -> ReviewItem:
    """An item that a reviewer passed on to an author."""
    item = item_in_queue(deployment, event_id=event_id, reasons=("unknown",), verdict=VerdictLabel.UNKNOWN)
    claim = claim_item(deployment, person, item.item_id)
    escalate(deployment, person, item.item_id, claim.token, WHY_ESCALATED)
    return item


def batch_of(deployment: Deployment, person: Person, author: Person, *, size: int = 6) -> ReviewBatch:
    """A batch of six, over: agreed, overruled, cannot judge, a gold item, one skipped, and one agreed."""
    batch = begin_batch(deployment, person, QueueFilter(), size)
    gold = item_in_queue(deployment, event_id="ticket-gold", reasons=("unknown",))
    answer(deployment, author, gold, VerdictLabel.PASS)
    mark_gold(deployment, author, gold.item_id, True)
    settings = deployment.settings
    deployment.settings = settings.model_copy(update={"gold_share": 1.0})
    claim = next_item(deployment, person, batch_id=batch.batch_id)
    deployment.settings = settings
    assert isinstance(claim, Claim)
    submit(deployment, person, form_of(deployment, gold.item_id, VerdictLabel.PASS, claim.token))
    said = (VerdictLabel.PASS, VerdictLabel.FAIL, None, VerdictLabel.PASS)
    for place, verdict in enumerate(said):
        item = item_in_queue(deployment, event_id=f"ticket-b{place}", reasons=("near_threshold",))
        claim = claim_item(deployment, person, item.item_id, batch_id=batch.batch_id)
        form = form_of(deployment, item.item_id, verdict, claim.token, active_ms=21_000 + 17_000 * place)
        submit(deployment, person, form)
    left = item_in_queue(deployment, event_id="ticket-skipped", reasons=("near_threshold",))
    claim = claim_item(deployment, person, left.item_id, batch_id=batch.batch_id)
    skip(deployment, person, left.item_id, claim.token, SKIPPED_WITH)
    return batch


def desk(deployment: Deployment, *, number: int = 34) -> Desk:
    """Everything at once."""
    ada, ben, eve, root = people(deployment)
    items = waiting(deployment, number)
    disputed = dispute(deployment, ada, ben)
    escalated = passed_on(deployment, ben)
    done = item_in_queue(deployment, event_id="ticket-66", reasons=("critical_fail",), verdict=VerdictLabel.FAIL)
    answer(deployment, ada, done, VerdictLabel.FAIL, note="It never names the refund.")
    settled = dispute(deployment, ada, ben, event_id="ticket-55")
    answer(
        deployment, eve, settled, VerdictLabel.FAIL, SlotKind.ADJUDICATION, note="The customer is still waiting."
    )
    batch = batch_of(deployment, ada, eve)
    vera = somebody(deployment, "Vera", PersonRole.VIEWER)
    claim_item(deployment, ben, items[3].item_id)
    claim_item(deployment, ada, items[1].item_id)
    return Desk(ada, ben, eve, root, vera, items, disputed, escalated, done, batch)
