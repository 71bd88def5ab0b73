"""The rubrics in rubrics/ load, and fit what the example app's runs carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluator.applicability import applicable_criteria, content_for
from evaluator.cli import run
from evaluator.judging.checks import run_check
from evaluator.model.rubric import Role, Rubric
from evaluator.model.verdict import CriterionLabel
from evaluator.rubric_format.rubric_files import read_folder
from evaluator.rubric_format.rubric_warnings import rubric_warnings
from sdk.example_app.corpus import CorpusRun, Form, read_corpus

FOLDER = read_folder(Path(__file__).parents[2] / "rubrics")
DECIDING = [one.rubric for one in FOLDER.loaded if one.rubric.role is Role.OUTCOME]
RUBRICS = {workflow: rubric for rubric in DECIDING for workflow in rubric.applies_to.workflow}
RUNS = {run.id: (RUBRICS[event.workflow], run) for event in read_corpus() for run in event.runs}


def _content(run_id: str) -> tuple[Rubric, dict[str, Any]]:
    rubric, run = RUNS[run_id]
    sides = {side: getattr(run, side) if side in run.capture else None for side in ("input", "output")}
    if run.form is Form.GEN_AI:
        sides = {side: {"messages": [{"role": "user", "content": text}]} for side, text in sides.items()}
    return rubric, content_for(rubric, {**sides, "retrieval": list(run.sources) or None})


def _whole(run: CorpusRun) -> bool:
    return run.capture == ("input", "output") and run.form is not Form.OBJECT and not (run.crashed or run.error)


def test_they_load_without_a_problem() -> None:
    assert [str(problem) for problem in FOLDER.problems] == []
    assert [
        str(one) for each in FOLDER.loaded for one in rubric_warnings(each.root, each.rubric, each.path.name)
    ] == []
    assert {one.rubric.id: str(one.rubric.role) for one in FOLDER.loaded} == {
        "extraction-accuracy": "outcome",
        "grounded-answer": "quality",
        "order-fulfillment": "outcome",
        "support-resolution": "outcome",
        "tool-use-safety": "quality",
    }


def test_their_examples_come_out_as_expected_on_the_recorded_local_judge(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = FOLDER.loaded[0].path.parent
    assert run(["rubrics", "test", str(folder), "--replay", str(folder / "cassettes"), "--strict"]) == 0
    told = capsys.readouterr().out
    assert "23 of 23 examples as expected; 14 recorded calls replayed, none made." in told


def test_each_workflow_of_the_demo_has_its_outcome_decided_by_the_servers_judge() -> None:
    assert set(RUBRICS) == {event.workflow for event in read_corpus()}
    for rubric in RUBRICS.values():
        assert [spec.model for spec in rubric.judges] == ["default"]
        assert rubric.sample.rate == 1.0


def test_they_show_different_rollup_rules() -> None:
    assert len({rubric.rollup for rubric in RUBRICS.values()}) == 3


@pytest.mark.parametrize("run_id", [run_id for run_id, (_, run) in RUNS.items() if _whole(run)])
def test_the_mapping_finds_question_and_answer_of_every_whole_run(run_id: str) -> None:
    rubric, content = _content(run_id)
    asked = next(name for name in ("question", "order", "document") if name in content)
    assert content[asked]
    assert content[next(name for name in ("reply", "fields") if name in content)]
    assert applicable_criteria(rubric, content)


@pytest.mark.parametrize("run_id", ["s10", "s11", "s24", "f13", "x14"])
def test_nothing_is_asked_where_question_or_answer_is_missing(run_id: str) -> None:
    rubric, content = _content(run_id)
    assert applicable_criteria(rubric, content) == ()


@pytest.mark.parametrize(
    ("run_id", "label"),
    [("x01", "pass"), ("x05", "fail"), ("x12", "fail"), ("f01", "pass"), ("f06a", "fail"), ("f08", "pass")],
)
def test_code_checks_answer_as_a_person_would(run_id: str, label: str) -> None:
    rubric, content = _content(run_id)
    check = next(each for each in rubric.criteria if each.check)
    assert run_check(check, content).verdict is CriterionLabel(label)


def test_every_example_answers_criteria_that_exist_with_content_that_is_mapped() -> None:
    for rubric in (one.rubric for one in FOLDER.loaded):
        assert len(rubric.examples) >= 2
        for example in rubric.examples:
            assert set(example.expect) <= {each.id for each in rubric.criteria}
            assert set(example.model_extra or {}) <= set(rubric.content)
