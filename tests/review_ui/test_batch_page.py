"""The end of a batch, for its own person."""

from __future__ import annotations

import re
from datetime import timedelta

from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import PersonRole
from evaluator.model.review import Review, ReviewAct, ReviewKind, Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_desk import begin_batch
from review_ui.pages.batch_page import figures_of, gold_report, summary_of
from tests.accounts.people_world import sign_in, somebody
from tests.review_ui.page_checks import assert_well_made
from tests.review_ui.queue_world import batch_of, people
from tests.reviewing.review_world import item_in_queue


def shown(browser: TestClient, batch_id: str) -> str:
    found = browser.get(f"/review/batch/{batch_id}")
    assert found.status_code == 200, found.text
    text: str = found.text
    assert_well_made(text)
    return text


def figures(text: str) -> dict[str, str]:
    return dict(re.findall(r'<dt>([^<]+)</dt><dd><span class="figure">([^<]+)<', text))


def review(number: int, **changes: object) -> Review:
    fields = {
        "review_id": f"r{number}",
        "item_id": f"i{number}",
        "event_id": f"ticket-{number}",
        "rubric_id": "support",
        "rubric_version": "v",
        "person_id": "p",
        "reviewer": "Ada",
        "form_key": f"f{number}",
        "kind": ReviewKind.FIRST_PASS,
        "verdict": VerdictLabel.PASS,
        "stream": Stream.TARGETED,
        "agrees": True,
        "active_ms": 1000 * number,
        "elapsed_ms": 60_000,
        "created_at": utc_now() + timedelta(seconds=number),
        **changes,
    }
    return Review.model_validate(fields)


def test_a_batch_is_told_in_numbers_and_by_item(deployment: Deployment, browser: TestClient) -> None:
    ada, _, eve, _ = people(deployment)
    batch = batch_of(deployment, ada, eve)
    sign_in(browser, deployment, ada)
    text = shown(browser, batch.batch_id)
    told = figures(text)
    assert (told["Agreed with the judge"], told["Overruled"], told["Skipped"], told["Cannot judge"]) == (
        "2",
        "1",
        "1",
        "1",
    )
    assert "Batch done: 6 items" in text
    assert "Start another" in text
    assert "1 of 1 gold item as settled" in text
    assert set(re.findall(r'<span class="id">([^<]+)<', text)) == {
        "ticket-gold",
        "ticket-b0",
        "ticket-b1",
        "ticket-b2",
        "ticket-b3",
    }


def test_what_was_said_in_it_can_be_taken_back_from_here(deployment: Deployment, browser: TestClient) -> None:
    ada, _, eve, _ = people(deployment)
    batch = batch_of(deployment, ada, eve)
    sign_in(browser, deployment, ada)
    text = shown(browser, batch.batch_id)
    found = re.search(r'action="(/review/\w+/undo)"><input type="hidden" name="review_id" value="(\w+)"', text)
    assert found is not None
    assert browser.post(found[1], data={"review_id": found[2]}, follow_redirects=False).status_code == 303
    after = shown(browser, batch.batch_id)
    assert "taken back" in after
    assert figures(after)["Agreed with the judge"] == "1"


def test_only_its_own_person_and_admins_see_it(deployment: Deployment, browser: TestClient) -> None:
    ada, ben, eve, root = people(deployment)
    batch = batch_of(deployment, ada, eve)
    for person, status in ((ben, 404), (eve, 404), (root, 200)):
        sign_in(browser, deployment, person)
        found = browser.get(f"/review/batch/{batch.batch_id}")
        assert found.status_code == status, person.name
    assert "Ada Lovelace’s batch" in found.text
    assert "Undo" not in found.text


def test_a_batch_under_way_is_gone_on_with(deployment: Deployment, browser: TestClient) -> None:
    ada = somebody(deployment)
    item_in_queue(deployment)
    batch = begin_batch(deployment, ada, QueueFilter(workflow="Support", older_than_hours=4))
    sign_in(browser, deployment, ada)
    text = shown(browser, batch.batch_id)
    assert "Nothing answered in this batch yet" in text
    assert "workflow Support; waiting over 4 hours" in text
    assert "Go on with this batch" in text
    assert "Start another" in shown(browser, f"{batch.batch_id}?told=all_claimed")


def test_nobody_is_ranked(deployment: Deployment, browser: TestClient) -> None:
    ada, _, eve, root = people(deployment)
    batch = batch_of(deployment, ada, eve)
    sign_in(browser, deployment, root)
    text = shown(browser, batch.batch_id)
    assert not re.search("streak|leader|rank|best|badge", text, re.I)


def test_a_revised_review_counts_by_its_first_pass_and_one_taken_back_not_at_all() -> None:
    first = review(1, agrees=False, counts=False)
    revised = review(2, item_id="i1", kind=ReviewKind.REVISED, agrees=True)
    gone = review(3)
    retraction = review(4, item_id="i3", kind=ReviewKind.RETRACTION, retracts="r3", verdict=None, agrees=None)
    summary = summary_of([first, revised, gone, retraction], [])
    assert (summary.agreed, summary.overruled, len(summary.answers)) == (0, 1, 1)


def test_gold_answers_are_compared_with_what_was_settled_and_with_no_judge() -> None:
    answers = [
        review(1, kind=ReviewKind.GOLD),
        review(2, kind=ReviewKind.GOLD, verdict=VerdictLabel.FAIL),
        review(3, kind=ReviewKind.GOLD),
    ]
    settled = {("ticket-1", "support"): VerdictLabel.PASS, ("ticket-2", "support"): VerdictLabel.PASS}
    assert gold_report(answers, settled).headline == "1 of 2 gold items as settled"
    assert summary_of(answers, []).agreed == 0


def test_time_is_what_the_browser_counted_else_what_passed() -> None:
    told = {
        one.name: one.value for one in figures_of(summary_of([review(2), review(4), review(9, active_ms=0)], []))
    }
    assert (told["Median time"], told["Time in all"]) == ("4 s", "1 min 6 s")


@given(st.lists(st.sampled_from([True, False, None]), max_size=20), st.integers(0, 5))
def test_every_answer_is_counted_once(agrees: list[bool | None], skipped: int) -> None:
    reviews = [review(number, agrees=said) for number, said in enumerate(agrees, 1)]
    acts = [ReviewAct(item_id=f"s{one}", act="skipped") for one in range(skipped)]
    summary = summary_of(reviews, [*acts, *acts])
    assert summary.agreed + summary.overruled + agrees.count(None) == len(agrees)
    assert summary.skipped == skipped


def test_a_batch_that_does_not_exist_is_not_found(deployment: Deployment, browser: TestClient) -> None:
    sign_in(browser, deployment, somebody(deployment, role=PersonRole.ADMIN))
    assert browser.get("/review/batch/nowhere").status_code == 404
