"""rubric.schema.json says of a file's structure what reading it says, and explains every key."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.cli import run
from evaluator.model.outcome import FinalOutcome, OutcomeType
from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import CheckName, Combination, Role, Rubric
from evaluator.model.verdict import CriterionLabel
from evaluator.rubric_format.marked_yaml import read_marked
from evaluator.rubric_format.rubric_choices import (
    ANSWER,
    CHECK,
    COMBINATION,
    OUTCOME,
    OUTCOME_TYPE,
    REASON,
    ROLE,
    ROLLUP,
)
from evaluator.rubric_format.rubric_files import RubricProblems, read_rubric
from evaluator.rubric_format.rubric_schema import SCHEMA_FILE, properties_of, rubric_schema, schema_text

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "rubrics").glob("*.yaml"))
SCHEMA = rubric_schema()
PROPERTIES = dict(properties_of(SCHEMA))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

WHOLE = r"""# yaml-language-server: $schema=rubric.schema.json
id: support-resolution
title: Did we solve the customer's problem?
role: outcome
applies_to: {workflow: [Support], where: "status == 'success'"}
sample:
  rate: 0.2
  always: ["diagnostics.confidence < `0.6`"]
  capture_probability: 0.1
content: {question: "input.messages[-1].content", answer: output, sources: retrieval}
criteria:
  - {id: solves, ask: Does the answer fix the stated problem?, critical: true, weight: 3}
  - {id: grounded, ask: Is every claim backed by the sources?, not_applicable_when: "!sources"}
  - id: tone
    ask: Is the tone right?
    scale: {1: rude, 2: cold, 3: neutral, 4: kind, 5: warm and precise}
    pass_at: 4
  - {id: has-link, check: contains_url}
  - {id: short, check: max_length, value: 400}
verdict: {pass_at: 0.75, partial_at: 0.5}
judges:
  - {model: openai/gpt-4.1-mini, samples: 1}
escalate: {to: anthropic/claude-sonnet-4-5, when: [unknown, near_threshold, critical_fail, value_above: 500]}
rollup: last_run
outcome: {pass: {outcome: success, type: DEFLECTED}, fail: {outcome: failed, type: UNSUCCESSFUL}}
combine: worst
review: {audit_rate: 0.05, send: [unknown, critical_fail, panel_split, injection_suspected], reviewers: 1, blind: true}
budget: {usd_per_day: 5}
examples:
  - {name: dodges, question: Where is my refund?, answer: We value you., expect: {solves: fail, tone: 2}}
