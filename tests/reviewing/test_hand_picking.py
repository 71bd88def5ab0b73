"""Events that people put into the queue by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import BadInput, NotFound, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import PersonRole
from evaluator.model.review import ItemState, ReviewSlot, SlotState, Stream
from evaluator.reviewing.hand_picking import MOST_EVENTS, Picked, pick, pick_all, picker_of
from evaluator.store.api_keys import audit_trail
from evaluator.store.review_claims import slots_of_item
from evaluator.store.review_items import acts_of_item, find_item, set_state
from tests.accounts.people_world import somebody
from tests.reviewing.review_world import item_in_queue, judged_event, reviewed_rubric


def acts(deployment: Deployment, item_id: str) -> list[str]:
    with deployment.database.read() as connection:
        return [one.act for one in acts_of_item(connection, item_id)]


def slots(deployment: Deployment, item_id: str) -> list[ReviewSlot]:
    with deployment.database.read() as connection:
        return slots_of_item(connection, item_id)


def test_an_event_that_nothing_else_asks_for_is_put_in_line_with_the_note(deployment: Deployment) -> None:
    author = somebody(deployment, "Eve", PersonRole.AUTHOR)
    judged_event(deployment, "ticket-7")
    item = pick(deployment, author, "ticket-7", "support", "  Look at the tone. ")
    assert (item.state, item.stream, item.reasons) == (ItemState.OPEN, Stream.PICKED, ["picked"])
    assert (item.note, item.probability, item.value_amount) == ("Look at the tone.", None, Decimal("12.5"))
    assert [one.state for one in slots(deployment, item.item_id)] == [SlotState.OPEN]
    assert acts(deployment, item.item_id) == ["picked"]


def test_an_event_that_was_never_judged_can_be_picked(deployment: Deployment) -> None:
    author = somebody(deployment, "Eve", PersonRole.AUTHOR)
    judged_event(deployment, "ticket-7", verdict=None, run_id="run-7")
    item = pick(deployment, author, "ticket-7", "support")
    rubric = reviewed_rubric(deployment)
    assert (item.rubric_version, item.deciding_run_id, item.rollup_revision) == (rubric.version, "run-7", 0)
    assert deployment.rubric_versions({rubric.version})[rubric.version].title == rubric.title


def test_what_the_policy_sent_stays_once_it_is_picked(deployment: Deployment) -> None:
    author = somebody(deployment, "Eve", PersonRole.AUTHOR)
    item_in_queue(deployment, reasons=("unknown",))
    item = pick(deployment, author, "ticket-1", "support")
    assert (item.stream, item.reasons) == (Stream.PICKED, ["unknown", "picked"])
    assert [(one.stream, one.state) for one in slots(deployment, item.item_id)] == [(Stream.PICKED, SlotState.OPEN)]


def test_an_audit_that_waits_keeps_its_stream_and_gains_reason_and_note(deployment: Deployment) -> None:
    author = somebody(deployment, "Eve", PersonRole.AUTHOR)
    before = item_in_queue(deployment, reasons=("audit",), stream=Stream.AUDIT)
    for note in ("First.", "Second.", ""):
        item = pick(deployment, author, "ticket-1", "support", note)
    assert (item.stream, item.probability, item.round) == (Stream.AUDIT, 0.05, 1)
    assert (item.reasons, item.note, item.rank_at) == (["audit", "picked"], "Second.", before.rank_at)
    assert len(slots(deployment, item.item_id)) == 1


@pytest.mark.parametrize("state", [ItemState.DONE, ItemState.WITHDRAWN])
def test_an_item_that_is_over_is_opened_again_as_its_next_round(deployment: Deployment, state: ItemState) -> None:
    author = somebody(deployment, "Eve", PersonRole.AUTHOR)
    before = item_in_queue(deployment, reasons=("audit", "unknown"), stream=Stream.AUDIT)
    deployment.database.transact(lambda connection: set_state(connection, before.item_id, state, utc_now()))
    item = pick(deployment, author, "ticket-1", "support", "Once more.")
    assert (item.round, item.state, item.settled_at) == (2, ItemState.OPEN, None)
    assert (item.stream, item.reasons, item.note) == (Stream.PICKED, ["unknown", "picked"], "Once more.")
    assert [one.state for one in slots(deployment, item.item_id)] == [SlotState.CANCELLED, SlotState.OPEN]
    assert acts(deployment, item.item_id)[-2:] == ["reopened", "picked"]


def test_every_pick_is_in_the_audit_log(deployment: Deployment) -> None:
    author = somebody(deployment, "Eve", PersonRole.AUTHOR)
    judged_event(deployment, "ticket-7")
    item = pick(deployment, author, "ticket-7", "support", "Why?")
    with deployment.database.read() as connection:
        entry = audit_trail(connection, limit=1)[0]
    assert (entry.actor, entry.act, entry.subject) == (author.login, "pick_item", "ticket-7")
    assert entry.detail == {"rubric": "support", "item": item.item_id, "note": "Why?"}


def test_reviewers_cannot_pick(deployment: Deployment) -> None:
    judged_event(deployment, "ticket-7")
    with pytest.raises(WrongRole, match="needs the role author; yours is reviewer"):
        pick(deployment, somebody(deployment), "ticket-7", "support")


def test_what_cannot_be_picked_is_told(deployment: Deployment) -> None:
    author = somebody(deployment, "Eve", PersonRole.AUTHOR)
    judged_event(deployment, "ticket-7")
    reviewed_rubric(deployment, "returns", workflow="Returns")
    with pytest.raises(NotFound, match=r"No event .*nowhere.* is known"):
        pick(deployment, author, "nowhere", "support")
    with pytest.raises(NotFound, match=r"No rubric .*tone.* in force are: returns, support"):
        pick(deployment, author, "ticket-7", "tone")
    with pytest.raises(BadInput, match="Rubric returns is for Returns"):
        pick(deployment, author, "ticket-7", "returns")


def test_of_many_events_each_that_fails_is_named_and_the_others_are_picked(deployment: Deployment) -> None:
    picker = picker_of(somebody(deployment, "Eve", PersonRole.AUTHOR))
    judged_event(deployment, "ticket-7")
    judged_event(deployment, "ticket-8")
    done: Picked = pick_all(deployment, picker, ["ticket-8", "", "nowhere", "ticket-7", "ticket-8 "], "support")
    assert [one.event_id for one in done.items] == ["ticket-8", "ticket-7"]
    assert [(one.event_id, "is known" in one.why) for one in done.failed] == [("nowhere", True)]
    with deployment.database.read() as connection:
        assert all(find_item(connection, one.item_id) for one in done.items)


@pytest.mark.parametrize("number", [0, MOST_EVENTS + 1])
def test_a_list_has_a_limit(deployment: Deployment, number: int) -> None:
    picker = picker_of(somebody(deployment, "Eve", PersonRole.AUTHOR))
    with pytest.raises(BadInput, match="from 1 to 500 are taken at once"):
        pick_all(deployment, picker, [f"ticket-{one}" for one in range(number)], "support")
