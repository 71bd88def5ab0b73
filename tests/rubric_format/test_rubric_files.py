"""Rubric files are read whole, or refused with every problem at its line and column."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from evaluator.errors import RubricInvalid
from evaluator.model.rubric import Role
from evaluator.rubric_format.marked_yaml import scalar
from evaluator.rubric_format.rubric_files import RubricProblems, read_folder, read_rubric

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
    assert read_rubric(HEAD).version == "cc0f732de93e4df4"


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
        "did you mean 'outcome'? (docs/rubrics.md#keys)",
        f"{tmp_path}/latin.yaml:6:5: the file is not text in UTF-8; found byte 0xFC; allowed: UTF-8 "
        "(docs/rubrics.md#files)",
    ]


def test_of_two_files_with_one_id_the_first_stands(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(rubric_text("same"))
    (tmp_path / "two.yaml").write_text(rubric_text("same", "role: outcome"))
    folder = read_folder(tmp_path)
    assert [loaded.path.name for loaded in folder.loaded] == ["one.yaml"]
    assert [str(problem) for problem in folder.problems] == [
        f"{tmp_path}/two.yaml:1:5: id: {tmp_path}/one.yaml has this id already; this file is not used; "
        "found 'same'; allowed: an id of its own (docs/rubrics.md#keys)"
    ]


WAYS_OUT = "other workflows under applies_to, or role: quality (docs/rubrics.md#combine)"


def outcome_rubrics(folder: Path, *rubrics: tuple[str, str]) -> list[str]:
    """What is told of a folder of outcome rubrics, each given by its workflows and its combine, if any."""
    for name, (workflows, combine) in zip(("one", "two", "three"), rubrics, strict=False):
        more = [f"combine: {combine}"] if combine else []
        text = rubric_text(name, "role: outcome", f"applies_to: {{workflow: {workflows}}}", *more)
        (folder / f"{len(list(folder.iterdir()))}-{name}.yaml").write_text(text)
    return [str(problem).replace(f"{folder}/", "") for problem in read_folder(folder).problems]


@pytest.mark.parametrize(
    ("ours", "theirs", "shared"),
    [
        ("[Support, Sales]", "[support]", "support"),
        ("[]", "[Support]", "Support"),
        ("[]", "[]", "every workflow"),
        ("[Support]", "[Sales]", ""),
    ],
)
def test_two_rubrics_decide_one_outcome_only_where_both_say_how_it_is_combined(
    tmp_path: Path, ours: str, theirs: str, shared: str
) -> None:
    told = outcome_rubrics(tmp_path, (ours, ""), (theirs, ""))
    expected = (
        f"1-two.yaml:6:7: role: 0-one.yaml (no combine:) decides the outcome of {shared} already; "
        "this file is not used; found no combine:; "
        f"allowed: combine: worst or combine: best in both files, {WAYS_OUT}"
    )
    assert told == ([expected] if shared else [])


@pytest.mark.parametrize("combine", ["worst", "best"])
def test_rubrics_that_combine_alike_share_a_workflow(tmp_path: Path, combine: str) -> None:
    assert outcome_rubrics(tmp_path, *[("[Support]", combine)] * 3) == []
    assert len(read_folder(tmp_path).loaded) == 3


def test_rubrics_that_combine_otherwise_are_told_so(tmp_path: Path) -> None:
    assert outcome_rubrics(tmp_path, ("[Support]", "worst"), ("[Support]", "best")) == [
        "1-two.yaml:8:10: combine: 0-one.yaml (combine: worst) decides the outcome of Support already; "
        f"this file is not used; found combine: best; allowed: combine: worst here as well, {WAYS_OUT}"
    ]


def test_a_rubric_that_combines_with_one_that_does_not_say_so_is_told(tmp_path: Path) -> None:
    assert outcome_rubrics(tmp_path, ("[Support]", ""), ("[Support]", "best")) == [
        "1-two.yaml:8:10: combine: 0-one.yaml (no combine:) decides the outcome of Support already; "
        f"this file is not used; found combine: best; allowed: combine: best in both files, {WAYS_OUT}"
    ]


def test_a_third_rubric_is_told_of_both_others(tmp_path: Path) -> None:
    assert outcome_rubrics(tmp_path, ("[A]", "worst"), ("[B]", "best"), ("[A, B]", "")) == [
        "2-three.yaml:6:7: role: 0-one.yaml (combine: worst) and 1-two.yaml (combine: best) decide the outcome of "
        "A, B already; this file is not used; found no combine:; "
        f"allowed: combine: worst or combine: best in all 3 files, {WAYS_OUT}"
    ]


def test_a_rubric_that_only_measures_clashes_with_none(tmp_path: Path) -> None:
    (tmp_path / "9-measures.yaml").write_text(rubric_text("measures", "applies_to: {workflow: [Support]}"))
    assert outcome_rubrics(tmp_path, ("[Support]", "")) == []


def test_a_missing_folder_is_one_clear_problem(tmp_path: Path) -> None:
    (problem,) = read_folder(tmp_path / "nowhere").problems
    assert str(problem) == (
        f"{tmp_path}/nowhere:1:1: there is no such folder; "
        "`adjudge rubrics new` makes it with a first rubric, or set ADJUDGE_RUBRICS_DIR to the folder of rubric files (docs/rubrics.md#files)"
    )


def test_a_link_to_a_file_that_is_gone_is_told_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone.yaml")
    (tmp_path / "b.yaml").write_text(rubric_text("b"))
    folder = read_folder(tmp_path)
    assert [one.rubric.id for one in folder.loaded] == ["b"]
    (problem,) = folder.problems
    assert problem.told() == "the file cannot be read: No such file or directory (docs/rubrics.md#files)"


def test_two_hundred_rubrics_are_read_in_a_second(tmp_path: Path) -> None:
    for n in range(200):
        text = WHOLE.replace("support-resolution", f"rubric-{n}").replace("[Support]", f"[Support{n}]")
        (tmp_path / f"{n}.yaml").write_text(text)
    started = time.process_time()
    folder = read_folder(tmp_path)
    assert (len(folder.loaded), folder.problems) == (200, ())
    assert time.process_time() - started < 1
