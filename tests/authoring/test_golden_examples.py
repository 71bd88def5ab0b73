"""`adjudge rubrics test`, run as an author runs it, against a model server and recorded calls."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.authoring.golden_examples import compared
from evaluator.cli import run
from evaluator.model.columns import utc_now
from evaluator.model.rubric import Criterion
from evaluator.model.verdict import CriterionLabel, CriterionVerdict
from evaluator.rubric_format.rubric_files import read_loaded
from evaluator.store.rubric_versions import store_version
from evaluator.terminal import opened
from tests.judging.openai_stub import Stub, Told, graded, openai_stub_aside

Printed = pytest.CaptureFixture[str]
RECORDED = Path(__file__).parents[1] / "cassettes" / "examples"

RUBRIC = """\
id: {id}
title: Did the answer help?
content: {{question: input, answer: output}}
criteria:
  - {{id: helps, ask: Does the answer give what was asked for?, critical: true}}
  - {{id: has-link, check: contains_url}}
judges:{judges}
examples:{examples}
"""
JUDGE = "\n  - {model: default}"
ASKED = """
  - {name: helps, question: Where?, answer: "At https://shop.example/9", expect: {helps: pass, has-link: pass}}
  - {name: dodges, question: Where?, answer: We value you., expect: {helps: fail, has-link: fail}}"""
ONE = """
  - {name: helps, question: Where?, answer: At the corner., expect: {helps: pass}}"""
SCALED = """\
id: tone
title: Is the tone right?
criteria:
  - id: tone
    ask: How is the tone?
    scale: {1: rude, 2: cold, 3: neutral, 4: kind, 5: warm}
    pass_at: 4
