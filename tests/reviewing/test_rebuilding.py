"""Signals, outcomes and what stands follow from rollups and reviews alone, whatever order these came in."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.errors import Conflict, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.outcome import Signal
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import SlotKind, Stream, item_id_of
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.counted_reviews import item_says
from evaluator.reviewing.item_settlement import is_escalated, settle_item
from evaluator.reviewing.review_desk import claim_item, escalate
from evaluator.reviewing.review_ground import hold, last_said
from evaluator.reviewing.review_submission import revise, submit
from evaluator.reviewing.review_undo import undo
from evaluator.settlement import hear_people, resolve_events
from evaluator.store import outcomes, runs
from evaluator.store.database import Connection
from evaluator.store.reviews import reviews_of_item, standing_verdicts
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer, form_of
from tests.reviewing.review_world import (
    REVIEWED_RUBRIC,
    item_in_queue,
    judge_all_as,
    judged_event,
    reviewed_rubric,
)
from tests.world import add_rubric

PASS, FAIL, UNKNOWN = VerdictLabel.PASS, VerdictLabel.FAIL, VerdictLabel.UNKNOWN
ANYTHING = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def standing_words(signals: list[Signal]) -> dict[tuple[str, str], tuple[str, str]]:
    """(source, origin) → what it last said, and by whom; pending ones aside."""
    last = {(one.source, one.origin): one for one in sorted(signals, key=lambda one: one.occurred_at)}
    return {key: (one.outcome, one.reported_by) for key, one in sorted(last.items()) if one.outcome != "pending"}


def told(deployment: Deployment, event_id: str) -> dict[str, Any]:
    """All that is derived of an event, times and ids aside."""
    with deployment.database.read() as connection:
        outcome = outcomes.current_outcomes(connection, [event_id]).get(event_id)
        signals = outcomes.signals_of_events(connection, [event_id])[event_id]
    final = (outcome.final_outcome, outcome.decided_by, outcome.outcome_type) if outcome else None
    return {"outcome": final, "signals": standing_words(signals)}


def derive_again(deployment: Deployment, event_id: str) -> None:
    """Forget what judges and people signalled and the event's outcomes, and make them of its rollups and reviews."""

    def act(connection: Connection) -> None:
        workflows = runs.lock_events(connection, [event_id])
        connection.exec_driver_sql(f"DELETE FROM signal WHERE source <> 'sor' AND event_id = '{event_id}'")
        connection.exec_driver_sql(f"DELETE FROM outcome WHERE event_id = '{event_id}'")
        hear_people(connection, workflows, {}, utc_now())
        resolve_events(connection, workflows, outcomes.signals_of_events(connection, [event_id]), utc_now())

    deployment.database.transact(act)


def assert_follows(deployment: Deployment, event_id: str, *rubrics: str) -> None:
    """What is stored is what follows from rollups and reviews."""
    for rubric in rubrics:
        _assert_item_follows(deployment, item_id_of(event_id, rubric))
    before = told(deployment, event_id)
    derive_again(deployment, event_id)
    after = told(deployment, event_id)
    assert after["signals"] == before["signals"]
    assert after["outcome"] == before["outcome"] or (after["outcome"] is None and before["outcome"][1] == "none")


def _assert_item_follows(deployment: Deployment, item_id: str) -> None:
    def act(connection: Connection) -> None:
        ground = hold(connection, item_id)
        item = ground.item
        says = item_says(item, ground.reviews, escalated=is_escalated(item, ground.acts))
        standing = standing_verdicts(connection, [item.event_id]).get((item.event_id, item.rubric_id))
        assert item.state == says.state
        assert {one.review_id for one in ground.reviews if one.counts} == says.counting
        assert (standing.verdict_id if standing else None) == says.standing
        signals = outcomes.signals_of_events(connection, [item.event_id])
        assert settle_item(connection, item, ground.workflow, ground.acts, {}, utc_now()) == item.state
        assert outcomes.signals_of_events(connection, [item.event_id]) == signals, "nothing is said twice"

    deployment.database.transact(act)


@pytest.fixture
def people(deployment: Deployment) -> list[Person]:
    reviewed_rubric(deployment, text=REVIEWED_RUBRIC + "review: {{send: [critical_fail, unknown]}}\n")
    return [
        somebody(deployment, "Ada"),
        somebody(deployment, "Ben"),
        somebody(deployment, "Cleo", PersonRole.AUTHOR),
    ]