"""


def data(text: str) -> Any:
    return read_marked(text, "x.yaml")[0].plain()


def is_read(text: str) -> bool:
    try:
        read_rubric(text)
    except RubricProblems:
        return False
    return True


def test_the_checked_in_schema_is_the_one_the_shapes_make() -> None:
    stored = (ROOT / "rubrics" / SCHEMA_FILE).read_bytes()
    assert stored == schema_text().encode(), "`adjudge rubrics schema` in the repository's root rewrites it"


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_rubric_fits_and_names_the_schema(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert list(VALIDATOR.iter_errors(data(text))) == []
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")


def test_a_rubric_with_every_section_fits() -> None:
    assert is_read(WHOLE)
    assert list(VALIDATOR.iter_errors(data(WHOLE))) == []
    assert data(WHOLE).keys() >= SCHEMA["properties"].keys() - {"k"}


MISSHAPEN = [
    *("rol: outcome", "version: abc", "title: 7", "title: ''", "id: Two Words", "role: outcom", "role: [outcome]"),
    *("applies_to: Support", "applies_to: {workflow: Support}", "applies_to: {wokflow: [S]}", "applies_to: {where: ''}"),
    *("sample: 0.5", "sample: {rate: 2}", "sample: {rate: '0.2'}", "sample: {capture_probability: 0}", "sample:"),
    *("sample: {always: status}", "sample: {always: ['']}", "content: {}", "content: {Question: input}"),
    *("content: {question: 7}", "content: [input]", "criteria: []", "criteria: [Is it so?]", "verdict: {pass_at: 75}"),
    *("verdict: {partial: 0.5}", "judges: []", "judges: [default]", "judges: [{modell: x}]", "judges: [{}]"),
    *("judges: [{model: x, samples: 0}]", "judges: [{model: x, samples: 1.5}]", "judges: [{model: ''}]"),
    *("judges: [{model: x, temperature: 3}]", "judges: [{model: x, max_tokens: 1}]", "escalate: {}", "escalate: {to: ''}"),
    *("escalate: {to: x, when: [low_confidence]}", "escalate: {to: x, when: unknown}", "rollup: last", "rollup: k_of_n"),
    *("k: 2", "rollup: k_of_n\nk: 0", "rollup: k_of_n\nk: '2'", "outcome: {pass: {outcome: success}}", "combine: worst"),
    *("role: outcome\noutcome: {pass: success}", "role: outcome\noutcome: {pass: {outcome: won}}"),
    *("role: outcome\noutcome: {unknown: {outcome: pending}}", "role: outcome\noutcome: {pass: {type: CUSTOM}}"),
    *("role: outcome\ncombine: mean", "review: {send: [critical-fail]}", "review: {send: [{value_over: 5}]}"),
    *("review: {send: [{value_above: much}]}", "review: {blind: yes}", "review: {reviewers: 0}", "budget: 5"),
    *("budget: {usd_per_day: 0}", "budget: {usd_per_day: much}", "budget: {}", "examples: {name: a}"),
    *("examples: [{name: a, answer: b}]", "examples: [{answer: b, expect: {c: pass}}]", "examples: [{name: a, expect: {c: pass}}]"),
    *("examples: [{name: a, answer: b, expect: {c: good}}]", "examples: [{name: a, answer: b, expect: {}}]"),
]  # fmt: skip
MISSHAPEN_CRITERIA = [
    *("id: c", "ask: Is it so?", "id: C 1, ask: Is it so?", "id: c, ask: Is it so?, check: contains_url", "id: c, ask: ''"),
    *("id: c, ask: '   '", "id: c, ask: 7", "id: c, ask: Is it so?, weigth: 2", "id: c, ask: Is it so?, weight: 0"),
    *("id: c, ask: Is it so?, critical: yes", "id: c, ask: Is it so?, of: answer", "id: c, ask: Is it so?, value: 3"),
    *("id: c, ask: Is it so?, pass_at: 2", "id: c, ask: Is it so?, scale: {1: a, 2: b}"),
    *("id: c, ask: Is it so?, scale: {1: a}, pass_at: 1", "id: c, ask: Is it so?, scale: {a: x, b: y}, pass_at: 1"),
    *("id: c, ask: Is it so?, scale: {1: a, 2: ' '}, pass_at: 1", "id: c, ask: Is it so?, scale: [a, b], pass_at: 1"),
    "id: c, ask: Is it so?, scale: {1: a, 2: b, 3: c, 4: d, 5: e, 6: f}, pass_at: 1",
    "id: c, ask: Is it so?, scale: {1: a, 2: b}, pass_at: half",
    *("id: c, check: regex", "id: c, check: regex, value: 3", "id: c, check: max_length", "id: c, check: max_length, value: 0"),
    *("id: c, check: max_length, value: long", "id: c, check: contains", "id: c, check: contains, value: []"),
    *("id: c, check: contains_url, value: 3", "id: c, check: json_valid, value: x", "id: c, check: json_schema, value: []"),
    *("id: c, check: json_schema", "id: c, check: equals_reference, value: 3", "id: c, check: 7", "id: c, check: null"),
    "id: c, check: max_length, value: 3, scale: {1: a, 2: b}, pass_at: 1",
    "id: c, ask: Is it so?, not_applicable_when: ''",
]  # fmt: skip
HEAD = {"id": "id: a\n", "title": "title: T\n", "criteria": "criteria: [{id: c, ask: Is it so?}]\n"}


def misshapen(case: str) -> str:
    """A valid rubric of three keys with the case's own in place of them."""
    return "".join(line for key, line in HEAD.items() if not case.startswith(f"{key}:")) + case


