"""Judges settle, people review and records report, all on the same events at once: nothing waits in a ring or is lost."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Barrier

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import BadInput, Conflict, NotFound, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.outcome import FinalOutcome, OutcomeType, Signal, SignalSource
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ReviewKind, SlotKind, SlotState, item_id_of
from evaluator.model.verdict import VerdictLabel
from evaluator.pipeline import report_signal
from evaluator.reviewing.adjudication import mark_gold
from evaluator.reviewing.hand_picking import pick_all, picker_of
from evaluator.reviewing.review_desk import Claim, claim_item, escalate, next_item, release, skip
from evaluator.reviewing.review_submission import revise, second_opinion, submit
from evaluator.reviewing.review_undo import undo
from evaluator.store.review_claims import slots_of_items
from evaluator.store.reviews import reviews_of_items, reviews_of_person
from tests.accounts.people_world import somebody
from tests.reviewing.answering import form_of
from tests.reviewing.review_world import REVIEWED_RUBRIC, item_in_queue, judged_event, reviewed_rubric
from tests.reviewing.test_rebuilding import assert_follows

EVENTS = [f"ticket-{number}" for number in range(20)]
VERDICTS = [VerdictLabel.PASS, VerdictLabel.FAIL, VerdictLabel.UNKNOWN, None]
TURNS = 25


def review(deployment: Deployment, person: Person, luck: Random) -> None:
    """One thing that a reviewer or an author may do."""
    event_id = luck.choice(EVENTS)
    item_id = item_id_of(event_id, "support")
    verdict = luck.choice(VERDICTS)
    match luck.randrange(9):
        case 0 | 1 | 2:
            held = next_item(deployment, person)
            if isinstance(held, Claim):
                submit(deployment, person, form_of(deployment, held.item_id, verdict, held.token))
        case 3:
            held = claim_item(deployment, person, item_id)
            luck.choice([release, skip])(deployment, person, item_id, held.token)
        case 4:
            held = claim_item(deployment, person, item_id)
            submit(deployment, person, form_of(deployment, item_id, verdict, held.token))
        case 5:
            held = claim_item(deployment, person, item_id, kind=SlotKind.SECOND_OPINION)
            second_opinion(deployment, person, form_of(deployment, item_id, verdict))
        case 6:
            revise(deployment, person, form_of(deployment, item_id, verdict))
        case 7:
            with deployment.database.read() as connection:
                mine = reviews_of_person(connection, person.person_id, 3)
            if mine:
                undo(deployment, person, luck.choice(mine).review_id)
        case 8 if person.role == PersonRole.AUTHOR:
            mark_gold(deployment, person, item_id, luck.random() < 0.5)
        case _:
            held = claim_item(deployment, person, item_id)
            escalate(deployment, person, item_id, held.token, "Whose is it?")


def judge(deployment: Deployment, luck: Random) -> None:
    """A further attempt of an event is reported and judged."""
    started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=luck.randrange(10_000))
    judged_event(
        deployment,
        luck.choice(EVENTS),
        verdict=luck.choice(VERDICTS[:3]),
        run_id=secrets.token_hex(4),
        started_at=started.isoformat(),
    )


def report(deployment: Deployment, luck: Random) -> None:
    """A system of record speaks of an event."""
    event_id, now = luck.choice(EVENTS), utc_now()
    signal = Signal(
        signal_id=secrets.token_hex(8),
        event_id=event_id,
        source=SignalSource.SOR,
        outcome=luck.choice([FinalOutcome.SUCCESS, FinalOutcome.FAILED]),
        outcome_type=OutcomeType.CUSTOM,
        origin="crm",
        reference=secrets.token_hex(4),
        occurred_at=now,
        recorded_at=now,
        reported_by="crm",
    )
    report_signal(deployment, signal, actor="crm")


@pytest.mark.slow
def test_judges_people_and_records_at_once_end_where_one_after_the_other_would(deployment: Deployment) -> None:
    reviewed_rubric(deployment, text=REVIEWED_RUBRIC + "review: {{send: [critical_fail, unknown], reviewers: 2}}\n")
    for event_id in EVENTS:
        item_in_queue(deployment, event_id=event_id, reviewers=2)
    people = [somebody(deployment, f"Person {number}") for number in range(4)]
    people += [somebody(deployment, f"Author {number}", PersonRole.AUTHOR) for number in range(2)]

    def reviewing(person: Person) -> Callable[[Random], None]:
        return lambda luck: review(deployment, person, luck)

    def picking(luck: Random) -> None:
        pick_all(deployment, picker_of(people[-1]), luck.sample(EVENTS, 4), "support")

    def judging(luck: Random) -> None:
        judge(deployment, luck)

    def reporting(luck: Random) -> None:
        report(deployment, luck)

    work = [*map(reviewing, people), judging, judging, reporting, picking]
    begin = Barrier(len(work))

    def go(number: int) -> int:
        luck, done = Random(number), 0
        begin.wait()
        for _ in range(TURNS):
            try:
                work[number](luck)
                done += 1
            except (Conflict, WrongRole, NotFound, BadInput):  # somebody was faster, as somebody has to be
                continue
        return done

    with ThreadPoolExecutor(len(work)) as pool:
        done = list(pool.map(go, range(len(work))))
    assert min(done) > 0, "each got something done"
    assert min(done[-4:]) == TURNS, "judges, records and pickers are never refused"
    for event_id in EVENTS:
        assert_follows(deployment, event_id, "support")
    items = [item_id_of(event_id, "support") for event_id in EVENTS]
    with deployment.database.read() as connection:
        slots, reviews = slots_of_items(connection, items), reviews_of_items(connection, items)
    for item_id in items:
        taken_back = {one.retracts for one in reviews.get(item_id, [])}
        answers = [
            (one.slot_id, one.person_id)
            for one in reviews.get(item_id, [])
            if one.kind not in (ReviewKind.RETRACTION, ReviewKind.REVISED) and one.review_id not in taken_back
        ]
        filled = [(one.slot_id, one.claimed_by) for one in slots[item_id] if one.state == SlotState.DONE]
        assert sorted(answers) == sorted(filled), "a filled place is one review that was not taken back"