acts = st.lists(
    st.tuples(
        st.sampled_from(["judge", "answer", "answer", "second", "revise", "undo", "escalate"]),
        st.integers(0, 2),
        st.sampled_from([PASS, FAIL, UNKNOWN, None]),
    ),
    min_size=3,
    max_size=9,
)


@ANYTHING
@given(acts, st.integers(1, 2))
def test_whatever_judges_and_people_do_one_after_the_other(
    deployment: Deployment,
    people: list[Person],
    acts: list[tuple[str, int, VerdictLabel | None]],
    reviewers: int,
) -> None:
    event_id = f"ticket-{secrets.token_hex(4)}"
    item_in_queue(deployment, event_id=event_id, reviewers=reviewers)
    for name, number, verdict in acts:
        try:
            _do(deployment, event_id, name, people[number], verdict)
        except (Conflict, WrongRole):  # not possible where the item is by now, which is as it should be
            continue
        _assert_item_follows(deployment, item_id_of(event_id, "support"))
    assert_follows(deployment, event_id, "support")


def _do(deployment: Deployment, event_id: str, name: str, person: Person, verdict: VerdictLabel | None) -> None:
    item_id = item_id_of(event_id, "support")
    match name:
        case "judge":
            judged_event(deployment, event_id, verdict=verdict or PASS)
        case "answer" | "second":
            kind = SlotKind.SECOND_OPINION if name == "second" else None
            claim = claim_item(deployment, person, item_id, kind=kind)
            submit(deployment, person, form_of(deployment, item_id, verdict, claim.token))
        case "revise":
            revise(deployment, person, form_of(deployment, item_id, verdict))
        case "escalate":
            escalate(deployment, person, item_id, claim_item(deployment, person, item_id).token, "Who knows?")
        case "undo":
            with deployment.database.read() as connection:
                theirs = [one for one in reviews_of_item(connection, item_id) if one.person_id == person.person_id]
            last = last_said(theirs)
            if last is not None:
                undo(deployment, person, last.review_id)


def judge_rubric(deployment: Deployment, rubric: str, verdict: VerdictLabel) -> None:
    """Settle what is due under one rubric, and hand the rest back."""
    with deployment.database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE judgement SET due_at = due_at + 3600000000 WHERE rubric_id <> '{rubric}' AND state = 'due'"
        )
    judge_all_as(deployment, verdict)
    with deployment.database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE judgement SET due_at = due_at - 3600000000 WHERE rubric_id <> '{rubric}' AND state = 'due'"
        )


@pytest.mark.parametrize("rule", ["worst", "best"])
@ANYTHING
@given(
    st.permutations(["judge links", "judge thanks", "review links", "review thanks"]),
    st.lists(st.sampled_from([PASS, FAIL]), min_size=4, max_size=4),
)
def test_combined_rubrics_come_to_the_same_whoever_spoke_first(
    deployment: Deployment, rule: str, order: list[str], verdicts: list[VerdictLabel]
) -> None:
    said = dict(zip(["judge links", "judge thanks", "review links", "review thanks"], verdicts, strict=True))
    for rubric in ("links", "thanks"):
        text = REVIEWED_RUBRIC + f"combine: {rule}\n"
        add_rubric(deployment.settings.rubrics_dir, rubric_id=rubric, text=text)
    deployment.shelf = type(deployment.shelf)(deployment.shelf.folder)
    found = [_after(deployment, said, some) for some in (list(said), order)]
    assert found[0] == found[1]
    words = {each for name, each in said.items() if name.startswith("review")}
    assert found[0]["outcome"][1] == "human"
    failed = FAIL in words if rule == "worst" else PASS not in words
    assert found[0]["outcome"][0] == ("failed" if failed else "success")


def _after(deployment: Deployment, said: dict[str, VerdictLabel], order: list[str]) -> dict[str, Any]:
    event_id = f"ticket-{secrets.token_hex(4)}"
    for rubric in ("links", "thanks"):
        item_in_queue(deployment, event_id=event_id, rubric=rubric, verdict=None, stream=Stream.PICKED)
    ada = somebody(deployment, "Ada")
    for step in order:
        who, rubric = step.split()
        if who == "judge":
            judge_rubric(deployment, rubric, said[step])
            continue
        with deployment.database.read() as connection:
            item = hold(connection, item_id_of(event_id, rubric)).item
        version = reviewed_rubric(deployment, rubric).version
        answer(deployment, ada, item, said[step], rubric_version=version)
    assert_follows(deployment, event_id, "links", "thanks")
    return told(deployment, event_id)
