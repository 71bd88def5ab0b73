"""The queue: tabs, filters, empty screens, and the ways from there to an item."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.review_state import TELLING
from evaluator.reviewing.reason_chips import WORDS
from evaluator.reviewing.review_desk import claim_item, escalate
from tests.accounts.people_world import sign_in, somebody
from tests.review_ui.page_checks import assert_well_made
from tests.review_ui.queue_world import desk, dispute, passed_on, people
from tests.reviewing.answering import answer
from tests.reviewing.review_world import JUDGE_SAYS, item_in_queue, items_in_queue, judged_event, reviewed_rubric
from tests.world import RUBRIC, add_rubric


@pytest.fixture
def ada(deployment: Deployment, browser: TestClient) -> Person:
    """A reviewer who is signed in."""
    person = somebody(deployment)
    sign_in(browser, deployment, person)
    return person


@pytest.fixture
def eve(deployment: Deployment, browser: TestClient) -> Person:
    """An author who is signed in."""
    person = somebody(deployment, "Eve", PersonRole.AUTHOR)
    sign_in(browser, deployment, person)
    return person


def shown(browser: TestClient, path: str = "/review", status: int = 200) -> str:
    answer = browser.get(path)
    assert answer.status_code == status, answer.text
    text: str = answer.text
    assert_well_made(text)
    return text


def events(text: str) -> list[str]:
    return re.findall(r'<span class="id">([^<]+)</span>', text)


def counts(text: str) -> dict[str, str]:
    return dict(re.findall(r'id="tab-(\w+)".*?<span class="count">([^<]+)</span>', text))


def posted(browser: TestClient, path: str, **form: str) -> Response:
    answer: Response = browser.post(path, data=form, follow_redirects=False)
    return answer


def test_items_stand_in_line_with_their_age_value_and_neutral_reasons(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item_in_queue(deployment, reasons=("critical_fail", "value_above"), entered=utc_now() - timedelta(hours=30))
    text = shown(browser)
    assert events(text) == ["ticket-1"]
    for word in ("overdue", ">1 d<", "$12.50", "sent by policy", "value $12.50", "Did we solve the customer"):
        assert word in text
    assert WORDS["critical_fail"] not in text


def test_a_rubric_that_asks_for_nobody_is_told_apart_from_a_queue_that_is_done(
    deployment: Deployment, browser: TestClient, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.rubric_shelf._LOOK_AGAIN_SECONDS", 0.0)
    add_rubric(deployment.settings.rubrics_dir)
    assert "No rubric in force asks for people" in shown(browser)
    add_rubric(deployment.settings.rubrics_dir, text=f"{RUBRIC}review: {{{{send: [unknown]}}}}\n")
    assert "Every item that asked for a person is reviewed" in shown(browser)


@pytest.mark.parametrize("reason", TELLING)
def test_nobody_who_may_still_answer_blind_can_tell_reasons_or_streams_apart(
    deployment: Deployment, browser: TestClient, ada: Person, reason: str
) -> None:
    stream = Stream.AUDIT if reason == "audit" else Stream.TARGETED
    item_in_queue(deployment, reasons=(reason,), stream=stream)
    text = shown(browser)
    assert "sent by policy" in text
    assert "Stream" not in text
    assert not [word for name, word in WORDS.items() if name in TELLING and word in text]
    assert events(shown(browser, f"/review?reason={reason}")) == ["ticket-1"]
    assert events(shown(browser, f"/review?reason={next(one for one in TELLING if one != reason)}")) == ["ticket-1"]
    assert events(shown(browser, "/review?stream=audit")) == events(shown(browser, "/review?stream=targeted"))
    assert JUDGE_SAYS not in text


def test_authors_see_true_reasons_and_filter_by_stream_where_nothing_is_blind_any_more(
    deployment: Deployment, browser: TestClient, eve: Person
) -> None:
    ada = somebody(deployment)
    one = item_in_queue(deployment, event_id="ticket-1", reasons=("audit",), stream=Stream.AUDIT)
    two = item_in_queue(deployment, event_id="ticket-2", reasons=("unknown",))
    text = shown(browser, "/review?stream=audit&reason=audit")
    assert "Stream" not in text
    assert set(re.findall(r'class="chip">([^<]+)<', text)) == {"sent by policy"}
    assert len(events(text)) == 2
    for item in (one, two):
        answer(deployment, ada, item, VerdictLabel.PASS)
    done = shown(browser, "/review?tab=done")
    assert "Stream" in done
    assert {"random audit", "judges could not tell"} <= set(re.findall(r'class="chip">([^<]+)<', done))
    assert events(shown(browser, "/review?tab=done&stream=audit")) == ["ticket-1"]
    assert events(shown(browser, "/review?tab=done&reason=unknown")) == ["ticket-2"]


def test_each_item_is_under_its_tab_with_the_count_beside_it(deployment: Deployment, browser: TestClient) -> None:
    work = desk(deployment, number=6)
    sign_in(browser, deployment, work.eve)
    text = shown(browser)
    assert counts(text) == {
        "for_me": "5",
        "in_progress": "2",
        "escalated": "1",
        "disagreements": "1",
        "done": "7",
    }
    assert events(shown(browser, "/review?tab=escalated")) == ["ticket-77"]
    assert "The refund was promised" in shown(browser, "/review?tab=escalated")
    assert events(shown(browser, "/review?tab=disagreements")) == ["ticket-88"]
    assert "Ben Okri" in shown(browser, "/review?tab=in_progress")
    done = shown(browser, "/review?tab=done")
    assert "fail</span> <small>Eve Adebayo" in done
    assert "no verdict" in done


def test_reviewers_read_done_verdicts_only_of_what_they_answered(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    ben = somebody(deployment, "Ben")
    answer(deployment, ben, item_in_queue(deployment, event_id="ticket-ben"), VerdictLabel.PASS)
    answer(deployment, ada, item_in_queue(deployment, event_id="ticket-ada"), VerdictLabel.FAIL)
    text = shown(browser, "/review?tab=done")
    assert events(text) == ["ticket-ada"]
    assert "fail</span> <small>Ada" in text


def test_pages_hold_25_rows_and_lead_on(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    items_in_queue(deployment, 27)
    first = shown(browser, "/review?workflow=Support")
    assert len(events(first)) == 25
    assert "1–25 of 27" in first
    assert 'rel="next" href="/review?workflow=Support&amp;page=2"' in first
    second = shown(browser, "/review?workflow=Support&page=2")
    assert events(second) == ["ticket-26", "ticket-27"]
    assert 'rel="prev" href="/review?workflow=Support"' in second
    assert "past the end" in shown(browser, "/review?page=3")


def test_the_filter_form_keeps_what_is_chosen_and_offers_what_waits(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item_in_queue(deployment)
    text = shown(browser, "/review?rubric=support&older_than_hours=7")
    assert '<option value="support" selected>' in text
    assert '<option value="7" selected>over 7 hours</option>' in text
    assert 'data-hx-push-url="true"' in text
    assert "Clear filters" in text


@pytest.mark.parametrize("query", ["tab=mine", "page=0", "page=x", "reason=boredom", "older_than_hours=soon"])
def test_what_a_url_cannot_ask_for_is_told(browser: TestClient, ada: Person, query: str) -> None:
    refused = browser.get(f"/review?{query}")
    assert refused.status_code == 400
    assert "takes" in refused.text


def test_counters_come_alone(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item_in_queue(deployment)
    part = browser.get("/review/counters?tab=for_me").text
    assert part.strip().startswith("<nav")
    assert counts(part)["for_me"] == "1"


def test_with_nothing_to_review_the_screen_says_so(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    reviewed_rubric(deployment)
    text = shown(browser)
    assert "Nothing to review" in text
    assert 'class="drawing"' in text


def test_what_is_left_for_others_is_told_apart_from_nothing(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    answer(deployment, ada, item_in_queue(deployment, reviewers=2), VerdictLabel.PASS)
    assert "you have reviewed or skipped yourself" in shown(browser)


def test_where_others_hold_everything_their_names_and_leases_are_shown(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    ben = somebody(deployment, "Ben")
    for item in items_in_queue(deployment, 2):
        claim_item(deployment, ben, item.item_id)
    text = shown(browser)
    assert "All items are claimed" in text
    assert re.search(r"Ben</span> <span class=\"quiet\">2 items, \d min left", text)
    assert re.search(r"The first lease ends in \d min\.", text)


def test_a_filter_that_leaves_nothing_says_what_it_asks_for(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item_in_queue(deployment)
    text = shown(browser, "/review?workflow=Returns&older_than_hours=24")
    assert "It asks for workflow Returns and waiting over a day. Without it there are 1." in text
    assert 'href="/review">Clear filters' in text


def test_without_a_rubric_authors_read_how_to_write_one(browser: TestClient, eve: Person) -> None:
    text = shown(browser)
    assert "No rubric is in force yet" in text
    assert "adjudge rubrics new" in text


def test_without_a_rubric_reviewers_are_not_sent_to_a_command_line(browser: TestClient, ada: Person) -> None:
    text = shown(browser)
    assert "No rubric is in force yet" in text
    assert "adjudge rubrics new" not in text


def test_viewers_read_which_role_is_needed_and_who_gives_it(deployment: Deployment, browser: TestClient) -> None:
    item_in_queue(deployment)
    somebody(deployment, "Grace", PersonRole.ADMIN)
    sign_in(browser, deployment, somebody(deployment, "Vera", PersonRole.VIEWER))
    text = shown(browser)
    assert "Reviewing needs the role reviewer" in text
    assert "Ask Grace" in text
    assert "ticket-1" not in text
    assert posted(browser, "/review/next").status_code == 403


def test_other_tabs_say_what_would_be_there(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item_in_queue(deployment)
    for tab, words in (
        ("in_progress", "Nobody is reviewing just now"),
        ("escalated", "Nothing is passed on"),
        ("disagreements", "Nobody disagrees"),
        ("done", "Nothing is reviewed yet"),
    ):
        assert words in shown(browser, f"/review?tab={tab}")
    assert "Nothing matches this filter" in shown(browser, "/review?tab=done&workflow=Returns")


def test_start_sets_out_a_batch_under_the_filter_and_opens_its_first_item(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment)
    went = posted(browser, "/review/start", workflow="Support")
    assert went.status_code == 303
    path, _, batch = went.headers["location"].partition("?batch=")
    assert path == f"/review/{item.item_id}"
    assert "workflow Support" in browser.get(f"/review/batch/{batch}").text
    answer(deployment, ada, item, VerdictLabel.PASS)
    assert posted(browser, "/review/next", batch=batch).headers["location"] == (
        f"/review/batch/{batch}?told=nothing_to_do"
    )


def test_start_where_nothing_is_left_begins_no_batch(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    reviewed_rubric(deployment)
    assert posted(browser, "/review/start", workflow="Support").headers["location"] == "/review?workflow=Support"
    assert "Last batch" not in shown(browser)


def test_next_opens_one_item_and_the_right_screen_without_one(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment)
    assert posted(browser, "/review/next").headers["location"] == f"/review/{item.item_id}"
    answer(deployment, ada, item, VerdictLabel.PASS)
    assert posted(browser, "/review/next").headers["location"] == "/review"


def test_a_batch_under_way_is_offered_to_be_gone_on_with(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    first, _ = items_in_queue(deployment, 2)
    went = posted(browser, "/review/start", size="2").headers["location"]
    answer(deployment, ada, first, VerdictLabel.PASS)
    assert "(1 of 2)" in shown(browser)
    assert went.partition("?batch=")[2] in shown(browser)


def test_authors_add_events_and_read_which_could_not_be(
    deployment: Deployment, browser: TestClient, eve: Person
) -> None:
    judged_event(deployment, "ticket-7")
    judged_event(deployment, "ticket-8")
    went = posted(browser, "/review/pick", events="ticket-7\r\nticket-8", rubric="support", note="Look.")
    assert went.status_code == 303
    text = shown(browser)
    assert "2 events in the queue." in text
    assert set(events(text)) == {"ticket-7", "ticket-8"}
    half = posted(browser, "/review/pick", events="ticket-7\nnowhere\nelsewhere", rubric="support", note="Look.")
    assert half.status_code == 200
    assert_well_made(half.text)
    assert re.search(r"<code>nowhere</code>.*No event", half.text)
    assert ">nowhere\nelsewhere</textarea>" in half.text
    none = posted(browser, "/review/pick", events=" ", rubric="support", note="")
    assert none.status_code == 400
    assert "from 1 to 500 are taken at once" in none.text


def test_only_authors_add_and_export(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item_in_queue(deployment)
    assert "Add events by hand" not in shown(browser)
    assert posted(browser, "/review/pick", events="ticket-1", rubric="support").status_code == 403
    assert browser.get("/review/export.csv").status_code == 403


def test_the_export_holds_what_the_filter_of_the_done_tab_holds(
    deployment: Deployment, browser: TestClient, eve: Person
) -> None:
    ada = somebody(deployment)
    answer(deployment, ada, item_in_queue(deployment), VerdictLabel.FAIL)
    page = shown(browser, "/review?tab=done&rubric=support")
    assert 'href="/review/export.csv?rubric=support"' in page
    found = browser.get("/review/export.csv?rubric=support")
    assert found.headers["content-disposition"].startswith('attachment; filename="reviews-')
    assert [row["reviewer"] for row in csv.DictReader(io.StringIO(found.text))] == ["Ada"]
    assert len(browser.get("/review/export.csv?reason=critical_fail&stream=targeted").text.splitlines()) == 2
    for nothing in ("rubric=other", "workflow=Returns", "reason=unknown", "stream=audit", "older_than_hours=1"):
        assert len(browser.get(f"/review/export.csv?{nothing}").text.splitlines()) == 1
    assert browser.get("/review/export.jsonl").text.count("\n") == 1


@pytest.mark.parametrize("path", ["/review/start", "/review/next", "/review/pick"])
def test_another_site_s_page_can_do_nothing(browser: TestClient, eve: Person, path: str) -> None:
    refused = browser.post(path, data={}, headers={"sec-fetch-site": "cross-site"})
    assert refused.status_code == 403


def test_what_somebody_wrote_does_nothing_on_the_page(
    deployment: Deployment, browser: TestClient, eve: Person
) -> None:
    ada = somebody(deployment, "<b>Ada</b>")
    item = item_in_queue(deployment, event_id="<script>alert(1)</script>\u202e")
    claim = claim_item(deployment, ada, item.item_id)
    escalate(deployment, ada, item.item_id, claim.token, "<img src=x onerror=alert(1)>")
    text = shown(browser, "/review?tab=escalated")
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "\\u202e" in text


def test_escalated_and_disputed_items_lead_to_the_page_that_settles_them(
    deployment: Deployment, browser: TestClient
) -> None:
    ada, ben, eve, _ = people(deployment)
    dispute(deployment, ada, ben)
    passed_on(deployment, ben)
    sign_in(browser, deployment, eve)
    assert 'href="/disagreements?state=escalated">Settle' in shown(browser, "/review?tab=escalated")
    assert 'href="/disagreements?state=awaiting_resolution">Settle' in shown(browser, "/review?tab=disagreements")
