"""Rubric files are read whole, or refused with every problem at its line and column."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.errors import RubricInvalid
from evaluator.marked_yaml import MAX_BYTES, scalar
from evaluator.model.rubric import Role, Rubric
from evaluator.rubric_files import RubricProblems, read_folder, read_rubric

WHOLE = r"""# yaml-language-server: $schema=rubric.schema.json
id: support-resolution
title: Did we solve the customer's problem?
role: outcome                    # outcome: feeds final_outcome · quality: measured only
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
  - {id: has-link, check: contains_url}          # code check, no LLM
verdict: {pass_at: 0.75, partial_at: 0.5}
judges:
  - {model: openai/gpt-4.1-mini, samples: 1}
escalate: {to: anthropic/claude-sonnet-4-5, when: [unknown, near_threshold, critical_fail, value_above: 500]}
rollup: last_run
outcome: {pass: {outcome: success, type: DEFLECTED}, fail: {outcome: failed, type: UNSUCCESSFUL}}
review: {audit_rate: 0.05, send: [unknown, critical_fail, panel_split, injection_suspected], reviewers: 1, blind: true}
budget: {usd_per_day: 5}
examples:
  - {name: dodges, question: Where is my refund?, answer: We value you., expect: {solves: fail}}
"""
HEAD = "id: a\ntitle: T\ncriteria:\n  - {id: c, ask: Is it so?}\n"
"""A valid rubric of four lines; what a case adds stands from line 5 on."""
FACTS = (
    "run_id, event_id, workflow, status, error_type, attempt, customer_id, tenant_id, environment, service, "
    "duration_ms, diagnostics, correlations, evaluations, fidelity, llm_calls, models, input_tokens, output_tokens, "
    "cost_total_usd, input, output, retrieval"
)
KEYS = (
    "id, title, role, applies_to, sample, content, criteria, verdict, judges, escalate, rollup, k, outcome, review, "
    "budget, examples"
)


def problems_of(text: str) -> list[str]:
    """What an author is told of this text, one line per problem."""
    with pytest.raises(RubricProblems) as raised:
        read_rubric(text, name="x.yaml")
    return [str(problem) for problem in raised.value.problems]


def with_criterion(criterion: str) -> str:
    return f"id: a\ntitle: T\ncriteria:\n  - {criterion}\n"


def test_the_rubric_of_the_design_loads_whole() -> None:
    rubric = read_rubric(WHOLE)
    assert rubric.role is Role.OUTCOME
    assert [criterion.id for criterion in rubric.criteria] == ["solves", "grounded", "tone", "has-link"]
    assert rubric.criteria[2].scale == {1: "rude", 2: "cold", 3: "neutral", 4: "kind", 5: "warm and precise"}
    assert rubric.content["question"] == "input.messages[-1].content"
    assert rubric.examples[0].model_extra == {"question": "Where is my refund?", "answer": "We value you."}
    assert rubric.version != ""


def test_the_shortest_rubric_loads_with_the_defaults() -> None:
    rubric = read_rubric(HEAD)
    assert rubric.judges[0].model == "default"
    assert rubric.content == {"question": "input", "answer": "output", "sources": "retrieval"}


BROKEN_SYNTAX = {
    "": "1:1: the file holds no rubric; allowed: a mapping with id, title and criteria",
    "- a": "1:1: the file is no rubric; found a list; allowed: a mapping with id, title and criteria",
    HEAD + "\tk: 1": "5:1: a tab cannot stand here: indent with spaces",
    HEAD + "role: `x`": "5:7: text that begins with ` needs quotes; found '`'",
    HEAD + "content: {q: input.messages[-1].content, b: output}": (
        "5:28: not closed, or text with [ ] { } or a comma within { }, which needs quotes: "
        "expected ',' or '}'; found '['"
    ),
    HEAD + "judges: [{model: default}\nk: 1": (
        "5:9: not closed, or text with [ ] { } or a comma within [ ], which needs quotes: "
        "expected ',' or ']'; found '['"
    ),
    HEAD + "title2: 'never closed": '5:9: the quote is never closed; found "\'"',
    HEAD + "role: quality: x": "5:14: a second ': ' in one line: put the text in quotes, or indent; found ':'",
    HEAD + "role: 'a' == b": "5:11: text goes on after its closing quote, or the indentation is off; found '='",
    HEAD + "role: !!python/object:os.system x": (
        "5:7: tags are not read; text that begins with ! needs quotes; found 'tag:yaml.org,2002:python/object:os.system'"
    ),
    with_criterion("{id: c, ask: Is it so?, not_applicable_when: !sources}"): (
        "4:50: text that begins with ! needs quotes; found '!'"
    ),
    HEAD + "role: *r": "5:7: no anchor of this name; text that begins with * needs quotes; found '*r'",
    HEAD + "judges: &j [*j]": "5:13: the anchor contains itself; found '*j'",
    HEAD + "---\nid: b": "5:1: a second document begins here; allowed: one rubric per file, no ---",
    HEAD + "title: twice": "5:1: the key stands here twice, first in line 2; found 'title'",
    HEAD + "? [a]\n: b": "5:3: a key has to be a word; found a list",
    HEAD + "role: \x07": ("5:7: a character that no text file holds; found U+0007; allowed: printable characters"),
    "[" * 50: "1:41: nested too deeply; allowed: at most 40 levels",
    "a"
    * (
        MAX_BYTES + 1
    ): f"1:1: the file is too large; found {MAX_BYTES + 1} bytes; allowed: at most {MAX_BYTES} bytes",
}
BROKEN_FIELDS = {
    "{}": "1:1: id: is missing; allowed: Short name, unique among all rubrics.",
    HEAD + "rol: outcome": f"5:1: rol: there is no such key; found 'rol'; allowed: {KEYS}; did you mean 'role'?",
    HEAD + "version: abc": (
        "5:1: version: there is no such key; found 'version'; allowed: nothing: the version follows from the content"
    ),
    HEAD + "role: Outcom": (
        "5:7: role: is not one of the choices; found 'Outcom'; allowed: outcome, quality; did you mean 'outcome'?"
    ),
    HEAD + "sample: {rate: 1.5}": (
        "5:16: sample.rate: is out of range; found 1.5; allowed: at least 0 and at most 1"
    ),
    HEAD + "sample: {rate: .nan}": (
        "5:16: sample.rate: is the wrong kind of value; found '.nan'; allowed: a number, without quotes"
    ),
    HEAD + "sample:": (
        "5:8: sample: is the wrong kind of value; found nothing; allowed: a mapping of names to values"
    ),
    HEAD + "applies_to: {workflow: Support}": (
        "5:24: applies_to.workflow: is the wrong kind of value; found 'Support'; "
        "allowed: a list, such as [a, b]; did you mean '[Support]'?"
    ),
    HEAD + "review:\n  blind: yes": (
        "6:10: review.blind: is the wrong kind of value; found 'yes'; allowed: true or false; did you mean 'true'?"
    ),
    HEAD + "review: {send: [critical-fail]}": (
        "5:17: review.send[0]: is not one of the choices; found 'critical-fail'; allowed: unknown, critical_fail, "
        "panel_split, injection_suspected, low_confidence, near_threshold; did you mean 'critical_fail'?"
    ),
    HEAD + "escalate: {to: a/b, when: [value_above: x]}": (
        "5:41: escalate.when[0].value_above: is the wrong kind of value; found 'x'; allowed: a number, without quotes"
    ),
    HEAD + "escalate: {when: [unknown]}": "5:11: escalate.to: is missing; allowed: The stronger judge's model.",
    HEAD + "judges: []": "5:9: judges: is too short; found a list; allowed: 1 or more entries",
    HEAD + "judges: [{model: a/b, samples: 99}]": (
        "5:32: judges[0].samples: is out of range; found 99; allowed: at least 1 and at most 20"
    ),
    HEAD + "budget: {usd_per_day: 0}": "5:23: budget.usd_per_day: is out of range; found 0; allowed: above 0",
    HEAD + "content: {The answer: output}": (
        "5:11: content.The answer: is not a short name; found 'The answer'; allowed: a-z, 0-9, - and _, "
        "at most 64 characters, the first a letter or digit; did you mean 'the-answer'?"
    ),
    HEAD + "role: outcome\noutcome: {passed: {outcome: success}}": (
        "6:11: outcome.passed: is not one of the choices; found 'passed'; allowed: pass, partial, fail; "
        "did you mean 'pass'?"
    ),
    HEAD + "role: outcome\noutcome: {pass: {outcome: success, type: deflected}}": (
        "6:42: outcome.pass.type: is not one of the choices; found 'deflected'; allowed: CONVERTED, DEFLECTED, "
        "ESCALATED, UNSUCCESSFUL, CUSTOM, PENDING; did you mean 'DEFLECTED'?"
    ),
    with_criterion("{id: c, ask: Is it so?, scale: {1: a, low: b}, pass_at: 1}"): (
        "4:43: criteria[0].scale.low: is the wrong kind of value; found 'low'; allowed: a whole number"
    ),
}
BROKEN_EXPRESSIONS = {
    HEAD + "applies_to: {where: \"status = 'success'\"}": (
        "5:29: applies_to.where: not a JMESPath expression from here on; found \"= 'success'\"; did you mean '=='?"
    ),
    HEAD + "applies_to: {where: \"staus == 'success'\"}": (
        f"5:22: applies_to.where: there is no such name here; found 'staus'; allowed: {FACTS}; did you mean 'status'?"
    ),
    HEAD + "applies_to: {where: 'status == \"success\"'}": (
        "5:33: applies_to.where: there is no such name here (a text to compare with stands in single quotes); "
        f"found 'success'; allowed: {FACTS}"
    ),
    HEAD + "sample:\n  always: ['diagnostics.confidence < 0.6']": (
        "6:38: sample.always[0]: not a JMESPath expression from here on; found '0.6'; did you mean '`0.6`'?"
    ),
    HEAD + "sample: {always: ['''x'' = status']}": (
        "5:26: sample.always[0]: not a JMESPath expression from here on; found '= status'; did you mean '=='?"
    ),
    HEAD + "content: {q: 'input.messages[-1'}": "5:32: content.q: the expression ends too early",
    HEAD + "content: {q: 'length(models, input)'}": (
        "5:15: content.q: length() has another number of arguments; found 2 arguments; allowed: 1"
    ),
    HEAD + "content: {q: ''}": "5:14: content.q: the expression is empty",
    HEAD + "content: {}": "5:10: content: names nothing, so there is nothing to judge",
    with_criterion("{id: c, ask: Is it so?, not_applicable_when: '!source'}"): (
        "4:52: criteria[0].not_applicable_when: there is no such name here; found 'source'; "
        "allowed: question, answer, sources; did you mean 'sources'?"
    ),
}
BROKEN_CRITERIA = {
    with_criterion("{id: c}"): "4:5: criteria[0]: has neither ask nor check; allowed: exactly one of them",
    with_criterion("{id: c, ask: Is it so?, check: json_valid}"): (
        "4:29: criteria[0]: has both ask and check; allowed: exactly one of them"
    ),
    with_criterion("{id: c, ask: Is it so?}\n  - {id: c, ask: Is it?}"): (
        "5:10: criteria[1].id: is used twice, first in line 4; found 'c'; allowed: an id of its own"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 2}"): "4:29: criteria[0].pass_at: needs a scale beside it",
    with_criterion("{id: c, ask: Is it so?, scale: {1: a, 2: b}}"): (
        "4:29: criteria[0].pass_at: is missing; allowed: a level of the scale: 1, 2"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 1, scale: {1: a}}"): (
        "4:48: criteria[0].scale: has too few or too many levels; found 1 levels; allowed: 2 to 5"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 1, scale: {1: a, 2: b, 3: c, 4: d, 5: e, 6: f}}"): (
        "4:48: criteria[0].scale: has too few or too many levels; found 6 levels; allowed: 2 to 5"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 3, scale: {1: a, 2: b}}"): (
        "4:38: criteria[0].pass_at: is not a level of the scale; found 3; allowed: 1, 2"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 2, scale: {1: ' ', 2: b}}"): (
        "4:49: criteria[0].scale.1: has no anchor text; allowed: what this level means"
    ),
    with_criterion("{id: c, check: regexp, value: x}"): (
        "4:20: criteria[0].check: is not one of the choices; found 'regexp'; allowed: contains_url, json_valid, "
        "json_schema, regex, max_length, contains, equals_reference; did you mean 'regex'?"
    ),
    with_criterion("{id: c, check: regex, value: 'a('}"): (
        "4:34: criteria[0].value: is no regular expression: missing ) at its character 3; found 'a('; "
        "allowed: a regular expression, for regex"
    ),
    with_criterion("{id: c, check: regex, value: '((a{1000}){1000}){1000}'}"): (
        "4:34: criteria[0].value: repeats too often: its counts in braces multiply to more than 100000; "
        "found '((a{1000}){1000}){1000}'; allowed: a regular expression, for regex"
    ),
    with_criterion("{id: c, check: regex}"): (
        "4:20: criteria[0].value: is missing; allowed: a regular expression, for regex"
    ),
    with_criterion("{id: c, check: max_length, value: 0}"): (
        "4:39: criteria[0].value: is no length; found 0; "
        "allowed: a whole number of characters above 0, for max_length"
    ),
    with_criterion("{id: c, check: contains, value: [a, '']}"): (
        "4:37: criteria[0].value: is no text to look for; found a list; "
        "allowed: a text or a list of texts, for contains"
    ),
    with_criterion("{id: c, check: json_schema, value: {type: strin}}"): (
        "4:40: criteria[0].value: is no JSON schema: at $.type: 'strin' is not valid under any of the given schemas; "
        "found a mapping; allowed: a JSON schema of draft 2020-12, for json_schema"
    ),
    with_criterion("{id: c, check: json_schema, value: {$ref: 'http://example.com/s'}}"): (
        "4:40: criteria[0].value: refers outside itself, to 'http://example.com/s'; only #… is followed; "
        "found a mapping; allowed: a JSON schema of draft 2020-12, for json_schema"
    ),
    with_criterion("{id: c, check: json_valid, value: 3}"): (
        "4:39: criteria[0].value: json_valid compares with nothing; found 3; allowed: no value"
    ),
    with_criterion("{id: c, check: json_valid, of: anser}"): (
        "4:36: criteria[0].of: is not a name of content; found 'anser'; allowed: question, answer, sources; "
        "did you mean 'answer'?"
    ),
    with_criterion("{id: c, check: equals_reference}"): (
        "4:20: criteria[0].value: is not a name of content; found 'reference'; allowed: question, answer, sources"
    ),
    with_criterion("{id: c, check: json_valid}\ncontent: {a: output}"): (
        "4:20: criteria[0].check: looks at 'answer', which content does not name: say which with of:; allowed: a"
    ),
    with_criterion("{id: c, ask: Is it so?, value: 3}"): (
        "4:29: criteria[0].value: only a check has this; allowed: with check:"
    ),
}
BROKEN_RULES = {
    HEAD + "verdict: {pass_at: 0.4}": (
        "5:20: verdict.partial_at: is above pass_at; found partial_at 0.5 (its default), pass_at 0.4; "
        "allowed: at most 0.4"
    ),
    HEAD + "k: 2": "5:1: k: needs another rollup; found rollup last_run, its default; allowed: rollup: k_of_n",
    HEAD + "rollup: k_of_n": "5:9: k: is missing; allowed: how many runs have to pass, such as k: 2",
    HEAD + "outcome: {pass: {outcome: success}}": (
        "5:1: outcome: feeds nothing under this role; found role quality, its default; allowed: role: outcome"
    ),
    HEAD + "role: outcome\noutcome: {unknown: {outcome: success}}": (
        "6:11: outcome.unknown: an unknown verdict leaves the event pending; found 'unknown'; "
        "allowed: pass, partial, fail"
    ),
    HEAD + "judges: [{model: Default}]": (
        "5:18: judges[0].model: is no model; found 'Default'; allowed: default, or a litellm name; "
        "did you mean 'default'?"
    ),
    HEAD + "judges: [{model: a/b}, {model: a/b}]": (
        "5:32: judges[1].model: judges twice; found 'a/b'; allowed: one entry each; samples: asks it again"
    ),
    HEAD + "examples:\n  - {name: x, answr: y, expect: {c: pass}}": (
        "6:15: examples[0].answr: is not a name of content; found 'answr'; "
        "allowed: name, expect, question, answer, sources; did you mean 'answer'?"
    ),
    HEAD + "examples:\n  - {name: x, expect: {d: pass}}": (
        "6:24: examples[0].expect.d: is not a criterion; found 'd'; allowed: c"
    ),
    HEAD + "examples:\n  - {name: x, expect: {c: 3}}": (
        "6:27: examples[0].expect.c: is not an answer to this criterion; found 3; "
        "allowed: pass, fail, unknown, not_applicable"
    ),
    "id: a\ntitle: ' '\ncriteria:\n  - {id: c, ask: Is it so?}\n": "2:8: title: is blank",
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(text, told, id=told[:60])
        for table in (BROKEN_SYNTAX, BROKEN_FIELDS, BROKEN_EXPRESSIONS, BROKEN_CRITERIA, BROKEN_RULES)
        for text, told in table.items()
        if told
    ],
)
def test_a_broken_rubric_is_told_what_is_wrong_where_and_what_instead(text: str, told: str) -> None:
    assert problems_of(text)[0] == f"x.yaml:{told}"


def test_every_problem_of_a_file_is_told_at_once() -> None:
    told = problems_of(
        "id: A\ntitel: T\nrole: outcom\ncriteria:\n  - {id: c}\n  - {id: c, ask: Is it?, weight: 0}\n"
    )
    assert [line.split(": ")[0] for line in told] == [
        "x.yaml:1:5",
        "x.yaml:2:1",
        "x.yaml:3:7",
        "x.yaml:5:5",
        "x.yaml:6:10",
        "x.yaml:6:34",
    ]


def test_problems_are_data_as_well_as_text() -> None:
    with pytest.raises(RubricInvalid) as raised:
        read_rubric(HEAD + "rollup: last-run\n", name="x.yaml")
    assert isinstance(raised.value, RubricProblems)
    (problem,) = raised.value.problems
    assert (problem.line, problem.column, problem.field, problem.suggestion) == (5, 9, "rollup", "last_run")


def test_aliases_that_multiply_are_refused_before_they_are_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.perf_counter()
    (told,) = problems_of("\n".join(lines))
    assert "too many values, aliases expanded; allowed: at most 10000" in told
    assert time.perf_counter() - started < 1


def test_an_anchor_may_be_used_again() -> None:
    rubric = read_rubric(HEAD.replace("Is it so?", "&q Is it so?") + "  - {id: d, ask: *q}\n")
    assert rubric.criteria[1].ask == "Is it so?"


@pytest.mark.parametrize(
    "word", ["yes", "no", "on", "off", "y", "12:30", "0777_1", "1_000", "NaN", ".inf", "1e999"]
)
def test_yaml_1_1_surprises_are_text(word: str) -> None:
    assert scalar(word) == word


def test_yaml_1_2_words_are_what_they_look_like() -> None:
    words = ("", "~", "null", "true", "False", "010", "0o10", "0x10", "1.5", "-2", "1e3", ".5")
    assert [scalar(word) for word in words] == [None, None, None, True, False, 10, 8, 16, 1.5, -2, 1000.0, 0.5]


def test_scale_anchors_may_be_no_and_yes() -> None:
    rubric = read_rubric(with_criterion("{id: c, ask: Is it so?, scale: {1: no, 2: yes}, pass_at: 2}"))
    assert rubric.criteria[0].scale == {1: "no", 2: "yes"}


SAME_MEANING = {
    "comments and spacing": HEAD.replace("title: T", "title:   T   # the title"),
    "order of keys": "title: T\ncriteria:\n  - {ask: Is it so?, id: c}\nid: a\n",
    "block style and quotes": "id: \"a\"\ntitle: 'T'\ncriteria:\n- id: c\n  ask: >-\n    Is it\n    so?\n",
    "JSON": json.dumps({"id": "a", "title": "T", "criteria": [{"id": "c", "ask": "Is it so?"}]}),
    "defaults written out": HEAD
    + "role: quality\nsample: {rate: 1}\nverdict: {pass_at: 0.750, partial_at: 5e-1}\n",
    "CRLF and a byte order mark": "\ufeff" + HEAD.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", SAME_MEANING.values(), ids=SAME_MEANING)
def test_the_version_stays_where_only_the_spelling_changes(text: str) -> None:
    assert read_rubric(text).version == read_rubric(HEAD).version


def test_the_version_stays_where_a_number_is_spelt_otherwise() -> None:
    assert (
        read_rubric(HEAD + "budget: {usd_per_day: 5}").version
        == read_rubric(HEAD + "budget: {usd_per_day: 5.00}").version
    )


def test_the_version_is_the_same_on_every_machine_and_day() -> None:
    assert read_rubric(HEAD).version == "ea7b9cda690be102"


@pytest.mark.parametrize(
    "changed",
    [
        HEAD.replace("so?", "thus?"),
        HEAD.replace("title: T", "title: t"),
        HEAD.replace("id: c", "id: d"),
        HEAD + "sample: {rate: 0.999}",
        HEAD.replace("so?}", "so?, critical: true}"),
    ],
)
def test_the_version_changes_with_each_word(changed: str) -> None:
    assert read_rubric(changed).version != read_rubric(HEAD).version


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_told(text: str) -> None:
    read_or_told(text)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_a_rubric_is_read_or_told(data: st.DataObject) -> None:
    """Cuts the whole example and puts in what YAML and JMESPath give a meaning."""
    start = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(start, min(len(WHOLE), start + 40)))
    text = data.draw(st.text(alphabet="[]{}:,-?!&*|>'\"%@`#\n\t 01.aé\\<~=", max_size=6))
    read_or_told(WHOLE[:start] + text + WHOLE[end:])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*Rubric.model_fields, "ask", "check", "value", "scale", "pass_at", "expect", "1", "where"])
rubric_like = st.dictionaries(
    keys,
    json_values | st.dictionaries(keys, json_values) | st.lists(st.dictionaries(keys, json_values), max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(rubric_like)
def test_any_structure_is_read_or_told(written: dict[str, Any]) -> None:
    read_or_told(json.dumps({"id": "a", "title": "T", "criteria": [{"id": "c", "ask": "Is it?"}], **written}))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["ask", "check", "of", "value", "scale", "pass_at", "weight", "not_applicable_when"]),
    json_values,
)
def test_any_value_of_a_criterion_is_read_or_told(key: str, value: Any) -> None:
    criterion = {"id": "c", "ask": "Is it?", "scale": {"1": "a", "2": "b"}, "pass_at": 2, key: value}
    read_or_told(json.dumps({"id": "a", "title": "T", "criteria": [criterion]}))


def read_or_told(text: str) -> None:
    """Nothing but RubricProblems comes out of reading, each within the text and in order."""
    problems = None
    try:
        read_rubric(text)
    except RubricProblems as told:
        problems = told.problems
    if problems is None:
        return
    last_line = sum(text.count(end) for end in "\n\r\x85\u2028\u2029") + 2
    assert problems
    assert all(1 <= each.line <= last_line and each.column >= 1 and each.message for each in problems)
    assert all(before.line <= after.line for before, after in pairwise(problems))


def rubric_text(name: str, *more: str) -> str:
    return "\n".join([HEAD.replace("id: a", f"id: {name}"), *more, ""])


def test_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(rubric_text("good"))
    (tmp_path / "also-good.yml").write_text(rubric_text("also-good"))
    (tmp_path / "broken.yaml").write_text(rubric_text("broken", "role: outcom"))
    (tmp_path / "latin.yaml").write_bytes(rubric_text("latin").encode() + "# Grüße".encode("latin-1"))
    (tmp_path / "rubric.schema.json").write_text("{}")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "unread.yaml").write_text("nothing to see")
    folder = read_folder(tmp_path)
    assert [loaded.rubric.id for loaded in folder.loaded] == ["also-good", "good"]
    assert folder.loaded[1].source == rubric_text("good")
    assert [str(problem) for problem in folder.problems] == [
        f"{tmp_path}/broken.yaml:6:7: role: is not one of the choices; found 'outcom'; allowed: outcome, quality; "
        "did you mean 'outcome'?",
        f"{tmp_path}/latin.yaml:6:5: the file is not text in UTF-8; found byte 0xFC; allowed: UTF-8",
    ]


def test_of_two_files_with_one_id_the_first_stands(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(rubric_text("same"))
    (tmp_path / "two.yaml").write_text(rubric_text("same", "role: outcome"))
    folder = read_folder(tmp_path)
    assert [loaded.path.name for loaded in folder.loaded] == ["one.yaml"]
    assert [str(problem) for problem in folder.problems] == [
        f"{tmp_path}/two.yaml:1:5: id: {tmp_path}/one.yaml has this id already; this file is not used; "
        "found 'same'; allowed: an id of its own"
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "shared"),
    [
        ("[Support, Sales]", "[support]", "support"),
        ("[]", "[Support]", "Support"),
        ("[]", "[]", "every workflow"),
        ("[Support]", "[Sales]", ""),
    ],
)
def test_only_one_rubric_decides_the_outcome_of_a_workflow(
    tmp_path: Path, ours: str, theirs: str, shared: str
) -> None:
    (tmp_path / "one.yaml").write_text(rubric_text("one", "role: outcome", f"applies_to: {{workflow: {ours}}}"))
    (tmp_path / "two.yaml").write_text(rubric_text("two", "role: outcome", f"applies_to: {{workflow: {theirs}}}"))
    (tmp_path / "three.yaml").write_text(rubric_text("three", f"applies_to: {{workflow: {theirs}}}"))
    told = [str(problem) for problem in read_folder(tmp_path).problems]
    expected = (
        f"{tmp_path}/two.yaml:6:7: role: {tmp_path}/one.yaml decides the outcome of {shared} already; "
        "this file is not used; found outcome; "
        "allowed: one outcome rubric per workflow: name other workflows, or role: quality"
    )
    assert told == ([expected] if shared else [])


def test_a_missing_folder_is_one_clear_problem(tmp_path: Path) -> None:
    (problem,) = read_folder(tmp_path / "nowhere").problems
    assert str(problem) == (
        f"{tmp_path}/nowhere:1:1: there is no such folder; "
        "create it, or set ADJUDGE_RUBRICS_DIR to the folder of rubric files"
    )


def test_two_hundred_rubrics_are_read_in_a_second(tmp_path: Path) -> None:
    for n in range(200):
        text = WHOLE.replace("support-resolution", f"rubric-{n}").replace("[Support]", f"[Support{n}]")
        (tmp_path / f"{n}.yaml").write_text(text)
    started = time.process_time()
    folder = read_folder(tmp_path)
    assert (len(folder.loaded), folder.problems) == (200, ())
    assert time.process_time() - started < 1
