"""People's verdicts as CSV and JSON lines: every review, all that a statistic needs, nothing a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import PersonRole
from evaluator.model.review import Review, ReviewKind, Stream
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.reviewing.review_export import COLUMNS, ExportFilter, audited_lines, cell, csv_lines, json_lines
from evaluator.store.api_keys import audit_trail
from evaluator.store.reviews import append_review
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer
from tests.reviewing.planted import review_of
from tests.reviewing.review_world import item_in_queue

ANSWERS = [
    CriterionVerdict(id="solves", verdict=CriterionLabel.FAIL, decided_by="person"),
    CriterionVerdict(id="tone", verdict=CriterionLabel.PASS, level=4, decided_by="person"),
]


def keep(deployment: Deployment, *reviews: Review) -> None:
    for one in reviews:
        deployment.database.transact(lambda connection, one=one: append_review(connection, one))  # type: ignore[misc]


def reviews_of_two_rubrics(deployment: Deployment) -> None:
    """Ada's first pass of an audit, revised and the revision taken back; Ben's of another rubric and workflow."""
    ada, ben = somebody(deployment, "Ada"), somebody(deployment, "Ben")
    one = item_in_queue(deployment, stream=Stream.AUDIT)
    other = item_in_queue(deployment, event_id="return-1", rubric="returns", run={"workflow": "Returns"})
    start = utc_now() - timedelta(hours=1)
    first = review_of(
        one,
        ada,
        review_id="a1",
        form_key="a1",
        note="=HYPERLINK(1)",
        probability=0.05,
        criteria=[each.model_dump(mode="json") for each in ANSWERS],
        cost_usd=Decimal("0.25"),
        counts=False,
        created_at=start,
    )
    revised = first.model_copy(
        update={
            "review_id": "a2",
            "form_key": "a2",
            "kind": ReviewKind.REVISED,
            "created_at": start + timedelta(minutes=1),
        }
    )
    back = first.model_copy(
        update={
            "review_id": "a3",
            "form_key": "a3",
            "kind": ReviewKind.RETRACTION,
            "retracts": "a2",
            "verdict": None,
            "created_at": start + timedelta(minutes=2),
        }
    )
    bens = review_of(other, ben, review_id="b1", form_key="b1", created_at=start + timedelta(minutes=3))
    keep(deployment, first, revised, back, bens)


def told(deployment: Deployment, **wanted: Any) -> list[dict[str, Any]]:
    lines = b"".join(json_lines(deployment, ExportFilter(**wanted))).splitlines()
    return [json.loads(line) for line in lines]


def test_every_review_is_told_with_whether_it_was_taken_back(deployment: Deployment) -> None:
    reviews_of_two_rubrics(deployment)
    records = told(deployment)
    assert [(one["review_id"], one["kind"], one["retracted"]) for one in records] == [
        ("a1", "first_pass", False),
        ("a2", "revised", True),
        ("b1", "first_pass", False),
    ]
    assert all(tuple(one) == COLUMNS for one in records)
    first = records[0]
    assert (first["stream"], first["probability"], first["cost_usd"]) == ("audit", 0.05, "0.25")
    assert (first["judge_verdict"], first["agrees"], first["workflow"]) == ("fail", False, "Support")
    assert first["criteria"][1] == {"id": "tone", "verdict": "pass", "level": 4.0, "decided_by": "person"}


def test_filters_restrict(deployment: Deployment) -> None:
    reviews_of_two_rubrics(deployment)
    middle = utc_now() - timedelta(hours=1) + timedelta(seconds=90)
    assert [one["review_id"] for one in told(deployment, rubric_id="returns")] == ["b1"]
    assert [one["review_id"] for one in told(deployment, workflow="Support")] == ["a1", "a2"]
    assert [one["review_id"] for one in told(deployment, since=middle)] == ["b1"]
    assert [one["review_id"] for one in told(deployment, until=middle)] == ["a1", "a2"]


def test_the_csv_says_the_same_in_columns(deployment: Deployment) -> None:
    reviews_of_two_rubrics(deployment)
    text = b"".join(csv_lines(deployment, ExportFilter())).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    assert [row["review_id"] for row in rows] == ["a1", "a2", "b1"]
    assert rows[0]["criteria"] == "solves=fail; tone=4"
    assert (rows[0]["note"], rows[0]["blind"], rows[0]["cannot_judge"]) == ("'=HYPERLINK(1)", "true", "")


def test_without_reviews_there_is_a_head_and_nothing_else(deployment: Deployment) -> None:
    assert b"".join(csv_lines(deployment, ExportFilter())).decode().strip() == ",".join(COLUMNS)
    assert b"".join(json_lines(deployment, ExportFilter())) == b""


def test_more_reviews_than_one_piece_are_all_told_once(deployment: Deployment) -> None:
    item = item_in_queue(deployment)
    ada = somebody(deployment)
    many = [review_of(item, ada, review_id=f"m{n:04}", form_key=f"m{n:04}") for n in range(1203)]

    def act(connection: Any) -> None:
        for one in many:
            append_review(connection, one)

    deployment.database.transact(act)
    assert sorted(one["review_id"] for one in told(deployment)) == [one.review_id for one in many]


@given(st.text(min_size=1, max_size=20))
def test_no_text_begins_as_a_formula_does(text: str) -> None:
    assert not cell(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell(text).removeprefix("'") in (text, text.removeprefix("'"))


@pytest.mark.parametrize(("value", "told"), [(None, ""), (True, "true"), (0.05, "0.05"), (0, "0")])
def test_values_are_told_plainly(value: object, told: str) -> None:
    assert cell(value) == told


def test_a_person_s_export_leaves_out_what_they_may_still_answer_blind(deployment: Deployment) -> None:
    bob, eve = somebody(deployment, "Bob"), somebody(deployment, "Eve", PersonRole.AUTHOR)
    wanting = item_in_queue(deployment, event_id="wanting", reviewers=3)
    settled = item_in_queue(deployment, event_id="settled")
    open_eyed = item_in_queue(deployment, event_id="open-eyed", reviewers=3, blind=False)
    for item in (wanting, settled, open_eyed):
        answer(deployment, bob, item, VerdictLabel.PASS)
    assert {one["event_id"] for one in told(deployment, reader=eve.person_id)} == {"settled", "open-eyed"}
    assert {one["event_id"] for one in told(deployment)} == {"wanting", "settled", "open-eyed"}
    answer(deployment, eve, wanting, VerdictLabel.FAIL)
    assert len(told(deployment, reader=eve.person_id)) == 4


def test_who_exports_stands_in_the_audit_log(deployment: Deployment) -> None:
    lines = audited_lines(deployment, ExportFilter(rubric_id="support"), "csv", actor="eve@example.com")
    assert b"".join(lines).startswith(b"review_id,")
    with deployment.database.read() as connection:
        (entry,) = audit_trail(connection, limit=1)
    assert (entry.actor, entry.act) == ("eve@example.com", "export_reviews")
    assert entry.detail == {"format": "csv", "rubric": "support"}
