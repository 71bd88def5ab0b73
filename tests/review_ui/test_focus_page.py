"""One item as a reviewer sees and answers it: with a script, without one, and when something stands in the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.outcome import DecidedBy, FinalOutcome, Outcome
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, ReviewKind, Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing import review_desk
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_form import Answer, ReviewForm
from evaluator.reviewing.review_submission import submit
from evaluator.reviewing.sheet_reading import sheet_of
from evaluator.store.reviews import reviews_of_item
from review_ui.item_links import ItemLinks
from review_ui.item_view import view_of
from tests.accounts.people_world import sign_in as signed_in
from tests.accounts.people_world import somebody
from tests.review_ui.page_checks import assert_well_made
from tests.reviewing.answering import shown_now
from tests.reviewing.planted import JUDGE_MARKS, marks_in, planted_item
from tests.reviewing.review_world import (
    INVENTED,
    JUDGE_SAYS,
    QUOTE,
    item_in_queue,
    items_in_queue,
    judged_event,
    reviewed_rubric,
)

SCRIPT = {"hx-request": "true"}
GOOD = {"answer.solves": "pass", "answer.tone": "4"}
"""What comes to pass, and the judge of the review world says pass too unless told otherwise."""
BAD = {"answer.solves": "fail", "answer.tone": "1"}
ONE_QUESTION = """\
id: {id}
title: Is it right?
role: {role}
applies_to: {{workflow: [{workflow}]}}
content: {{question: input, answer: output}}
criteria:
  - {{id: right, ask: Is the answer right?, critical: true}}
"""


@pytest.fixture
def ada(browser: TestClient, deployment: Deployment) -> Person:
    """A reviewer, signed in."""
    person = somebody(deployment, "Ada")
    signed_in(browser, deployment, person)
    return person


def field(page: str, name: str) -> str:
    """A hidden field's value."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def form_of(page: str, **more: str) -> dict[str, str]:
    """What the answer form of a page sends besides the answers."""
    names = ("token", "form_key", "rubric_version", "shown", *(("batch",) if 'name="batch"' in page else ()))
    return {**{name: field(page, name) for name in names}, **more}


def claimed(browser: TestClient, item: ReviewItem) -> str:
    """The item's page once it was claimed by its button."""
    answer = browser.post(f"/review/{item.item_id}/claim", data={}, follow_redirects=True)
    assert answer.status_code == 200
    return str(answer.text)


def send(browser: TestClient, item: ReviewItem, act: str, form: dict[str, str], *, script: bool = True) -> Response:
    answer: Response = browser.post(
        f"/review/{item.item_id}/{act}", data=form, headers=SCRIPT if script else {}, follow_redirects=False
    )
    return answer


def kinds(deployment: Deployment, item: ReviewItem) -> list[ReviewKind]:
    with deployment.database.read() as connection:
        return [ReviewKind(one.kind) for one in reviews_of_item(connection, item.item_id)]


# --- what is shown ------------------------------------------------------------------------------------------------


def free(_deployment: Deployment, _browser: TestClient, _item: ReviewItem) -> None:
    """Nobody has touched the item."""


def mine(_deployment: Deployment, browser: TestClient, item: ReviewItem) -> None:
    claimed(browser, item)


def held(deployment: Deployment, _browser: TestClient, item: ReviewItem) -> None:
    review_desk.claim_item(deployment, somebody(deployment, "Ben"), item.item_id)


def answered(_deployment: Deployment, browser: TestClient, item: ReviewItem) -> None:
    page = claimed(browser, item)
    send(browser, item, "verdict", form_of(page, **BAD))


def keyless(_deployment: Deployment, browser: TestClient, item: ReviewItem) -> None:
    claimed(browser, item)
    browser.post("/review/shortcuts", data={"shortcuts": "off", "back": f"/review/{item.item_id}"})


STATES: tuple[tuple[Callable[[Deployment, TestClient, ReviewItem], None], str], ...] = (
    (free, "Claim and review"),
    (mine, "Does the answer fix the problem the &#34;question&#34; states?"),
    (held, "Ben, 9 min left."),
    (answered, "Keep mine, go on"),
    (keyless, "Keys are off"),
)


