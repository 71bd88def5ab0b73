"""Criteria that code answers."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest

from evaluator.judging.checks import run_check
from evaluator.model.rubric import CheckName, Criterion
from evaluator.model.verdict import CriterionLabel

PASS, FAIL, UNKNOWN = CriterionLabel.PASS, CriterionLabel.FAIL, CriterionLabel.UNKNOWN
SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
CATASTROPHIC = r"(a+)+\d"


def checked(check: CheckName, answer: Any, value: Any = None, **content: Any) -> CriterionLabel:
    criterion = Criterion(id="c", check=check, value=value)
    verdict = run_check(criterion, {"answer": answer, **content})
    assert verdict.decided_by == "check"
    return verdict.verdict


@pytest.mark.parametrize(
    ("check", "answer", "value", "label"),
    [
        (CheckName.CONTAINS_URL, "see https://example.com/a?b=1.", None, PASS),
        (CheckName.CONTAINS_URL, "see example.com", None, FAIL),
        (CheckName.CONTAINS_URL, "https://", None, FAIL),
        (CheckName.CONTAINS_URL, "https://[", None, FAIL),
        (CheckName.CONTAINS_URL, "https://help.example.com/x", "example.com", PASS),
        (CheckName.CONTAINS_URL, "https://evil-example.com/example.com", "example.com", FAIL),
        (CheckName.CONTAINS_URL, "https://example.com.evil.org", "example.com", FAIL),
        (CheckName.JSON_VALID, '{"a": [1]}', None, PASS),
        (CheckName.JSON_VALID, {"a": 1}, None, PASS),
        (CheckName.JSON_VALID, '{"a": [1]', None, FAIL),
        (CheckName.JSON_VALID, "[" * 100_000, None, FAIL),
        (CheckName.JSON_SCHEMA, '{"id": 1}', SCHEMA, PASS),
        (CheckName.JSON_SCHEMA, '{"id": "1"}', SCHEMA, FAIL),
        (CheckName.JSON_SCHEMA, "no JSON", SCHEMA, FAIL),
        (CheckName.JSON_SCHEMA, "{}", {"type": "nothing"}, UNKNOWN),
        (CheckName.JSON_SCHEMA, "{}", {"$ref": "https://example.com/schema.json"}, UNKNOWN),
        (CheckName.JSON_SCHEMA, "{}", "not a schema", UNKNOWN),
        (CheckName.REGEX, "order 4411", r"order \d{4}", PASS),
        (CheckName.REGEX, "order", r"order \d{4}", FAIL),
        (CheckName.REGEX, "order", "(", UNKNOWN),
        (CheckName.REGEX, "order", None, UNKNOWN),
        (CheckName.MAX_LENGTH, "four", 4, PASS),
        (CheckName.MAX_LENGTH, "four!", 4, FAIL),
        (CheckName.MAX_LENGTH, "four", "4", UNKNOWN),
        (CheckName.CONTAINS, "Your order\n4411 is here", "order 4411", PASS),
        (CheckName.CONTAINS, "Your order 4411", ["order", "4411"], PASS),
        (CheckName.CONTAINS, "Your order 4411", ["order", "4412"], FAIL),
        (CheckName.CONTAINS, "Your order 4411", None, UNKNOWN),
        (CheckName.REGEX, None, "x", UNKNOWN),
    ],
)
def test_a_check_answers(check: CheckName, answer: Any, value: Any, label: CriterionLabel) -> None:
    assert checked(check, answer, value) is label


def test_every_check_of_the_rubric_format_is_tried_here() -> None:
    tried = next(mark.args[1] for mark in test_a_check_answers.pytestmark)
    assert {case[0] for case in tried} | {CheckName.EQUALS_REFERENCE, CheckName.FOUND_IN} == set(CheckName)


@pytest.mark.parametrize(
    ("answer", "reference", "label"),
    [(" 42 ", "42", PASS), ({"a": 1, "b": 2}, {"b": 2, "a": 1}, PASS), ("42", "43", FAIL), ("42", None, UNKNOWN)],
)
def test_an_answer_is_held_against_the_runs_own_reference(
    answer: Any, reference: Any, label: CriterionLabel
) -> None:
    assert checked(CheckName.EQUALS_REFERENCE, answer, reference=reference) is label
    assert checked(CheckName.EQUALS_REFERENCE, answer, "expected", expected=reference) is label


@pytest.mark.parametrize(
    ("answer", "document", "label"),
    [
        ('{"total": "12.40"}', "Total 12.40 EUR", PASS),
        ('{"total": "2.40"}', "Total 12.40 EUR", FAIL),
        ('{"total": "2.40"}', None, UNKNOWN),
    ],
)
def test_values_are_looked_for_in_the_content_a_rubric_names(
    answer: str, document: str | None, label: CriterionLabel
) -> None:
    assert checked(CheckName.FOUND_IN, answer, "document", document=document) is label


def test_a_check_looks_at_the_content_it_names() -> None:
    criterion = Criterion(id="c", check=CheckName.CONTAINS, of="question", value="refund")
    assert run_check(criterion, {"question": "my refund", "answer": ""}).verdict is PASS


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (CheckName.REGEX, CATASTROPHIC),
        (CheckName.JSON_SCHEMA, {"pattern": CATASTROPHIC}),
    ],
)
def test_a_catastrophic_pattern_ends_as_unknown_within_a_second(check: CheckName, value: Any) -> None:
    started = perf_counter()
    hostile = "a" * 50_000
    assert checked(check, hostile if check is CheckName.REGEX else f'"{hostile}"', value) is UNKNOWN
    assert perf_counter() - started < 1


def test_a_catastrophic_pattern_for_keys_ends_as_unknown_too() -> None:
    schema = {"patternProperties": {CATASTROPHIC: True}}
    assert checked(CheckName.JSON_SCHEMA, {"a" * 50_000: 1}, schema) is UNKNOWN


def test_what_a_check_says_never_repeats_content() -> None:
    criterion = Criterion(id="c", check=CheckName.CONTAINS_URL)
    verdict = run_check(criterion, {"answer": "s3cret https://s3cret.example"})
    assert "s3cret" not in verdict.model_dump_json()


UNIQUE = {"uniqueItems": True}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], FAIL),
        ([1, True, "1", [1], [True], {"1": 1}, None], PASS),
        ([0, False, "", [], {}], PASS),
        ([{}, []], PASS),
        ([["object", []], {}], PASS),
        (["is", ["is", True], True], PASS),
        ("no list", PASS),
    ],
)
def test_items_are_told_apart_as_json_does(answer: Any, label: CriterionLabel) -> None:
    assert checked(CheckName.JSON_SCHEMA, {"of": answer}, {"properties": {"of": UNIQUE}}) is label


def test_a_long_list_is_told_apart_in_a_moment() -> None:
    began = perf_counter()
    assert (
        checked(CheckName.JSON_SCHEMA, [{"a": number, "b": [number]} for number in range(20_000)], UNIQUE) is PASS
    )
    assert perf_counter() - began < 3


def test_a_number_beyond_floats_is_held_against_nothing() -> None:
    assert checked(CheckName.JSON_SCHEMA, 10**400, {"multipleOf": 0.1}) is UNKNOWN
    assert checked(CheckName.JSON_SCHEMA, "1e999", {"multipleOf": 2}) in (FAIL, UNKNOWN)
