"""`adjudge rubrics backtest` as an author runs it: estimate, consent, progress, the table, and what Ctrl+C leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.load import StubModel, stub_model
from evaluator import console
from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.model.backtest import Backtest, BacktestState
from evaluator.rubric_commands.backtest_view import next_step
from evaluator.settings import Settings
from evaluator.store import backtests
from tests.authoring.test_backtest_run import LINK, NO_LINK, STRICTER, backtest, labelled, write
from tests.test_pipeline import judge_all, report
from tests.world import CHECKED_RUBRIC, RUBRIC

pytestmark = pytest.mark.slow

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands see the test's own deployment."""
    for name in ("data_dir", "database_url", "rubrics_dir"):
        monkeypatch.setenv(f"ADJUDGE_{name.upper()}", str(getattr(settings, name)))
    for each in (console.out, console.err):
        monkeypatch.setattr(each, "width", 100)


@pytest.fixture
def edited(deployment: Deployment) -> Deployment:
    """Three tickets judged under a rubric that was then edited in place."""
    write(deployment, CHECKED_RUBRIC)
    report(deployment, event_id="t1", run_id="r1", output=LINK)
    report(deployment, event_id="t2", run_id="r2", output="See https://other.example/")
    report(deployment, event_id="t3", run_id="r3", output=NO_LINK)
    judge_all(deployment)
    write(deployment, STRICTER)
    return deployment


