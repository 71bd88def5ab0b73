"""The desk: what comes next, who holds what, and what is told where nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import BadInput, ClaimLost, Conflict, NotFound, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, SlotKind, SlotState, Stream
from evaluator.reviewing import review_desk
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_desk import Claim, Empty, audit_is_due, claim_item, gold_is_due, next_item, skip
from evaluator.store.database import Connection
from evaluator.store.review_batches import batch_progress, find_batch
from evaluator.store.review_claims import Wanted, fill_slot, first_in_line, give_back, open_slots, slots_of_item
from evaluator.store.review_items import acts_of_item, find_item, reopen_item, set_state, withdraw_item
from tests.accounts.people_world import somebody
from tests.reviewing.review_world import item_in_queue, items_in_queue, reviewed_rubric


def do(deployment: Deployment, act: Callable[[Connection], object]) -> None:
    deployment.database.transact(act)


def claimed(answer: Claim | Empty) -> Claim:
    assert isinstance(answer, Claim)
    return answer


def answered(deployment: Deployment, person: Person, claim: Claim) -> None:
    """What submitting does to the slot."""
    do(deployment, lambda connection: fill_slot(connection, claim.item_id, person.person_id, claim.token))


def acts(deployment: Deployment, item: ReviewItem) -> list[tuple[str, str]]:
    with deployment.database.read() as connection:
        return [(one.who, one.act) for one in acts_of_item(connection, item.item_id)]


def late(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    """Let the desk's clock run ahead."""
    then = utc_now() + timedelta(minutes=minutes)
    monkeypatch.setattr("evaluator.reviewing.review_desk.utc_now", lambda: then)


def test_the_first_in_line_comes_first_and_once(deployment: Deployment) -> None:
    ada = somebody(deployment)
    first, second = items_in_queue(deployment, 2)
    claim = claimed(next_item(deployment, ada))
    assert claim.item_id == first.item_id
    answered(deployment, ada, claim)
    claim = claimed(next_item(deployment, ada))
    assert claim.item_id == second.item_id
    answered(deployment, ada, claim)
    assert next_item(deployment, ada) is Empty.NOTHING_TO_DO


def test_asking_twice_is_the_same_claim(deployment: Deployment) -> None:
    ada = somebody(deployment)
    items_in_queue(deployment, 2)
    assert next_item(deployment, ada) == next_item(deployment, ada)


def test_what_is_looked_at_ahead_is_what_comes_though_an_item_was_skipped(deployment: Deployment) -> None:
    ada = somebody(deployment)
    items_in_queue(deployment, 3)
    held = claimed(next_item(deployment, ada))
    skip(deployment, ada, held.item_id, held.token)
    claim = claimed(next_item(deployment, ada))
    with deployment.database.read() as connection:
        coming = first_in_line(connection, ada.person_id, Wanted(), now=utc_now(), most=1)
    answered(deployment, ada, claim)
    assert coming == [claimed(next_item(deployment, ada)).item_id]


def test_two_people_never_get_the_same_item(deployment: Deployment) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    items_in_queue(deployment, 2)
    assert claimed(next_item(deployment, ada)).item_id != claimed(next_item(deployment, bob)).item_id


def test_an_item_that_wants_two_reviews_goes_to_two_people(deployment: Deployment) -> None:
    ada, bob, cem = (somebody(deployment, name) for name in ("Ada", "Bob", "Cem"))
    item = item_in_queue(deployment, reviewers=2)
    answered(deployment, ada, claimed(next_item(deployment, ada)))
    assert next_item(deployment, ada) is Empty.ALL_CLAIMED
    assert claimed(next_item(deployment, bob)).item_id == item.item_id
    assert next_item(deployment, cem) is Empty.ALL_CLAIMED


