"""The page of one rubric in its states."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.model.backtest import BacktestState
from evaluator.model.verdict import VerdictLabel
from evaluator.rubric_format.rubric_files import read_rubric
from evaluator.rubric_format.rubric_problems import RubricProblem
from evaluator.store.rubric_figures import RECENT, tally_of
from review_ui.pages.rubric_page import numbered
from tests.review_ui.page_checks import assert_well_made
from tests.review_ui.rubric_world import (
    ADDRESS,
    BROKEN,
    NEW,
    OLD,
    SUPPORT,
    add,
    add_run,
    backtest,
    everything,
    judged_support,
    keep,
    spend,
    verdict,
    write,
)
from tests.world import CHECKED_RUBRIC, Actor, add_rubric, judge_all, reported_run


def shown(browser: TestClient, path: str = ADDRESS) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    assert_well_made(answer.text)
    return " ".join(answer.text.split())


def section(text: str, name: str) -> str:
    return text.split(f'<section aria-labelledby="{name}">', 1)[-1].split("</section>")[0]


def test_an_unknown_rubric_is_a_page_that_names_the_nearest(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    answer = browser.get("/rubrics/suport")
    assert answer.status_code == 404
    assert_well_made(answer.text)
    assert "Did you mean &#39;support&#39;?" in answer.text


def test_criteria_are_shown_as_judges_read_them(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    text = section(shown(browser), "criteria")
    assert "Does the answer fix the problem the &#34;question&#34; states?" in text
    assert '<span class="chip">critical</span> <span class="chip">weight 3</span>' in text
    assert '<li class="passes"><b>4</b> kind</li>' in text
    assert "(?i)we value your feedback" in text
    assert "No answer yet under this version." in text


def test_answers_and_people_are_counted_per_criterion(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    keep(deployment, NEW, SUPPORT)
    said = [VerdictLabel.PASS] * 6 + [VerdictLabel.FAIL] * 3 + [VerdictLabel.UNKNOWN]
    add(deployment, [verdict(NEW, number, label) for number, label in enumerate(said)])
    people = [VerdictLabel.PASS, VerdictLabel.FAIL, VerdictLabel.PASS, VerdictLabel.PASS]
    add(deployment, [verdict(NEW, number, label, person="ada") for number, label in enumerate(people)])
    text = section(shown(browser), "criteria")
    assert "Answers to solves: 6 pass, 3 fail, 1 unknown" in text
    assert "The same as people on 3 of 4 runs (75 %; 95 % interval" in text


def test_without_people_it_says_that_nothing_tells(browser: TestClient, deployment: Deployment) -> None:
    judged_support(deployment, runs=4, reviewed=0)
    assert "No person has said anything of these runs yet" in shown(browser)


def test_verdicts_of_another_version_are_not_pooled(browser: TestClient, deployment: Deployment) -> None:
    judged_support(deployment, runs=10, reviewed=1)
    assert "10 verdicts; $0.0004 each" in section(shown(browser), "verdicts")
    old = shown(browser, f"{ADDRESS}?version={OLD.version[:6]}")
    assert "5 verdicts; $0.0004 each" in section(old, "verdicts")
    assert "not in force" in old
    assert "Is the tone right for a customer?" in section(old, "criteria")


def test_versions_say_what_each_changed(browser: TestClient, deployment: Deployment) -> None:
    judged_support(deployment, runs=4, reviewed=0)
    tried = read_rubric(SUPPORT.replace("rate: 0.2", "rate: 0.5"))
    keep(deployment, tried, SUPPORT, in_force=False)
    text = section(shown(browser), "versions")
    assert re.findall(r"<code>([0-9a-f]{8})</code>", text)[0] == NEW.version[:8]
    assert "criteria.tone.ask changed" in text
    assert "only tried" in text
    assert "in force</span>" in text


@pytest.mark.parametrize("version", ["nope", "0" * 16])
def test_an_unknown_version_is_404(browser: TestClient, deployment: Deployment, version: str) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    answer = browser.get(f"{ADDRESS}?version={version}")
    assert answer.status_code == 404
    assert "no version that begins with" in answer.text


def test_each_line_of_the_yaml_has_an_anchor(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    text = section(shown(browser), "yaml")
    assert re.findall(r'<li id="L(\d+)"', text) == [str(number) for number in range(1, SUPPORT.count("\n") + 1)]
    assert "as read" in text


def test_a_warning_stands_at_its_line(browser: TestClient, deployment: Deployment) -> None:
    two = SUPPORT.replace("Is the tone right for", "Is the tone right and is the answer short for")
    write(deployment.settings.rubrics_dir, "support", two)
    text = section(shown(browser), "yaml")
    line = 1 + next(number for number, each in enumerate(two.splitlines()) if "and is the answer" in each)
    assert f'<li id="L{line}" class="marked warning">' in text
    assert "docs/rubrics.md#criteria" in text


def test_a_broken_file_is_shown_as_it_stands_with_its_errors(browser: TestClient, deployment: Deployment) -> None:
    path = write(deployment.settings.rubrics_dir, "support", SUPPORT)
    assert deployment.shelf.rubrics
    path.write_text(SUPPORT.replace("critical: true", "critcal: true"), encoding="utf-8")
    deployment.shelf._looked_at = 0.0
    text = shown(browser)
    assert "YAML as the file stands" in text
    assert '<li id="L11" class="marked error">' in text
    assert "critcal: true" in text
    assert "stays in force" in text
    kept = shown(browser, f"{ADDRESS}?version={NEW.version}")
    assert "critcal" not in section(kept, "yaml")


def test_a_file_that_was_broken_before_the_start_judges_nothing(
    browser: TestClient, deployment: Deployment
) -> None:
    keep(deployment, NEW, SUPPORT)
    write(deployment.settings.rubrics_dir, "support", SUPPORT.replace("rollup:", "rolup:"))
    text = shown(browser)
    assert "Nothing is judged by it until it is mended." in text
    assert "rolup: last_run" in text
    assert "in force" not in section(text, "versions")
    assert "not in force" in shown(browser, "/rubrics")


def test_a_broken_file_nobody_ever_read_is_known_to_the_list_only(
    browser: TestClient, deployment: Deployment
) -> None:
    write(deployment.settings.rubrics_dir, "broken", BROKEN)
    assert browser.get("/rubrics/broken").status_code == 404


def test_the_text_of_a_rubric_without_a_file_is_read_from_its_history(
    browser: TestClient, deployment: Deployment
) -> None:
    keep(deployment, NEW, SUPPORT, days_ago=3)
    text = shown(browser)
    assert "file gone, history kept" in text
    assert "# What a good answer of the support desk is." in text


def test_a_text_that_was_not_kept_is_written_anew(browser: TestClient, deployment: Deployment) -> None:
    keep(deployment, NEW, "", days_ago=3)
    text = section(shown(browser), "yaml")
    assert "written anew" in text
    assert "id: support" in text


def test_the_prompt_is_the_judges_own(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    add_run(deployment, 1, output="It <b>arrives</b> on Friday.")
    text = shown(browser)
    assert "run run-1 of event ticket-1" in text
    assert "You grade one run of an AI system." in text
    assert "It &lt;b&gt;arrives&lt;/b&gt; on Friday." in text


def test_the_prompt_of_a_chosen_run_is_shown(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    for number in (1, 2, 3):
        add_run(deployment, number)
    assert "run run-3 of event ticket-3" in shown(browser, f"{ADDRESS}?run=run-3")
    assert "There is no run &#39;nope&#39;" in shown(browser, f"{ADDRESS}?run=nope")


def test_without_runs_the_prompt_says_so(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    assert "No run is stored yet." in shown(browser)


def test_where_code_answers_all_no_judge_is_called(
    browser: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    browser.post("/v1/runs", json=reported_run(input=None, output=None), headers=app_of_the_product.headers)
    browser.post("/v1/runs", json=reported_run(), headers=app_of_the_product.headers)
    judge_all(deployment)
    text = shown(browser, "/rubrics/links")
    assert "No judge is called: code has answered every criterion that applies." in text
    assert "1</b> no content" in text


def test_cost_is_drawn_and_told_day_by_day(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    assert "<svg" not in section(shown(browser), "cost")
    spend(deployment, "support", ["0.5", "0", "0.25"])
    text = section(shown(browser), "cost")
    assert '<p class="figure">$0.7500</p>' in text
    assert text.count('<rect class="column"') == 14
    assert 'height="100.0"' in text
    assert 'height="50.0"' in text
    assert text.count('<th scope="row">') == 14


def test_a_running_backtest_makes_the_page_load_itself_again(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    backtest(deployment)
    assert "refresh" not in browser.get(ADDRESS).headers
    backtest(deployment, BacktestState.RUNNING, backtest_id="b2")
    assert browser.get(ADDRESS).headers["refresh"] == "10"
    assert "refresh" not in browser.get(f"{ADDRESS}?refresh=off").headers
    text = section(shown(browser), "backtests")
    assert '<progress aria-label="Progress of backtest b2" value="12" max="24">' in text
    assert f'href="{ADDRESS}/backtests/b1"' in text


def test_hostile_text_stays_text(browser: TestClient, deployment: Deployment) -> None:
    hostile = "</code><script>alert(1)</script>{{ 8191 * 8191 }}"
    write(deployment.settings.rubrics_dir, "support", f"# {hostile}\n" + SUPPORT.replace("rude", f"'{hostile}'"))
    add_run(deployment, 1, output=f"\x1b[31m\u202e{hostile}\nline two")
    text = shown(browser)
    assert not re.search("[\x1b\u202e]|<script|67092481", text)
    assert "&lt;/code&gt;&lt;script&gt;" in text


def test_only_recent_verdicts_are_counted(deployment: Deployment) -> None:
    keep(deployment, NEW, SUPPORT)
    add(deployment, [verdict(NEW, number, VerdictLabel.PASS) for number in range(RECENT + 5)])
    with deployment.database.read() as connection:
        assert tally_of(connection, NEW.version).count == RECENT
        assert tally_of(connection, NEW.version, limit=3).count == 3


def test_every_part_of_the_page_at_once(browser: TestClient, deployment: Deployment) -> None:
    everything(deployment)
    for path in (ADDRESS, f"{ADDRESS}?version={OLD.version}", "/rubrics/refunds", "/rubrics/tone-of-voice"):
        shown(browser, path)


problems = st.builds(
    RubricProblem,
    file=st.just("f"),
    line=st.integers(-2, 40),
    column=st.just(1),
    field=st.just(""),
    message=st.text(),
)


@given(st.text(), st.lists(problems))
def test_every_problem_stands_at_some_line(text: str, found: list[RubricProblem]) -> None:
    lines = numbered(text, found)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert sorted(id(one) for line in lines for one in line.problems) == sorted(map(id, found))
