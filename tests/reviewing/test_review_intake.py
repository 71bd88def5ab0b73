"""Which rollups bring items in, withdraw them and open them again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.judgement import Judgement, NotEvaluable
from evaluator.model.review import ItemState, ReviewItem, SlotState, Stream, item_id_of
from evaluator.model.rollup import Rollup, RollupRule
from evaluator.model.verdict import VerdictLabel
from evaluator.pipeline import hand_out, settle
from evaluator.review_intake import Known, Step, currency_in, step, value_in
from evaluator.reviewing.review_desk import claim_item
from evaluator.reviewing.review_submission import submit
from evaluator.reviewing.review_undo import undo
from evaluator.store import judgements as queue
from evaluator.store.database import Connection
from evaluator.store.outcomes import current_outcomes
from evaluator.store.review_claims import slots_of_item
from evaluator.store.review_items import acts_of_item, find_item
from evaluator.store.reviews import reviews_of_item
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer, form_of
from tests.reviewing.review_world import REVIEWED_RUBRIC, judge_all_as, judged_event, reviewed_rubric

PASS, FAIL, UNKNOWN = VerdictLabel.PASS, VerdictLabel.FAIL, VerdictLabel.UNKNOWN
ITEM = item_id_of("ticket-1", "support")


def policy(deployment: Deployment, review: str, **changes: str) -> None:
    """The rubric in force has this review policy."""
    reviewed_rubric(deployment, text=REVIEWED_RUBRIC + f"review: {{{{{review}}}}}\n", **changes)


def item(deployment: Deployment, item_id: str = ITEM) -> ReviewItem | None:
    with deployment.database.read() as connection:
        return find_item(connection, item_id)


def entered(deployment: Deployment) -> ReviewItem:
    found = item(deployment)
    assert found is not None
    return found


def acts(deployment: Deployment) -> list[str]:
    with deployment.database.read() as connection:
        return [one.act for one in acts_of_item(connection, ITEM)]


def open_slots(deployment: Deployment) -> list[str]:
    with deployment.database.read() as connection:
        return [one.slot_id for one in slots_of_item(connection, ITEM) if one.state == SlotState.OPEN]


def attempt(deployment: Deployment, number: int, verdict: VerdictLabel | None, **run: Any) -> None:
    """A further run of the event, judged so."""
    at = f"2026-01-01T10:{number:02}:00Z"
    judged_event(deployment, verdict=verdict, run_id=f"run-{number}", started_at=at, **run)


def test_what_the_policy_asks_for_comes_in_with_its_reasons_value_and_slots(deployment: Deployment) -> None:
    policy(deployment, "send: [critical_fail, {{value_above: 500}}], reviewers: 2")
    attempt(deployment, 1, FAIL, diagnostics={"value_amount": "1299.00", "value_currency": "usd"})
    found = entered(deployment)
    assert (found.state, found.stream, found.reasons) == ("open", "targeted", ["critical_fail", "value_above"])
    assert (found.value_amount, found.value_currency) == (Decimal(1299), "USD")
    assert (found.deciding_run_id, found.rollup_revision, found.probability) == ("run-1", 1, None)
    assert (found.workflow, found.reviewers, found.blind) == ("Support", 2, True)
    assert found.rank_at <= found.entered_at
    assert len(open_slots(deployment)) == 2
    assert acts(deployment) == ["entered"]


def test_what_nothing_asks_for_does_not_come_in(deployment: Deployment) -> None:
    policy(deployment, "send: [critical_fail]")
    attempt(deployment, 1, PASS)
    assert item(deployment) is None


def test_the_audit_is_its_own_stream_whatever_else_asks_and_knows_its_probability(deployment: Deployment) -> None:
    policy(deployment, "send: [critical_fail], audit_rate: 1, blind: false")
    attempt(deployment, 1, FAIL)
    found = entered(deployment)
    assert (found.stream, found.reasons, found.probability) == ("audit", ["critical_fail", "audit"], 1.0)
    assert found.blind, "audits always are"
    assert found.rank_at == found.entered_at, "what was done up to a time is all of it"


def give_up(deployment: Deployment) -> None:
    """Let every judgement that is due end without a verdict."""
    for batch in hand_out(deployment, utc_now()):

        def take(connection: Connection) -> list[Judgement]:
            return queue.take_up(connection, batch.ids, batch.token, utc_now() + timedelta(minutes=1))  # noqa: B023

        taken = deployment.database.transact(take)
        settle(deployment, [queue.Settlement(one, reason=NotEvaluable.TIMEOUT) for one in taken])


def test_what_no_judge_could_judge_comes_in_as_unknown(deployment: Deployment) -> None:
    policy(deployment, "send: [unknown]")
    attempt(deployment, 1, None)
    assert item(deployment) is None
    give_up(deployment)
    found = entered(deployment)
    assert (found.reasons, found.deciding_run_id) == (["unknown"], "run-1")


def test_while_an_attempt_waits_for_its_judges_nothing_changes(deployment: Deployment) -> None:
    policy(deployment, "send: [critical_fail]")
    attempt(deployment, 1, FAIL)
    attempt(deployment, 2, None)
    assert entered(deployment).state == ItemState.OPEN
    judge_all_as(deployment, FAIL)
    assert entered(deployment).deciding_run_id == "run-2"
    assert acts(deployment) == ["entered"]


def last_only(deployment: Deployment) -> None:
    """What asks for people is that the event is unknown, which a later attempt may change."""
    policy(deployment, "send: [unknown]")


def test_when_no_reason_is_left_it_is_withdrawn_and_comes_back_when_there_is_one(deployment: Deployment) -> None:
    last_only(deployment)
    attempt(deployment, 1, None)
    give_up(deployment)
    assert entered(deployment).reasons == ["unknown"]
    attempt(deployment, 2, PASS)
    assert entered(deployment).state == ItemState.WITHDRAWN
    assert open_slots(deployment) == []
    attempt(deployment, 3, UNKNOWN)
    again = entered(deployment)
    assert (again.state, again.round, again.deciding_run_id) == ("open", 2, "run-3")
    assert len(open_slots(deployment)) == 1
    assert acts(deployment) == ["entered", "withdrawn", "reopened"]


def test_what_somebody_holds_is_not_withdrawn_under_their_hands(deployment: Deployment) -> None:
    last_only(deployment)
    ada = somebody(deployment)
    attempt(deployment, 1, None)
    give_up(deployment)
    token = claim_item(deployment, ada, ITEM).token
    attempt(deployment, 2, PASS)
    assert entered(deployment).state == ItemState.OPEN
    assert submit(deployment, ada, form_of(deployment, ITEM, PASS, token)).state == ItemState.DONE


def test_what_was_withdrawn_while_a_claim_had_run_out_takes_what_was_written(deployment: Deployment) -> None:
    last_only(deployment)
    ada = somebody(deployment)
    attempt(deployment, 1, None)
    give_up(deployment)
    token = claim_item(deployment, ada, ITEM).token
    deployment.database.transact(
        lambda connection: connection.exec_driver_sql("UPDATE review_slot SET lease_until = 1")
    )
    attempt(deployment, 2, PASS)
    assert entered(deployment).state == ItemState.WITHDRAWN
    taken = submit(deployment, ada, form_of(deployment, ITEM, PASS, token))
    assert (taken.state, taken.review.round) == (ItemState.DONE, 2)


def outcome(deployment: Deployment) -> tuple[str, str]:
    with deployment.database.read() as connection:
        found = current_outcomes(connection, ["ticket-1"])["ticket-1"]
    return found.final_outcome, found.decided_by


def test_another_attempt_that_judges_see_otherwise_opens_a_done_item_again(deployment: Deployment) -> None:
    policy(deployment, "send: [critical_fail], audit_rate: 1")
    ada, ben = somebody(deployment, "Ada"), somebody(deployment, "Ben")
    attempt(deployment, 1, FAIL)
    answer(deployment, ada, entered(deployment), FAIL)
    attempt(deployment, 2, FAIL)
    assert entered(deployment).state == ItemState.DONE, "judges say what people said"
    attempt(deployment, 3, PASS)
    again = entered(deployment)
    assert (again.state, again.round, again.reasons) == ("open", 2, ["new_attempt", "critical_fail"])
    assert (again.stream, again.probability, again.blind) == (Stream.TARGETED, None, True)
    assert again.deciding_run_id == "run-3"
    assert outcome(deployment) == ("failed", "human"), "people's verdict stands meanwhile"
    taken = answer(deployment, ben, again, PASS)
    assert (taken.state, taken.review.round, taken.review.run_id) == (ItemState.DONE, 2, "run-3")
    assert outcome(deployment) == ("success", "human")
    with deployment.database.read() as connection:
        assert [one.counts for one in reviews_of_item(connection, ITEM)] == [False, True]
    undo(deployment, ben, taken.review.review_id)
    assert outcome(deployment) == ("failed", "human"), "what was said before stands again"
    assert acts(deployment)[-3:] == ["claimed", "reviewed", "retracted"]


def test_an_item_opened_again_is_withdrawn_where_judges_come_to_say_what_people_said(
    deployment: Deployment,
) -> None:
    policy(deployment, "send: [critical_fail]")
    ada = somebody(deployment)
    attempt(deployment, 1, FAIL)
    answer(deployment, ada, entered(deployment), FAIL)
    for number, judged in enumerate((PASS, PASS), 2):
        attempt(deployment, number, judged)
        assert (entered(deployment).state, entered(deployment).round) == (ItemState.OPEN, 2)
    assert entered(deployment).reasons == ["new_attempt", "critical_fail"]
    attempt(deployment, 4, FAIL)
    assert entered(deployment).state == ItemState.WITHDRAWN
    assert outcome(deployment) == ("failed", "human")
    attempt(deployment, 5, PASS)
    assert (entered(deployment).state, entered(deployment).round) == (ItemState.OPEN, 3)
    assert entered(deployment).reasons == ["new_attempt", "critical_fail"]


def test_an_attempt_that_came_while_people_looked_at_the_one_before_is_not_lost(deployment: Deployment) -> None:
    policy(deployment, "send: [critical_fail]")
    ada = somebody(deployment)
    attempt(deployment, 1, FAIL)
    token = claim_item(deployment, ada, ITEM).token
    attempt(deployment, 2, PASS)
    taken = submit(deployment, ada, form_of(deployment, ITEM, FAIL, token))
    assert (taken.review.run_id, taken.review.round) == ("run-1", 1)
    assert taken.state == ItemState.OPEN, "opened again for the attempt that nobody has seen"
    assert (entered(deployment).round, entered(deployment).deciding_run_id) == (2, "run-2")


# the decision alone


def rollup(**changes: Any) -> Rollup:
    fields = {"rule": RollupRule.LAST_RUN, "verdict": PASS, "deciding_run_id": "new", "runs": 1, "judged": 1}
    of = {"event_id": "e", "rubric_id": "r", "revision": 2, "position": 2, "rubric_version": "v"}
    return Rollup(**{**fields, **of, "review_reasons": ["critical_fail"], **changes})


def known(state: ItemState, *, touched: bool = False, said: VerdictLabel | None = None, **changes: Any) -> Known:
    fields = {"item_id": "i", "event_id": "e", "rubric_id": "r", "rubric_version": "v", "rank_at": utc_now()}
    stored = ReviewItem(
        **{**fields, "stream": Stream.TARGETED, "deciding_run_id": "old", "state": state, **changes}
    )
    return Known(stored, touched, said)


OPEN, DONE, WITHDRAWN = ItemState.OPEN, ItemState.DONE, ItemState.WITHDRAWN


@pytest.mark.parametrize(
    ("item", "with_reasons", "without"),
    [
        (None, Step.ENTER, Step.NOTHING),
        (known(WITHDRAWN), Step.REOPEN, Step.NOTHING),
        (known(OPEN), Step.RENEW, Step.WITHDRAW),
        (known(OPEN, touched=True), Step.NOTHING, Step.NOTHING),
        (known(OPEN, stream=Stream.PICKED), Step.RENEW, Step.RENEW),
        (known(ItemState.ESCALATED), Step.NOTHING, Step.NOTHING),
        (known(ItemState.AWAITING_RESOLUTION), Step.NOTHING, Step.NOTHING),
        (known(DONE, said=FAIL), Step.REOPEN, Step.REOPEN),
        (known(DONE, said=PASS), Step.NOTHING, Step.NOTHING),
        (known(DONE), Step.REOPEN, Step.NOTHING),
        (known(OPEN, said=FAIL), Step.RENEW, Step.RENEW),
        (known(OPEN, said=PASS), Step.WITHDRAW, Step.WITHDRAW),
        (known(WITHDRAWN, said=FAIL), Step.REOPEN, Step.REOPEN),
        (known(WITHDRAWN, said=PASS), Step.NOTHING, Step.NOTHING),
        (known(DONE, said=FAIL, deciding_run_id="new"), Step.NOTHING, Step.NOTHING),
        (known(DONE, said=FAIL, deciding_run_id=None), Step.NOTHING, Step.NOTHING),
    ],
)
def test_what_a_rollup_means_for_its_item(item: Known | None, with_reasons: Step, without: Step) -> None:
    assert step(rollup(), item) is with_reasons
    assert step(rollup(review_reasons=[]), item) is without
    assert step(rollup(waiting=1), item) is Step.NOTHING


@pytest.mark.parametrize(
    ("given", "value"),
    [("12.50", Decimal("12.50")), (3, Decimal(3)), ("much", None), (True, None), ("1e300", None), (None, None)],
)
def test_a_value_is_a_number_that_could_be_meant(given: object, value: Decimal | None) -> None:
    assert value_in({"value_amount": given}) == value


@pytest.mark.parametrize(
    ("told", "is_money"),
    [
        ({}, True),
        ({"value_type": "revenue_generated"}, True),
        ({"value_type": "order_value"}, True),
        ({"value_type": "tickets_resolved"}, False),
        ({"value_type": "items_processed"}, False),
        ({"value_type": "tickets_resolved", "value_currency": "EUR"}, True),
    ],
)
def test_a_count_is_no_value_in_money(told: dict[str, str], is_money: bool) -> None:
    assert (value_in({"value_amount": 12, **told}) == Decimal(12)) is is_money


@pytest.mark.parametrize(("given", "currency"), [("eur", "EUR"), ("Euro", None), (7, None), ("<b>", None)])
def test_a_currency_is_three_letters(given: object, currency: str | None) -> None:
    assert currency_in({"value_currency": given}) == currency