def test_a_lease_that_ran_out_is_taken_over_and_its_token_is_worth_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    item = item_in_queue(deployment)
    lost = claimed(next_item(deployment, ada))
    late(monkeypatch, 11)
    taken = claimed(next_item(deployment, bob))
    assert taken.item_id == item.item_id
    assert taken.token != lost.token
    assert acts(deployment, item)[1:] == [("Ada", "claimed"), ("Ada", "expired"), ("Bob", "claimed")]
    for what in (review_desk.renew, review_desk.release, review_desk.skip):
        with pytest.raises(ClaimLost, match="Bob holds this item for another 10 min"):
            what(deployment, ada, item.item_id, lost.token)


def test_renewing_keeps_the_item(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    item = item_in_queue(deployment)
    claim = claimed(next_item(deployment, ada))
    late(monkeypatch, 9)
    until = review_desk.renew(deployment, ada, item.item_id, claim.token)
    late(monkeypatch, 18)
    assert until > utc_now() + timedelta(minutes=18)
    assert next_item(deployment, bob) is Empty.ALL_CLAIMED


def test_a_claim_that_ran_out_is_still_its_holders_while_nobody_took_it(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = somebody(deployment)
    item = item_in_queue(deployment)
    lost = claimed(next_item(deployment, ada))
    late(monkeypatch, 11)
    review_desk.renew(deployment, ada, item.item_id, lost.token)
    late(monkeypatch, 30)
    again = claim_item(deployment, ada, item.item_id)
    assert (again.slot_id, again.token != lost.token) == (lost.slot_id, True)


def test_a_released_item_comes_again_and_a_skipped_one_does_not(deployment: Deployment) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    item = item_in_queue(deployment)
    claim = claimed(next_item(deployment, ada))
    review_desk.release(deployment, ada, item.item_id, claim.token)
    claim = claimed(next_item(deployment, ada))
    review_desk.skip(deployment, ada, item.item_id, claim.token, "I know the customer.")
    assert next_item(deployment, ada) is Empty.ALL_CLAIMED
    assert claim_item(deployment, ada, item.item_id).item_id == item.item_id
    assert next_item(deployment, bob) is Empty.ALL_CLAIMED
    assert [act for _, act in acts(deployment, item)][1:] == [
        "claimed", "released", "claimed", "skipped", "claimed"
    ]  # fmt: skip


def test_what_was_skipped_comes_again_in_a_new_round(deployment: Deployment) -> None:
    ada = somebody(deployment)
    item = item_in_queue(deployment)
    review_desk.skip(deployment, ada, item.item_id, claimed(next_item(deployment, ada)).token)

    def reopen(connection: Connection) -> None:
        open_slots(connection, [reopen_item(connection, item, utc_now())])

    do(deployment, reopen)
    assert claimed(next_item(deployment, ada)).item_id == item.item_id


def test_an_escalated_item_waits_for_an_author(deployment: Deployment) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    author = somebody(deployment, "Cem", PersonRole.AUTHOR)
    item = item_in_queue(deployment, reviewers=2)
    claim = claimed(next_item(deployment, ada))
    with pytest.raises(BadInput, match="Say why"):
        review_desk.escalate(deployment, ada, item.item_id, claim.token, "  ")
    review_desk.escalate(deployment, ada, item.item_id, claim.token, "The policy says nothing of this.")
    with deployment.database.read() as connection:
        stored = find_item(connection, item.item_id)
    assert stored is not None
    assert (stored.state, stored.note) == (ItemState.ESCALATED, "The policy says nothing of this.")
    assert next_item(deployment, bob) is Empty.NOTHING_TO_DO
    with pytest.raises(WrongRole):
        claim_item(deployment, bob, item.item_id)
    assert claim_item(deployment, author, item.item_id).kind == SlotKind.ADJUDICATION


def test_one_author_settles_at_a_time(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    cem, eva = (somebody(deployment, name, PersonRole.AUTHOR) for name in ("Cem", "Eva"))
    item = item_in_queue(deployment, state=ItemState.AWAITING_RESOLUTION)
    claim_item(deployment, cem, item.item_id)
    with pytest.raises(Conflict, match="Cem holds this item for another 10 min"):
        claim_item(deployment, eva, item.item_id)
    late(monkeypatch, 11)
    assert claim_item(deployment, eva, item.item_id).kind == SlotKind.ADJUDICATION


def test_who_holds_an_item_is_told_with_the_time_that_is_left(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    item = item_in_queue(deployment)
    next_item(deployment, ada)
    late(monkeypatch, 6.5)
    with pytest.raises(Conflict, match=r"^Ada holds this item for another 4 min\.$"):
        claim_item(deployment, bob, item.item_id)


def test_a_done_item_takes_second_opinions_only(deployment: Deployment) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    item = item_in_queue(deployment)
    answered(deployment, ada, claimed(next_item(deployment, ada)))
    do(deployment, lambda connection: set_state(connection, item.item_id, ItemState.DONE, utc_now()))
    with pytest.raises(Conflict, match="done"):
        claim_item(deployment, bob, item.item_id)
    assert claim_item(deployment, bob, item.item_id, kind=SlotKind.SECOND_OPINION).kind == SlotKind.SECOND_OPINION
    with pytest.raises(Conflict, match="reviewed this item already"):
        claim_item(deployment, ada, item.item_id, kind=SlotKind.SECOND_OPINION)


def test_what_does_not_fit_an_item_is_refused(deployment: Deployment) -> None:
    ada = somebody(deployment)
    item = item_in_queue(deployment)
    for kind in (SlotKind.SECOND_OPINION, SlotKind.GOLD, SlotKind.ADJUDICATION):
        with pytest.raises(Conflict, match="This item is open"):
            claim_item(deployment, ada, item.item_id, kind=kind)
    with pytest.raises(NotFound):
        claim_item(deployment, ada, "nothing")
    with pytest.raises(NotFound, match="no such batch"):
        claim_item(deployment, ada, item.item_id, batch_id="nobody's")


def test_viewers_take_nothing(deployment: Deployment) -> None:
    item = item_in_queue(deployment)
    vic = somebody(deployment, "Vic", PersonRole.VIEWER)
    gone = somebody(deployment, "Gus", PersonRole.ADMIN, deactivated_at=utc_now())
    for person in (vic, gone):
        assert next_item(deployment, person) is Empty.NOT_ALLOWED
        with pytest.raises(WrongRole):
            claim_item(deployment, person, item.item_id)
        with pytest.raises(WrongRole):
            review_desk.begin_batch(deployment, person, QueueFilter())


def test_the_five_ways_to_have_nothing(deployment: Deployment) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    assert next_item(deployment, ada) is Empty.NO_RUBRIC
    reviewed_rubric(deployment)
    assert next_item(deployment, ada) is Empty.NOTHING_TO_DO
    item_in_queue(deployment)
    assert next_item(deployment, ada, filters=QueueFilter(workflow="Refunds")) is Empty.FILTERED_OUT
    next_item(deployment, ada)
    assert next_item(deployment, bob) is Empty.ALL_CLAIMED
    assert next_item(deployment, somebody(deployment, role=PersonRole.VIEWER)) is Empty.NOT_ALLOWED


@pytest.mark.parametrize(
    ("filters", "number"),
    [
        (QueueFilter(), 1),
        (QueueFilter(rubric="tone"), 2),
        (QueueFilter(stream="picked"), 3),
        (QueueFilter(reason="value_above"), 4),
        (QueueFilter(reason="value_above", stream="picked"), 0),
        (QueueFilter(older_than_hours=2), 5),
        (QueueFilter(workflow="Refunds"), 6),
    ],
)
def test_a_filter_lets_through_what_it_names(deployment: Deployment, filters: QueueFilter, number: int) -> None:
    now = utc_now()
    item_in_queue(deployment, event_id="ticket-1", entered=now - timedelta(minutes=90))
    item_in_queue(deployment, event_id="ticket-2", rubric="tone")
    item_in_queue(deployment, event_id="ticket-3", stream=Stream.PICKED, reasons=["picked"])
    item_in_queue(deployment, event_id="ticket-4", reasons=["critical_fail", "value_above"])
    item_in_queue(deployment, event_id="ticket-5", entered=now - timedelta(hours=3), rank_at=now)
    item_in_queue(deployment, event_id="ticket-6", workflow="Refunds")
    answer = next_item(deployment, somebody(deployment), filters=filters)
    if not number:
        assert answer is Empty.FILTERED_OUT
        return
    with deployment.database.read() as connection:
        item = find_item(connection, claimed(answer).item_id)
    assert item is not None
    assert item.event_id == f"ticket-{number}"


@pytest.mark.parametrize("role", [PersonRole.REVIEWER, PersonRole.AUTHOR])
def test_nobodys_filter_tells_reasons_or_streams_apart(deployment: Deployment, role: PersonRole) -> None:
    item = item_in_queue(deployment, reasons=["audit"], stream=Stream.AUDIT)
    for filters in (
        QueueFilter(reason="critical_fail"),
        QueueFilter(reason="policy"),
        QueueFilter(stream="targeted"),
    ):
        ada = somebody(deployment, "Ada", role)
        claim = claimed(next_item(deployment, ada, filters=filters))
        assert claim.item_id == item.item_id
        review_desk.release(deployment, ada, item.item_id, claim.token)
    ada = somebody(deployment, "Ada", role)
    assert next_item(deployment, ada, filters=QueueFilter(stream="picked")) is Empty.FILTERED_OUT


def test_audits_come_by_their_share(deployment: Deployment) -> None:
    ada = somebody(deployment)
    for number in range(1, 11):
        item_in_queue(deployment, event_id=f"targeted-{number}")
        item_in_queue(deployment, event_id=f"audit-{number}", stream=Stream.AUDIT, reasons=["audit"])
    came = []
    for _ in range(20):
        claim = claimed(next_item(deployment, ada))
        with deployment.database.read() as connection:
            item = find_item(connection, claim.item_id)
        assert item is not None
        came.append(item.stream)
        answered(deployment, ada, claim)
    assert came[:10].count(Stream.AUDIT) == 3
    assert came.count(Stream.AUDIT) == 10  # the other stream ran dry and gave its turns away


def test_shares_are_kept_without_chance() -> None:
    streams: list[Stream] = []
    for _ in range(1000):
        streams.insert(0, Stream.AUDIT if audit_is_due(streams, 0.3) else Stream.TARGETED)
    assert abs(streams.count(Stream.AUDIT) - 300) <= 20
    kinds: list[SlotKind] = []
    for _ in range(1000):
        kinds.insert(0, SlotKind.GOLD if gold_is_due(kinds, 0.02) else SlotKind.REVIEW)
    assert kinds.count(SlotKind.GOLD) == 20
    assert not audit_is_due([], 0)
    assert not gold_is_due([SlotKind.REVIEW] * 500, 0)
    assert audit_is_due([Stream.AUDIT] * 50, 1)


def test_gold_looks_like_any_other_item_and_comes_once(deployment: Deployment) -> None:
    deployment.settings = deployment.settings.model_copy(update={"gold_share": 0.5})
    gold = item_in_queue(deployment, event_id="known", state=ItemState.DONE, gold=True)
    items_in_queue(deployment, 3)
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    came = []
    for _ in range(3):
        claim = claimed(next_item(deployment, ada))
        came.append((claim.kind, claim.item_id))
        answered(deployment, ada, claim)
    assert [kind for kind, _ in came] == [SlotKind.REVIEW, SlotKind.GOLD, SlotKind.REVIEW]
    assert came[1][1] == gold.item_id
    with deployment.database.read() as connection:
        assert [slot.kind for slot in slots_of_item(connection, gold.item_id)] == [SlotKind.GOLD]
    assert claimed(next_item(deployment, bob)).kind == SlotKind.REVIEW


def test_a_batch_ends_after_its_size_settled_or_skipped(deployment: Deployment) -> None:
    ada = somebody(deployment)
    items_in_queue(deployment, 5, workflow="Refunds")
    item_in_queue(deployment, event_id="other")
    batch = review_desk.begin_batch(deployment, ada, QueueFilter(workflow="Refunds"), size=3)

    def following() -> Claim | Empty:
        return next_item(deployment, ada, batch_id=batch.batch_id)

    answered(deployment, ada, claimed(following()))
    claim = claimed(following())
    assert claim.batch_id == batch.batch_id
    review_desk.skip(deployment, ada, claim.item_id, claim.token)
    claim = claimed(following())
    review_desk.release(deployment, ada, claim.item_id, claim.token)
    claim = claimed(following())
    review_desk.escalate(deployment, ada, claim.item_id, claim.token, "Not for me.")
    assert following() is Empty.NOTHING_TO_DO
    with deployment.database.read() as connection:
        ended = find_batch(connection, batch.batch_id)
        assert ended is not None
        assert ended.ended_at is not None
        progress = batch_progress(connection, ended)
    assert (progress.answered, progress.declined, progress.size) == (1, 2, 3)


def test_a_batch_is_its_owners(deployment: Deployment) -> None:
    batch = review_desk.begin_batch(deployment, somebody(deployment), QueueFilter())
    with pytest.raises(NotFound):
        next_item(deployment, somebody(deployment, "Bob"), batch_id=batch.batch_id)
    with pytest.raises(BadInput, match="from 1 to 200"):
        review_desk.begin_batch(deployment, somebody(deployment), QueueFilter(), size=0)


def test_what_somebody_holds_outside_a_batch_does_not_come_within_it(deployment: Deployment) -> None:
    ada = somebody(deployment)
    items_in_queue(deployment, 2)
    batch = review_desk.begin_batch(deployment, ada, QueueFilter())
    alone = claimed(next_item(deployment, ada))
    assert claimed(next_item(deployment, ada, batch_id=batch.batch_id)).item_id != alone.item_id
    assert next_item(deployment, ada) == alone


def test_a_filled_slot_goes_back_to_who_filled_it(deployment: Deployment) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    item_in_queue(deployment)
    claim = claimed(next_item(deployment, ada))
    answered(deployment, ada, claim)
    now = utc_now()
    until = now + timedelta(minutes=10)
    with deployment.database.write() as connection:
        assert give_back(connection, claim.slot_id, bob.person_id, now=now, until=until) is None
        assert give_back(connection, claim.slot_id, ada.person_id, now=now, until=until) is not None
    assert claimed(next_item(deployment, ada)).item_id == claim.item_id


def test_only_what_nobody_touched_is_withdrawn(deployment: Deployment) -> None:
    ada = somebody(deployment)
    free, held = items_in_queue(deployment, 2)
    claim = claim_item(deployment, ada, held.item_id)

    def gone(item: ReviewItem) -> bool:
        return deployment.database.transact(lambda connection: withdraw_item(connection, item.item_id, utc_now()))

    assert (gone(free), gone(held)) == (True, False)
    with pytest.raises(Conflict, match="withdrawn"):
        claim_item(deployment, ada, free.item_id)
    answered(deployment, ada, claim)
    assert not gone(held)


def test_slots_leave_the_line_with_a_done_item_and_come_back_with_it(deployment: Deployment) -> None:
    ada, bob = somebody(deployment), somebody(deployment, "Bob")
    item = item_in_queue(deployment, reviewers=2)
    claim = claimed(next_item(deployment, ada))
    do(deployment, lambda connection: set_state(connection, item.item_id, ItemState.DONE, utc_now()))
    with deployment.database.read() as connection:
        slots = slots_of_item(connection, item.item_id)
    assert {(slot.state, slot.claimed_by) for slot in slots} == {(SlotState.CANCELLED, None)}
    with pytest.raises(ClaimLost):
        review_desk.renew(deployment, ada, item.item_id, claim.token)
    do(deployment, lambda connection: set_state(connection, item.item_id, ItemState.OPEN, utc_now()))
    assert {claimed(next_item(deployment, person)).item_id for person in (ada, bob)} == {item.item_id}