content: {answer: output}
judges: [{model: default, samples: 3}]
examples:
  - {name: kind, answer: Gladly., expect: {tone: 4}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and nothing of the developer's settings."""
    for name in [each for each in os.environ if each.startswith("ADJUDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ADJUDGE_MODELS_DIR", str(tmp_path / "no-models"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A model server as the default judge, which answers in the order it is told to."""
    running = []

    def serve(*answers: Told) -> Stub:
        server = openai_stub_aside(*answers)
        stub = server.__enter__()
        running.append(server)
        settings = {"MODEL": "openai/stub", "API_BASE": stub.api_base, "API_KEY": "sk-secret", "CONCURRENCY": "1"}
        for name, value in settings.items():
            monkeypatch.setenv(f"ADJUDGE_JUDGE_{name}", value)
        return stub

    yield serve
    for server in running:
        server.__exit__(None, None, None)


def rubric(rubric_id: str = "support", *, examples: str = ASKED, judges: str = JUDGE) -> str:
    """A rubric file in the folder one works in, its name."""
    path = Path(f"{rubric_id}.yaml")
    path.write_text(RUBRIC.format(id=rubric_id, judges=judges, examples=examples or " []"))
    return str(path)


def results(capsys: Printed) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_all_as_expected_is_exit_code_0_and_needs_no_database(served: Any, capsys: Printed, folder: Path) -> None:
    served(Told(graded(helps="pass")), Told(graded(helps="fail")))
    assert run(["rubrics", "test", rubric()]) == 0
    told = capsys.readouterr().out
    assert "2 of 2 examples as expected; 2 calls, unpriced." in told
    assert [each.name for each in folder.iterdir()] == ["support.yaml"]


def test_a_difference_is_told_with_the_judges_words_and_exit_code_1(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")))
    assert run(["rubrics", "test", rubric()]) == 1
    told = capsys.readouterr().out
    assert "✗ fail→pass" in told
    assert "✗ dodges: helps: expected fail, got pass\n    So.\n" in told
    assert "1 of 2 examples as expected" in told


def test_code_checks_are_tested_without_a_call(capsys: Printed) -> None:
    name = rubric(examples='\n  - {name: empty, answer: "…", expect: {helps: fail, has-link: pass}}')
    assert run(["rubrics", "test", name, "--format", "json"]) == 1
    (example,) = results(capsys)["rubrics"][0]["examples"]
    assert [(each["id"], each["got"], each["decided_by"]) for each in example["criteria"]] == [
        ("helps", "fail", "precheck"),
        ("has-link", "fail", "check"),
    ]


def test_a_judge_that_is_not_set_up_is_told_with_the_usual_hint(capsys: Printed) -> None:
    assert run(["rubrics", "test", rubric()]) == 1
    told = capsys.readouterr().err
    assert "weights are missing" in told
    assert "adjudge models pull" in told


def test_an_unparsable_reply_fails_its_example_and_the_others_go_on(served: Any, capsys: Printed) -> None:
    served(Told("no"), Told("no"), Told(graded(helps="fail")))
    assert run(["rubrics", "test", rubric(), "--format", "json"]) == 1
    helps, dodges = results(capsys)["rubrics"][0]["examples"]
    assert "not evaluable: unparsable" in helps["failure"]
    assert helps["as_expected"] is False
    assert dodges["as_expected"] is True


def test_a_judge_out_of_reach_fails_the_run(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setenv("ADJUDGE_JUDGE_MODEL", "openai/stub")
    monkeypatch.setenv("ADJUDGE_JUDGE_API_BASE", "http://127.0.0.1:9/v1")
    assert run(["rubrics", "test", rubric()]) == 1
    assert "helps: not evaluable: unreachable" in capsys.readouterr().out


def test_a_rejected_key_is_tried_once(served: Any, capsys: Printed) -> None:
    stub = served(Told(status=401, error={"message": "bad key"}))
    assert run(["rubrics", "test", rubric()]) == 1
    assert len(stub.requests) == 1
    assert "0 of 2 examples as expected" in capsys.readouterr().out


def test_a_limited_rate_is_waited_for(served: Any, capsys: Printed) -> None:
    busy = Told(status=429, headers={"retry-after": "0"}, error={"message": "slow down"})
    stub = served(busy, busy, Told(graded(helps="pass")))
    assert run(["rubrics", "test", rubric(examples=ONE)]) == 0
    assert len(stub.requests) == 3


def test_a_panel_has_to_agree(served: Any, capsys: Printed) -> None:
    """Of two judges one passes and one fails: nobody knows."""
    judges = "\n  - {model: default}\n  - {model: default, samples: 1}".replace("default, s", "openai/other, s")
    stub = served(Told(graded(helps="pass")), Told(graded(helps="fail")))
    os.environ["OPENAI_API_BASE"], os.environ["OPENAI_API_KEY"] = stub.api_base, "none"
    try:
        assert run(["rubrics", "test", rubric(examples=ONE, judges=judges), "--format", "json"]) == 1
    finally:
        del os.environ["OPENAI_API_BASE"], os.environ["OPENAI_API_KEY"]
    (example,) = results(capsys)["rubrics"][0]["examples"]
    assert example["criteria"][0]["got"] == "unknown"
    assert example["criteria"][0]["note"] == "The judges' answers: 1 pass, 1 fail."


def test_samples_on_a_scale_are_taken_by_their_mean(served: Any, capsys: Printed) -> None:
    Path("tone.yaml").write_text(SCALED)
    stub = served(Told(graded(tone="5")), Told(graded(tone="4")), Told(graded(tone="4")))
    assert run(["rubrics", "test", "tone.yaml", "--format", "json"]) == 0
    (tone,) = results(capsys)["rubrics"][0]["examples"][0]["criteria"]
    assert (tone["got"], round(tone["level"], 2)) == (4, 4.33)
    assert [(each["seed"], each["temperature"]) for each in stub.requests] == [(0, 0.7), (1, 0.7), (2, 0.7)]


def test_repeating_shows_how_often_answers_flip(served: Any, capsys: Printed) -> None:
    said = ["pass", "fail", "pass", "pass"]
    stub = served(*[Told(graded(helps=each)) for each in said])
    name = rubric(examples=ONE)
    assert run(["rubrics", "test", name, "--repeat", "4"]) == 0, "the majority is as expected"
    told = capsys.readouterr().out
    assert "✓ 3/4" in told
    assert "25% (5% to 70%)" in told
    assert [each["seed"] for each in stub.requests] == [0, 1, 2, 3]


def test_half_of_the_answers_is_no_majority(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")), Told(graded(helps="fail")))
    assert run(["rubrics", "test", rubric(examples=ONE), "--repeat", "2"]) == 1
    assert "expected pass, got fail 1 of 2 times" in capsys.readouterr().out


def test_another_judge_can_be_asked(served: Any, capsys: Printed) -> None:
    stub = served(Told(graded(helps="pass")))
    name = rubric(examples=ONE, judges="\n  - {model: anthropic/claude-sonnet-4-5}")
    assert run(["rubrics", "test", name, "--judge", "default"]) == 0
    assert [each["model"] for each in stub.requests] == ["stub"]


def test_annotations_name_file_and_line(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")))
    assert run(["rubrics", "test", rubric(), "--format", "github"]) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "::error file=support.yaml,line=11::dodges: helps: expected fail, got pass So."


def test_a_rubric_without_examples_says_how_to_add_one(capsys: Printed) -> None:
    name = rubric(examples="")
    assert run(["rubrics", "test", name]) == 0
    told = capsys.readouterr().err
    assert "support has no examples." in told
    assert "- {name: what it shows, question: …, answer: …, expect: {helps: pass}}" in told.replace(
        "answer: …, question: …", "question: …, answer: …"
    )
    assert run(["rubrics", "test", name, "--strict"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nowhere.yaml"], 1, "There is no file nowhere.yaml."),
        (["suport"], 1, "Did you mean 'support'?"),
        (["support", "--example", "helpz"], 1, "Did you mean 'helps'?"),
        (["support", "--replay", "a", "--record", "b"], 2, "one of the two"),
        (["support", "--repeat", "0"], 2, "--repeat"),
        (["support", "--format", "yaml"], 2, "none of text, json, github"),
        (["empty-folder"], 1, "has no rubric 'empty-folder'"),
    ],
)
def test_what_cannot_be_run_is_told(
    arguments: list[str], code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("ADJUDGE_RUBRICS_DIR", ".")
    rubric()
    assert run(["rubrics", "test", *arguments]) == code
    assert told in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_broken_file_of_a_folder_fails_the_run_and_the_others_are_tested(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")))
    rubric(examples=ONE)
    Path("broken.yaml").write_text("id: [")
    assert run(["rubrics", "test", "."]) == 1
    printed = capsys.readouterr()
    assert "broken.yaml:1" in printed.err
    assert "1 of 1 example as expected" in printed.out


def test_names_are_printed_as_they_stand(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")))
    rubric(examples='\n  - {name: "[bold]a\\e[31m", question: Where?, answer: There., expect: {helps: fail}}')
    assert run(["rubrics", "test", "support.yaml"]) == 1
    told = capsys.readouterr().out
    assert "[bold]a\\x1b[31m" in told
    assert "\x1b[31m" not in told


def test_what_was_recorded_is_replayed_without_model_key_and_settings(
    served: Any, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    stub = served(Told(graded(helps="pass")), Told(graded(helps="fail")))
    name = rubric()
    assert run(["rubrics", "test", name, "--record", "tapes"]) == 0
    assert "2 calls in tapes/support.jsonl" in capsys.readouterr().out
    assert "sk-secret" not in Path("tapes/support.jsonl").read_text()
    assert stub.api_base not in Path("tapes/support.jsonl").read_text()
    for variable in ("MODEL", "API_BASE", "API_KEY", "CONCURRENCY"):
        monkeypatch.delenv(f"ADJUDGE_JUDGE_{variable}")
    monkeypatch.setenv("ADJUDGE_PORT", "no number")
    assert run(["rubrics", "test", name, "--replay", "tapes"]) == 0
    assert "2 recorded calls replayed, none made" in capsys.readouterr().out
    assert len(stub.requests) == 2


def test_a_changed_question_is_not_answered_from_the_cassette(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")), Told(graded(helps="fail")))
    name = rubric()
    assert run(["rubrics", "test", name, "--record", "tapes"]) == 0
    Path(name).write_text(Path(name).read_text().replace("what was asked for", "all that was asked for"))
    capsys.readouterr()
    assert run(["rubrics", "test", name, "--replay", "tapes"]) == 1
    told = capsys.readouterr().out
    assert "not recorded: the prompt changed since; run `adjudge rubrics test support.yaml --record tapes`" in told


def interrupted_at(call: int, stub: Stub) -> None:
    """Ctrl+C as soon as the model server hears of its so-many-th call."""
    author = threading.get_ident()

    def watch() -> None:
        while len(stub.requests) < call:
            time.sleep(0.02)
        signal.pthread_kill(author, signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def test_what_was_answered_before_an_interruption_is_kept(served: Any, capsys: Printed) -> None:
    interrupted_at(2, served(Told(graded(helps="pass")), Told(graded(helps="fail"), wait=30)))
    assert run(["rubrics", "test", rubric(), "--record", "tapes"]) == 130
    assert "Interrupted. Kept: 1 call in tapes/support.jsonl; " in capsys.readouterr().err
    assert run(["rubrics", "test", "support.yaml", "--replay", "tapes", "--example", "helps"]) == 0


def test_where_nothing_was_answered_before_an_interruption_nothing_is_written(served: Any, capsys: Printed) -> None:
    interrupted_at(1, served(Told(graded(helps="pass"), wait=30)))
    assert run(["rubrics", "test", rubric(), "--record", "tapes"]) == 130
    assert "Interrupted. Nothing was kept." in capsys.readouterr().err
    assert not Path("tapes").exists()


def test_a_version_that_was_used_is_tested_whatever_became_of_its_file(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")), Told(graded(helps="fail")))
    one = read_loaded(Path(rubric()))
    with opened() as deployment:
        deployment.database.transact(
            lambda connection: store_version(connection, one.rubric, one.source, utc_now())
        )
    Path("support.yaml").unlink()
    version = one.rubric.version
    assert run(["rubrics", "test", f"support@{version[:6]}"]) == 0
    assert f"support (support@{version}), by " in capsys.readouterr().out
    assert run(["rubrics", "test", "support@ffff"]) == 1
    assert "support has no version that begins with 'ffff'" in capsys.readouterr().err


def test_recording_again_drops_what_is_no_longer_asked(served: Any, capsys: Printed) -> None:
    served(Told(graded(helps="pass")), Told(graded(helps="fail")))
    name = rubric()
    run(["rubrics", "test", name, "--record", "tapes"])
    run(["rubrics", "test", name, "--record", "tapes", "--example", "dodges"])
    recorded = [json.loads(line) for line in Path("tapes/support.jsonl").read_text().splitlines()]
    assert [each["example"] for each in recorded] == ["helps", "dodges"], "what was left out this time is kept"
    run(["rubrics", "test", rubric(examples=ONE), "--record", "tapes"])
    recorded = [json.loads(line) for line in Path("tapes/support.jsonl").read_text().splitlines()]
    assert len(recorded) == 1
    assert "At the corner." in recorded[0]["messages"][1]["content"]


def test_calls_recorded_from_the_local_judge_are_made_again_word_for_word(capsys: Printed) -> None:
    """Recorded by `adjudge rubrics test tests/cassettes/examples --record tests/cassettes/examples`."""
    assert run(["rubrics", "test", str(RECORDED), "--replay", str(RECORDED)]) == 0, capsys.readouterr().out
    assert "3 of 3 examples as expected; 2 recorded calls replayed" in capsys.readouterr().out


def test_a_damaged_cassette_is_told_with_its_line(capsys: Printed, folder: Path) -> None:
    shutil.copytree(RECORDED, folder / "tapes")
    cassette = folder / "tapes" / "delivery-date.jsonl"
    cassette.write_text(cassette.read_text() + '{"example": 1}\n')
    assert run(["rubrics", "test", str(RECORDED), "--replay", "tapes"]) == 1
    assert "delivery-date.jsonl:3 is no recorded call" in capsys.readouterr().err


LABELS = st.sampled_from(list(CriterionLabel))


@given(st.lists(LABELS, min_size=1, max_size=9), st.none() | LABELS)
def test_flips_are_what_differs_from_the_most_frequent_answer(
    labels: list[CriterionLabel], expected: CriterionLabel | None
) -> None:
    criterion = Criterion(id="c", ask="Is it so?")
    result = compared(criterion, expected, [CriterionVerdict(id="c", verdict=each) for each in labels])
    most = max(labels.count(each) for each in labels)
    assert result.flips.flipped == len(labels) - most
    assert labels.count(result.got.verdict) == most
    if expected is not None:
        assert result.as_expected is (2 * labels.count(expected) > len(labels))
