"""A form's answers under the rubric, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.errors import BadInput
from evaluator.model.rubric import Criterion, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.reviewing.review_form import LONGEST_NOTE, Answer, Answered, ReviewForm, allowed_values, read_answers
from evaluator.scoring import score

RUBRIC = Rubric(
    id="support",
    title="Solved?",
    criteria=(
        Criterion(id="solves", ask="Does it solve it?", critical=True, weight=3),
        Criterion(id="tone", ask="How kind?", scale={1: "rude", 2: "cold", 3: "kind"}, pass_at=3),
        Criterion(id="has-link", check="contains_url"),
    ),
    version="v1",
)
BY_CODE = {"has-link": CriterionVerdict(id="has-link", verdict=CriterionLabel.PASS, decided_by="check")}


def form(**changes: Any) -> ReviewForm:
    answers = (Answer("solves", "pass"), Answer("tone", "3"))
    return replace(ReviewForm("item", "token", "key", "v1", answers), **changes)


def read(**changes: Any) -> Answered:
    return read_answers(RUBRIC, form(**changes), by_code=BY_CODE)


def test_answers_come_in_the_rubrics_order_with_who_decided_each() -> None:
    said = read(answers=(Answer("tone", "2"), Answer("solves", "pass")))
    assert [(one.id, one.verdict, one.level, one.decided_by) for one in said.criteria] == [
        ("solves", "pass", None, "person"),
        ("tone", "fail", 2, "person"),
        ("has-link", "pass", None, "check"),
    ]
    assert (said.proposed, said.verdict, said.score) == ("pass", "pass", 0.8)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"answers": ()}, "solves is not answered: it takes pass, fail, unknown or not_applicable; tone is not"),
        ({"answers": (Answer("solves", "pass"), Answer("tone", "4"))}, "tone takes 1, 2, 3, unknown or not_applic"),
        (
            {"answers": (*form().answers, Answer("colour", "pass"))},
            "no criterion 'colour'; asked are: solves, tone",
        ),
        ({"answers": (*form().answers, Answer("has-link", "pass"))}, "has-link is answered by code"),
        ({"answers": (*form().answers, Answer("tone", "1"))}, "tone is answered twice"),
        ({"verdict": VerdictLabel.FAIL}, "come to pass; the verdict is fail and says nothing of why"),
        ({"note": "x" * (LONGEST_NOTE + 1)}, "at most 4,000"),
        ({"cannot_judge": "Welsh"}, "came with answers or a verdict"),
        ({"cannot_judge": " ", "answers": ()}, "Say why it cannot be judged"),
        ({"form_key": ""}, "form_key takes 1 to 100"),
        ({"form_key": "a\x00b"}, "form_key takes 1 to 100"),
    ],
)
def test_what_cannot_be_taken_is_told_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=r".*") as refused:
        read(**changes)
    assert told in str(refused.value)


def test_a_verdict_of_ones_own_needs_a_note_and_what_no_store_takes_is_left_out_of_it() -> None:
    said = read(verdict=VerdictLabel.FAIL, note="  It\x00 promises\ud800 too much. ")
    assert (said.verdict, said.proposed, said.note) == ("fail", "pass", "It promises too much.")


def test_who_cannot_judge_says_nothing_else() -> None:
    said = read(answers=(), cannot_judge=" It is in Welsh. ")
    assert said == Answered((), None, None, None, "", "It is in Welsh.")


def test_what_code_answered_need_not_and_what_it_left_out_is_not_asked() -> None:
    left_out = CriterionVerdict(id="tone", verdict=CriterionLabel.NOT_APPLICABLE, decided_by="check")
    said = read_answers(RUBRIC, form(answers=(Answer("solves", "fail"),)), by_code={**BY_CODE, "tone": left_out})
    assert (said.verdict, said.criteria[1].verdict) == ("fail", "not_applicable")


@given(st.data())
def test_every_allowed_answer_is_taken_and_scored_as_a_judges_would_be(data: st.DataObject) -> None:
    chosen = tuple(
        Answer(each.id, data.draw(st.sampled_from(allowed_values(each)))) for each in RUBRIC.criteria if each.ask
    )
    said = read(answers=chosen)
    assert said.proposed == said.verdict == score(RUBRIC.criteria, said.criteria, RUBRIC.verdict).verdict
    assert [one.decided_by for one in said.criteria] == ["person", "person", "check"]
