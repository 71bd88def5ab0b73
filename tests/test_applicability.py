"""A rubric applies to the runs its author meant, whatever a run holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.applicability import always_rule_matched, applicable_criteria, applies, content_for, run_facts
from evaluator.model.capture import Capture, Fidelity, Passage
from evaluator.model.rubric import Rubric
from evaluator.model.run import ExecutionStatus, Run
from evaluator.rubric_format.expressions import RUN_FACTS, evaluate, is_true
from evaluator.rubric_format.rubric_files import read_rubric

MESSAGES = {"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Where is my refund?"}]}


def a_run(**changed: Any) -> Run:
    known: dict[str, Any] = {
        "run_id": "r-1",
        "event_id": "ticket-1",
        "workflow": "Support",
        "execution_status": ExecutionStatus.SUCCESS,
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "diagnostics": {"confidence": 0.4},
        "models": ["gpt-4.1-mini"],
        "cost_total_usd": Decimal("0.0125"),
        "fidelity": Fidelity.FULL,
    }
    return Run(**{**known, **changed})


def facts_of(capture: Capture | None = None, **changed: Any) -> dict[str, Any]:
    whole = Capture(
        input=Passage(value=MESSAGES), output=Passage(value="Tomorrow."), retrieval=Passage(value=["FAQ"])
    )
    return run_facts(a_run(**changed), capture or whole)


def a_rubric(*lines: str, criterion: str = "{id: c, ask: Is it so?}") -> Rubric:
    return read_rubric("\n".join(["id: a", "title: T", "criteria:", f"  - {criterion}", *lines]))


def test_facts_have_the_names_that_rubrics_may_use() -> None:
    assert set(facts_of()) == set(RUN_FACTS)


def test_a_rubric_may_show_and_ask_for_the_tool_calls() -> None:
    calls = [{"name": "refund", "arguments": {"cents": 1}, "error": "Gone"}, {"name": "mail"}]
    facts = facts_of(Capture(tools=Passage(value=calls)))
    rubric = a_rubric(
        "content: {tools: tools, failed: 'tools[?error].name'}", "sample: {always: ['tools[?error]']}"
    )
    assert content_for(rubric, facts) == {"tools": calls, "failed": ["refund"]}
    assert always_rule_matched(rubric, facts) == "tools[?error]"
    assert facts_of()["tools"] is None


def test_facts_are_plain_json() -> None:
    facts = facts_of()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["status"], facts["fidelity"], facts["cost_total_usd"]) == ("success", "full", 0.0125)
    assert {type(facts[name]) for name in ("status", "fidelity")} == {str}


def test_an_unpriced_run_has_no_cost() -> None:
    assert facts_of(cost_total_usd=None)["cost_total_usd"] is None


@pytest.mark.parametrize(
    ("applies_to", "expected"),
    [
        ("{}", True),
        ("{workflow: [support]}", True),
        ("{workflow: [Sales, SUPPORT]}", True),
        ("{workflow: [Sales]}", False),
        ("{where: \"status == 'success'\"}", True),
        ("{where: \"status == 'failed'\"}", False),
        ("{workflow: [Sales], where: \"status == 'success'\"}", False),
        ("{where: diagnostics.confidence}", True),
        ("{where: diagnostics.missing}", False),
        ("{where: llm_calls}", True),  # 0 is true in JMESPath
        ("{where: 'length(correlations) > `0`'}", False),
        ("{where: 'length(error_type) > `0`'}", False),  # length(null) is an error, so not true
        ("{where: \"contains(models, 'gpt-4.1-mini') && cost_total_usd > `0.01`\"}", True),
    ],
)
def test_a_rubric_is_for_the_runs_it_names(applies_to: str, expected: bool) -> None:
    assert applies(a_rubric(f"applies_to: {applies_to}"), facts_of()) is expected


def test_the_first_true_always_rule_is_named_as_written() -> None:
    rubric = a_rubric(
        "sample: {always: ['attempt > `1`', 'diagnostics.confidence < `0.6`', \"status == 'success'\"]}"
    )
    assert always_rule_matched(rubric, facts_of()) == "diagnostics.confidence < `0.6`"
    assert always_rule_matched(rubric, facts_of(diagnostics={}, execution_status=ExecutionStatus.FAILED)) is None


def test_a_rule_that_cannot_be_applied_to_a_run_is_not_true_of_it() -> None:
    rubric = a_rubric("sample: {always: ['diagnostics.confidence < `0.6`', 'abs(diagnostics.confidence) > `0`']}")
    assert always_rule_matched(rubric, facts_of(diagnostics={"confidence": "low"})) is None


def test_content_goes_by_the_names_the_rubric_gives() -> None:
    rubric = a_rubric(
        'content: {question: "input.messages[-1].content", answer: output, order: correlations.order_id}'
    )
    assert content_for(rubric, facts_of()) == {
        "question": "Where is my refund?",
        "answer": "Tomorrow.",
        "order": None,
    }


def test_content_that_cannot_be_taken_is_none() -> None:
    rubric = a_rubric("content: {size: length(output), joined: \"join(', ', retrieval)\"}")
    assert content_for(rubric, facts_of(Capture())) == {"size": None, "joined": None}


@pytest.mark.parametrize(("sources", "expected"), [(["FAQ"], ["c"]), ([], []), (None, []), ("", [])])
def test_a_criterion_is_left_out_where_its_rule_says_so(sources: Any, expected: list[str]) -> None:
    rubric = a_rubric(criterion="{id: c, ask: Is it backed?, not_applicable_when: '!sources'}")
    content = {"question": "q", "answer": "a", "sources": sources}
    assert [criterion.id for criterion in applicable_criteria(rubric, content)] == expected


@pytest.mark.parametrize("captured", ["`1`", "status == 'success'", "@", "run_id", "length(", "${7*7}", "!sources"])
def test_captured_text_is_never_read_as_an_expression(captured: str) -> None:
    rubric = a_rubric("content: {question: input, answer: output}")
    facts = facts_of(Capture(input=Passage(value=captured), output=Passage(value=captured)))
    assert content_for(rubric, facts) == {"question": captured, "answer": captured}


def test_content_nested_beyond_measure_is_never_an_error() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    rubric = a_rubric('content: {text: to_string(input), same: "input == input[0]", flat: "input[][]"}')
    content = content_for(rubric, facts_of(Capture(input=Passage(value=deep))))
    assert (content["text"], content["same"]) == (None, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
EXPRESSIONS = (
    "input < `1`",
    "length(input)",
    "input[?a > `0`].b | [0]",
    "sort_by(input, &a)",
    "max(input)",
    "avg(input)",
    "join(', ', input)",
    "input.*.a",
    "to_number(input)",
    "ceil(input)",
    "merge(input, output)",
    "contains(input, output)",
    "starts_with(input, output)",
    "input[::0]",
    "reverse(sort(input))",
)


@given(st.sampled_from(EXPRESSIONS), json_values, json_values)
def test_no_captured_value_makes_an_expression_fail(expression: str, value: Any, other: Any) -> None:
    found = evaluate(expression, facts_of(Capture(input=Passage(value=value), output=Passage(value=other))))
    assert is_true(found) in (True, False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), (False, False), ("", False), ([], False), ({}, False), (0, True), (0.0, True), ("x", True)],
)
def test_truth_is_that_of_jmespath(value: Any, expected: bool) -> None:
    assert is_true(value) is expected
