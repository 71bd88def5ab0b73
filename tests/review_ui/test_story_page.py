"""An item's story: nothing that tells before the person has answered, everything after."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.model.person import PersonRole
from evaluator.model.review import Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.reason_chips import WORDS
from evaluator.store.review_items import acts_of_item
from tests.accounts.people_world import FROM_A_PAGE, sign_in, somebody
from tests.review_ui.page_checks import assert_well_made
from tests.review_ui.queue_world import dispute, people
from tests.reviewing.answering import answer
from tests.reviewing.review_world import JUDGE_SAYS, item_in_queue

ASKS = "Opening this tells you what judges said; your review would no longer be blind."


def story(browser: TestClient, item_id: str) -> str:
    found = browser.get(f"/review/{item_id}/story")
    assert found.status_code == 200, found.text
    text: str = found.text
    assert_well_made(text)
    return text


def told(text: str) -> list[str]:
    """Who did what, in order."""
    lines = re.findall(r"<p><b>(.*?)<span class=\"at\">", text, re.S)
    return [" ".join(re.sub(r"<[^>]+>", "", line).split()) for line in lines]


@pytest.mark.parametrize("role", [PersonRole.REVIEWER, PersonRole.AUTHOR])
def test_before_the_first_pass_a_story_tells_nothing(
    deployment: Deployment, browser: TestClient, role: PersonRole
) -> None:
    item = item_in_queue(deployment, reasons=("critical_fail",), stream=Stream.AUDIT, reviewers=2)
    answer(deployment, somebody(deployment, "Ben"), item, VerdictLabel.FAIL, note="It is wrong.")
    sign_in(browser, deployment, somebody(deployment, role=role))
    text = story(browser, item.item_id)
    assert told(text) == ["The review policy put it in the queue"]
    for hint in (JUDGE_SAYS, "gpt-4.1", "Ben", "It is wrong", WORDS["critical_fail"], "audit", "✕", "✓"):
        assert hint not in text


def test_after_the_first_pass_it_tells_everything_in_order(deployment: Deployment, browser: TestClient) -> None:
    ada, ben, eve, _ = people(deployment)
    item = dispute(deployment, ada, ben)
    answer(deployment, eve, item, VerdictLabel.FAIL, note="Settled by hand.")
    sign_in(browser, deployment, ada)
    text = story(browser, item.item_id)
    assert told(text)[-6:] == [
        "Ada Lovelace claimed it",
        "Ada Lovelace said ✓ pass",
        "Ben Okri claimed it",
        "Ben Okri said ✕ fail",
        "Eve Adebayo claimed it",
        "Eve Adebayo settled it: ✕ fail",
    ]
    for word in (JUDGE_SAYS, "overrules the judge", "blind", "not blind", "for adjudication", "Settled by hand."):
        assert word in text
    assert "5 warm and precise" in text
    assert "targeted" not in text  # streams are for authors


def test_an_author_is_asked_first_and_opening_it_is_recorded(deployment: Deployment, browser: TestClient) -> None:
    eve = somebody(deployment, "Eve", PersonRole.AUTHOR)
    item = item_in_queue(deployment)
    sign_in(browser, deployment, eve)
    assert ASKS in story(browser, item.item_id)
    opened = browser.post(f"/review/{item.item_id}/story", follow_redirects=False)
    assert (opened.status_code, opened.headers["location"]) == (303, f"/review/{item.item_id}/story")
    text = story(browser, item.item_id)
    assert JUDGE_SAYS in text
    assert "Eve looked at what judges said without having answered" in told(text)
    taken = answer(deployment, eve, item, VerdictLabel.PASS).review
    assert (taken.blind, taken.seen_judge) == (False, True)


def test_looking_alone_records_nothing(deployment: Deployment, browser: TestClient) -> None:
    item = item_in_queue(deployment)
    sign_in(browser, deployment, somebody(deployment, "Eve", PersonRole.AUTHOR))
    story(browser, item.item_id)
    with deployment.database.read() as connection:
        assert [one.act for one in acts_of_item(connection, item.item_id)] == ["entered"]


def test_reviewers_cannot_have_it_revealed(deployment: Deployment, browser: TestClient) -> None:
    item = item_in_queue(deployment)
    sign_in(browser, deployment, somebody(deployment))
    assert ASKS not in story(browser, item.item_id)
    refused = browser.post(f"/review/{item.item_id}/story")
    assert refused.status_code == 403
    assert JUDGE_SAYS not in refused.text
    assert JUDGE_SAYS not in story(browser, item.item_id)


def test_an_item_that_does_not_exist_is_not_found(deployment: Deployment, browser: TestClient) -> None:
    sign_in(browser, deployment, somebody(deployment))
    assert browser.get("/review/nowhere/story").status_code == 404


def test_a_note_does_nothing_on_the_page(deployment: Deployment, browser: TestClient) -> None:
    ada = somebody(deployment)
    item = item_in_queue(deployment)
    answer(deployment, ada, item, VerdictLabel.PASS, note="<img src=x onerror=alert(1)>\n\u202etxet")
    sign_in(browser, deployment, ada)
    text = story(browser, item.item_id)
    assert "<img" not in text
    assert "\\u202etxet" in text


def test_an_author_marks_a_verdict_beyond_doubt_as_gold_from_its_story(
    deployment: Deployment, browser: TestClient
) -> None:
    ada, _, eve, _ = people(deployment)
    item = item_in_queue(deployment)
    sign_in(browser, deployment, eve)
    assert "Mark as gold item" not in story(browser, item.item_id), "nobody has said anything yet"
    answer(deployment, eve, item, VerdictLabel.FAIL)
    assert "Mark as gold item" in story(browser, item.item_id)
    for said, then in (("yes", "No longer gold"), ("no", "Mark as gold item")):
        marked = browser.post(f"/review/{item.item_id}/gold", data={"gold": said}, headers=FROM_A_PAGE)
        assert then in marked.text
    sign_in(browser, deployment, ada)
    refused = browser.post(f"/review/{item.item_id}/gold", data={"gold": "yes"}, headers=FROM_A_PAGE)
    assert refused.status_code == 403