@pytest.mark.parametrize(("state", "says"), STATES, ids=lambda each: getattr(each, "__name__", ""))
@pytest.mark.parametrize(
    "query", ["", "?view=raw", "?view=steps", "?view=diff", "?view=nonsense&run=none&all=none"]
)
def test_every_state_in_every_view_is_a_well_made_page(
    deployment: Deployment,
    browser: TestClient,
    ada: Person,
    state: Callable[[Deployment, TestClient, ReviewItem], None],
    says: str,
    query: str,
) -> None:
    item = item_in_queue(deployment)
    state(deployment, browser, item)
    answer = browser.get(f"/review/{item.item_id}{query}")
    assert answer.status_code == 200
    assert says in answer.text
    assert_well_made(answer.text)
    assert answer.headers["cache-control"] == "no-store"


def test_the_head_says_where_one_is_and_what_the_item_is(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    items_in_queue(deployment, 2)
    judged_event(deployment, "ticket-1", output="A second try.")
    batch = review_desk.begin_batch(deployment, ada, QueueFilter(), 5)
    claim = review_desk.next_item(deployment, ada, batch_id=batch.batch_id)
    assert isinstance(claim, review_desk.Claim)
    text = browser.get(f"/review/{claim.item_id}?batch={batch.batch_id}").text
    heading = re.sub(r"<[^>]+>", "", re.findall(r"<h1.*?</h1>", text, re.DOTALL)[0])
    assert heading.startswith("Item 1 of 5 · Support / support")
    assert "<title>Item 1 of 5 · Adjudge</title>" in text


def test_looking_at_an_item_claims_nothing(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item = item_in_queue(deployment)
    browser.get(f"/review/{item.item_id}")
    assert isinstance(
        review_desk.claim_item(deployment, somebody(deployment, "Ben"), item.item_id), review_desk.Claim
    )


@pytest.mark.parametrize("view", ["", "?view=raw", "?view=steps"])
def test_a_blind_page_holds_nothing_of_what_others_said(
    deployment: Deployment, browser: TestClient, ada: Person, view: str
) -> None:
    item = planted_item(deployment)
    before = browser.get(f"/review/{item.item_id}{view}")
    claimed(browser, item)
    during = browser.get(f"/review/{item.item_id}{view}", headers=SCRIPT)
    for answer in (before, during):
        assert marks_in(answer.text + str(answer.headers)) == []


def test_after_the_first_answer_everything_is_there(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = planted_item(deployment)
    page = claimed(browser, item)
    send(browser, item, "verdict", form_of(page, **GOOD))
    seen = marks_in(browser.get(f"/review/{item.item_id}").text)
    assert {mark for mark in JUDGE_MARKS if mark not in ("0.8712", "marigoldflag")} <= set(seen)
    assert "Zinnia Quux" in seen


def test_quotes_are_marked_where_they_stand_and_missing_ones_are_said(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment)
    text = answered_page(browser, item)
    assert re.search(rf"<mark[^>]*>.*{QUOTE}", text)
    assert re.search(rf"<q>{INVENTED}</q> <small>quote not in the text</small>", text)
    assert text.count("quote not in the text") == 2


def answered_page(browser: TestClient, item: ReviewItem) -> str:
    page = claimed(browser, item)
    return send(browser, item, "verdict", form_of(page, **BAD)).text


def test_long_content_is_folded_until_asked_for(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item = item_in_queue(deployment, run={"output": "word " * 20_000 + "the very end"})
    folded = browser.get(f"/review/{item.item_id}").text
    assert "Show all (100 KB)" in folded
    assert "the very end" not in folded
    whole = browser.get(f"/review/{item.item_id}?all=answer").text
    assert "the very end" in whole
    assert "Show all" not in whole


def test_a_part_that_is_not_there_is_said_in_words(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment, run={"input": None, "output": "It arrives on Friday."})
    page = claimed(browser, item)
    assert "nothing was captured" in page
    assert ">null<" not in page


def test_an_event_without_content_can_only_be_said_not_to_be_judged(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment, run={"input": None, "output": None}, verdict=None)
    page = claimed(browser, item)
    assert "There is no content of this event here." in page
    assert 'type="radio"' not in page
    assert "Cannot judge: there is no content" in page
    form = form_of(page, cannot_judge="there is no content")
    assert send(browser, item, "verdict", form).status_code == 200
    assert kinds(deployment, item) == [ReviewKind.FIRST_PASS]


def test_one_criterion_is_answered_by_pressing_the_answer(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    reviewed_rubric(deployment, text=ONE_QUESTION)
    item = item_in_queue(deployment)
    page = claimed(browser, item)
    assert re.search(r'<button type="submit"[^>]*name="answer.right" value="fail"', page)
    assert 'type="radio" name="answer.' not in page
    taken = send(browser, item, "verdict", form_of(page, **{"answer.right": "fail"}))
    assert "You and the judge differ." in taken.text


def test_who_may_only_read_gets_no_buttons(deployment: Deployment, browser: TestClient) -> None:
    item = item_in_queue(deployment)
    signed_in(browser, deployment, somebody(deployment, "Vera", PersonRole.VIEWER))
    page = browser.get(f"/review/{item.item_id}").text
    assert "Claim and review" not in page
    assert marks_in(page, [JUDGE_SAYS]) == []
    assert browser.post(f"/review/{item.item_id}/claim", data={}).status_code == 403


def test_what_is_unusual_about_an_item_is_said(deployment: Deployment, ada: Person) -> None:
    item = item_in_queue(deployment)
    decided = Outcome(
        event_id=item.event_id, revision=2, position=9, final_outcome=FinalOutcome.FAILED, decided_by=DecidedBy.SOR
    )
    sheet = replace(
        sheet_of(deployment, ada, item.item_id),
        decided_by_record=True,
        outcome=decided,
        judge_failed="budget: the day's budget is spent",
        judged_version="0123456789abcdef",
    )
    view = view_of(sheet, ada, ItemLinks(item.item_id), now=utc_now(), found={})
    words = [chip.word for chip in view.chips]
    assert "judge failed" in words
    assert f"judged with 01234567, shown {sheet.rubric.version[:8]}" in words
    banners = [f"{banner.strong} {banner.text}" for banner in view.banners]
    assert any("A system of record decided this event: failed." in one for one in banners)
    assert any("the day's budget is spent" in one for one in banners)


@pytest.mark.parametrize(("known", "differs"), [(VerdictLabel.PASS, True), (VerdictLabel.FAIL, False)])
def test_an_answer_to_a_gold_item_is_compared_with_what_people_settled_on(
    deployment: Deployment, browser: TestClient, ada: Person, known: VerdictLabel, differs: bool
) -> None:
    item = item_in_queue(deployment)
    answered_page(browser, item)
    sheet = sheet_of(deployment, ada, item.item_id)
    assert sheet.mine is not None
    assert sheet.reveal is not None
    settled = sheet.mine.model_copy(update={"person_id": "eve", "kind": ReviewKind.ADJUDICATION, "verdict": known})
    mine_is_gold = sheet.mine.model_copy(update={"kind": ReviewKind.GOLD})
    gold = replace(sheet, mine=mine_is_gold, reveal=replace(sheet.reveal, reviews=(settled,)))
    view = view_of(gold, ada, ItemLinks(item.item_id), now=utc_now(), found={})
    assert view.reveal is not None
    assert view.reveal.differs is differs
    assert f"The verdict of this item was known: {known}." in view.reveal.sentence
    assert not view.may_answer


# --- without a script ---------------------------------------------------------------------------------------------


def test_a_batch_is_walked_without_a_script(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    items_in_queue(deployment, 2)
    batch = review_desk.begin_batch(deployment, ada, QueueFilter(), 2)
    claim = review_desk.next_item(deployment, ada, batch_id=batch.batch_id)
    assert isinstance(claim, review_desk.Claim)
    first = browser.get(f"/review/{claim.item_id}?batch={batch.batch_id}").text

    disagreed = browser.post(f"/review/{claim.item_id}/verdict", data=form_of(first, **BAD), follow_redirects=False)
    assert disagreed.status_code == 303
    assert disagreed.headers["location"] == f"/review/{claim.item_id}?batch={batch.batch_id}"
    reveal = browser.get(disagreed.headers["location"]).text
    assert "You and the judge differ." in reveal
    assert "Recorded: fail." in reveal
    assert "Recorded: fail." not in browser.get(disagreed.headers["location"]).text

    second = browser.post(f"/review/{claim.item_id}/next", data={"batch": batch.batch_id}, follow_redirects=True)
    assert "Item 2 of 2" in second.text
    last = str(second.url).rpartition("/")[2].partition("?")[0]
    end = browser.post(f"/review/{last}/verdict", data=form_of(second.text, **GOOD), follow_redirects=False)
    assert end.status_code == 303
    assert end.headers["location"] == f"/review/batch/{batch.batch_id}"


def test_what_is_refused_comes_again_with_all_that_was_written(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment)
    page = claimed(browser, item)
    form = form_of(page, **{"answer.solves": "fail", "note": "line one\r\nline two"})
    refused = send(browser, item, "verdict", form, script=False)
    assert refused.status_code == 400
    assert "tone is not answered: it takes 1, 2, 3, 4, 5, unknown or not_applicable" in refused.text
    assert "line one\nline two</textarea>" in refused.text
    assert re.search(r'value="fail"[^>]* checked', refused.text)
    assert_well_made(refused.text)


def test_time_that_no_script_counted_is_bounded_by_what_passed(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment)
    page = claimed(browser, item)
    send(browser, item, "verdict", form_of(page, **GOOD), script=False)
    with deployment.database.read() as connection:
        review = reviews_of_item(connection, item.item_id)[0]
    assert review.active_ms <= review.elapsed_ms < 60_000


# --- with the script ----------------------------------------------------------------------------------------------


def test_agreeing_brings_the_next_item_in_the_same_answer(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    items = items_in_queue(deployment, 2)
    page = claimed(browser, items[0])
    answer = send(browser, items[0], "verdict", form_of(page, **GOOD))
    assert answer.status_code == 200
    assert f'data-item="{items[1].item_id}"' in answer.text
    assert answer.headers["hx-push-url"] == f"/review/{items[1].item_id}"
    assert "Recorded: pass. The judge agrees." in answer.text
    assert "<html" not in answer.text
    assert_well_made(f"<main>{answer.text}</main>")


def test_disagreeing_stays_and_shows_what_the_judge_said(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    items = items_in_queue(deployment, 2)
    page = claimed(browser, items[0])
    answer = send(browser, items[0], "verdict", form_of(page, **BAD))
    assert f'data-item="{items[0].item_id}"' in answer.text
    assert JUDGE_SAYS in answer.text
    assert "hx-push-url" not in answer.headers


def test_without_auto_advance_every_answer_is_revealed(deployment: Deployment, browser: TestClient) -> None:
    careful = somebody(deployment, "Cleo", preferences={"auto_advance": False})
    signed_in(browser, deployment, careful)
    item = item_in_queue(deployment)
    page = claimed(browser, item)
    answer = send(browser, item, "verdict", form_of(page, **GOOD))
    assert "You and the judge agree." in answer.text


def test_a_changed_verdict_is_kept_beside_the_first(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment)
    revealed = answered_page(browser, item)
    assert re.search(r'value="1"[^>]* checked', revealed)
    changed = send(browser, item, "revise", form_of(revealed, **GOOD))
    assert changed.headers["hx-redirect"] == "/review"
    assert kinds(deployment, item) == [ReviewKind.FIRST_PASS, ReviewKind.REVISED]


def test_a_form_that_is_sent_twice_is_one_review(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item = item_in_queue(deployment)
    form = form_of(claimed(browser, item), **BAD)
    assert [send(browser, item, "verdict", form).status_code for _ in range(2)] == [200, 200]
    assert kinds(deployment, item) == [ReviewKind.FIRST_PASS]


def test_undo_gives_the_item_back_to_be_answered(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item = item_in_queue(deployment)
    revealed = answered_page(browser, item)
    again = send(browser, item, "undo", {"review_id": field(revealed, "review_id")})
    assert f'data-renew="/review/{item.item_id}/renew"' in again.text
    assert "Taken back" in again.text
    assert kinds(deployment, item) == [ReviewKind.FIRST_PASS, ReviewKind.RETRACTION]


def test_a_lost_claim_offers_to_keep_what_was_written(
    deployment: Deployment, browser: TestClient, ada: Person
) -> None:
    item = item_in_queue(deployment)
    page = claimed(browser, item)
    taken_by_another(deployment, item, ada, page)
    refused = send(browser, item, "verdict", form_of(page, **GOOD, note="kept"))
    assert refused.status_code == 409
    assert "Save as second opinion" in refused.text
    assert marks_in(refused.text, ["fail", JUDGE_SAYS]) == []
    saved = send(browser, item, "second-opinion", form_of(page, **GOOD, note="kept"))
    assert saved.status_code == 200
    assert ReviewKind.SECOND_OPINION in kinds(deployment, item)


def taken_by_another(deployment: Deployment, item: ReviewItem, holder: Person, page: str) -> None:
    """Ben takes the item that its holder let go, and answers it."""
    review_desk.release(deployment, holder, item.item_id, field(page, "token"))
    ben = somebody(deployment, "Ben")
    claim = review_desk.claim_item(deployment, ben, item.item_id)
    answers = (Answer("solves", "fail"), Answer("tone", "1"))
    submit(
        deployment,
        ben,
        ReviewForm(
            item.item_id,
            claim.token,
            "ben-1",
            item.rubric_version,
            answers,
            shown=shown_now(deployment, item.item_id),
        ),
    )


def test_a_claim_is_renewed_until_it_is_lost(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item = item_in_queue(deployment)
    page = claimed(browser, item)
    assert send(browser, item, "renew", {"token": field(page, "token")}).status_code == 204
    review_desk.release(deployment, ada, item.item_id, field(page, "token"))
    lost = send(browser, item, "renew", {"token": field(page, "token")})
    assert lost.status_code == 409
    assert lost.headers["content-type"].startswith("text/plain")


def test_an_override_needs_a_note(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item = item_in_queue(deployment)
    form = form_of(claimed(browser, item), **GOOD, verdict="fail")
    refused = send(browser, item, "verdict", form)
    assert refused.status_code == 400
    assert "says nothing of why" in refused.text
    assert send(browser, item, "verdict", {**form, "note": "The tracking link is dead."}).status_code == 200


def test_skipping_escalating_and_releasing_let_go(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    items = items_in_queue(deployment, 3)
    page = claimed(browser, items[0])
    skipped = send(browser, items[0], "skip", form_of(page))
    assert f'data-item="{items[1].item_id}"' in skipped.text
    mute = send(browser, items[1], "escalate", form_of(skipped.text))
    assert mute.status_code == 400
    escalated = send(browser, items[1], "escalate", form_of(skipped.text, why="A lawyer is named."))
    assert f'data-item="{items[2].item_id}"' in escalated.text
    released = send(browser, items[2], "release", form_of(escalated.text))
    assert released.headers["hx-redirect"] == "/review"


def test_an_author_settles_what_was_escalated(deployment: Deployment, browser: TestClient) -> None:
    eve = somebody(deployment, "Eve", PersonRole.AUTHOR)
    item = item_in_queue(deployment)
    ada = somebody(deployment, "Ada")
    claim = review_desk.claim_item(deployment, ada, item.item_id)
    review_desk.escalate(deployment, ada, item.item_id, claim.token, "Please look.")
    signed_in(browser, deployment, eve)
    page = claimed(browser, item)
    assert "Please look." in page
    assert JUDGE_SAYS in page
    settled = send(browser, item, "verdict", form_of(page, **BAD))
    assert "Settled: fail." in settled.text
    assert kinds(deployment, item) == [ReviewKind.ADJUDICATION]


def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(deployment: Deployment, browser: TestClient) -> None:
    somebody(deployment, "Ada")
    item = item_in_queue(deployment)
    answer = browser.get(f"/review/{item.item_id}", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next=/review/{item.item_id}"
    assert browser.get(f"/review/{item.item_id}", headers=SCRIPT).status_code == 401


def test_another_sites_form_changes_nothing(deployment: Deployment, browser: TestClient, ada: Person) -> None:
    item = item_in_queue(deployment)
    answer = browser.post(f"/review/{item.item_id}/claim", data={}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert "Claim and review" in browser.get(f"/review/{item.item_id}").text


@pytest.mark.parametrize("value", ["", "-1", "soon", "9" * 40])
def test_a_time_that_is_no_time_is_not_believed(
    deployment: Deployment, browser: TestClient, ada: Person, value: str
) -> None:
    item = item_in_queue(deployment, state=ItemState.OPEN, verdict=VerdictLabel.PASS)
    page = claimed(browser, item)
    assert send(browser, item, "verdict", form_of(page, **GOOD, active_ms=value)).status_code == 200


@pytest.mark.parametrize("script", [True, False])
def test_an_old_tab_is_told_of_a_new_attempt_and_keeps_what_was_written(
    deployment: Deployment, browser: TestClient, ada: Person, *, script: bool
) -> None:
    item = item_in_queue(deployment, stream=Stream.PICKED)
    page = claimed(browser, item)
    form = form_of(page, **{"answer.solves": "fail", "answer.tone": "1", "note": "Half written"})
    review_desk.release(deployment, ada, item.item_id, field(page, "token"))
    judged_event(deployment, run_id="second", started_at="2026-12-01T10:00:00Z", output="Your second answer.")
    refused = send(browser, item, "verdict", form, script=script)
    assert refused.status_code == 409
    assert "has a new attempt since you opened it: look at it, your answers are kept" in refused.text
    assert ("Open it as it is now" in refused.text) == script, "without a script it is on the page already"
    if not script:
        assert_well_made(refused.text)
        assert "Your second answer." in refused.text
    with deployment.database.read() as connection:
        assert reviews_of_item(connection, item.item_id) == []
    fresh = claimed(browser, item)
    assert send(browser, item, "verdict", {**form, **form_of(fresh)}, script=script).status_code in (200, 303)
    with deployment.database.read() as connection:
        assert [one.run_id for one in reviews_of_item(connection, item.item_id)] == ["second"]
