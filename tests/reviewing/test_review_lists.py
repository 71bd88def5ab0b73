"""Lists of the queue: what is under which tab, in which order, and what a row tells to whom."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, Review, ReviewItem, ReviewKind, SlotKind, Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing import review_desk, review_lists
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_desk import Claim, claim_item, next_item
from evaluator.reviewing.review_lists import (
    FilterChoices,
    ListCount,
    disagreements,
    filter_choices,
    list_items,
    tab_counts,
)
from evaluator.store.database import as_row, table_of
from evaluator.store.queue_rows import QueueTab
from evaluator.store.review_claims import fill_slot
from evaluator.store.review_items import reopen_item, set_state
from evaluator.store.tables import ReviewRow
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer
from tests.reviewing.review_world import item_in_queue, items_in_queue


@pytest.fixture
def ada(deployment: Deployment) -> Person:
    return somebody(deployment)


@pytest.fixture
def author(deployment: Deployment) -> Person:
    return somebody(deployment, "Cem", PersonRole.AUTHOR)


def events(
    deployment: Deployment, person: Person, tab: QueueTab, filters: QueueFilter = QueueFilter()
) -> list[str]:
    return [row.item.event_id for row in list_items(deployment, person, tab, filters).rows]


def reviewed(deployment: Deployment, person: Person, item: ReviewItem, state: ItemState = ItemState.DONE) -> None:
    """The person said something of the item, and so it is in this state."""
    said = Review(
        review_id=f"{item.item_id}-{person.person_id}",
        item_id=item.item_id,
        event_id=item.event_id,
        rubric_id=item.rubric_id,
        rubric_version=item.rubric_version,
        person_id=person.person_id,
        reviewer=person.name,
        form_key=item.item_id,
        kind=ReviewKind.FIRST_PASS,
        stream=item.stream,
    )
    with deployment.database.write() as connection:
        connection.execute(table_of(ReviewRow).insert(), as_row(said))
        set_state(connection, item.item_id, state, utc_now())


def test_each_item_is_under_its_tab(deployment: Deployment, author: Person) -> None:
    held, _, escalated, disputed, done = items_in_queue(deployment, 5)
    claim_item(deployment, somebody(deployment, "Bob"), held.item_id)
    with deployment.database.write() as connection:
        set_state(connection, escalated.item_id, ItemState.ESCALATED, utc_now())
        set_state(connection, disputed.item_id, ItemState.AWAITING_RESOLUTION, utc_now())
        set_state(connection, done.item_id, ItemState.DONE, utc_now())
    assert {tab: events(deployment, author, tab) for tab in QueueTab} == {
        QueueTab.FOR_ME: ["ticket-2"],
        QueueTab.IN_PROGRESS: ["ticket-1"],
        QueueTab.ESCALATED: ["ticket-3"],
        QueueTab.DISAGREEMENTS: ["ticket-4"],
        QueueTab.DONE: ["ticket-5"],
    }
    assert {tab: count.number for tab, count in tab_counts(deployment, author).items()} == dict.fromkeys(
        QueueTab, 1
    )


def test_for_me_is_what_next_could_give_in_its_order(deployment: Deployment, ada: Person) -> None:
    items = items_in_queue(deployment, 6, reviewers=2)
    claim = claim_item(deployment, ada, items[0].item_id)
    review_desk.skip(deployment, ada, items[0].item_id, claim.token)
    claim = claim_item(deployment, ada, items[1].item_id)
    with deployment.database.write() as connection:
        fill_slot(connection, items[1].item_id, ada.person_id, claim.token)
    claim_item(deployment, ada, items[2].item_id)
    for name in ("Bob", "Eva"):
        claim_item(deployment, somebody(deployment, name), items[3].item_id)
    assert events(deployment, ada, QueueTab.FOR_ME) == ["ticket-3", "ticket-5", "ticket-6"]
    assert events(deployment, ada, QueueTab.IN_PROGRESS) == ["ticket-2", "ticket-3", "ticket-4"]


def test_a_row_says_who_holds_the_item_and_until_when(deployment: Deployment, ada: Person) -> None:
    item_in_queue(deployment, event_id="mine")
    mine = next_item(deployment, ada)
    item_in_queue(deployment, event_id="theirs")
    theirs = next_item(deployment, somebody(deployment, "Bob"))
    assert isinstance(mine, Claim)
    assert isinstance(theirs, Claim)
    rows = {row.item.event_id: row for row in list_items(deployment, ada, QueueTab.IN_PROGRESS).rows}
    assert (rows["mine"].holder, rows["mine"].is_mine, rows["mine"].lease_until) == ("Ada", True, mine.lease_until)
    assert (rows["theirs"].holder, rows["theirs"].is_mine) == ("Bob", False)
    assert rows["theirs"].lease_until == theirs.lease_until


def test_what_waits_beyond_the_limit_is_overdue(deployment: Deployment, ada: Person) -> None:
    limit = timedelta(hours=deployment.settings.review_sla_hours)
    item_in_queue(deployment, event_id="late", entered=utc_now() - limit - timedelta(minutes=1))
    item_in_queue(deployment, event_id="in time", entered=utc_now() - limit + timedelta(minutes=1))
    rows = list_items(deployment, ada, QueueTab.FOR_ME).rows
    assert [(row.item.event_id, row.overdue) for row in rows] == [("late", True), ("in time", False)]


@pytest.mark.parametrize("role", [PersonRole.REVIEWER, PersonRole.AUTHOR, PersonRole.ADMIN])
def test_rows_tell_nobody_who_may_still_answer_blind_of_judge_or_stream(
    deployment: Deployment, role: PersonRole
) -> None:
    ada = somebody(deployment, "Ada", role)
    item_in_queue(deployment, event_id="t", reasons=["critical_fail", "value_above"], rank_at=utc_now())
    item_in_queue(deployment, event_id="a", reasons=["value_above", "audit"], stream=Stream.AUDIT)
    item_in_queue(deployment, event_id="open", reasons=["critical_fail"], blind=False)
    told = {row.item.event_id: row for row in list_items(deployment, ada, QueueTab.FOR_ME).rows}
    assert {event: set(row.reasons) for event, row in told.items()} == {
        "t": {"policy", "value_above"},
        "a": {"policy", "value_above"},
        "open": {"critical_fail"},
    }
    assert told["a"].hidden
    assert (told["a"].item.stream, told["a"].item.probability) == (Stream.TARGETED, None)
    assert told["t"].item.rank_at == told["t"].item.entered_at


def test_who_answered_reads_why_an_open_item_is_there_and_authors_read_it_of_done_ones(
    deployment: Deployment, ada: Person, author: Person
) -> None:
    open_still = item_in_queue(deployment, event_id="open", reasons=["audit"], stream=Stream.AUDIT, reviewers=3)
    done = item_in_queue(deployment, event_id="done", reasons=["audit"], stream=Stream.AUDIT)
    bob = somebody(deployment, "Bob")
    answer(deployment, bob, open_still, VerdictLabel.PASS)
    answer(deployment, bob, done, VerdictLabel.PASS)
    told = {
        person.name: {
            row.item.event_id: row.reasons
            for tab in (QueueTab.IN_PROGRESS, QueueTab.DONE)
            for row in list_items(deployment, person, tab).rows
        }
        for person in (ada, bob, author)
    }
    assert told == {
        "Ada": {"open": ("policy",)},
        "Bob": {"open": ("audit",), "done": ("audit",)},
        "Cem": {"open": ("policy",), "done": ("audit",)},
    }


def test_what_was_answered_in_an_earlier_round_is_hidden_again(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment, reasons=["audit"], stream=Stream.AUDIT)
    answer(deployment, ada, item, VerdictLabel.PASS)
    deployment.database.transact(lambda connection: reopen_item(connection, item, utc_now()))
    with deployment.database.write() as connection:
        set_state(connection, item.item_id, ItemState.DONE, utc_now())
    (row,) = list_items(deployment, ada, QueueTab.DONE).rows
    assert (row.hidden, row.reasons) == (True, ("policy",))


def test_a_reviewer_sees_of_disputed_and_done_items_their_own(
    deployment: Deployment, ada: Person, author: Person
) -> None:
    mine, theirs, disputed, other = items_in_queue(deployment, 4)
    bob = somebody(deployment, "Bob")
    reviewed(deployment, ada, mine)
    reviewed(deployment, bob, theirs)
    reviewed(deployment, ada, disputed, ItemState.AWAITING_RESOLUTION)
    reviewed(deployment, bob, other, ItemState.AWAITING_RESOLUTION)
    assert events(deployment, ada, QueueTab.DONE) == ["ticket-1"]
    assert events(deployment, author, QueueTab.DONE) == ["ticket-2", "ticket-1"]
    assert events(deployment, ada, QueueTab.DISAGREEMENTS) == ["ticket-3"]
    assert [row.item.event_id for row in disagreements(deployment, ada).rows] == ["ticket-3"]
    assert [row.item.event_id for row in disagreements(deployment, author).rows] == ["ticket-3", "ticket-4"]


def test_what_waits_for_an_author_is_listed_by_state(deployment: Deployment, ada: Person, author: Person) -> None:
    escalated, disputed = items_in_queue(deployment, 2)
    claim = claim_item(deployment, ada, escalated.item_id)
    review_desk.escalate(deployment, ada, escalated.item_id, claim.token, "What about refunds?")
    with deployment.database.write() as connection:
        set_state(connection, disputed.item_id, ItemState.AWAITING_RESOLUTION, utc_now())
    assert [row.item.event_id for row in disagreements(deployment, ada).rows] == ["ticket-1"]
    both = disagreements(deployment, author)
    assert ([row.item.event_id for row in both.rows], both.count) == (["ticket-1", "ticket-2"], ListCount(2))
    (row,) = disagreements(deployment, author, ItemState.ESCALATED).rows
    assert row.item.note == "What about refunds?"


def test_gold_stays_unknown_to_who_practises_on_it(deployment: Deployment, ada: Person) -> None:
    deployment.settings = deployment.settings.model_copy(update={"gold_share": 0.5})
    item_in_queue(deployment, event_id="known", state=ItemState.DONE, gold=True)
    (other,) = items_in_queue(deployment, 1)
    claim = next_item(deployment, ada)
    assert isinstance(claim, Claim)
    with deployment.database.write() as connection:
        fill_slot(connection, other.item_id, ada.person_id, claim.token)
        set_state(connection, other.item_id, ItemState.DONE, utc_now())
    gold = next_item(deployment, ada)
    assert isinstance(gold, Claim)
    assert gold.kind == SlotKind.GOLD
    (row,) = list_items(deployment, ada, QueueTab.IN_PROGRESS).rows
    assert (row.item.event_id, row.item.gold, row.is_mine) == ("known", False, True)
    assert events(deployment, somebody(deployment, "Bob"), QueueTab.IN_PROGRESS) == []


def test_pages_have_25_rows_and_say_whether_more_follow(deployment: Deployment, author: Person) -> None:
    items_in_queue(deployment, 27)
    first = list_items(deployment, author, QueueTab.FOR_ME)
    second = list_items(deployment, author, QueueTab.FOR_ME, number=2)
    assert (len(first.rows), first.more, first.count) == (25, True, ListCount(27))
    assert ([row.item.event_id for row in second.rows], second.more) == (["ticket-26", "ticket-27"], False)


def test_counts_end_at_their_limit(deployment: Deployment, author: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    items_in_queue(deployment, 3)
    monkeypatch.setattr(review_lists, "MOST_COUNTED", 2)
    assert tab_counts(deployment, author)[QueueTab.FOR_ME] == ListCount(2, or_more=True)
    assert ListCount(1000, or_more=True).words == "1,000+"


@pytest.mark.parametrize("tab", QueueTab)
def test_a_filter_holds_for_rows_and_counts_of_every_tab(
    deployment: Deployment, author: Person, tab: QueueTab
) -> None:
    states = {
        QueueTab.ESCALATED: ItemState.ESCALATED,
        QueueTab.DISAGREEMENTS: ItemState.AWAITING_RESOLUTION,
        QueueTab.DONE: ItemState.DONE,
    }
    for event, reasons in (("one", ["panel_split"]), ("two", ["critical_fail"])):
        item = item_in_queue(deployment, event_id=event, reasons=reasons, state=states.get(tab, ItemState.OPEN))
        if tab is QueueTab.IN_PROGRESS:
            claim_item(deployment, author, item.item_id)
    split = QueueFilter(reason="panel_split")
    told = {"one"} if tab in states else {"one", "two"}
    assert set(events(deployment, author, tab, split)) == told
    assert tab_counts(deployment, author, split)[tab] == ListCount(len(told))


def test_filters_offer_what_waits(deployment: Deployment) -> None:
    item_in_queue(deployment, event_id="one", workflow="Refunds")
    item_in_queue(deployment, event_id="two", rubric="tone")
    item_in_queue(deployment, event_id="three", workflow="Sales", state=ItemState.DONE)
    assert filter_choices(deployment) == FilterChoices(("Refunds", "Support"), ("support", "tone"))


def test_viewers_may_look_and_the_deactivated_may_not(deployment: Deployment) -> None:
    items_in_queue(deployment, 1)
    assert list_items(deployment, somebody(deployment, "Vic", PersonRole.VIEWER), QueueTab.FOR_ME).count.number == 1
    gone = somebody(deployment, "Gus", PersonRole.ADMIN, deactivated_at=utc_now())
    for read in (disagreements, tab_counts, filter_tab):
        with pytest.raises(WrongRole):
            read(deployment, gone)


def filter_tab(deployment: Deployment, person: Person) -> object:
    return list_items(deployment, person, QueueTab.DONE)


def test_what_everybody_skipped_is_still_before_an_author(
    deployment: Deployment, ada: Person, author: Person
) -> None:
    item = item_in_queue(deployment)
    for person in (ada, author):
        review_desk.skip(deployment, person, item.item_id, claim_item(deployment, person, item.item_id).token)
        assert next_item(deployment, person) is review_desk.Empty.ALL_CLAIMED
    assert list_items(deployment, ada, QueueTab.FOR_ME).rows == ()
    assert [row.item.item_id for row in list_items(deployment, author, QueueTab.FOR_ME).rows] == [item.item_id]
    assert claim_item(deployment, author, item.item_id).kind == SlotKind.REVIEW
