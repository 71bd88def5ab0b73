"""What a person's verdict does: taken once, settled, heard as a signal, and never under somebody else's claim."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import BadInput, ClaimLost, Conflict, NotFound, Unseen, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.outcome import Outcome, Signal, SignalSource
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, Review, ReviewItem, SlotKind, Stream
from evaluator.model.verdict import Verdict, VerdictLabel
from evaluator.reviewing.adjudication import mark_gold
from evaluator.reviewing.hand_picking import pick
from evaluator.reviewing.item_story import reveal
from evaluator.reviewing.review_desk import Claim, claim_item, escalate, next_item, release
from evaluator.reviewing.review_submission import agreement_of, cost_of, revise, second_opinion, submit
from evaluator.reviewing.review_undo import undo
from evaluator.reviewing.sheet_reading import sheet_of
from evaluator.store import outcomes
from evaluator.store.api_keys import audit_trail
from evaluator.store.review_items import acts_of_item, find_item
from evaluator.store.reviews import reviews_of_item, standing_verdicts
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer, form_of, shown_now
from tests.reviewing.review_world import item_in_queue, judged_event, reviewed_rubric
from tests.test_batches import execute

PASS, FAIL, UNKNOWN = VerdictLabel.PASS, VerdictLabel.FAIL, VerdictLabel.UNKNOWN
OPEN, DONE, AWAITING = ItemState.OPEN, ItemState.DONE, ItemState.AWAITING_RESOLUTION


def state(deployment: Deployment, item: ReviewItem) -> ItemState:
    with deployment.database.read() as connection:
        found = find_item(connection, item.item_id)
    assert found is not None
    return ItemState(found.state)


def said(deployment: Deployment, item: ReviewItem) -> list[Review]:
    with deployment.database.read() as connection:
        return reviews_of_item(connection, item.item_id)


def standing(deployment: Deployment, event_id: str = "ticket-1") -> Verdict | None:
    with deployment.database.read() as connection:
        return standing_verdicts(connection, [event_id]).get((event_id, "support"))


def outcome(deployment: Deployment, event_id: str = "ticket-1") -> Outcome:
    with deployment.database.read() as connection:
        return outcomes.current_outcomes(connection, [event_id])[event_id]


def human_signals(deployment: Deployment, event_id: str = "ticket-1") -> list[Signal]:
    with deployment.database.read() as connection:
        signals = outcomes.signals_of_events(connection, [event_id])[event_id]
    return [one for one in signals if one.source == SignalSource.HUMAN]


@pytest.fixture
def ada(deployment: Deployment) -> Person:
    return somebody(deployment, "Ada", usd_per_hour=Decimal(36))


@pytest.fixture
def ben(deployment: Deployment) -> Person:
    return somebody(deployment, "Ben")


@pytest.fixture
def author(deployment: Deployment) -> Person:
    return somebody(deployment, "Cleo", PersonRole.AUTHOR)


def test_a_verdict_settles_its_item_becomes_a_signal_and_the_outcome_is_a_new_revision(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    before = outcome(deployment)
    taken = answer(deployment, ada, item, FAIL, note="It gives no date.")
    assert (taken.state, state(deployment, item), taken.repeated) == (DONE, DONE, False)
    review = taken.review
    assert (review.kind, review.verdict, review.proposed, review.agrees) == ("first_pass", "fail", "fail", False)
    assert (review.blind, review.seen_judge, review.judge_verdict, review.judge_score) == (True, False, "pass", 1.0)
    assert (review.reviewer, review.run_id) == ("Ada", item.deciding_run_id)
    verdict = standing(deployment)
    assert verdict is not None
    assert (verdict.verdict_id, verdict.source, verdict.judge) == (review.review_id, "human", "Ada")
    assert (verdict.summary, verdict.score, verdict.run_id) == ("It gives no date.", 0.4, item.deciding_run_id)
    [signal] = human_signals(deployment)
    assert (signal.origin, signal.outcome, signal.reported_by) == ("review of support", "failed", "Ada")
    assert signal.reason == "Ada reviewed it: fail; the judge said pass"
    assert signal.facts == {
        "item_id": item.item_id,
        "review_id": review.review_id,
        "rubric_version": review.rubric_version,
        "stream": "targeted",
    }
    after = outcome(deployment)
    assert (after.final_outcome, after.decided_by, after.revision) == ("failed", "human", before.revision + 1)
    assert after.position > before.position
    assert after.reason == f"Ada decided failed on {signal.occurred_at:%Y-%m-%d}."


def test_reviews_under_a_rubric_of_role_quality_make_no_signal(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment, rubric="kindness")
    version = reviewed_rubric(deployment, "kindness").version
    assert answer(deployment, ada, item, FAIL, rubric_version=version).state == DONE
    assert human_signals(deployment) == []


def test_the_same_form_is_the_same_review_however_often_and_however_fast_it_is_sent(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment, reviewers=2)
    claim = claim_item(deployment, ada, item.item_id)
    form = form_of(deployment, item.item_id, FAIL, claim.token)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: submit(deployment, ada, form), range(16)))
    assert len({one.review.review_id for one in taken}) == 1
    assert sorted(one.repeated for one in taken) == [False, *[True] * 15]
    assert len(said(deployment, item)) == 1
    assert submit(deployment, ada, replace(form, token="any")).repeated


def test_a_form_key_is_for_one_item(deployment: Deployment, ada: Person) -> None:
    first, second = item_in_queue(deployment), item_in_queue(deployment, event_id="ticket-2")
    taken = answer(deployment, ada, first, PASS, form_key="mine")
    assert taken.review.form_key == "mine"
    with pytest.raises(Conflict, match="sent before, for another item"):
        answer(deployment, ada, second, PASS, form_key="mine")


def test_reviewing_the_same_item_at_once_counts_everybody_once(deployment: Deployment) -> None:
    item = item_in_queue(deployment, reviewers=5)
    people = [somebody(deployment, f"P{number}") for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        taken = list(pool.map(lambda person: answer(deployment, person, item, PASS), people))
    assert sorted(one.state for one in taken) == [DONE, OPEN, OPEN, OPEN, OPEN]
    assert state(deployment, item) == DONE
    assert len({one.person_id for one in said(deployment, item)}) == 5
    verdict = standing(deployment)
    assert verdict is not None
    assert len(human_signals(deployment)) == 1


def test_judging_and_reviewing_one_event_at_once_do_not_stand_in_each_others_way(deployment: Deployment) -> None:
    item = item_in_queue(deployment, reviewers=4)
    people = [somebody(deployment, f"P{number}") for number in range(4)]

    def work(number: int) -> None:
        if number % 2:
            judged_event(deployment, verdict=PASS, started_at=f"2026-01-01T10:0{number}:00Z")
        else:
            answer(deployment, people[number // 2], item, FAIL)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert [one.verdict for one in said(deployment, item)] == [FAIL] * 4


def expire(deployment: Deployment) -> None:
    """Let every lease have run out an hour ago."""
    execute(
        deployment, "UPDATE review_slot SET lease_until = lease_until - 4200000000 WHERE lease_until IS NOT NULL"
    )


def test_after_a_lease_ran_out_what_was_written_is_taken_where_nobody_else_holds_the_item(
    deployment: Deployment, ada: Person, ben: Person
) -> None:
    item = item_in_queue(deployment)
    claim = claim_item(deployment, ada, item.item_id)
    form = form_of(deployment, item.item_id, FAIL, claim.token)
    expire(deployment)
    theirs = claim_item(deployment, ben, item.item_id)
    with pytest.raises(ClaimLost, match=r"Ben holds this item until \d\d:\d\d UTC"):
        submit(deployment, ada, form)
    release(deployment, ben, item.item_id, theirs.token)
    assert submit(deployment, ada, form).state == DONE


def test_what_was_settled_meanwhile_can_be_saved_as_a_second_opinion(
    deployment: Deployment, ada: Person, ben: Person
) -> None:
    item = item_in_queue(deployment)
    form = form_of(deployment, item.item_id, FAIL, claim_item(deployment, ada, item.item_id).token)
    expire(deployment)
    answer(deployment, ben, item, PASS)
    with pytest.raises(ClaimLost, match="settled while you wrote") as lost:
        submit(deployment, ada, form)
    assert "pass" not in f"{lost.value}", "nothing of Ben's verdict before Ada's is stored"
    kept = second_opinion(deployment, ada, form)
    assert (kept.review.kind, kept.review.blind, kept.state) == ("second_opinion", True, AWAITING)
    assert standing(deployment) is None
    assert [one.outcome for one in human_signals(deployment)] == ["success", "pending"]
    assert outcome(deployment).decided_by == "judge"
    assert second_opinion(deployment, ada, form).repeated


def test_a_second_opinion_that_agrees_leaves_the_item_done(
    deployment: Deployment, ada: Person, ben: Person
) -> None:
    item = item_in_queue(deployment)
    answer(deployment, ada, item, FAIL)
    again = answer(deployment, ben, item, FAIL, SlotKind.SECOND_OPINION)
    assert (again.review.kind, again.state) == ("second_opinion", DONE)
    assert outcome(deployment).reason.startswith("Ben decided failed")


def test_nothing_is_judged_unseen(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    form = form_of(deployment, item.item_id, PASS, "a token")
    with pytest.raises(ClaimLost, match="You do not hold this item"):
        submit(deployment, ada, form)
    with pytest.raises(Conflict, match="You never held this item"):
        second_opinion(deployment, ada, form)
    with pytest.raises(Conflict, match="nothing of yours to revise"):
        revise(deployment, ada, form)
    with pytest.raises(NotFound, match="No review item 'nowhere'"):
        submit(deployment, ada, replace(form, item_id="nowhere"))


def test_who_reviewed_an_item_revises_it_and_does_not_review_it_twice(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment, reviewers=2)
    taken = answer(deployment, ada, item, FAIL)
    with pytest.raises(Conflict, match="reviewed this item already"):
        submit(deployment, ada, form_of(deployment, item.item_id, PASS, "a token"))
    with pytest.raises(Conflict, match="reviewed this item already"):
        second_opinion(deployment, ada, form_of(deployment, item.item_id, PASS))
    assert [one.review_id for one in said(deployment, item)] == [taken.review.review_id]


def test_viewers_and_people_who_left_review_nothing(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    token = claim_item(deployment, ada, item.item_id).token
    form = form_of(deployment, item.item_id, PASS, token)
    for changes in ({"role": PersonRole.VIEWER}, {"deactivated_at": utc_now()}):
        gone = ada.model_copy(update=changes)
        for act in (submit, second_opinion, revise):
            with pytest.raises(WrongRole):
                act(deployment, gone, form)


def test_two_who_disagree_wait_for_an_author_whose_verdict_stands_above_theirs(
    deployment: Deployment, ada: Person, ben: Person, author: Person
) -> None:
    item = item_in_queue(deployment, reviewers=2)
    assert answer(deployment, ada, item, PASS).state == OPEN
    assert standing(deployment) is None
    assert answer(deployment, ben, item, FAIL).state == AWAITING
    assert (standing(deployment), human_signals(deployment)) == (None, [])
    settled = answer(deployment, author, item, FAIL)
    assert (settled.review.kind, settled.state, settled.review.blind) == ("adjudication", DONE, False)
    assert outcome(deployment).reason.startswith("Cleo decided failed")
    with deployment.database.read() as connection:
        assert audit_trail(connection)[0].act == "adjudicate_item"


def test_what_is_escalated_waits_for_an_author_even_where_others_finish(
    deployment: Deployment, ada: Person, ben: Person, author: Person
) -> None:
    item = item_in_queue(deployment, reviewers=2)
    theirs = claim_item(deployment, ben, item.item_id)
    escalate(
        deployment, ada, item.item_id, claim_item(deployment, ada, item.item_id).token, "Which policy holds here?"
    )
    form = form_of(deployment, item.item_id, PASS, theirs.token)
    assert submit(deployment, ben, form).state == ItemState.ESCALATED
    assert standing(deployment) is None
    assert answer(deployment, author, item, PASS).state == DONE
    assert outcome(deployment).decided_by == "human"


def test_an_authors_claim_does_not_outlive_the_role(
    deployment: Deployment, ada: Person, ben: Person, author: Person
) -> None:
    item = item_in_queue(deployment, reviewers=2)
    answer(deployment, ada, item, PASS)
    answer(deployment, ben, item, FAIL)
    token = claim_item(deployment, author, item.item_id).token
    demoted = author.model_copy(update={"role": PersonRole.REVIEWER})
    with pytest.raises(WrongRole):
        submit(deployment, demoted, form_of(deployment, item.item_id, PASS, token))


def test_who_cannot_judge_fills_a_place_without_a_verdict(deployment: Deployment, ada: Person, ben: Person) -> None:
    item = item_in_queue(deployment, reviewers=2)
    assert answer(deployment, ada, item, None).state == OPEN
    assert answer(deployment, ben, item, FAIL).state == DONE
    verdict = standing(deployment)
    assert verdict is not None
    assert verdict.judge == "Ben"
    alone = item_in_queue(deployment, event_id="ticket-2")
    taken = answer(deployment, ada, alone, None)
    assert (taken.state, taken.review.verdict, taken.review.agrees) == (DONE, None, None)
    assert standing(deployment, "ticket-2") is None


def test_where_the_content_is_gone_all_that_can_be_said_is_that_it_cannot_be_judged(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    execute(deployment, "DELETE FROM capture")
    with pytest.raises(BadInput, match="content is here any more"):
        answer(deployment, ada, item, FAIL)
    assert answer(deployment, ada, item, None).state == DONE


def test_the_form_answers_a_version_of_the_items_rubric(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    with pytest.raises(BadInput, match="no version of support that is known here"):
        answer(deployment, ada, item, FAIL, rubric_version="f" * 16)


# blindness


def test_blind_is_only_what_was_said_before_anything_was_shown(
    deployment: Deployment, ada: Person, author: Person
) -> None:
    seen = item_in_queue(deployment, blind=False)
    assert answer(deployment, ada, seen, PASS).review.blind is False
    audited = item_in_queue(deployment, event_id="ticket-2", blind=False, stream=Stream.AUDIT)
    assert answer(deployment, ada, audited, PASS).review.blind is True
    opened = item_in_queue(deployment, event_id="ticket-3")
    reveal(deployment, author, opened.item_id)
    review = answer(deployment, author, opened, PASS).review
    assert (review.blind, review.seen_judge) == (False, True)


def test_after_an_answer_was_taken_back_the_next_is_no_longer_blind(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    first = answer(deployment, ada, item, FAIL)
    claim = undo(deployment, ada, first.review.review_id)
    again = submit(deployment, ada, form_of(deployment, item.item_id, PASS, claim.token))
    assert (again.review.kind, again.review.blind, again.review.seen_judge) == ("first_pass", False, True)


# revising


def test_a_revision_counts_in_place_of_the_first_pass_which_stays_what_agreement_counts(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    first = answer(deployment, ada, item, FAIL)
    form = form_of(deployment, item.item_id, PASS, note="I had overlooked the date.")
    revised = revise(deployment, ada, form)
    assert (revised.review.kind, revised.review.seen_judge, revised.state) == ("revised", True, DONE)
    assert revised.review.blind is True, "of the first answer"
    assert [(one.kind, one.counts, one.agrees) for one in said(deployment, item)] == [
        ("first_pass", False, False),
        ("revised", True, True),
    ]
    verdict = standing(deployment)
    assert verdict is not None
    assert verdict.verdict_id == revised.review.review_id != first.review.review_id
    assert [one.outcome for one in human_signals(deployment)] == ["failed", "success"]
    assert revise(deployment, ada, form).repeated


def test_revising_may_settle_a_disagreement_and_revised_second_opinions_fill_no_place(
    deployment: Deployment, ada: Person, ben: Person
) -> None:
    item = item_in_queue(deployment)
    answer(deployment, ada, item, PASS)
    assert answer(deployment, ben, item, FAIL, SlotKind.SECOND_OPINION).state == AWAITING
    assert revise(deployment, ben, form_of(deployment, item.item_id, PASS)).state == DONE
    two = item_in_queue(deployment, event_id="ticket-2", reviewers=2)
    answer(deployment, ada, two, PASS)
    lost = form_of(deployment, two.item_id, FAIL, claim_item(deployment, ben, two.item_id).token)
    assert second_opinion(deployment, ben, lost).state == OPEN
    assert revise(deployment, ben, form_of(deployment, two.item_id, PASS)).state == OPEN


def test_an_adjudication_that_is_revised_stays_one(
    deployment: Deployment, ada: Person, ben: Person, author: Person
) -> None:
    item = item_in_queue(deployment, reviewers=2)
    answer(deployment, ada, item, PASS)
    answer(deployment, ben, item, FAIL)
    answer(deployment, author, item, FAIL)
    assert revise(deployment, author, form_of(deployment, item.item_id, PASS)).state == DONE
    assert outcome(deployment).final_outcome == "success"


# taking back


def test_what_is_taken_back_stands_no_more_and_the_item_is_theirs_to_answer_again(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    before = outcome(deployment)
    taken = answer(deployment, ada, item, FAIL)
    claim = undo(deployment, ada, taken.review.review_id)
    assert claim.lease_until > utc_now()
    assert (state(deployment, item), standing(deployment)) == (OPEN, None)
    assert [(one.kind, one.counts) for one in said(deployment, item)] == [
        ("first_pass", False),
        ("retraction", False),
    ]
    after = outcome(deployment)
    assert (after.final_outcome, after.decided_by) == (before.final_outcome, "judge")
    assert undo(deployment, ada, taken.review.review_id) == claim, "a double press"
    again = submit(deployment, ada, form_of(deployment, item.item_id, PASS, claim.token))
    assert (again.state, outcome(deployment).reason[:18]) == (DONE, "Ada decided succes")
    with deployment.database.read() as connection:
        acts = [one.act for one in acts_of_item(connection, item.item_id)]
    assert acts == ["entered", "claimed", "reviewed", "retracted", "reviewed"]


def test_a_revision_is_taken_back_with_what_it_revised(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    answer(deployment, ada, item, FAIL)
    revised = revise(deployment, ada, form_of(deployment, item.item_id, PASS))
    undo(deployment, ada, revised.review.review_id)
    assert state(deployment, item) == OPEN
    assert not any(one.counts for one in said(deployment, item))


def test_undoing_an_adjudication_brings_the_disagreement_back(
    deployment: Deployment, ada: Person, ben: Person, author: Person
) -> None:
    item = item_in_queue(deployment, reviewers=2)
    answer(deployment, ada, item, PASS)
    answer(deployment, ben, item, FAIL)
    settled = answer(deployment, author, item, FAIL)
    claim = undo(deployment, author, settled.review.review_id)
    assert (claim.kind, state(deployment, item), standing(deployment)) == ("adjudication", AWAITING, None)


def test_nobody_takes_back_what_another_said_and_nobody_what_they_did_not_say(
    deployment: Deployment, ada: Person
) -> None:
    taken = answer(deployment, ada, item_in_queue(deployment), FAIL)
    with pytest.raises(WrongRole, match="Only who said it"):
        undo(deployment, somebody(deployment, "Root", PersonRole.ADMIN), taken.review.review_id)
    with pytest.raises(NotFound):
        undo(deployment, ada, "nothing")


# gold


def test_gold_answers_change_nothing(deployment: Deployment, ada: Person, ben: Person, author: Person) -> None:
    deployment.settings = deployment.settings.model_copy(update={"gold_share": 0.5, "audit_share": 0.0})
    gold = item_in_queue(deployment)
    answer(deployment, ada, gold, FAIL)
    with pytest.raises(WrongRole):
        mark_gold(deployment, ada, gold.item_id, True)
    mark_gold(deployment, author, gold.item_id, True)
    for number in range(2, 5):
        item_in_queue(deployment, event_id=f"ticket-{number}")
    for _ in range(4):
        claim = next_item(deployment, ben)
        assert isinstance(claim, Claim)
        taken = submit(deployment, ben, form_of(deployment, claim.item_id, PASS, claim.token))
        if claim.item_id == gold.item_id:
            break
    assert (taken.review.kind, taken.review.counts, taken.state) == ("gold", False, DONE)
    assert taken.review.blind is True
    verdict = standing(deployment)
    assert verdict is not None
    assert (verdict.judge, verdict.verdict) == ("Ada", "fail")
    with pytest.raises(Conflict, match="counts nowhere"):
        revise(deployment, ben, form_of(deployment, gold.item_id, FAIL))
    undo(deployment, ben, taken.review.review_id)
    assert state(deployment, gold) == DONE


def test_only_what_people_settled_can_be_gold(deployment: Deployment, author: Person) -> None:
    item = item_in_queue(deployment)
    with pytest.raises(Conflict, match="done, with a verdict"):
        mark_gold(deployment, author, item.item_id, True)


# time and money


def test_time_is_what_the_page_measured_and_never_more_than_passed(
    deployment: Deployment, ada: Person, ben: Person
) -> None:
    item = item_in_queue(deployment, reviewers=2)
    claim = claim_item(deployment, ada, item.item_id)
    execute(deployment, "UPDATE review_slot SET claimed_at = claimed_at - 60000000 WHERE claimed_at IS NOT NULL")
    review = submit(deployment, ada, form_of(deployment, item.item_id, PASS, claim.token, active_ms=50_000)).review
    assert review.active_ms == 50_000
    assert 60_000 <= review.elapsed_ms < 70_000
    assert review.cost_usd == Decimal("0.5")
    unpriced = answer(deployment, ben, item, PASS, active_ms=10**9).review
    assert unpriced.active_ms == unpriced.elapsed_ms < 10_000
    assert unpriced.cost_usd is None


def test_costs_are_known_where_a_rate_and_the_time_are() -> None:
    assert cost_of(3_600_000, None, Decimal(30)) == 30
    assert cost_of(3_600_000, Decimal(0), Decimal(30)) == 0
    assert cost_of(3_600_000, None, None) is None
    assert cost_of(0, Decimal(30), None) is None, "nothing was measured"


def test_agreement_is_between_two_who_say_something() -> None:
    assert (agreement_of(PASS, PASS), agreement_of(PASS, FAIL)) == (True, False)
    assert [agreement_of(*each) for each in ((UNKNOWN, UNKNOWN), (PASS, UNKNOWN), (None, PASS), (PASS, None))] == [
        None
    ] * 4


def another_attempt(deployment: Deployment, verdict: VerdictLabel = PASS) -> None:
    judged_event(deployment, verdict=verdict, run_id="second", started_at="2026-12-01T10:00:00Z")


def test_an_attempt_that_nobody_saw_is_not_judged_by_an_old_form(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment, stream=Stream.PICKED)
    form = form_of(deployment, item.item_id, FAIL, claim_item(deployment, ada, item.item_id).token)
    expire(deployment)
    another_attempt(deployment, FAIL)
    for send in (submit, second_opinion):
        with pytest.raises(
            Unseen, match="has a new attempt since you opened it: look at it, your answers are kept"
        ):
            send(deployment, ada, form)
    assert said(deployment, item) == []
    again = replace(form, shown=shown_now(deployment, item.item_id))
    assert submit(deployment, ada, again).review.run_id == "second"


def test_what_came_to_a_run_after_it_was_opened_is_to_be_looked_at_first(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    form = form_of(deployment, item.item_id, FAIL, claim_item(deployment, ada, item.item_id).token)
    judged_event(deployment, run_id=item.deciding_run_id, output="Late: it arrives on Friday.")
    with pytest.raises(Unseen, match="More content of this event has come since you opened it"):
        submit(deployment, ada, form)
    with pytest.raises(Unseen):
        submit(deployment, ada, replace(form, answers=(), verdict=None, cannot_judge="It is in Welsh."))
    assert submit(deployment, ada, replace(form, shown=shown_now(deployment, item.item_id))).state == DONE


def test_who_holds_an_item_goes_on_with_the_attempt_that_they_were_shown(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    form = form_of(deployment, item.item_id, PASS, claim_item(deployment, ada, item.item_id).token)
    another_attempt(deployment, FAIL)
    taken = submit(deployment, ada, form)
    assert (taken.review.run_id, taken.state) == (item.deciding_run_id, OPEN), "opened again for the new attempt"
    with pytest.raises(Unseen):
        revise(deployment, ada, replace(form, form_key="old tab"))


def test_a_form_says_what_was_looked_at(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    form = form_of(deployment, item.item_id, PASS, claim_item(deployment, ada, item.item_id).token, shown="")
    with pytest.raises(BadInput, match="shown: this field is required"):
        submit(deployment, ada, form)
    assert state(deployment, item) == OPEN


@pytest.mark.parametrize("kind", [SlotKind.SECOND_OPINION, SlotKind.GOLD])
def test_a_second_opinion_fills_the_place_that_its_giver_holds(
    deployment: Deployment,
    ada: Person,
    ben: Person,
    author: Person,
    kind: SlotKind,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = item_in_queue(deployment)
    answer(deployment, ben, item, PASS)
    if kind == SlotKind.GOLD:
        mark_gold(deployment, author, item.item_id, True)
        monkeypatch.setattr("evaluator.reviewing.review_desk.gold_is_due", lambda *_: True)
        assert isinstance(next_item(deployment, ada), Claim)
    else:
        claim_item(deployment, ada, item.item_id, kind=kind)
    assert second_opinion(deployment, ada, form_of(deployment, item.item_id, PASS)).state == DONE


@pytest.mark.parametrize("judges", [PASS, FAIL])
def test_what_people_saw_the_half_of_is_opened_again_where_judges_say_something_else_of_the_whole(
    deployment: Deployment, ada: Person, judges: VerdictLabel
) -> None:
    item = item_in_queue(deployment, verdict=PASS)
    answer(deployment, ada, item, FAIL, note="It breaks off.")
    judged_event(deployment, verdict=judges, run_id=item.deciding_run_id, output="It arrives on Friday, by noon.")
    assert state(deployment, item) == (DONE if judges == FAIL else OPEN)
    verdict = standing(deployment)
    assert verdict is not None
    assert verdict.verdict == FAIL, "it stands meanwhile"
    if judges == PASS:
        with deployment.database.read() as connection:
            again = find_item(connection, item.item_id)
        assert again is not None
        assert (again.round, again.reasons) == (2, ["new_attempt"])
        assert answer(deployment, ada, item, PASS).state == DONE
        judged_event(deployment, verdict=FAIL, run_id=item.deciding_run_id, customer_id="anna")
        assert state(deployment, item) == DONE, "they saw all of its content"


def test_passing_a_gold_item_on_changes_nothing_of_what_is_known_of_it(
    deployment: Deployment, ada: Person, ben: Person, author: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = item_in_queue(deployment)
    answer(deployment, ben, item, PASS)
    mark_gold(deployment, author, item.item_id, True)
    monkeypatch.setattr("evaluator.reviewing.review_desk.gold_is_due", lambda *_: True)
    held = next_item(deployment, ada)
    assert isinstance(held, Claim)
    escalate(deployment, ada, item.item_id, held.token, "Whose is it?")
    assert answer(deployment, author, item, PASS, SlotKind.SECOND_OPINION).state == DONE
    assert standing(deployment) is not None


def test_an_item_whose_run_turned_out_to_be_of_another_event_can_still_be_closed(
    deployment: Deployment, ada: Person, author: Person
) -> None:
    judged_event(deployment, run_id="moves", verdict=None)
    item = pick(deployment, author, "ticket-1", "support")
    claim = claim_item(deployment, ada, item.item_id)
    judged_event(deployment, "ticket-2", run_id="moves", verdict=None)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert (sheet.purged, sheet.runs) == (True, ())
    gone = form_of(deployment, item.item_id, None, claim.token)
    assert submit(deployment, ada, gone).state == DONE
