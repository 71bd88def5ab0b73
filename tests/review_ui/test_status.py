"""The status page in its states."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.judgement import NotEvaluable
from evaluator.model.person import PersonRole
from evaluator.model.review import Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.adjudication import mark_gold
from evaluator.situation import IN_WORDS
from evaluator.store.judgements import pause_judge
from evaluator.store.operations import beat, overview, record_failure
from tests.accounts.people_world import sign_in, somebody
from tests.plugin_packages import Package, installed
from tests.review_ui.page_checks import assert_well_made
from tests.reviewing.answering import answer
from tests.reviewing.review_world import item_in_queue, judged_event
from tests.world import CHECKED_RUBRIC, Actor, add_rubric, judge_all, reported_run


def report(deployment: Deployment, browser: TestClient, actor: Actor, **run: str) -> None:
    answer = browser.post("/v1/runs", json=reported_run(**run), headers=actor.headers)
    assert answer.is_success, answer.text


def test_a_new_server_says_how_to_send_a_first_run(browser: TestClient) -> None:
    text = browser.get("/").text
    assert_well_made(text)
    assert "Nothing has arrived yet" in text
    assert "curl http://localhost:8700/v1/runs" in text
    assert "adjudge keys create" in text


def test_the_way_is_counted_stage_by_stage(
    browser: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    report(deployment, browser, app_of_the_product, event_id="good")
    report(deployment, browser, app_of_the_product, event_id="bad", output="No.")
    judge_all(deployment)
    text = browser.get("/").text
    assert_well_made(text)
    names_and_counts = re.findall(r'class="name">(\w+)</span>\s*<span class="count">(\d+)', text)
    assert dict(names_and_counts) == {
        "Spans": "0",
        "Runs": "2",
        "Sampled": "2",
        "Judged": "2",
        "Rollups": "2",
        "Outcomes": "2",
    }
    assert "All that has arrived is judged" in text
    assert "Outcomes: 1 success, 1 failed" in text


def test_captured_content_stays_off_the_page_and_names_are_escaped(
    browser: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    report(deployment, browser, app_of_the_product, event_id="<img src=x>", output="the customer's words")
    text = browser.get("/").text
    assert_well_made(text)
    assert "&lt;img src=x&gt;" in text
    assert "customer&#39;s words" not in text
    assert "<img" not in text


def test_names_that_would_turn_the_text_around_are_shown_as_they_are_spelt(
    browser: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    hostile = "\x1b[31m\x9b\u202e<script>alert(1)</script>\"'{{ 8191 * 8191 }}"
    report(deployment, browser, app_of_the_product, event_id=hostile, workflow=hostile)
    deployment.database.transact(
        lambda connection: record_failure(connection, stage="judge", kind="k", subject=hostile, detail=hostile)
    )
    text = browser.get("/").text
    assert_well_made(text)
    assert not re.search("[\x1b\x9b\u202e]|<script|67092481", text)
    assert text.count(r"\x1b[31m\x9b\u202e&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;{{ 8191 * 8191 }}") == 5


def test_what_stands_in_the_way_is_said(
    browser: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    add_rubric(deployment.settings.rubrics_dir)
    (deployment.settings.rubrics_dir / "broken.yaml").write_text("id: broken\ntitel: x\n")
    report(deployment, browser, app_of_the_product)
    now = utc_now()
    until = now.replace(year=now.year + 1)
    deployment.database.transact(
        lambda connection: pause_judge(
            connection, judge="default", reason="no credit", detail="Top up.", now=now, until=until
        )
    )
    deployment.database.transact(
        lambda connection: record_failure(connection, stage="engine", kind="tick", detail="it failed")
    )
    text = browser.get("/").text
    assert_well_made(text)
    assert "1 judgement on hold: the judge is paused" in text
    assert "no credit" in text
    assert "engine: tick" in text
    assert re.search(r"broken\.yaml:2:1: ", text)
    assert "No worker alive" in text


def test_a_package_whose_check_is_not_used_is_told(browser: TestClient, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    with installed(tmp_path / "packages", Package("acme-checks", "", {"regex": "regex"})):
        assert "check regex is brought along by acme-checks 1.0; the built-in one is used" in browser.get("/").text


def test_the_page_loads_itself_again_only_while_work_is_on_its_way(
    browser: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    report(deployment, browser, app_of_the_product)
    assert browser.get("/").headers["refresh"] == "10"
    assert "refresh" not in browser.get("/?refresh=off").headers
    judge_all(deployment)
    assert "refresh" not in browser.get("/").headers


def test_a_worker_that_lives_is_counted(browser: TestClient, deployment: Deployment) -> None:
    deployment.database.transact(lambda connection: beat(connection, "here:1", utc_now()))
    assert "1 worker alive" in browser.get("/").text


def test_every_reason_has_its_words() -> None:
    assert set(IN_WORDS) == set(NotEvaluable)


def test_static_files_are_kept_by_their_content(browser: TestClient) -> None:
    (css,) = re.findall(r'href="(/static/[^"]+\.css)"', browser.get("/").text)
    answer = browser.get(css)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/000000000000/adjudge.css").status_code == 404
    assert browser.get("/static/000000000000/..%2Fserver.py").status_code == 404


def rows(text: str) -> dict[str, str]:
    """Event → its outcome and who decided it, as the table of the latest events says it."""
    found = re.findall(r'class="id" title="([^"]+)".*?</span> ([^<]+)</span></td>\s*<td>([^<]+)</td>', text, re.S)
    return {event: f"{outcome}, {by}" for event, outcome, by in found}


def test_who_may_yet_review_an_event_blind_does_not_read_its_outcome_here(
    browser: TestClient, deployment: Deployment
) -> None:
    ada, vera = somebody(deployment), somebody(deployment, "Vera", PersonRole.VIEWER)
    asked = item_in_queue(deployment, event_id="asked", stream=Stream.AUDIT)
    item_in_queue(deployment, event_id="open", blind=False)
    judged_event(deployment, "judged")
    sign_in(browser, deployment, ada)
    text = browser.get("/").text
    assert_well_made(text)
    assert rows(text) == {
        "asked": "after your review, —",
        "open": "success, judge",
        "judged": "success, judge",
    }
    answer(deployment, ada, asked, VerdictLabel.FAIL)
    assert rows(browser.get("/").text)["asked"] == "failed, human"
    sign_in(browser, deployment, vera)
    assert "after your review" not in browser.get("/").text


def test_gold_items_are_kept_from_those_who_have_not_seen_them(browser: TestClient, deployment: Deployment) -> None:
    ada, bea = somebody(deployment), somebody(deployment, "Bea")
    item = item_in_queue(deployment, event_id="known")
    answer(deployment, bea, item, VerdictLabel.FAIL)
    mark_gold(deployment, somebody(deployment, "Eve", PersonRole.AUTHOR), item.item_id, True)
    sign_in(browser, deployment, ada)
    assert rows(browser.get("/").text) == {"known": "after your review, —"}
    sign_in(browser, deployment, bea)
    assert rows(browser.get("/").text) == {"known": "failed, human"}


def test_verdicts_of_people_are_not_counted_as_those_of_judges(browser: TestClient, deployment: Deployment) -> None:
    answer(deployment, somebody(deployment), item_in_queue(deployment), VerdictLabel.FAIL)
    with deployment.database.read() as connection:
        seen = overview(connection, now=utc_now(), worker_seen_after=utc_now())
    assert seen.verdicts == {"pass": 1}
