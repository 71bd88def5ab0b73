"""What sets two versions apart: nothing that differs goes unsaid, nothing that is equal is said to differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.authoring.difference_text import as_text, marked_words
from evaluator.authoring.rubric_difference import (
    REACH,
    Reach,
    changes,
    consequences,
    rubric_difference,
)
from evaluator.judging.judge import fingerprint
from evaluator.model.rubric import Criterion, Example, JudgeSpec, Rubric
from evaluator.rubric_format.rubric_files import read_rubric, version_of

TEXT = """\
id: support
title: Did we solve it?
role: outcome
applies_to: {workflow: [Support], where: "status == 'success'"}
sample: {rate: 0.2, always: ["diagnostics.confidence < `0.6`"]}
content: {question: input, answer: output}
criteria:
  - {id: solves, ask: Does the answer fix the stated problem?, critical: true, weight: 3}
  - {id: grounded, ask: Is every claim backed by the sources?, not_applicable_when: "!question"}
  - {id: has-link, check: contains_url}
verdict: {pass_at: 0.75, partial_at: 0.5}
judges: [{model: openai/gpt-4.1-mini, timeout_seconds: 30}]
rollup: last_run
outcome: {pass: {outcome: success, type: DEFLECTED}}
review: {audit_rate: 0.05, send: [unknown]}
budget: {usd_per_day: 5}
examples:
  - {name: dodges, question: Where is it?, answer: We value you., expect: {solves: fail}}
