"""The list of rubrics in its states."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient

from evaluator.api.rubric_catalogue import text_of_file
from evaluator.deployment import Deployment
from evaluator.model.rollup import RollupRule
from evaluator.model.verdict import VerdictLabel
from evaluator.rubric_format.rubric_files import read_rubric
from review_ui.rubric_words import ROLLUP, in_a_line
from tests.review_ui.page_checks import assert_well_made
from tests.review_ui.rubric_world import (
    BROKEN,
    NEW,
    SUPPORT,
    add,
    everything,
    judged_support,
    keep,
    verdict,
    write,
)
from tests.world import CHECKED_RUBRIC, RUBRIC, Actor, add_rubric, judge_all, reported_run


def shown(browser: TestClient) -> str:
    answer = browser.get("/rubrics")
    assert answer.status_code == 200
    assert_well_made(answer.text)
    return " ".join(answer.text.split())


def test_without_a_rubric_it_says_how_to_write_the_first(browser: TestClient) -> None:
    text = shown(browser)
    assert "No rubric yet" in text
    assert "adjudge rubrics new" in text
    assert "<table" not in text


def test_both_pages_lead_to_each_other(browser: TestClient) -> None:
    assert '<a href="/rubrics">Rubrics</a>' in browser.get("/").text
    assert '<a href="/" aria-current="page">Status</a>' in browser.get("/").text
    assert '<a href="/rubrics" aria-current="page">Rubrics</a>' in shown(browser)


def test_what_was_judged_the_real_way_is_counted(
    browser: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    runs = [reported_run(event_id="a"), reported_run(event_id="b", output="No.")]
    runs.append(reported_run(event_id="c", input=None, output=None))
    browser.post("/v1/runs", json=runs, headers=app_of_the_product.headers)
    judge_all(deployment)
    text = shown(browser)
    assert "1 rubric in force" in text
    assert "Verdicts of links: 1 pass, 1 fail" in text
    assert '<td class="number">1</td>' in text  # not evaluable
    assert "$0" in text


def test_a_rubric_that_judged_nothing_yet_says_so(browser: TestClient, deployment: Deployment) -> None:
    add_rubric(deployment.settings.rubrics_dir, text=RUBRIC)
    text = shown(browser)
    assert "nothing judged yet" in text
    assert "none yet" in text


def test_verdicts_of_earlier_versions_count_as_well(browser: TestClient, deployment: Deployment) -> None:
    judged_support(deployment, runs=10, reviewed=2)
    assert sum(map(int, re.findall(r"Verdicts of support: (.*?)<", shown(browser))[0].split()[::2])) == 15


def test_a_broken_file_is_told_in_full(browser: TestClient, deployment: Deployment) -> None:
    write(deployment.settings.rubrics_dir, "broken", BROKEN)
    text = shown(browser)
    assert "No rubric in force, 1 file with errors" in text
    assert "broken.yaml:2:1" in text
    assert "did you mean</dt><dd><code>title" in text
    assert "docs/rubrics.md#keys" in text


def test_a_rubric_whose_file_broke_keeps_its_last_valid_version(
    browser: TestClient, deployment: Deployment
) -> None:
    path = write(deployment.settings.rubrics_dir, "support", SUPPORT)
    assert deployment.shelf.rubrics
    path.write_text(SUPPORT.replace("title:", "titel:"), encoding="utf-8")
    deployment.shelf._looked_at = 0.0
    text = shown(browser)
    assert "1 rubric in force, 1 file with errors" in text
    assert "last valid version in force" in text
    assert "1 error" in text


def test_warnings_are_counted_and_do_not_break(browser: TestClient, deployment: Deployment) -> None:
    two_questions = SUPPORT.replace("Is the tone right for", "Is the tone right and is the answer short for")
    write(deployment.settings.rubrics_dir, "support", two_questions)
    text = shown(browser)
    assert "1 rubric in force" in text
    assert "1 warning" in text


def test_what_judged_and_has_no_file_any_more_stays(browser: TestClient, deployment: Deployment) -> None:
    keep(deployment, NEW, SUPPORT, days_ago=40)
    add(deployment, [verdict(NEW, 1, VerdictLabel.PASS, cost=None)])
    text = shown(browser)
    assert "No rubric in force, 1 whose file is gone" in text
    assert "history kept" in text
    assert "unpriced" in text


def test_what_was_only_tried_is_not_in_the_list(browser: TestClient, deployment: Deployment) -> None:
    keep(deployment, NEW, SUPPORT, in_force=False)
    assert "No rubric yet" in shown(browser)


def test_names_do_nothing_to_the_page(browser: TestClient, deployment: Deployment) -> None:
    hostile = "</title><script>alert(1)</script>\\u202e{{ 8191 * 8191 }}"
    write(
        deployment.settings.rubrics_dir,
        "x<b>\u202e",
        SUPPORT.replace("title: Did we solve the customer's problem?", f'title: "{hostile}"').replace(
            "[Support]", '["<i>\\u2066W"]'
        ),
    )
    write(deployment.settings.rubrics_dir, "y<b>\u202e", "id: <script>\n")
    text = shown(browser)
    assert not re.search("[\u202e\u2066]|<script|<i>|<b>x|67092481", text)
    assert r"&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;\u202e{{ 8191 * 8191 }}" in text
    assert r"y&lt;b&gt;\u202e.yaml" in text


def test_the_list_of_everything_is_well_made(browser: TestClient, deployment: Deployment) -> None:
    everything(deployment)
    assert "2 rubrics in force, 1 file with errors, 1 whose file is gone" in shown(browser)


def test_every_rule_has_its_words() -> None:
    assert set(ROLLUP) == set(RollupRule)


def test_a_rubric_is_told_in_a_line() -> None:
    assert in_a_line(NEW, ["gpt"]) == (
        "Decides the outcome of Support: 20 % of events are judged by gpt; the last run decides."
    )
    panel = read_rubric(
        SUPPORT.replace("role: outcome", "role: quality")
        .replace("sample: {rate: 0.2}", "sample: {rate: 1}")
        .replace("samples: 1}", "samples: 3}\n  - {model: b/c, samples: 3}")
        .replace("rollup: last_run", "rollup: k_of_n\nk: 2")
    )
    assert in_a_line(panel, ["a", "b"]) == (
        "Measures, and decides nothing: Support: every event is judged by a panel of a and b, 3 times each; "
        "2 runs have to pass."
    )


def test_a_file_that_cannot_be_read_is_empty(deployment: Deployment) -> None:
    assert text_of_file(str(deployment.settings.rubrics_dir / "nowhere.yaml")) == ""