@pytest.mark.parametrize(
    "text",
    [*map(misshapen, MISSHAPEN), *(misshapen(f"criteria:\n  - {{{each}}}") for each in MISSHAPEN_CRITERIA)],
    ids=[*MISSHAPEN, *MISSHAPEN_CRITERIA],
)
def test_what_is_misshapen_is_wrong_in_the_editor_and_when_read(text: str) -> None:
    assert not is_read(text)
    assert not VALIDATOR.is_valid(data(text))


ODD = st.sampled_from(
    [
        *(
            None,
            0,
            1,
            -1,
            3,
            0.5,
            2.5,
            True,
            False,
            "",
            " ",
            "x",
            "answer",
            "output",
            "unknown",
            "regex",
            "my_check",
        ),
        *("json_valid", "k_of_n", [], ["a"], [1], [None], {}, {"a": 1}, {"1": "a", "2": "b"}, {"value_above": 5}),
    ]
)
"""Without text that holds a number: an amount in quotes is read, and underlined all the same."""


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document, the document itself left out."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [deeper for key, each in entries for deeper in [(*path, key), *places(each, (*path, key))]]


KEYS = sorted({path.rpartition(".")[2] for path in PROPERTIES})
DOCUMENTS = [data(WHOLE), *(data(file.read_text(encoding="utf-8")) for file in SHIPPED)]


@st.composite
def altered(draw: st.DrawFn) -> Any:
    """A good rubric with up to three values replaced, left out or added."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(document)))
        parent = document
        for key in path:
            parent = parent[key]
        if draw(st.booleans()):
            parent[last] = copy.deepcopy(draw(ODD))
        elif draw(st.booleans()) or isinstance(parent, list):
            del parent[last]
        else:
            parent[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(ODD))
    return document


@settings(max_examples=600, deadline=None)
@given(altered())
def test_what_is_read_is_never_underlined_in_the_editor(document: Any) -> None:
    if is_read(json.dumps(document)):
        assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize("path", PROPERTIES)
def test_every_key_says_what_it_is_by_name_words_and_examples(path: str) -> None:
    key = PROPERTIES[path]
    assert key["title"] == path.rpartition(".")[2]
    assert len(key["description"]) > 10
    told_by_check_or_choice = path == "criteria[].value" or re.match(r"outcome\.\w+$|criteria\[\]\.check$", path)
    in_words = "\n```yaml\n" in key.get("markdownDescription", "")
    assert key.get("examples") or in_words or key.get("enum") or told_by_check_or_choice


@pytest.mark.parametrize("path", PROPERTIES)
def test_every_default_is_told_in_words_as_well(path: str) -> None:
    with_default = dict(properties_of(rubric_schema(defaults_everywhere=True)))[path]
    assert ("default" in with_default) == ("\n\nDefault: " in with_default.get("markdownDescription", ""))


def test_every_section_of_a_rubric_is_a_key() -> None:
    assert list(SCHEMA["properties"]) == [name for name in Rubric.model_fields if name != "version"]


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        *((ROLE, Role), (ROLLUP, RollupRule), (COMBINATION, Combination), (CHECK, CheckName)),
        *((ANSWER, CriterionLabel), (OUTCOME, FinalOutcome), (OUTCOME_TYPE, OutcomeType)),
        (REASON, PROPERTIES["escalate.when"]["items"]["anyOf"][0]["enum"] + ["low_confidence"]),
    ],
)  # fmt: skip
def test_every_choice_has_its_words(words: dict[str, Any], choices: Any) -> None:
    assert set(words) == set(choices)


def enums(schema: Any) -> list[dict[str, Any]]:
    nested = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    here = [schema] if isinstance(schema, dict) and isinstance(schema.get("enum"), list) else []
    return here + [enum for each in nested for enum in enums(each)]


def test_every_choice_is_explained_where_it_is_made() -> None:
    found = enums(SCHEMA)
    assert found
    assert [each["enum"] for each in found if len(each["enum"]) != len(each["enumDescriptions"])] == []


def objects(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every mapping with keys of its own, conditions aside."""
    nested = (
        {"items": schema.get("items")} | schema.get("properties", {}) | dict(enumerate(schema.get("anyOf", ())))
    )
    here = [(path, schema)] if "properties" in schema else []
    return here + [one for key, each in nested.items() if each for one in objects(each, f"{path}/{key}")]


