"""Whatever an author writes is read or told: no traceback, every problem within the file, and soon."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from evaluator.authoring.rubric_lint import FORMATS, lint_paths
from evaluator.model.rubric import Rubric
from evaluator.rubric_format.expressions import RUN_FACTS
from evaluator.rubric_format.marked_yaml import read_marked
from evaluator.rubric_format.rubric_problems import RubricProblem
from tests.rubric_format.test_rubric_files import WHOLE

ROOT = Path(__file__).parents[2]
VALID = [WHOLE, *(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rubrics").glob("*.yaml")))]
LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
SECONDS = 2.0
"""A file may take so long at most; nearly all take milliseconds."""

thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lint(raw: bytes) -> tuple[RubricProblem, ...]:
    """The problems of a file of these bytes, told in every format; each has its place within the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.yaml"
        file.write_bytes(raw)
        started = time.process_time()
        linted = lint_paths([str(file)])
        assert time.process_time() - started < SECONDS
    assert all(isinstance(form(linted), str) for form in FORMATS.values())
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = LINE_END.split(text)
    for problem in linted.problems:
        assert 1 <= problem.line <= len(lines), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
        assert problem.message
        assert "\n" not in str(problem)
    assert all((a.line, a.column) <= (b.line, b.column) for a, b in pairwise(linted.problems))
    assert linted.loaded or linted.count("error")
    return linted.problems


@pytest.mark.parametrize("text", VALID)
def test_what_is_damaged_here_is_valid_before(text: str) -> None:
    assert lint(text.encode()) == ()


@thorough
@given(st.text(max_size=300))
@example("")
@example("[")
@example("\ufeff")
@example("\r")
@example("a: |\r\n\u2028 b")
def test_any_text(text: str) -> None:
    lint(text.encode("utf-8", "surrogatepass"))


@thorough
@given(st.binary(max_size=200), st.sampled_from(VALID), st.data())
def test_any_bytes_within_a_rubric(raw: bytes, text: str, data: st.DataObject) -> None:
    whole = text.encode()
    start = data.draw(st.integers(0, len(whole)))
    lint(whole[:start] + raw + whole[start + data.draw(st.integers(0, 20)) :])


@thorough
@given(st.sampled_from(VALID), st.data())
def test_lines_left_out_doubled_or_swapped(text: str, data: st.DataObject) -> None:
    lines = text.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(["leave out", "double", "swap", "indent"])):
            case "leave out" if len(lines) > 1:
                del lines[one]
            case "double":
                lines.insert(other, lines[one])
            case "swap":
                lines[one], lines[other] = lines[other], lines[one]
            case _:
                lines[one] = data.draw(st.sampled_from([" ", "  ", "\t", "- "])) + lines[one]
    lint("".join(lines).encode())


SIGNS = "[]{}:,-?!&*|>'\"%@`#\n\r\t 01.aé\\<~=()\x85\u2028\U0001f600"


@thorough
@given(st.sampled_from(VALID), st.data())
def test_signs_put_in_and_cut_out(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(st.text(alphabet=SIGNS, max_size=6)) + text[end:]
    lint(text.encode())


KEYS = sorted(
    {*Rubric.model_fields, *RUN_FACTS}
    | {"ask", "check", "of", "value", "scale", "pass_at", "weight", "critical", "not_applicable_when", "expect"}
    | {
        "where",
        "always",
        "rate",
        "model",
        "samples",
        "to",
        "when",
        "value_above",
        "send",
        "name",
        "partial",
        "1",
        "<<",
    }
)
WORDS = [
    "regex",
    "json_schema",
    "contains",
    "max_length",
    "equals_reference",
    "outcome",
    "k_of_n",
    "default",
    "worst",
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        [*KEYS, *WORDS, "{answer} {nothing}", "Is it so and is the other? Or so?", "length(@)", "x" * 500]
    )
    | st.sampled_from([10**17, 10**400, -1, 0, 1e308, 5e-324]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every path within a JSON value."""
    entries: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


TREES = [read_marked(text, "x.yaml")[0].plain() for text in VALID]


@thorough
@given(st.sampled_from(TREES), st.data())
def test_any_value_at_any_place(tree: Any, data: st.DataObject) -> None:
    tree = deepcopy(tree)
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(list(places(tree))))
        at = tree
        for key in way:
            at = at[key]
        match data.draw(st.sampled_from(["replace", "leave out", "add"])):
            case "leave out" if isinstance(at, dict):
                del at[last]
            case "add" if isinstance(at, dict):
                at[data.draw(st.sampled_from(KEYS))] = data.draw(values)
            case _:
                at[last] = data.draw(values)
        if not list(places(tree)):
            break
    lint(
        json.dumps(tree, ensure_ascii=False, indent=data.draw(st.sampled_from([None, 1]))).encode(
            "utf-8", "replace"
        )
    )


@thorough
@given(
    st.sampled_from(
        ["ask", "check", "of", "value", "scale", "pass_at", "weight", "not_applicable_when", "critical"]
    ),
    values,
    st.sampled_from([*WORDS[:5], None]),
)
def test_any_value_of_a_criterion(key: str, value: Any, check: str | None) -> None:
    kind: dict[str, Any] = (
        {"check": check} if check else {"ask": "Is it?", "scale": {"1": "a", "2": "b"}, "pass_at": 2}
    )
    tree = {"id": "a", "title": "T", "criteria": [{"id": "c", **kind, key: value}]}
    lint(json.dumps(tree).encode())


@thorough
@given(
    st.text(alphabet=SIGNS + "abc_|&`$^@", max_size=40) | st.sampled_from(sorted(RUN_FACTS)),
    st.sampled_from("'\"|>"),
)
@example("\x85", "'")
@example("\n", "'")
@example("\x85", "|")
def test_any_expression_in_any_style(expression: str, style: str) -> None:
    written = yaml.safe_dump(expression, default_style=style, allow_unicode=True).strip("\n").replace("\n", "\n  ")
    lint(f"id: a\ntitle: T\ncriteria:\n  - {{id: c, ask: Is it?}}\ncontent:\n  answer: {written}\n".encode())


def test_a_deep_tower_of_everything_ends_soon() -> None:
    for text in (
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "a: &a [*a, *a]\n" * 1000,
        "criteria: [" + "{id: c, ask: Is it?}, " * 9_000 + "]",
        "id: a\ntitle: T\ncriteria:\n"
        + "".join(f"- {{id: c{n}, ask: Is it?, weight: 1.{n}}}\n" for n in range(1300)),
        "id: a\ntitle: T\ncriteria:\n- {id: c, check: regex, value: '" + "(" * 20_000 + "'}",
        "id: a\ntitle: T\ncriteria:\n- {id: c, ask: '" + "Is it and is " * 15_000 + "'}",
        "id: a\ntitle: T\ncriteria:\n- {id: c, ask: '" + "{x}" * 50_000 + "'}",
        "id: a\ntitle: T\ncriteria:\n- id: c\n  ask: >-\n" + "".join(f"    {{x{n}}}\n" for n in range(10_000)),
        "id: a\ntitle: T\napplies_to: {where: '" + "(" * 50_000 + "'}",
        "id: a\ntitle: T\napplies_to: {where: '" + "!" * 50_000 + "a'}",
        "x: " + "9" * 200_000,
    ):
        lint(text.encode())
