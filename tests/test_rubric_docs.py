"""docs/rubrics.md says what the rubric's shapes say, and its examples are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from evaluator.expressions import RUN_FACTS, expression_fault
from evaluator.model.outcome import FinalOutcome, OutcomeType
from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import (
    AppliesTo,
    Budget,
    CheckName,
    Criterion,
    Escalate,
    Example,
    JudgeSpec,
    OutcomeMapping,
    ReviewPolicy,
    Rubric,
    SampleRule,
    Thresholds,
)
from evaluator.model.verdict import VerdictLabel
from evaluator.rubric_files import RubricProblems, read_rubric

DOC = (Path(__file__).parent.parent / "docs" / "rubrics.md").read_text(encoding="utf-8")
SHAPES: tuple[type[BaseModel], ...] = (
    *(Rubric, AppliesTo, SampleRule, Criterion, Thresholds, JudgeSpec),
    *(Escalate, OutcomeMapping, ReviewPolicy, Budget, Example),
)
KEYS = [(shape, name) for shape in SHAPES for name in shape.model_fields if (shape, name) != (Rubric, "version")]


@pytest.mark.parametrize(("shape", "name"), KEYS, ids=[f"{shape.__name__}.{name}" for shape, name in KEYS])
def test_each_key_stands_in_the_reference_with_its_description(shape: type[BaseModel], name: str) -> None:
    description = shape.model_fields[name].description
    assert description
    row = rf"^\| `{name}` \| [^\n]+ \| {re.escape(description)} \|$"
    assert re.search(row, DOC, re.MULTILINE), f"docs/rubrics.md has no row for {name}: {description}"


@pytest.mark.parametrize("check", CheckName)
def test_each_check_stands_in_the_reference(check: CheckName) -> None:
    assert re.search(rf"^\| `{check}` \|", DOC, re.MULTILINE)


@pytest.mark.parametrize("rule", RollupRule)
def test_each_rollup_rule_stands_in_the_reference(rule: RollupRule) -> None:
    assert f"`{rule}`" in DOC


def test_each_fact_stands_in_the_reference() -> None:
    assert [f"| `{name}` | {meaning} |" for name, meaning in RUN_FACTS.items()] == [
        row for row in DOC.splitlines() if any(row.endswith(f"| {meaning} |") for meaning in RUN_FACTS.values())
    ]


def test_the_rubric_in_the_reference_loads() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)
    assert read_rubric(text).id == "support-resolution"


def test_the_expressions_in_the_reference_are_valid() -> None:
    rows = re.findall(r"^\| `(?:question|answer|sources|order): (.+?)` \|", DOC, re.MULTILINE)
    assert len(rows) == 6
    expressions = [row.strip('"').replace("\\|", "|") for row in rows]
    assert [expression_fault(expression, RUN_FACTS) for expression in expressions] == [None] * 6


def test_the_errors_in_the_reference_are_what_an_author_is_told() -> None:
    (told,) = re.findall(r"```text\n(.*?)```", DOC, re.DOTALL)
    text = "id: a\ntitle: T\ncriteria:\n  - {id: c, ask: Is it so?}\nrole: outcom\n"
    with pytest.raises(RubricProblems) as raised:
        read_rubric(text + "sample: {always: ['diagnostics.confidence < 0.6']}", name="rubrics/support.yaml")
    assert str(raised.value) == told.strip()


def test_what_a_verdict_means_where_the_rubric_does_not_say_is_as_the_reference_says() -> None:
    rubric = read_rubric("id: a\ntitle: T\nrole: outcome\ncriteria:\n  - {id: c, ask: Is it so?}\n")
    assert [rubric.mapping_for(verdict) for verdict in VerdictLabel] == [
        OutcomeMapping(outcome=FinalOutcome.SUCCESS, type=OutcomeType.CUSTOM),
        OutcomeMapping(outcome=FinalOutcome.PARTIAL, type=OutcomeType.CUSTOM),
        OutcomeMapping(outcome=FinalOutcome.FAILED, type=OutcomeType.UNSUCCESSFUL),
        None,
    ]
