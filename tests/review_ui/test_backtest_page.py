"""The page of a backtest in its states."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from evaluator.authoring.backtest_report import FLIP_ORDER
from evaluator.deployment import Deployment
from evaluator.model.backtest import BacktestState
from evaluator.model.columns import utc_now
from evaluator.store.backtests import end_backtest, find_backtest
from review_ui.pages.backtest_page import FLIPS_A_PAGE, KINDS, SHOWN_AT_MOST, report_kept
from review_ui.rubric_words import BACKTEST
from tests.review_ui.page_checks import assert_well_made
from tests.review_ui.rubric_world import ADDRESS, NEW, OLD, backtest

B1 = f"{ADDRESS}/backtests/b1"


def shown(browser: TestClient, path: str = B1) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    assert_well_made(answer.text)
    return " ".join(answer.text.split())


def flips(text: str) -> list[str]:
    return re.findall(r'<article class="flip [\w-]+" id="([^"]+)"', text)


def test_both_versions_stand_side_by_side(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment)
    text = shown(browser)
    assert "Verdicts before: 8 pass, 4 fail" in text
    assert "Verdicts after: 12 pass" in text
    assert OLD.version[:8] in text
    assert NEW.version[:8] in text
    assert "better by 40 points" in text
    assert "It changes no outcome." in text


def test_agreement_is_drawn_with_its_interval_and_said_in_words(
    browser: TestClient, deployment: Deployment
) -> None:
    backtest(deployment)
    text = shown(browser)
    assert re.search(r"Same verdict as people, before: 60 % \(\d+ to \d+ %\) of 10", text)
    assert re.search(r"Same verdict as people, after: 100 % \(\d+ to 100 %\) of 10", text)
    assert text.count('<line class="reach"') == text.count('<line class="point"') > 0


def test_flips_come_with_what_was_said_and_shown(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment)
    text = shown(browser)
    assert flips(text) == ["run-run-0", "run-run-3", "run-run-6", "run-run-9"]
    assert "wrong before, right now" in text
    assert '<blockquote class="missing">we promise <small>not in the text</small>' in text
    assert "<blockquote>arrives on Friday</blockquote>" in text
    assert "Where is my order?" in text
    assert "by check" in text


def test_runs_of_several_an_event_are_told_by_run_and_by_event(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment, runs_an_event=2)
    text = shown(browser)
    assert "In agreement with people, run by run: better by 40 points" in text
    assert "In agreement with people, event by event: better by 40 points" in text
    assert (
        'id="run-run-3-name"><a href="#run-run-3">Run <code>run-3</code></a> of <code>ticket-1</code></h3>' in text
    )


def test_what_a_version_left_open_is_counted(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment)
    assert "Undecided" not in shown(browser)
    with deployment.database.read() as connection:
        found = find_backtest(connection, "b1")
    assert found is not None
    report = found.report
    report["candidate"]["run_agreement"]["undecided"] = 3
    with deployment.database.write() as connection:
        end_backtest(connection, "b1", state=BacktestState.DONE, report=report, at=utc_now())
    assert "Undecided where a person was sure</th><td>0</td><td>3</td>" in shown(browser)


def test_flips_can_be_narrowed_to_a_kind(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment, runs=13)
    assert len(flips(shown(browser))) == 5
    assert flips(shown(browser, f"{B1}?kind=gained")) == ["run-run-0", "run-run-3", "run-run-6", "run-run-9"]
    assert flips(shown(browser, f"{B1}?kind=unlabelled")) == ["run-run-12"]
    assert flips(shown(browser, f"{B1}?kind=nonsense")) == []


def test_many_flips_go_page_by_page_and_a_run_finds_its_own(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment, runs=3 * FLIPS_A_PAGE + 9)
    first = shown(browser)
    assert len(flips(first)) == FLIPS_A_PAGE
    assert f"1 to {FLIPS_A_PAGE} of {FLIPS_A_PAGE + 3}" in first
    assert "Earlier" not in first
    (later,) = re.findall(r'href="([^"]*start=[^"]*)"', first)
    second = shown(browser, later.replace("&amp;", "&"))
    assert len(flips(second)) == 3
    assert not set(flips(first)) & set(flips(second))
    run = flips(second)[0].removeprefix("run-")
    assert flips(shown(browser, f"{B1}?run={run}")) == flips(second)
    assert len(flips(shown(browser, f"{B1}?start=100000"))) == 3


def test_every_flips_link_lands_on_it(browser: TestClient, deployment: Deployment) -> None:
    made = backtest(deployment, runs=4 * FLIPS_A_PAGE, runs_an_event=2)
    with deployment.database.read() as connection:
        found = find_backtest(connection, made.backtest_id)
    assert found is not None
    report = report_kept(found)
    assert report is not None
    links = [flip.link.removeprefix("http://pages") for flip in report.flips]
    assert len(links) > FLIPS_A_PAGE
    assert {flip.level for flip in report.flips} == {"run", "event"}
    for link in links[:: FLIPS_A_PAGE // 5]:
        path, _, anchor = link.partition("#")
        assert anchor in flips(shown(browser, path)), link


def kept_report(deployment: Deployment, **changes: Any) -> None:
    backtest(deployment)
    with deployment.database.read() as connection:
        found = find_backtest(connection, "b1")
    assert found is not None
    report = {**found.report, **changes}
    with deployment.database.write() as connection:
        end_backtest(connection, "b1", state=BacktestState.DONE, report=report, at=utc_now())


NOBODY = {
    "runs": 0,
    "events": 0,
    "reviewed": 0,
    "from_file": 0,
    "unknown_items": 0,
    "bad_lines": 0,
    "labelled_first": 0,
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run_difference": None}, "In agreement with people, event by event: better by 40 points"),
        (
            {"run_difference": None, "event_difference": None},
            "Nothing that people decided was decided by both versions",
        ),
        ({"run_difference": None, "event_difference": None, "labels": NOBODY}, "No person has judged any of these"),
        ({"run_difference": None, "event_difference": None, "baseline": None}, "There was nothing to compare with"),
    ],
)
def test_the_first_sentence_says_what_is_known(
    browser: TestClient, deployment: Deployment, changes: dict[str, Any], words: str
) -> None:
    kept_report(deployment, **changes)
    assert words in shown(browser)


def test_a_baseline_that_is_another_rubric_is_found_there(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment)
    with deployment.database.read() as connection:
        found = find_backtest(connection, "b1")
    assert found is not None
    assert f'href="{ADDRESS}?version={OLD.version}"' in shown(browser)
    baseline = {**found.report["baseline"], "rubric_id": "other"}
    with deployment.database.write() as connection:
        end_backtest(
            connection, "b1", state=BacktestState.DONE, report={**found.report, "baseline": baseline}, at=utc_now()
        )
    assert f'href="/rubrics/other?version={OLD.version}"' in shown(browser)


def test_long_content_is_folded_and_very_long_content_cut(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment, runs=1, output="word " * 20_000)
    text = shown(browser)
    assert "Show the rest (" in text
    assert f"{100_000 - SHOWN_AT_MOST:,} more characters" in text
    assert text.count("word") < SHOWN_AT_MOST / 5 + 100


def test_a_running_one_shows_its_progress_and_loads_itself_again(
    browser: TestClient, deployment: Deployment
) -> None:
    backtest(deployment, BacktestState.RUNNING)
    text = shown(browser)
    assert '<progress aria-label="Judgements done" value="12" max="24">' in text
    assert "Verdicts before: 4 pass, 2 fail" in text
    assert "about 30 s in all" in text
    assert "Where they differ" not in text
    assert browser.get(B1).headers["refresh"] == "10"
    assert "refresh" not in browser.get(f"{B1}?refresh=off").headers


def test_one_whose_process_was_killed_is_said_to_be_silent(
    browser: TestClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    backtest(deployment, BacktestState.RUNNING)
    assert "its process may have ended" not in shown(browser)
    monkeypatch.setattr("review_ui.pages.backtest_page.SILENT", timedelta(0))
    assert "Nothing was written since" in shown(browser)


def test_a_stopped_one_says_why_and_how_it_goes_on(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment, BacktestState.STOPPED)
    text = shown(browser)
    assert "Stopped after 12 of 24 judgements. The judge has no credit left." in text
    assert "goes on where it stopped" in text
    assert "refresh" not in browser.get(B1).headers


def test_one_that_was_killed_has_no_report_and_still_its_verdicts(
    browser: TestClient, deployment: Deployment
) -> None:
    backtest(deployment, BacktestState.STOPPED, with_report=False)
    text = shown(browser)
    assert "There is no report of it." in text
    assert "Verdicts before: 4 pass, 2 fail" in text


def test_a_report_of_another_release_does_not_break_the_page(browser: TestClient, deployment: Deployment) -> None:
    backtest(deployment)
    with deployment.database.write() as connection:
        end_backtest(connection, "b1", state=BacktestState.DONE, report={"shape": "unknown"}, at=utc_now())
    assert "There is no report of it." in shown(browser)


@pytest.mark.parametrize("path", [f"{ADDRESS}/backtests/nope", "/rubrics/other/backtests/b1"])
def test_what_is_not_there_is_a_page_with_404(browser: TestClient, deployment: Deployment, path: str) -> None:
    backtest(deployment)
    answer = browser.get(path)
    assert answer.status_code == 404
    assert_well_made(answer.text)
    assert "has no backtest" in answer.text


def test_captured_content_and_judges_words_do_nothing(browser: TestClient, deployment: Deployment) -> None:
    hostile = "\x1b[2J\u202e</div><script>alert(1)</script>{{ 8191 * 8191 }}"
    backtest(deployment, runs=1, output=hostile, words=hostile)
    text = shown(browser)
    assert not re.search("[\x1b\u202e]|<script|67092481", text)
    assert text.count(r"\x1b[2J\u202e&lt;/div&gt;&lt;script&gt;") >= 3


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        (0, "Nothing tells: no run was judged under both versions."),
        (1, "said the same of the one run."),
        (1200, "said the same of all 1,200 runs."),
    ],
)
def test_where_nothing_differs_it_is_said_of_how_many(
    browser: TestClient, deployment: Deployment, compared: int, words: str
) -> None:
    kept_report(deployment, flips=[], compared_runs=compared)
    assert words in shown(browser)


def test_a_person_who_could_not_tell_has_said_something(browser: TestClient, deployment: Deployment) -> None:
    made = backtest(deployment)
    with deployment.database.read() as connection:
        found = find_backtest(connection, made.backtest_id)
    assert found is not None
    flip = {**found.report["flips"][0], "human": "unknown", "kind": "unlabelled"}
    with deployment.database.write() as connection:
        report = {**found.report, "flips": [flip]}
        end_backtest(connection, "b1", state=BacktestState.DONE, report=report, at=utc_now())
    text = shown(browser)
    assert "unknown</span>: nothing tells which is right" in text


def test_every_kind_and_state_has_its_words() -> None:
    assert set(KINDS) == set(FLIP_ORDER)
    assert set(BACKTEST) == set(BacktestState)
