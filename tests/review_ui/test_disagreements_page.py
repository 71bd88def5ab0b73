"""Disagreements and escalations: side by side, and settled from there."""

from __future__ import annotations

import re
import secrets

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from evaluator.deployment import Deployment
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, ReviewKind, SlotKind
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.review_desk import claim_item
from evaluator.store.review_claims import slots_of_item
from evaluator.store.review_items import find_item
from evaluator.store.reviews import reviews_of_item, standing_verdicts
from tests.accounts.people_world import sign_in, somebody
from tests.review_ui.page_checks import assert_well_made
from tests.review_ui.queue_world import WHY_ESCALATED, dispute, passed_on, people
from tests.reviewing.review_world import JUDGE_SAYS, item_in_queue, reviewed_rubric

Four = tuple[Person, Person, Person, Person]


@pytest.fixture
def four(deployment: Deployment, browser: TestClient) -> Four:
    """Two reviewers, an author who is signed in, and an admin."""
    made = people(deployment)
    sign_in(browser, deployment, made[2])
    return made


def shown(browser: TestClient, path: str = "/disagreements") -> str:
    found = browser.get(path)
    assert found.status_code == 200, found.text
    text: str = found.text
    assert_well_made(text)
    return text


def rows(text: str) -> dict[str, list[str]]:
    """First cell → what the others say."""
    table = text[text.index('class="compare"') : text.index("</table>")]
    cells = [
        [
            " ".join(re.sub(r"<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<t[dh][ >](.*?)</t[dh]>", row, re.S)
        ]
        for row in re.findall(r"<tr.*?</tr>", table, re.S)
    ]
    return {row[0].split(">")[-1].split()[0]: [cell.split(">")[-1].strip() for cell in row[1:]] for row in cells}


def settled(browser: TestClient, item: ReviewItem, **form: str) -> Response:
    page = browser.get(f"/disagreements?item={item.item_id}").text
    seen = re.search(r'name="shown" value="(.*?)"', page)
    given = {"form_key": secrets.token_hex(8), "answer.solves": "fail", "answer.tone": "4", **form}
    given.setdefault("shown", seen[1] if seen else "")
    answer: Response = browser.post(f"/disagreements/{item.item_id}", data=given, follow_redirects=False)
    return answer


def state_of(deployment: Deployment, item: ReviewItem) -> ItemState:
    with deployment.database.read() as connection:
        found = find_item(connection, item.item_id)
    assert found is not None
    return ItemState(found.state)


def test_reviewers_and_judge_stand_side_by_side_and_differences_are_marked_in_words(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    dispute(deployment, four[0], four[1])
    text = shown(browser)
    said = rows(text)
    assert said["Criterion"][:2] == ["Ada Lovelace reviewer", "Ben Okri reviewer"]
    assert said["solves"] == ["✓ pass", "✕ fail", "✓ pass", "differs"]
    assert said["tone"][-1] == "differs"
    assert said["has-link"] == ["✓ pass", "✓ pass", "✓ pass", "same"]
    assert said["Verdict"] == ["✓ pass", "✕ fail", "✓ pass 1.00", "differs"]
    assert "The parcel was already lost; a date does not help." in text
    assert "Until this is settled no person’s verdict stands; the judges’ pass (1.00) counts." in text


def test_an_escalation_stands_with_who_passed_it_on_and_why(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    passed_on(deployment, four[1])
    text = shown(browser, "/disagreements?state=escalated")
    assert f"Ben Okri passed it on: {WHY_ESCALATED}" in text
    assert "the judges could not tell" in text
    assert "Nobody disagrees" in shown(browser, "/disagreements?state=awaiting_resolution")


def test_answers_on_which_all_agree_are_filled_in(deployment: Deployment, browser: TestClient, four: Four) -> None:
    dispute(deployment, four[0], four[1])
    text = shown(browser)
    assert re.search(r'name="answer.tone" value="5" checked', text)
    assert not re.search(r'name="answer.solves" value="\w+" checked', text)
    assert "they differ" in text


def test_settling_here_makes_the_author_s_verdict_stand(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    item = dispute(deployment, four[0], four[1])
    version = reviewed_rubric(deployment).version
    went = settled(browser, item, rubric_version=version, note="It was lost.")
    assert (went.status_code, went.headers["location"]) == (303, "/disagreements")
    assert "Settled ticket-88: fail. Your verdict stands." in shown(browser)
    assert state_of(deployment, item) is ItemState.DONE
    with deployment.database.read() as connection:
        stands = standing_verdicts(connection, [item.event_id])[item.event_id, item.rubric_id]
    assert (stands.verdict, stands.judge) == (VerdictLabel.FAIL, "Eve Adebayo")


def test_a_form_sent_twice_settles_once(deployment: Deployment, browser: TestClient, four: Four) -> None:
    item = dispute(deployment, four[0], four[1])
    form = {"form_key": "twice", "rubric_version": reviewed_rubric(deployment).version}
    assert [settled(browser, item, **form).status_code for _ in range(2)] == [303, 303]
    with deployment.database.read() as connection:
        kinds = [one.kind for one in reviews_of_item(connection, item.item_id)]
    assert kinds.count(ReviewKind.ADJUDICATION) == 1


def test_what_cannot_be_taken_stands_beside_the_form_with_what_was_written(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    item = dispute(deployment, four[0], four[1])
    version = reviewed_rubric(deployment).version
    form = {"rubric_version": version, "answer.solves": "", "note": "Half\nwritten <b>"}
    refused = settled(browser, item, **form)
    assert refused.status_code == 400
    assert_well_made(refused.text)
    assert "solves is not answered" in refused.text
    assert "Half\nwritten &lt;b&gt;</textarea>" in refused.text
    assert re.search(r'name="answer.tone" value="4" checked', refused.text)
    assert state_of(deployment, item) is ItemState.AWAITING_RESOLUTION
    with deployment.database.read() as connection:
        held = [one for one in slots_of_item(connection, item.item_id) if one.lease_until is not None]
    assert held == []


def test_a_verdict_other_than_the_answers_come_to_needs_a_note(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    item = dispute(deployment, four[0], four[1])
    form = {"rubric_version": reviewed_rubric(deployment).version, "verdict": "pass"}
    refused = settled(browser, item, **form)
    assert refused.status_code == 400
    assert "Say why in the note" in refused.text
    assert '<option value="pass" selected>' in refused.text
    assert settled(browser, item, **form, note="Goodwill.").status_code == 303


def test_where_another_author_settles_it_nothing_is_lost(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    item = dispute(deployment, four[0], four[1])
    claim_item(deployment, four[3], item.item_id, kind=SlotKind.ADJUDICATION)
    assert re.search(r"Root is settling it, \d min left\.", shown(browser))
    refused = settled(browser, item, rubric_version=reviewed_rubric(deployment).version, note="Mine.")
    assert refused.status_code == 409
    assert "Root holds this item" in refused.text
    assert "Mine.</textarea>" in refused.text
    claimed = browser.post(f"/disagreements/{item.item_id}/claim", follow_redirects=False)
    assert claimed.status_code == 409


def test_claiming_leads_to_the_item_s_own_page(deployment: Deployment, browser: TestClient, four: Four) -> None:
    item = dispute(deployment, four[0], four[1])
    went = browser.post(f"/disagreements/{item.item_id}/claim", follow_redirects=False)
    assert (went.status_code, went.headers["location"]) == (303, f"/review/{item.item_id}")
    assert "You are settling it" in shown(browser, f"/disagreements?item={item.item_id}")


def test_reviewers_see_theirs_and_settle_nothing(deployment: Deployment, browser: TestClient, four: Four) -> None:
    theirs = dispute(deployment, four[0], four[1])
    passed_on(deployment, four[1], "ticket-ben")
    sign_in(browser, deployment, four[0])
    text = shown(browser)
    assert "ticket-88" in text
    assert "ticket-ben" not in text
    assert "Settle" not in text
    assert settled(browser, theirs).status_code == 403


def test_what_is_still_blind_for_a_reviewer_is_not_shown(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    passed_on(deployment, four[1])
    sign_in(browser, deployment, four[1])
    text = shown(browser)
    assert "What others said is hidden from you" in text
    assert "compare" not in text
    assert JUDGE_SAYS not in text


def test_an_item_that_waits_no_more_cannot_be_settled_here(
    deployment: Deployment, browser: TestClient, four: Four
) -> None:
    item = item_in_queue(deployment, reasons=("unknown",))
    text = shown(browser, f"/disagreements?item={item.item_id}")
    assert "does not wait for an author" in text
    assert "Settle: this verdict stands" not in text
    assert browser.get("/disagreements?item=nowhere").status_code == 404
    assert browser.get("/disagreements?state=done").status_code == 400


def test_viewers_are_told_which_role_is_needed(deployment: Deployment, browser: TestClient) -> None:
    sign_in(browser, deployment, somebody(deployment, "Vera", PersonRole.VIEWER))
    refused = browser.get("/disagreements")
    assert refused.status_code == 403
    assert "needs the role reviewer" in refused.text
