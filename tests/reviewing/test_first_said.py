"""Agreement with judges counts what people said first; backtests rest on what they say as it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event

from evaluator.authoring.backtest_choice import choose
from evaluator.authoring.human_labels import LabelFile
from evaluator.authoring.rubric_history import history_of
from evaluator.deployment import Deployment
from evaluator.model.person import Person
from evaluator.model.review import ReviewItem, SlotKind
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.review_submission import revise, submit
from evaluator.reviewing.review_undo import undo
from evaluator.store.rubric_figures import human_verdicts
from evaluator.store.rubric_versions import human_verdicts_of
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer, form_of
from tests.reviewing.review_world import item_in_queue, judged_event, reviewed_rubric

PASS, FAIL = VerdictLabel.PASS, VerdictLabel.FAIL


def revised(deployment: Deployment, ada: Person, item: ReviewItem) -> None:
    answer(deployment, ada, item, FAIL)
    revise(deployment, ada, form_of(deployment, item.item_id, PASS))


def taken_back(deployment: Deployment, ada: Person, item: ReviewItem) -> None:
    undo(deployment, ada, answer(deployment, ada, item, FAIL).review.review_id)


def answered_anew(deployment: Deployment, ada: Person, item: ReviewItem) -> None:
    claim = undo(deployment, ada, answer(deployment, ada, item, FAIL).review.review_id)
    submit(deployment, ada, form_of(deployment, item.item_id, PASS, claim.token))


def second(deployment: Deployment, ada: Person, item: ReviewItem) -> None:
    answer(deployment, somebody(deployment, "Ben"), item, FAIL)
    answer(deployment, ada, item, PASS, SlotKind.SECOND_OPINION)


def unable(deployment: Deployment, ada: Person, item: ReviewItem) -> None:
    answer(deployment, ada, item, None)


@pytest.mark.parametrize(
    ("act", "first", "stands"),
    [
        (revised, ["fail"], "pass"),
        (taken_back, [], None),
        (answered_anew, [], "pass"),
        (second, ["fail", "pass"], None),
        (unable, [], None),
    ],
)
def test_each_reader_reads_what_is_meant_for_it(
    deployment: Deployment,
    act: Callable[[Deployment, Person, ReviewItem], None],
    first: list[str],
    stands: str | None,
) -> None:
    item = item_in_queue(deployment)
    run_id = item.deciding_run_id or ""
    act(deployment, somebody(deployment), item)
    with deployment.database.read() as connection:
        assert [one.verdict for one in human_verdicts_of(connection, "support")] == first
        found = human_verdicts(connection, "support", [run_id])
    assert [one.verdict for one in found.values()] == first[-1:]
    [line] = history_of("support", deployment)
    agreed = None if not first else int(first[-1] == PASS)
    assert (line.agreement.value if line.agreement else None) == agreed
    chosen = choose(deployment, [reviewed_rubric(deployment)], LabelFile(), last=5)
    labels = {name: label.verdict for name, label in chosen.labels.by_item.items()}
    assert labels == ({("run", run_id): stands, ("event", "ticket-1"): stands} if stands else {})


def test_judging_asks_once_for_what_people_said_and_not_at_all_for_items_nothing_asked_for(
    deployment: Deployment,
) -> None:
    reviewed_rubric(deployment)
    asked: list[str] = []
    event.listen(
        deployment.database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: asked.append(statement),
    )
    for number in range(3):
        judged_event(deployment, f"ticket-{number}", verdict=None)
    asked.clear()
    judged_event(deployment, "ticket-9", verdict=PASS)
    assert len([one for one in asked if "review_item" in one or "review_slot" in one]) == 0
    assert len([one for one in asked if "JOIN review " in one]) == 1