def test_labels_estimate_table_flips_and_the_next_command(
    edited: Deployment, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADJUDGE_RUBRICS_DIR", "rubrics")
    Path("labels.csv").write_text("run_id,verdict\nr1,pass\nr2,fail\nr3,fail\nr9,pass\nr1,maybe\n")
    assert run(["rubrics", "backtest", "links", "--labels", "labels.csv"]) == 0
    told = capsys.readouterr()
    assert "labels.csv, line 6: verdict: 'maybe' is none of pass, partial, fail, unknown" in told.err
    assert "1 label of runs or events that are not known here: left out." in told.err
    assert "Together: no calls, $0." in told.err
    [found] = kept(edited)
    shown = told.out
    for digits, name in (
        (found.baseline_version[:8], "baseline"),
        (found.candidate_version[:8], "candidat"),
        (found.backtest_id, "the-backtests-id"),
    ):
        shown = shown.replace(digits, name)
    golden = (Path(__file__).parent / "backtest_report.txt").read_text()
    assert [line.rstrip() for line in shown.splitlines()] == golden.splitlines()
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_in_a_usual_terminal_no_number_is_torn_apart(
    edited: Deployment, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluator.console import out

    monkeypatch.setattr(out, "width", 80)
    (tmp_path / "labels.csv").write_text("run_id,verdict\nr1,pass\nr2,fail\nr3,fail\n")
    assert run(["rubrics", "backtest", "links", "--labels", str(tmp_path / "labels.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("agrees on events", "sensitivity", "specificity", "pass-rate bias", "κ", "AC1"):
        [line] = [line for line in lines if line.strip().startswith(name)]
        assert line.count("n=") == 2, line


def kept(deployment: Deployment) -> list[Backtest]:
    with deployment.database.read() as connection:
        return backtests.backtests_of(connection)


def test_versions_for_other_runs_have_nothing_to_flip(edited: Deployment, capsys: Printed) -> None:
    elsewhere = STRICTER.replace("[{workflow}]", "[Elsewhere]")
    report(edited, event_id="t9", run_id="r9", output=LINK, workflow="Elsewhere")
    path = write(edited, elsewhere, name="elsewhere", rubric_id="elsewhere")
    assert run(["rubrics", "backtest", str(path), "--against", "links"]) == 0
    assert "no run was judged under both versions" in capsys.readouterr().out


def test_json_holds_the_whole_report(edited: Deployment, capsys: Printed) -> None:
    assert run(["rubrics", "backtest", "links", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(flip["run_id"], flip["kind"]) for flip in found["flips"]] == [("r2", "unlabelled")]
    assert found == kept(edited)[0].report


def test_what_may_cost_wants_a_yes(deployment: Deployment, capsys: Printed) -> None:
    write(deployment, RUBRIC)
    report(deployment, run_id="r1")
    assert run(["rubrics", "backtest", "links", "--judge", "openai/gpt-4.1-mini"]) == 1
    told = capsys.readouterr().err
    assert "calls to make" in told
    assert "1 call, $0.000" in told
    assert "Tokens out are assumed, 80 for each criterion: openai/gpt-4.1-mini has not been called here" in told
    assert told.splitlines()[-1] == "Nothing was judged. With --yes it begins."
    assert kept(deployment) == []


def test_where_nothing_fits_the_author_is_told_what_to_do(deployment: Deployment, capsys: Printed) -> None:
    write(deployment, CHECKED_RUBRIC)
    assert run(["rubrics", "backtest", "links"]) == 1
    assert capsys.readouterr().err.startswith("Error: No stored run fits: ready, with content")


@pytest.mark.parametrize("amount", ["-1", "much", "NaN"])
def test_a_limit_is_an_amount(amount: str, capsys: Printed) -> None:
    assert run(["rubrics", "backtest", "links", "--max-usd", amount]) == 2


def test_a_candidate_that_agrees_less_is_not_recommended(edited: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "candidate.yaml"
    path.write_text(CHECKED_RUBRIC.format(id="links", role="outcome", workflow="Support"))
    tried = backtest(edited, path, labels=labelled(r1="pass", r2="fail", r3="fail"))
    found = tried.run()
    assert next_step(found, tried.versions, in_force=False).startswith("Next: `adjudge rubrics promote ")
    assert found.event_difference is not None
    worse = found.event_difference.model_copy(update={"high": -0.01})
    told = next_step(found.model_copy(update={"event_difference": worse}), tried.versions, in_force=False)
    assert told.startswith("Next: edit the candidate and try again, for it agrees less with people")


ITEMS = 12


@pytest.fixture
def slow(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubModel]:
    """Twelve tickets, and a judge that takes its time."""
    with stub_model(150) as model:
        monkeypatch.setenv("ADJUDGE_JUDGE_MODEL", "openai/stub")
        monkeypatch.setenv("ADJUDGE_JUDGE_API_BASE", model.api_base)
        monkeypatch.setenv("ADJUDGE_JUDGE_CONCURRENCY", "1")
        write(deployment, RUBRIC)
        for number in range(ITEMS):
            report(deployment, event_id=f"t{number}", run_id=f"r{number}", input=f"item-{number}")
        yield model


COMMAND = [sys.executable, "-m", "evaluator.cli", "rubrics", "backtest", "links", "--yes"]


def begun(deployment: Deployment, *, at_least: int) -> subprocess.Popen[str]:
    """The command in a process of its own, once it has kept so many verdicts."""
    process = subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    deadline = time.monotonic() + 60
    while not (found := kept(deployment)) or found[0].done < at_least:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_ctrl_c_keeps_what_was_judged_and_asking_again_goes_on(
    deployment: Deployment, slow: StubModel, capsys: Printed
) -> None:
    process = begun(deployment, at_least=2)
    process.send_signal(signal.SIGINT)
    shown, told = process.communicate(timeout=30)
    assert process.returncode == 1, told
    assert "Stopped before its end. It was interrupted." in shown
    assert "Next: the same command again goes on" in shown
    [stopped] = kept(deployment)
    assert stopped.state == BacktestState.STOPPED
    assert stopped.done == slow.stats()["calls"] < ITEMS, "what was being asked has finished and is kept"
    assert run(COMMAND[3:]) == 0
    assert slow.stats()["calls"] == ITEMS, "nothing was asked twice"
    assert [(one.state, one.done, one.planned) for one in kept(deployment)] == [(BacktestState.DONE, ITEMS, ITEMS)]


def test_a_killed_backtest_goes_on_and_loses_at_most_the_last_moment(
    deployment: Deployment, slow: StubModel
) -> None:
    process = begun(deployment, at_least=2)
    process.kill()
    process.communicate()
    stored = kept(deployment)[0].done
    asked = slow.stats()["calls"]
    assert run(COMMAND[3:]) == 0
    assert slow.stats()["calls"] == asked + ITEMS - stored
    assert [(one.state, one.done) for one in kept(deployment)] == [(BacktestState.DONE, ITEMS)]


def test_a_second_ctrl_c_waits_for_nothing(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    with stub_model(60_000) as model:
        monkeypatch.setenv("ADJUDGE_JUDGE_MODEL", "openai/stub")
        monkeypatch.setenv("ADJUDGE_JUDGE_API_BASE", model.api_base)
        write(deployment, RUBRIC)
        report(deployment, run_id="r1")
        process = begun(deployment, at_least=0)
        while not model.stats()["open_calls"]:
            time.sleep(0.05)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        shown, told = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Ctrl+C again leaves it" in told
    assert "Traceback" not in told
    assert "Stopped before its end." in shown
    assert kept(deployment)[0].state == BacktestState.STOPPED