"""
BASE = read_rubric(TEXT)

OF = Reach


def edited(*edits: tuple[str, str]) -> Rubric:
    text = TEXT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return read_rubric(text)


@pytest.mark.parametrize(
    ("edits", "reaches"),
    [
        ([("id: support\n", "id: sales\n")], {OF.NAME}),
        ([("stated problem", "customer's problem")], {OF.VERDICTS}),
        ([("Did we", "Did they")], {OF.VERDICTS}),
        ([("answer: output}\n", "answer: output.text}\n")], {OF.VERDICTS}),
        ([("pass_at: 0.75", "pass_at: 0.8")], {OF.VERDICTS}),
        ([("weight: 3", "weight: 2")], {OF.VERDICTS}),
        ([("openai/gpt-4.1-mini", "openai/gpt-5")], {OF.VERDICTS}),
        ([("timeout_seconds: 30", "timeout_seconds: 60")], set()),
        ([("timeout_seconds: 30", "samples: 3, timeout_seconds: 30")], {OF.VERDICTS, OF.RUNS}),
        ([("}]\nrollup", "}, {model: anthropic/claude-sonnet-4-5}]\nrollup")], {OF.RUNS}),
        (
            [("rollup: last_run", "rollup: mean\nescalate: {to: openai/gpt-5, when: [unknown]}")],
            {OF.RUNS, OF.EVENTS},
        ),
        ([("last_run", "k_of_n\nk: 2")], {OF.EVENTS}),
        ([("DEFLECTED", "CONVERTED")], {OF.OUTCOMES}),
        ([("rollup:", "combine: worst\nrollup:")], {OF.OUTCOMES}),
        ([("[Support]", "[Support, Sales]")], {OF.POPULATION}),
        ([("status == 'success'", "status != 'failed'")], {OF.POPULATION}),
        ([("rate: 0.2", "rate: 0.4")], {OF.SELECTION}),
        ([("`0.6`", "`0.7`")], {OF.SELECTION}),
        ([("audit_rate: 0.05", "audit_rate: 0.1")], {OF.REVIEW}),
        ([("send: [unknown]", "send: [unknown], blind: false")], {OF.REVIEW}),
        ([("usd_per_day: 5", "usd_per_day: 7")], set()),
        ([("We value you.", "We love you.")], set()),
        ([("rate: 0.2", "rate: 0.4"), ("usd_per_day: 5", "usd_per_day: 7")], {OF.SELECTION}),
    ],
)
def test_each_change_stops_what_rests_on_it_and_no_more(edits: list[tuple[str, str]], reaches: set[Reach]) -> None:
    found = rubric_difference(BASE, edited(*edits))
    assert found.changes
    assert {each.reach for each in found.consequences} == reaches


def test_consequences_name_the_changes_to_blame() -> None:
    after = edited(("rate: 0.2", "rate: 0.4"), ("stated", "true"))
    assert {one.reach: one.fields for one in consequences(BASE, after)} == {
        OF.VERDICTS: ("criteria.solves.ask",),
        OF.SELECTION: ("sample.rate",),
    }


def test_every_key_of_a_rubric_has_its_reach() -> None:
    assert {*REACH, "judges", "version"} == set(Rubric.model_fields)


@pytest.mark.parametrize(
    "edits",
    [
        [("id: support\n", "# why\nid: support\n")],
        [("{rate: 0.2, always", "{ rate:  0.20 , always")],
        [("id: support\ntitle: Did we solve it?\n", "title: 'Did we solve it?'\nid: support\n")],
        [("usd_per_day: 5", "usd_per_day: 5.0")],
        [("weight: 3", "weight: 3.0")],
    ],
)
def test_spelling_is_no_difference(edits: list[tuple[str, str]]) -> None:
    found = rubric_difference(BASE, edited(*edits))
    assert (found.changes, found.prompt, found.consequences) == ((), (), ())
    assert "mean the same" in "\n".join(as_text(found))


identifiers = st.sampled_from(["solves", "grounded", "tone", "has-link"])
prose = st.sampled_from(["Does it help?", "Does it help them?", "Is it true?", "Is\nit true?"])
criteria = st.lists(
    st.builds(Criterion, id=identifiers, ask=prose, critical=st.booleans(), weight=st.sampled_from([1.0, 2.0])),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each.id,
).map(tuple)
judges = st.lists(
    st.builds(
        JudgeSpec,
        model=st.sampled_from(["default", "openai/gpt-5"]),
        samples=st.sampled_from([None, 1, 3]),
        temperature=st.sampled_from([0.0, 0.7]),
        timeout_seconds=st.sampled_from([30.0, 60.0]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
cases = st.builds(
    Example,
    name=st.sampled_from(["a", "a #2", "b"]),
    expect=st.just({"solves": "fail"}),
    answer=st.sampled_from(["x", "y", True, 1]),
)
PARTS: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["support", "sales"]),
    "title": prose,
    "role": st.sampled_from(["outcome", "quality"]),
    "applies_to": st.fixed_dictionaries({"workflow": st.lists(st.sampled_from(["A", "B"]), max_size=3)}),
    "sample": st.fixed_dictionaries({"rate": st.sampled_from([0.1, 1]), "always": st.lists(prose, max_size=2)}),
    "content": st.dictionaries(identifiers, st.sampled_from(["input", "output"]), min_size=1),
    "criteria": criteria,
    "verdict": st.sampled_from([{}, {"pass_at": 0.9}, {"pass_at": 0.9, "partial_at": 0.2}]),
    "judges": judges,
    "escalate": st.sampled_from([None, {"to": "x/y"}, {"to": "x/y", "when": ["unknown", {"value_above": 5}]}]),
    "rollup": st.sampled_from(["last_run", "mean"]),
    "k": st.sampled_from([None, 1, 2]),
    "outcome": st.sampled_from([{}, {"pass": {"outcome": "success"}}, {"pass": {"outcome": "failed"}}]),
    "combine": st.sampled_from([None, "worst", "best"]),
    "review": st.sampled_from([{}, {"audit_rate": 0.1}, {"send": ["unknown", "panel_split"]}]),
    "budget": st.sampled_from([None, {"usd_per_day": "5"}, {"usd_per_day": "5.00"}, {"usd_per_day": "6"}]),
    "examples": st.lists(cases, max_size=4).map(tuple),
}
rubrics = st.fixed_dictionaries(PARTS)


@given(rubrics, st.sampled_from(sorted(PARTS)), st.data())
def test_one_changed_field_is_never_unsaid_and_an_equal_one_never_said(
    fields: dict[str, Any], name: str, data: st.DataObject
) -> None:
    before = Rubric.model_validate(fields)
    after = Rubric.model_validate({**fields, name: data.draw(PARTS[name])})
    found = list(changes(before, after))
    assert bool(found) == (version_of(before) != version_of(after))
    said = "\n".join(as_text(rubric_difference(before, after)))
    assert ("What changed in meaning" in said) == bool(found)
    # a scale or not decides how often judges are asked by default, so criteria may bring a change of judges along
    assert {each.field.split(".")[0].split("[")[0] for each in found} <= {name, "judges"}


@given(rubrics, rubrics)
def test_verdicts_start_anew_exactly_where_the_fingerprint_changes(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    before, after = (
        Rubric.model_validate({**each, "judges": each["judges"][:1], "escalate": None}) for each in (one, other)
    )
    anew = Reach.VERDICTS in {each.reach for each in consequences(before, after)}
    prints = [fingerprint(each, each.judges[0], each.judges[0].model) for each in (before, after)]
    assert anew == (prints[0] != prints[1])


def test_a_reworded_criterion_is_marked_word_by_word() -> None:
    told = "\n".join(as_text(rubric_difference(BASE, edited(("fix the stated problem", "solve the problem")))))
    assert "Does the answer [-fix-]{+solve+} the [-stated-] problem?" in told
    assert "+- solves: Does the answer solve the problem? (pass | fail)" in told


def test_a_renamed_criterion_is_no_new_one() -> None:
    found = rubric_difference(BASE, edited(("{id: grounded", "{id: backed")))
    assert [(each.kind, each.before, each.after) for each in found.changes] == [("renamed", "grounded", "backed")]


def test_an_added_and_a_dropped_criterion_are_shown_as_written() -> None:
    told = "\n".join(
        as_text(
            rubric_difference(BASE, edited(("{id: has-link, check: contains_url}", "{id: kind, ask: Is it kind?}")))
        )
    )
    assert "- criteria.has-link: id: has-link, check: contains_url\n" in told
    assert "+ criteria.kind: id: kind, ask: Is it kind?\n" in told


def test_a_rubric_of_checks_alone_has_no_prompt_to_compare() -> None:
    checks = Rubric(id="links", title="Is there a link?", criteria=(Criterion(id="link", check="contains_url"),))
    critical = checks.model_copy(update={"criteria": (Criterion(id="link", check="contains_url", critical=True),)})
    assert rubric_difference(checks, critical).prompt == ()


@given(st.text(), st.text())
def test_word_marks_hold_every_word_of_both(before: str, after: str) -> None:
    if before.split() != after.split():
        marked = marked_words(before, after)
        assert all(word in marked for word in (*before.split(), *after.split()))
