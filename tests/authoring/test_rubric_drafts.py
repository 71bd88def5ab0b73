"""`adjudge rubrics new`: from three answers to a rubric that is valid, and whose examples hold."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.authoring.rubric_drafts import Answers, Seen, draft, mapping, question_from
from evaluator.cli import run
from evaluator.errors import BadInput
from evaluator.model.capture import Capture, Passage
from evaluator.model.columns import utc_now
from evaluator.model.rubric import Role, Rubric
from evaluator.model.run import Run
from evaluator.rubric_format.rubric_files import read_rubric
from tests.world import reported_run

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and nothing of the developer's settings."""
    for name in [each for each in os.environ if each.startswith("ADJUDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str, workflow: str = "Support", ask: str = "It names the date.", role: str = "quality") -> int:
    return run(["rubrics", "new", "--workflow", workflow, "--ask", ask, "--role", role, *arguments])


def imported(**changes: Any) -> None:
    """A stored run, in the database of the folder one works in."""
    Path("runs.jsonl").write_text(json.dumps(reported_run(**changes)))
    assert run(["import", "runs.jsonl"]) == 0


def made(path: str = "rubrics/support-quality.yaml") -> Rubric:
    return read_rubric(Path(path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Is the date right?", "Is the date right?"),
        ("It names the delivery date", "Does the answer name the delivery date?"),
        ("The answer replies to every point", "Does the answer reply to every point?"),
        ("A good answer fixes the customer's problem", "Does the answer fix the customer's problem?"),
        ("It complies with the policy", "Does the answer comply with the policy?"),
        ("The reply must give an amount", "Does the answer give an amount?"),
        ("It should be short", "Is the answer short?"),
        ("It is polite", "Is the answer polite?"),
        ("It has a link", "Does the answer have a link?"),
        ("Solves the stated problem", "Does the answer solve the stated problem?"),
        ("Answer in one sentence", "Does the answer answer in one sentence?"),
    ],
)
def test_a_sentence_becomes_a_question_where_that_is_safe(sentence: str, question: str) -> None:
    assert question_from(sentence) == question


@pytest.mark.parametrize(
    "sentence",
    [
        "The answer names the date and apologises",
        "It does not promise a refund",
        "It always helps",
        "It has been checked",
        "Answers should be short",
        "Customers get their refund",
        "Help is offered",
        "Alles steht darin",
    ],
)
def test_any_other_sentence_is_asked_about_as_it_stands(sentence: str) -> None:
    assert question_from(sentence) == f"Is this true of {{answer}} to {{question}}: {sentence}?"


CHAT = {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Where?"}]}
ANSWERED = {"messages": [*CHAT["messages"], {"role": "assistant", "content": "There."}]}


@pytest.mark.parametrize(
    ("input_", "output", "question", "answer"),
    [
        ("Where?", "There.", "input", "output"),
        (CHAT, "There.", "input.messages[-1].content || input", "output"),
        (
            ANSWERED,
            ANSWERED,
            "(input.messages[?role=='user'].content | [-1]) || input",
            "output.messages[-1].content || output",
        ),
        (
            {"query": "Where?", "lang": "en"},
            {"reply": "There."},
            "input.query || input",
            "output.reply || output",
        ),
        ({"order": 7}, ["a"], "input", "output"),
    ],
)
def test_content_is_looked_for_where_the_newest_run_has_it(
    input_: Any, output: Any, question: str, answer: str
) -> None:
    imported(input=input_, output=output)
    assert new() == 0
    assert made().content == {"question": question, "answer": answer}


def test_without_a_run_the_mapping_fits_texts_chats_and_objects(capsys: Printed) -> None:
    assert new() == 0
    text = Path("rubrics/support-quality.yaml").read_text()
    assert mapping(None)["question"] in text
    assert not Path("adjudge-data").exists(), "no database is made"


def test_what_is_made_has_neither_errors_nor_warnings(capsys: Printed) -> None:
    imported(retrieval=["A text"], workflow="Support")
    for role in ("quality", "outcome"):
        assert new(role=role) == 0
    capsys.readouterr()
    assert run(["rubrics", "lint"]) == 0
    assert "2 rubrics: no problems." in capsys.readouterr().out


def test_its_examples_hold_whatever_the_judge(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question of manner gets the example alone that code answers: a polite phrase may well be a pass there."""
    monkeypatch.setenv("ADJUDGE_MODELS_DIR", "nowhere")
    assert new(ask="It is polite.") == 0
    assert [each.name for each in made().examples] == ["announces an answer only"]
    assert run(["rubrics", "test"]) == 0
    assert "1 of 1 example as expected; 0 calls" in capsys.readouterr().out


def test_a_question_of_substance_also_gets_an_example_for_the_judge() -> None:
    assert new() == 0
    assert [each.name for each in made().examples] == ["empty phrase", "announces an answer only"]


def test_the_runs_own_content_is_a_template_that_only_needs_its_marks_taken_away(capsys: Printed) -> None:
    hostile = 'A "quoted" line\nand another: {x}\u2028 # [bold]'
    imported(run_id="r1", output=hostile)
    assert new() == 0
    text = Path("rubrics/support-quality.yaml").read_text(encoding="utf-8")
    before, mark, template = text.partition("  # - name: ")
    taken = before + (mark + template).replace("\n  # ", "\n  ").replace("  # - name: ", "  - name: ", 1)
    own = read_rubric(taken).examples[-1]
    assert own.name == "run r1"
    assert (own.model_extra or {})["answer"] == hostile
    assert own.expect == {made().criteria[0].id: "pass"}


def test_an_outcome_rubric_maps_its_verdicts() -> None:
    assert new(role="outcome") == 0
    rubric = made("rubrics/support-outcome.yaml")
    assert rubric.role is Role.OUTCOME
    assert {str(label): str(each.outcome) for label, each in rubric.outcome.items()} == {
        "pass": "success",
        "fail": "failed",
    }


def test_a_second_outcome_rubric_is_refused_with_the_ways_out(capsys: Printed) -> None:
    assert new(role="outcome") == 0
    assert new("--id", "second", workflow="support", role="outcome") == 1
    told = capsys.readouterr().err
    assert "rubrics/support-outcome.yaml decides the outcome of support already." in told
    assert "--role quality" in told
    assert "combine: worst" in told
    assert new("--id", "second", workflow="Returns", role="outcome") == 0


def test_a_second_outcome_rubric_combines_as_the_first_says(capsys: Printed) -> None:
    assert new(role="outcome") == 0
    first = Path("rubrics/support-outcome.yaml")
    sampled = first.read_text().replace("rate: 1.0", "rate: 0.123456789\n  always: [\"status == 'failed'\"]")
    first.write_text(sampled + "combine: best\n")
    assert new("--id", "second", role="outcome") == 0
    assert str(made("rubrics/second.yaml").combine) == "best"
    assert made("rubrics/second.yaml").sample == made(str(first)).sample, "what one takes alone stays pending"
    assert run(["rubrics", "lint"]) == 0


def test_a_file_is_never_written_over_unasked(capsys: Printed) -> None:
    assert new() == 0
    Path("rubrics/support-quality.yaml").write_text("mine")
    assert new() == 1
    assert "is there already" in capsys.readouterr().err
    assert Path("rubrics/support-quality.yaml").read_text() == "mine"
    assert new("--force") == 0
    assert made().id == "support-quality"


def test_an_id_that_another_file_has_is_refused(capsys: Printed) -> None:
    assert new() == 0
    assert new("--id", "support-quality", "--output", "rubrics/other.yaml") == 1
    assert "has the id support-quality already" in capsys.readouterr().err


def test_the_next_commands_are_told_and_work(capsys: Printed) -> None:
    assert new("--output", "my rubrics/a.yaml") == 0
    told = capsys.readouterr().err
    assert "Wrote my rubrics/a.yaml: Does the answer name the date?" in told
    assert "  adjudge rubrics test 'my rubrics/a.yaml'  " in told
    assert "  adjudge rubrics show 'my rubrics/a.yaml' --example 'empty phrase'  # " in told
    assert run(["rubrics", "show", "my rubrics/a.yaml", "--example", "empty phrase"]) == 0


def test_it_can_be_printed_instead(capsys: Printed, folder: Path) -> None:
    assert new("--output", "-") == 0
    assert read_rubric(capsys.readouterr().out).id == "support-quality"
    assert list(folder.iterdir()) == []


def test_two_questions_in_one_are_written_and_told(capsys: Printed) -> None:
    assert new(ask="Is the date right and is the tone kind?") == 0
    assert "Look again:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--ask", "It helps"], 2, "--workflow, --role"),
        (["--workflow", "", "--ask", " ?! ", "--role", "quality"], 1, "The question has no words."),
        (["--workflow", "", "--ask", "It names {order}", "--role", "quality"], 1, "found '{order}'"),
        (["--workflow", "", "--ask", "It helps", "--role", "quality", "--id", "Ä b"], 1, "is no id of a rubric"),
        (["--workflow", "", "--ask", "It helps", "--role", "judge"], 2, "'outcome', 'quality'"),
        (
            ["--workflow", "", "--ask", "It helps", "--role", "quality", "--output", "f/x.yaml"],
            1,
            "cannot be written",
        ),
    ],
)
def test_what_cannot_be_made_is_told(arguments: list[str], code: int, told: str, capsys: Printed) -> None:
    Path("f").write_text("")
    assert run(["rubrics", "new", *arguments]) == code
    assert told in " ".join(capsys.readouterr().err.split())


def in_a_terminal(*answers: str) -> str:
    """What is shown of `adjudge rubrics new` to somebody who types these answers."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "evaluator.cli", "rubrics", "new"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # the terminal is closed once the command has ended
    os.close(ours)
    assert process.wait(60) == 0, shown.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def test_in_a_terminal_three_questions_are_asked() -> None:
    imported(workflow="Returns")
    shown = in_a_terminal("", "It names the date.", "quality")
    assert "Seen in runs: Returns. * means all." in shown
    assert "Wrote rubrics/returns-quality.yaml" in shown
    rubric = made("rubrics/returns-quality.yaml")
    assert rubric.applies_to.workflow == ("Returns",)
    assert rubric.criteria[0].ask == "Does the answer name the date?"


def test_all_workflows_are_named_by_a_star_where_one_was_seen() -> None:
    imported(workflow="Returns")
    in_a_terminal("*", "It names the date.", "quality")
    assert made("rubrics/all-quality.yaml").applies_to.workflow == ()


TEXT = st.text(max_size=60)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=4
)
OBJECTS = st.dictionaries(
    st.sampled_from(["question", "messages", "answer", "content", "text", "x"]), VALUES, max_size=3
)


@given(
    ask=TEXT,
    workflow=TEXT,
    role=st.sampled_from(Role),
    input_=VALUES | OBJECTS,
    output=VALUES | OBJECTS,
    run_id=TEXT,
)
def test_whatever_is_said_or_was_captured_the_draft_is_a_valid_rubric(
    ask: str, workflow: str, role: Role, input_: Any, output: Any, run_id: str
) -> None:
    seen = Seen(
        Run(run_id=run_id, event_id="e", workflow=workflow, started_at=utc_now()),
        Capture(input=Passage(value=input_), output=Passage(value=output), retrieval=Passage(value=["a"])),
    )
    answers = Answers((workflow.strip(),) if workflow.strip() else (), ask, role)
    try:
        text = draft(answers, Path("nowhere/x.yaml"), folder=Path("nowhere"), seen=seen).text
    except BadInput:
        # only braces, which may name content that there is not, and too few words are refused
        if "{" not in ask and len(re.findall(r"\w", ask)) >= 3:
            raise
        return
    rubric = read_rubric(text)
    assert rubric.role is role
    assert rubric.criteria[0].critical
    assert {label for each in rubric.examples for label in each.expect.values()} == {"fail"}


@pytest.mark.parametrize("url", ["sqlite:///no.db", "postgresql://nobody@127.0.0.1:9/x"])
def test_without_a_database_that_can_be_used_a_rubric_is_made_all_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    Path("no.db").mkdir()
    monkeypatch.setenv("ADJUDGE_DATABASE_URL", url)
    assert new() == 0
    assert "Stored runs are left out: The database" in capsys.readouterr().err
    assert made().id == "support-quality"


def test_a_title_has_no_placeholder(capsys: Printed) -> None:
    imported(retrieval=["Refunds take 5 days."])
    assert new(ask="Does {answer} say what {sources} say?") == 0
    assert made().title == "Does the answer say what the sources say?"


def test_what_comes_next_depends_on_whether_there_are_runs_and_where_the_file_is(capsys: Printed) -> None:
    assert new() == 0
    told = capsys.readouterr().err
    assert "It is in force for what arrives from now on." in told
    assert [each in told for each in ("--example", "rubrics schema", "adjudge import FILE")] == [True] * 3
    imported()
    capsys.readouterr()
    assert new("--id", "second") == 0
    assert "adjudge judge --last 100 " in capsys.readouterr().err
    assert new("--id", "third", "--output", "drafts/third.yaml") == 0
    told = capsys.readouterr().err
    assert "in force" not in told
    assert "adjudge rubrics backtest drafts/third.yaml" in told