def test_no_key_is_taken_that_is_not_known_but_for_content() -> None:
    open_ones = {path for path, schema in objects(SCHEMA) if schema.get("additionalProperties") is not False}
    assert open_ones == {"/examples/items"}
    assert PROPERTIES["content"]["propertyNames"]["pattern"] == r"^[a-z0-9][a-z0-9_-]{0,63}$"


def snippets(schema: Any) -> list[Any]:
    nested = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    here = [each["body"] for each in schema.get("defaultSnippets", ())] if isinstance(schema, dict) else []
    return here + [body for each in nested for body in snippets(each)]


def filled_in(body: Any) -> Any:
    """A snippet as it stands once its first choices are taken."""
    text = re.sub(r'"\^\$\{\d+:([^}]*)\}"', r"\1", json.dumps(body))
    return json.loads(
        re.sub(r"\$\{\d+:((?:[^}\\]|\\\\\}|\\.)*)\}", lambda found: found[1].replace("\\\\}", "}"), text)
    )


def test_every_snippet_makes_a_rubric_that_is_read() -> None:
    bodies = [filled_in(body) for body in snippets(SCHEMA)]
    (rubric,) = [body for body in bodies if "criteria" in body]
    (scale,) = [body for body in bodies if set(body) == {"1", "2", "3"}]
    (content,) = [body for body in bodies if set(body) == {"question", "answer", "sources"}]
    (case,) = [body for body in bodies if "expect" in body]
    criteria = [body for body in bodies if "id" in body and body is not rubric]
    assert len(bodies) == 7
    question = {"id": "correct", "ask": "How right is it?", "scale": scale, "pass_at": 3}
    read_rubric(json.dumps(rubric))
    for criterion in [*criteria, question]:
        read_rubric(json.dumps(rubric | {"criteria": [criterion]}))
    read_rubric(json.dumps(rubric | {"content": content, "examples": [case]}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rubrics folder, with no database that could be opened."""
    monkeypatch.setenv("ADJUDGE_RUBRICS_DIR", str(tmp_path))
    monkeypatch.setenv("ADJUDGE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    return tmp_path


def test_the_command_writes_the_schema_beside_the_rubrics_and_sees_when_it_is_old(folder: Path) -> None:
    assert run(["rubrics", "schema", "--check"]) == 1
    assert run(["rubrics", "schema"]) == 0
    assert run(["rubrics", "schema", "--check"]) == 0
    assert (folder / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text()
    (folder / SCHEMA_FILE).write_text("{}")
    assert run(["rubrics", "schema", "--check"]) == 1
    assert (folder / SCHEMA_FILE).read_text() == "{}"


def test_the_command_prints_the_schema_where_it_is_asked_to(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rubrics", "schema", "--output", "-"]) == 0
    assert capsys.readouterr().out == schema_text()
    assert list(folder.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rubrics", "schema", "--output", str(folder / "away" / "x.json")]) == 1
    assert "away/x.json cannot be written: No such file or directory." in "".join(
        capsys.readouterr().err.split("\n")
    )


def test_examples_shown_as_yaml_are_read() -> None:
    shown = [
        (path, data(text))
        for path, key in PROPERTIES.items()
        for text in re.findall(r"```yaml\n(.*?)```", key.get("markdownDescription", ""), re.DOTALL)
    ]
    assert len(shown) > 10
    whole = {"id": "a", "title": "T", "role": "outcome"}
    criterion = {"id": "solves", "ask": "Does it solve the problem?"}
    for path, value in shown:
        if "." not in path:
            read_rubric(json.dumps(whole | {"criteria": [criterion]} | {path: value}))
