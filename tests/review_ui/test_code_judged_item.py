"""An item whose criteria code answers, all of them: people still say whether its verdict is right."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.model.verdict import VerdictLabel
from evaluator.store.reviews import reviews_of_item
from tests.accounts.people_world import sign_in, somebody
from tests.review_ui.page_checks import assert_well_made
from tests.test_pipeline import judge_all, report
from tests.world import CHECKED_RUBRIC, add_rubric

SENT = CHECKED_RUBRIC.replace("check: contains_url", "check: contains_url, critical: true")
SENT += "review: {{send: [critical_fail]}}\n"


@pytest.fixture
def item(deployment: Deployment, browser: TestClient) -> str:
    """The path of such an item, claimed by the person who browses."""
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=SENT)
    report(deployment, output="It arrives on Friday.")
    judge_all(deployment)
    sign_in(browser, deployment, somebody(deployment))
    answer = browser.post("/review/next", follow_redirects=False)
    return str(answer.headers["location"]).partition("?")[0]


def fields(page: str) -> dict[str, str]:
    form = page[page.index('class="rail"') :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))


def test_what_code_says_can_be_taken_as_it_is(deployment: Deployment, browser: TestClient, item: str) -> None:
    page = browser.get(item).text
    assert_well_made(page)
    assert re.search(r"<button[^>]*>Submit", page)
    assert re.findall(r'name="verdict" value="(\w+)" checked', page) == ["fail"]
    assert "the answer must hold a link" in page
    assert browser.post(f"{item}/verdict", data=fields(page)).status_code == 200
    assert said(deployment, item) == [VerdictLabel.FAIL]


def test_another_verdict_needs_a_note(deployment: Deployment, browser: TestClient, item: str) -> None:
    sent = {**fields(browser.get(item).text), "verdict": "pass"}
    assert browser.post(f"{item}/verdict", data=sent).status_code == 400
    assert browser.post(f"{item}/verdict", data={**sent, "note": "There is nothing to link to."}).status_code == 200
    assert said(deployment, item) == [VerdictLabel.PASS]


def said(deployment: Deployment, item: str) -> list[VerdictLabel | None]:
    with deployment.database.read() as connection:
        return [one.verdict for one in reviews_of_item(connection, item.rpartition("/")[2])]
