"""What one person may see of one item: criteria, attempts, modes, and what is there after the first pass."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.columns import utc_now
from evaluator.model.outcome import FinalOutcome, Signal, SignalSource
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, ReviewKind, SlotKind, Stream
from evaluator.model.verdict import CriterionLabel, VerdictLabel
from evaluator.reviewing.review_sheet import Mode, Option, ReviewSheet
from evaluator.reviewing.sheet_reading import sheet_of
from evaluator.settlement import resolve_events
from evaluator.store import outcomes, runs
from evaluator.store.reviews import append_review
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer
from tests.reviewing.planted import (
    JUDGE_MARKS,
    MODEL,
    OTHER_NAME,
    PEOPLE_MARKS,
    SCORE,
    hold,
    planted_item,
    put_state,
    review_of,
)
from tests.reviewing.review_world import REVIEWED_RUBRIC, item_in_queue, judged_event, reviewed_rubric
from tests.world import add_rubric


@pytest.fixture
def ada(deployment: Deployment) -> Person:
    return somebody(deployment, "Ada")


@pytest.fixture
def author(deployment: Deployment) -> Person:
    return somebody(deployment, "Ruth", PersonRole.AUTHOR)


def answered(deployment: Deployment, item: ReviewItem, person: Person, **changes: Any) -> None:
    review = review_of(item, person, review_id=f"of-{person.name}", form_key=f"f-{person.name}", **changes)
    deployment.database.transact(lambda connection: append_review(connection, review))


def test_criteria_stand_as_the_judge_read_them_with_options_in_scale_order(
    deployment: Deployment, ada: Person
) -> None:
    sheet = sheet_of(deployment, ada, item_in_queue(deployment).item_id)
    solves, tone, link = sheet.criteria
    assert solves.question == 'Does the answer fix the problem the "question" states?'
    assert [option.value for option in solves.options] == list(Option)
    assert solves.critical
    assert [(option.value, option.word, option.hue) for option in tone.options[:5]] == [
        ("1", "rude", "fail"),
        ("2", "cold", "fail"),
        ("3", "neutral", "fail"),
        ("4", "kind", "pass"),
        ("5", "warm and precise", "pass"),
    ]
    assert [option.value for option in tone.options[5:]] == [Option.UNKNOWN, Option.NOT_APPLICABLE]
    assert (link.check, link.by_code, link.options) == ("contains_url", CriterionLabel.PASS, ())


def test_what_does_not_apply_to_the_content_is_not_asked(deployment: Deployment, ada: Person) -> None:
    text = REVIEWED_RUBRIC.replace(
        "pass_at: 4\n", "pass_at: 4\n    not_applicable_when: contains(answer, 'Friday')\n"
    )
    reviewed_rubric(deployment, text=text)
    _, tone, _ = sheet_of(deployment, ada, item_in_queue(deployment).item_id).criteria
    assert (tone.not_applicable, tone.options) == (True, ())


def test_the_deciding_run_comes_first_and_then_the_newest(deployment: Deployment, ada: Person) -> None:
    start = utc_now()
    for number in (1, 2, 3):
        at = (start + timedelta(minutes=number)).isoformat()
        judged_event(deployment, "ticket-1", run_id=f"run-{number}", started_at=at, output=f"Answer {number}")
    item = item_in_queue(deployment, deciding_run_id="run-2")
    sheet = sheet_of(deployment, ada, item.item_id)
    assert [(one.run.run_id, one.number, one.decides) for one in sheet.runs] == [
        ("run-2", 2, True),
        ("run-3", 3, False),
        ("run-1", 1, False),
    ]
    assert [(part.name, part.value) for part in sheet.runs[0].shown] == [
        ("question", "Where is my order?"),
        ("answer", "Answer 2"),
    ]
    assert sheet.attempts == 3


def test_an_item_whose_content_is_gone_can_only_be_said_not_to_be_judged(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment, run={"run_id": "run-1"})

    def forget(connection: Any) -> None:
        connection.execute(runs._capture.delete())

    deployment.database.transact(forget)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert sheet.purged
    assert sheet.runs[0].capture is None
    assert sheet.runs[0].shown == ()


def test_the_version_in_force_is_answered_and_the_judged_one_named(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    add_rubric(deployment.settings.rubrics_dir, text=REVIEWED_RUBRIC.replace("weight: 3", "weight: 2"))
    deployment.shelf = type(deployment.shelf)(deployment.shelf.folder)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert sheet.rubric.version == deployment.shelf.rubrics[0].version
    assert sheet.judged_version == item.rubric_version
    answered(deployment, item, ada)
    assert sheet_of(deployment, ada, item.item_id).rubric.version == item.rubric_version


def test_a_rubric_without_a_file_is_answered_in_the_version_that_judged(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    (deployment.settings.rubrics_dir / "support.yaml").unlink()
    deployment.shelf = type(deployment.shelf)(deployment.shelf.folder)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert (sheet.rubric.version, sheet.judged_version) == (item.rubric_version, "")


def test_what_is_hidden_is_not_in_the_sheet_and_all_of_it_is_after_the_first_pass(
    deployment: Deployment, ada: Person
) -> None:
    item = planted_item(deployment)
    before = sheet_of(deployment, ada, item.item_id)
    assert (before.hidden, before.reveal, before.outcome) == (True, None, None)
    assert [(chip.reason, chip.word) for chip in before.chips] == [("policy", "sent by policy")]
    assert (before.item.stream, before.item.probability, before.item.note) == (Stream.TARGETED, None, "")
    answered(deployment, item, ada)
    after = sheet_of(deployment, ada, item.item_id)
    assert (after.mode, after.hidden) == (Mode.REVEALED, False)
    assert after.mine is not None
    assert after.reveal is not None
    assert (after.reveal.verdict, after.reveal.score) == (VerdictLabel.FAIL, SCORE)
    assert [one.judge for one in after.reveal.judges] == [MODEL]
    assert {one.reviewer for one in after.reveal.reviews} == {"Ada", OTHER_NAME}
    told = repr(after.reveal)
    assert all(mark in told for mark in (*JUDGE_MARKS, *PEOPLE_MARKS))


def test_an_item_that_is_not_blind_hides_nothing(deployment: Deployment, ada: Person) -> None:
    item = planted_item(deployment, stream=Stream.TARGETED, blind=False)
    assert not sheet_of(deployment, ada, item.item_id).hidden


def test_audits_are_blind_whatever_the_item_says(deployment: Deployment, ada: Person) -> None:
    item = planted_item(deployment, blind=False)
    assert sheet_of(deployment, ada, item.item_id).hidden


def test_a_review_of_an_earlier_round_reveals_nothing_of_this_one(deployment: Deployment, ada: Person) -> None:
    item = planted_item(deployment)
    answered(deployment, item, ada)
    again = put_state(deployment, item, ItemState.OPEN, round=2)
    assert sheet_of(deployment, ada, again.item_id).hidden


def test_what_was_revealed_stays_so_after_the_review_is_taken_back(deployment: Deployment, ada: Person) -> None:
    item = planted_item(deployment)
    answered(deployment, item, ada, counts=False)
    retraction = review_of(
        item, ada, review_id="back", form_key="back", kind=ReviewKind.RETRACTION, retracts="of-Ada", verdict=None
    )
    deployment.database.transact(lambda connection: append_review(connection, retraction))
    sheet = sheet_of(deployment, ada, item.item_id)
    assert (sheet.hidden, sheet.mine, sheet.mode) == (False, None, Mode.FREE)


def mode_of(deployment: Deployment, person: Person, item: ReviewItem) -> tuple[Mode, bool]:
    sheet = sheet_of(deployment, person, item.item_id)
    return sheet.mode, sheet.hidden


def test_modes_follow_from_who_holds_the_item(deployment: Deployment, ada: Person) -> None:
    ben = somebody(deployment, "Ben")
    viewer = somebody(deployment, "Vic", PersonRole.VIEWER)
    item = planted_item(deployment, reviewers=1)
    assert mode_of(deployment, ada, item) == (Mode.FREE, True)
    held = hold(deployment, item, ada)
    assert mode_of(deployment, ada, item) == (Mode.ANSWER, True)
    assert mode_of(deployment, ben, item) == (Mode.HELD, True)
    assert mode_of(deployment, viewer, item) == (Mode.READ, True)
    mine, theirs = (sheet_of(deployment, one, item.item_id).holding for one in (ada, ben))
    assert mine is not None
    assert theirs is not None
    assert (mine.name, mine.is_mine, mine.token) == ("Ada", True, held.token)
    assert (theirs.name, theirs.is_mine, theirs.token) == ("Ada", False, "")


def test_a_claim_whose_lease_ran_out_holds_nobody_up(deployment: Deployment, ada: Person) -> None:
    item = planted_item(deployment, reviewers=1)
    hold(deployment, item, somebody(deployment, "Ben"), minutes=-1)
    assert mode_of(deployment, ada, item) == (Mode.FREE, True)


@pytest.mark.parametrize("state", [ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION])
def test_authors_settle_with_everything_before_them(
    deployment: Deployment, ada: Person, author: Person, state: ItemState
) -> None:
    item = put_state(deployment, planted_item(deployment), state)
    assert mode_of(deployment, author, item) == (Mode.FREE, False)
    assert mode_of(deployment, ada, item) == (Mode.READ, True)
    assert sheet_of(deployment, ada, item.item_id).item.state == ItemState.ESCALATED
    hold(deployment, item, author, SlotKind.ADJUDICATION)
    assert mode_of(deployment, author, item) == (Mode.ADJUDICATE, False)


def test_a_gold_item_looks_like_any_other_until_it_is_answered(deployment: Deployment, ada: Person) -> None:
    item = put_state(
        deployment, planted_item(deployment, blind=False), ItemState.DONE, gold=True, settled_at=utc_now()
    )
    hold(deployment, item, ada, SlotKind.GOLD)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert (sheet.mode, sheet.hidden) == (Mode.ANSWER, True)
    assert sheet.holding is not None
    assert (sheet.holding.kind, sheet.holding.slot_id) == (SlotKind.REVIEW, "")
    assert (sheet.item.gold, sheet.item.state, sheet.item.settled_at) == (False, ItemState.OPEN, None)


def test_that_a_system_of_record_decided_is_told_and_what_it_decided_only_after_the_answer(
    deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    assert sheet_of(deployment, ada, item.item_id).outcome is None

    def report(connection: Any) -> None:
        signal = Signal(
            signal_id="s1", event_id=item.event_id, source=SignalSource.SOR, outcome=FinalOutcome.SUCCESS
        )
        outcomes.append_signals(connection, [signal])
        known = outcomes.signals_of_events(connection, [item.event_id])
        resolve_events(connection, {item.event_id: "Support"}, known, utc_now())

    deployment.database.transact(report)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert (sheet.decided_by_record, sheet.outcome) == (True, None)
    answer(deployment, ada, item, VerdictLabel.FAIL)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert sheet.outcome is not None
    assert sheet.outcome.final_outcome == FinalOutcome.SUCCESS


def test_an_unknown_item_is_not_found(deployment: Deployment, ada: Person) -> None:
    with pytest.raises(NotFound, match="No review item 'nobody'"):
        sheet_of(deployment, ada, "nobody")


def test_each_sheet_has_a_form_key_of_its_own(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    one, other = (sheet_of(deployment, ada, item.item_id) for _ in range(2))
    assert isinstance(one, ReviewSheet)
    assert one.form_key != other.form_key
