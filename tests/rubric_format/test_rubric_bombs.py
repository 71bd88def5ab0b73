"""Rubrics made to keep whoever reads them busy: each is answered in a moment, and in few words."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import pytest

from evaluator.rubric_format.marked_yaml import MAX_BYTES
from evaluator.rubric_format.rubric_files import read_files
from evaluator.rubric_format.rubric_problems import MOST_TOLD, RubricProblem
from evaluator.rubric_format.rubric_warnings import rubric_warnings

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 8.0
"""Each of these took longer than this, most of them minutes, where reading was not bounded."""
HEAD = "id: a\ntitle: t\nrole: quality\n"


def asking(question: str) -> str:
    return f"{HEAD}criteria:\n- {{id: c, ask: {json.dumps(question, ensure_ascii=False)}}}\n"


def criteria(number: int, rest: str) -> str:
    return "criteria:\n" + "".join(f"- {{id: c{i}, {rest % i if '%' in rest else rest}}}\n" for i in range(number))


def content(number: int) -> str:
    return "content:\n" + "".join(f"  name{i}: output\n" for i in range(number))


BOMBS = {
    "opening quotes": asking("«„“" * 26_000),
    "question marks": asking("a " + "?" * 200_000 + "x"),
    "placeholders nobody knows": HEAD + content(1500) + criteria(1000, "ask: '{namex} {nameyy} {nama}'"),
    "placeholders of the most names": HEAD
    + content(100)
    + criteria(100, f"ask: '{'{namex} {nameyy} {nama} ' * 80}'"),
    "expectations nobody knows": HEAD
    + criteria(100, "ask: good?")
    + "examples:\n- name: e\n  answer: x\n  expect:\n"
    + "".join(f"    kc{i}: pass\n" for i in range(4000)),
    "weights that hardly differ": HEAD + criteria(100, "ask: good?, not_applicable_when: answer, weight: 1.%014d"),
    "many criteria": HEAD + criteria(1200, "ask: good?"),
    "names that no question names": HEAD
    + content(1600)
    + "  answer: output\n"
    + criteria(1, f"ask: {'word ' * 30_000}"),
    "counted repeats": HEAD + criteria(100, "check: regex, value: '(a{1000}){99}%d'"),
    "counted repeats with spaces": HEAD + criteria(100, "check: regex, value: '(?x)((a{1 000}){99 9})%d'"),
    "counted repeats in a schema": HEAD
    + criteria(100, "check: json_schema, value: {pattern: '((a{1000}){1000}){%d00}'}"),
    "a long pattern": HEAD + criteria(1, f"check: regex, value: '{'(a|b)' * 40_000}'"),
    "a long expression": f"{HEAD}applies_to: {{where: {'a' * 250_000}}}\n{criteria(1, 'ask: good?')}",
    "a long sum": f"{HEAD}applies_to: {{where: '{'||'.join(['status'] * 30_000)}'}}\n{criteria(1, 'ask: good?')}",
}


def problems_of(text: str) -> list[RubricProblem]:
    folder = read_files([(Path("a.yaml"), lambda: text)])
    return [
        *folder.problems,
        *(each for one in folder.loaded for each in rubric_warnings(one.root, one.rubric, "a")),
    ]


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_in_a_moment(name: str) -> None:
    text = BOMBS[name]
    assert len(text.encode()) <= MAX_BYTES
    began = time.monotonic()
    told = problems_of(text)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert sum(len(each.told()) for each in told) < 2 * MAX_BYTES


def test_more_criteria_than_anybody_keeps_apart_are_refused() -> None:
    (problem,) = problems_of(BOMBS["many criteria"])
    assert (
        problem.told()
        == "criteria: is too long; found 1200 entries; allowed: at most 100 entries (docs/rubrics.md#criteria)"
    )


def test_more_names_of_content_than_anybody_keeps_apart_are_refused() -> None:
    assert [str(each) for each in problems_of(HEAD + content(101) + criteria(1, "ask: 'Is {nam} good?'"))] == [
        "a.yaml:5:3: content: is too long; found 101 entries; allowed: at most 100 entries (docs/rubrics.md#content)"
    ]


def test_of_thousands_of_problems_the_first_are_told_and_the_others_counted() -> None:
    told = problems_of("".join(f"- !t{i} b\n" for i in range(3000)))
    assert len(told) == MOST_TOLD + 1
    assert told[-1].message == "and 2501 more problems from here on"


def test_a_pattern_within_a_schema_is_checked_as_any_other() -> None:
    text = HEAD + criteria(1, "check: json_schema, value: {properties: {a: {pattern: '(a{1000}){1000}'}}}")
    (problem,) = problems_of(text)
    assert problem.message == (
        "is no JSON schema: it has the pattern '(a{1000}){1000}', which repeats too often: its counts in braces "
        "multiply to more than 10000"
    )


def test_what_was_only_checked_does_not_stay_in_memory() -> None:
    tracemalloc.start()
    for number in range(1000):
        problems_of(
            f"{HEAD}applies_to: {{where: '{'||'.join([f'status == `{number}`'] * 110)}'}}\n{criteria(1, 'ask: good?')}"
        )
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 80 * 2**20
