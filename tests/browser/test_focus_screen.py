"""A reviewer's day in a real browser: a batch by keyboard, whatever goes wrong on the way, in both themes and sizes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import quantiles
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ReviewItem, ReviewKind
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing import review_desk
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_form import Answer, ReviewForm
from evaluator.reviewing.review_submission import submit
from evaluator.store.people import open_session
from evaluator.store.reviews import reviews_of_item, reviews_of_person
from review_ui.guard import PLAIN_COOKIE
from review_ui.serving import Running
from tests.accounts.people_world import somebody
from tests.reviewing.answering import shown_now
from tests.reviewing.planted import marks_in, planted_item
from tests.reviewing.review_world import item_in_queue, items_in_queue, judged_event, reviewed_rubric

pytestmark = pytest.mark.slow

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
CHAT = [
    {"role": "system", "content": "You are the support assistant of Norrland Audio."},
    {"role": "user", "content": "My order **4711** has not arrived. Can I still send the headphones back?"},
]
ANSWER = """Your parcel **arrives on Friday**: https://shop.example/track/9

If it comes too late:

1. Keep it unopened.
2. Print the return label.

```json
{"order": 4711, "carrier": "PostNord"}
```
"""
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
def deployment(server: Running) -> Deployment:
    return server.deployment


@pytest.fixture
def ada(deployment: Deployment) -> Person:
    return somebody(deployment, "Ada")


@contextmanager
def browsing(chromium: Browser, server: Running, person: Person, **how: Any) -> Iterator[Page]:
    """A page of a browser in which the person is signed in; what its console says fails the test."""
    context = chromium.new_context(**{"viewport": WIDE, **how})
    sign_in(context, server, person)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    expected = ("Failed to load resource", "htmx: htmx:error")  # a request that the test itself made fail
    assert [line for line in said if not line.startswith(expected)] == []


def sign_in(context: BrowserContext, server: Running, person: Person) -> None:
    days = server.deployment.settings.session_days
    cookie = server.deployment.database.transact(
        lambda connection: open_session(connection, person.person_id, utc_now(), days)
    )
    context.add_cookies([{"name": PLAIN_COOKIE, "value": cookie, "url": server.address}])


def begin(page: Page, server: Running, person: Person, size: int = 25) -> str:
    """Open the first item of a new batch; the batch's id."""
    batch = review_desk.begin_batch(server.deployment, person, QueueFilter(), size)
    claim = review_desk.next_item(server.deployment, person, batch_id=batch.batch_id)
    assert isinstance(claim, review_desk.Claim)
    page.goto(f"{server.address}/review/{claim.item_id}?batch={batch.batch_id}")
    return batch.batch_id


def open_claimed(page: Page, server: Running, person: Person, item: ReviewItem) -> review_desk.Claim:
    claim = review_desk.claim_item(server.deployment, person, item.item_id)
    page.goto(f"{server.address}/review/{item.item_id}")
    settle(page)
    return claim


def settle(page: Page) -> None:
    """Until the item is old enough for keys."""
    page.wait_for_timeout(300)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def heading(page: Page) -> str:
    return page.locator("#item-heading").inner_text()


def kept(deployment: Deployment, item: ReviewItem) -> list[ReviewKind]:
    with deployment.database.read() as connection:
        return [ReviewKind(one.kind) for one in reviews_of_item(connection, item.item_id)]


# --- a batch by keyboard --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_batch_of_25_is_reviewed_by_keyboard_alone(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person, viewport: dict[str, int]
) -> None:
    start = utc_now() - timedelta(hours=1)
    for number in range(25):
        judge = VerdictLabel.FAIL if number % 5 == 4 else VerdictLabel.PASS
        entered = start + timedelta(seconds=number)
        item_in_queue(deployment, event_id=f"ticket-{number}", verdict=judge, entered=entered)
    with browsing(chromium, server, ada, viewport=viewport) as page:
        batch = begin(page, server, ada)
        for number in range(25):
            expect(page.locator("#item-heading")).to_contain_text(f"Item {number + 1} of 25")
            expect(page.locator("#item-heading")).to_be_focused()
            settle(page)
            press(page, "1", "4", "Control+Enter" if number % 2 else "Enter")
            if number % 5 == 4:
                expect(page.locator(".reveal")).to_contain_text("You and the judge differ.")
                settle(page)
                press(page, "Enter")
        page.wait_for_url(f"**/review/batch/{batch}")
    with deployment.database.read() as connection:
        reviews = reviews_of_person(connection, ada.person_id, 50)
    assert len(reviews) == 25
    assert {str(one.verdict) for one in reviews} == {"pass"}
    assert all(one.blind and not one.seen_judge for one in reviews)
    assert all(0 < one.active_ms <= one.elapsed_ms for one in reviews)


def test_one_criterion_takes_one_key(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    reviewed_rubric(deployment, text=ONE_QUESTION)
    items_in_queue(deployment, 2)
    with browsing(chromium, server, ada) as page:
        begin(page, server, ada, 2)
        settle(page)
        press(page, "1")
        expect(page.locator("#item-heading")).to_contain_text("Item 2 of 2")
        expect(page.locator("#live")).to_contain_text("Recorded: pass. The judge agrees. Item 2 of 2")
        expect(page).to_have_title("Item 2 of 2 · Adjudge")


def test_the_proposed_verdict_follows_the_answers_and_another_asks_why(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        told, chosen = page.locator("#verdict-from"), page.locator("#verdict input:checked")
        expect(told).to_have_text("0 of 2 answered")
        expect(chosen).to_have_count(0)
        press(page, "1", "1")
        expect(told).to_have_text("as answered")
        expect(chosen).to_have_value("pass")  # 4 of 5 parts of the weight
        press(page, "ArrowUp", "2")
        expect(chosen).to_have_value("fail")
        page.get_by_role("radio", name="Partial").check(force=True)
        expect(told).to_have_text("yours; the answers come to fail")
        page.get_by_role("button", name="As answered").click()
        expect(chosen).to_have_value("fail")
        expect(chosen).to_be_focused()
        press(page, "ArrowLeft", "ArrowLeft")
        expect(chosen).to_have_value("pass")
        expect(page.locator(".note-why")).to_have_text("say why the verdict is another")
        page.locator("button.submit").click()
        assert kept(deployment, item) == []
        page.locator("#note").fill("The link works now.")
        press(page, "Control+Enter")
        page.wait_for_url("**/review")
        assert kept(deployment, item) == [ReviewKind.FIRST_PASS]


def test_one_criterion_takes_another_verdict_before_its_key(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    reviewed_rubric(deployment, text=ONE_QUESTION)
    items = items_in_queue(deployment, 2)
    with browsing(chromium, server, ada) as page:
        begin(page, server, ada, 2)
        settle(page)
        page.get_by_role("radio", name="Unknown").check(force=True)
        press(page, "Enter", "1")
        page.wait_for_timeout(200)
        assert kept(deployment, items[0]) == []
        page.locator("#note").fill("The page it names is gone.")
        press(page, "Escape", "1")
        expect(page.locator("#live")).to_contain_text("Recorded: unknown.")
    with deployment.database.read() as connection:
        assert [one.verdict for one in reviews_of_person(connection, ada.person_id, 5)] == [VerdictLabel.UNKNOWN]


def test_an_override_outlives_a_reload(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        press(page, "1", "4")
        page.get_by_role("radio", name="Fail").last.check(force=True)
        page.reload()
        expect(page.locator("#verdict input:checked")).to_have_value("fail")
        page.get_by_role("button", name="As answered").click()
        page.reload()
        expect(page.locator("#verdict input:checked")).to_have_value("pass")


@pytest.mark.parametrize("width", [320, 390, 1024, 1440])
def test_no_verdict_is_cut_at_any_width(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person, width: int
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada, viewport={"width": width, "height": 800}) as page:
        open_claimed(page, server, ada, item)
        for one in page.locator("#verdict .pick-face").all():
            expect(one).to_be_visible()
            assert one.evaluate("one => one.scrollWidth <= one.clientWidth")
            assert one.evaluate("one => one.getBoundingClientRect().right <= innerWidth")


def test_mine_is_changed_after_the_reveal_and_undone_by_a_key(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    items = items_in_queue(deployment, 2)
    with browsing(chromium, server, ada) as page:
        begin(page, server, ada, 2)
        settle(page)
        press(page, "2", "1", "Enter")
        expect(page.locator(".reveal")).to_be_visible()
        settle(page)
        press(page, "m")
        expect(page.locator(".pane mark[data-here]")).to_be_focused()
        press(page, "c", "1", "ArrowDown", "4", "Enter")
        expect(page.locator("#item-heading")).to_contain_text("Item 2 of 2")
        assert kept(deployment, items[0]) == [ReviewKind.FIRST_PASS, ReviewKind.REVISED]
        settle(page)
        press(page, "z")
        expect(page.locator("#item-heading")).to_contain_text("Item 1 of 2")
    assert ReviewKind.RETRACTION in kept(deployment, items[0])


def test_skip_escalate_and_release_by_key(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    items = items_in_queue(deployment, 3)
    with browsing(chromium, server, ada) as page:
        batch = begin(page, server, ada, 3)
        settle(page)
        press(page, "s")
        expect(page.locator("#item")).to_have_attribute("data-item", items[1].item_id)
        settle(page)
        press(page, "e")
        expect(page.locator("#why")).to_be_focused()
        press(page, "Control+Enter")
        expect(page.locator("#alert")).to_contain_text("Say why the item is escalated")
        expect(page.locator("#why")).to_be_focused()
        page.keyboard.type("A lawyer is named.")
        press(page, "Control+Enter")
        expect(page.locator("#item")).to_have_attribute("data-item", items[2].item_id)
        settle(page)
        press(page, "r")
        page.wait_for_url(f"**/review/batch/{batch}")


# --- when keys do nothing -------------------------------------------------------------------------------------------


def test_keys_do_nothing_where_they_would_be_in_the_way(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        checked = page.locator(".asked input:checked")
        press(page, "n")
        page.keyboard.type("1234 srez")
        expect(checked).to_have_count(0)
        press(page, "Escape", "Alt+1", "Control+1")
        expect(checked).to_have_count(0)
        held_down = "new KeyboardEvent('keydown', {key: '1', bubbles: true, cancelable: true, repeat: true})"
        composing = "new KeyboardEvent('keydown', {key: '1', bubbles: true, cancelable: true, isComposing: true})"
        for event in (held_down, composing):
            page.evaluate(f"document.body.dispatchEvent({event})")
        expect(checked).to_have_count(0)
        press(page, "?")
        expect(page.locator("#keys-sheet")).to_be_visible()
        press(page, "1")
        expect(checked).to_have_count(0)
        press(page, "Escape")
        expect(page.locator("#keys-sheet")).not_to_be_visible()
        page.reload()
        press(page, "1")  # nobody has seen this item yet
        expect(checked).to_have_count(0)
        settle(page)
        press(page, "1")
        expect(checked).to_have_count(1)
        assert page.locator("#note").input_value() == "1234 srez"


def test_a_focused_button_owns_enter(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        page.goto(f"{server.address}/review/{item.item_id}")
        settle(page)
        page.locator(".item-tools summary").last.focus()
        press(page, "Enter")
        expect(page.locator(".item-tools .pop-body").last).to_be_visible()
        expect(page.locator("#item")).to_have_class(re.compile("mode-free"))


def test_the_switch_turns_keys_off_and_their_hints_with_them(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        press(page, "?")
        page.get_by_role("button", name="Switch keys off").click()
        settle(page)
        expect(page.locator("#item kbd")).to_have_count(2)  # the faces of the buttons that move by criterion
        press(page, "1", "s", "?")
        expect(page.locator(".asked input:checked")).to_have_count(0)
        expect(page.locator("#keys-sheet")).not_to_be_visible()


def test_panes_and_views_are_reached_by_key(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    judged_event(deployment, "ticket-1", verdict=None, output="It arrives on Thursday.")
    item = item_in_queue(deployment, run={"output": ANSWER})
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        press(page, "1", "]")
        expect(page.locator("#pane-asked")).to_be_focused()
        press(page, "]")
        expect(page.locator("#pane-answer")).to_be_focused()
        press(page, "t")
        expect(page.locator("#view-raw")).to_have_attribute("aria-current", "page")
        press(page, "d")
        expect(page.locator("#view-diff")).to_have_attribute("aria-current", "page")
        expect(page.locator(".asked input:checked")).to_have_count(1)


def test_altgr_is_no_modifier_since_brackets_need_it(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        held = "{key: ']', bubbles: true, cancelable: true, ctrlKey: true, altKey: true, modifierAltGraph: true}"
        page.evaluate(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {held}))")
        expect(page.locator("#pane-asked")).to_be_focused()


def test_a_claim_is_renewed_while_somebody_is_at_work_and_only_then(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        page.clock.install()
        claim = review_desk.claim_item(deployment, ada, item.item_id)
        page.goto(f"{server.address}/review/{item.item_id}")
        renewals: list[str] = []
        page.on("request", lambda request: renewals.append(request.url) if "/renew" in request.url else None)
        page.clock.fast_forward(61_000)
        assert renewals == []
        with page.expect_response("**/renew") as answer:
            page.mouse.move(300, 300)
        assert answer.value.status == 204
        page.mouse.move(310, 310)
        assert len(renewals) == 1
        review_desk.release(deployment, ada, item.item_id, claim.token)
        page.clock.fast_forward(61_000)
        page.mouse.move(320, 320)
        expect(page.locator("#alert")).to_contain_text("Your claim has run out.")


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_double_press_is_one_review(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    items = items_in_queue(deployment, 3)
    with browsing(chromium, server, ada) as page:
        begin(page, server, ada, 3)
        settle(page)
        press(page, "1", "4", "Control+Enter", "Control+Enter", "Enter", "1")
        expect(page.locator("#item-heading")).to_contain_text("Item 2 of 3")
        expect(page.locator(".asked input:checked")).to_have_count(0)
        page.locator("button.submit").dblclick(force=True)
    assert kept(deployment, items[0]) == [ReviewKind.FIRST_PASS]
    assert kept(deployment, items[1]) == []


def test_a_lost_claim_is_said_beside_the_text_which_stays(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        claim = open_claimed(page, server, ada, item)
        press(page, "1", "4", "n")
        page.keyboard.type("Careful words.")
        taken_by_ben(deployment, item, ada, claim.token)
        press(page, "Control+Enter")
        alert = page.locator("#alert")
        expect(alert).to_contain_text("Not stored: this item is no longer yours.")
        expect(alert).to_be_focused()
        assert page.locator("#note").input_value() == "Careful words."
        assert "fail" not in alert.inner_text()
        assert accessible(page)
        page.get_by_role("button", name="Save as second opinion").click()
        expect(page.locator(".reveal")).to_contain_text("Ben")
    assert ReviewKind.SECOND_OPINION in kept(deployment, item)


def taken_by_ben(deployment: Deployment, item: ReviewItem, holder: Person, token: str) -> None:
    review_desk.release(deployment, holder, item.item_id, token)
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


def broken(route: Route) -> None:
    route.fulfill(status=500, content_type="text/html", body="<h1>Bad gateway</h1>")


def unreachable(route: Route) -> None:
    route.abort("internetdisconnected")


def stored_and_lost(route: Route) -> None:
    route.fetch()
    route.abort("connectionreset")


@pytest.mark.parametrize("trouble", [broken, unreachable, stored_and_lost])
def test_trouble_loses_nothing_and_retry_goes_on(
    chromium: Browser,
    server: Running,
    deployment: Deployment,
    ada: Person,
    trouble: Callable[[Route], None],
) -> None:
    items = items_in_queue(deployment, 2)
    with browsing(chromium, server, ada) as page:
        begin(page, server, ada, 2)
        settle(page)
        press(page, "1", "4", "n")
        page.keyboard.type("Careful words.")
        page.route("**/verdict", trouble)
        press(page, "Control+Enter")
        expect(page.get_by_role("button", name="Retry")).to_be_visible()
        assert page.locator("#note").input_value() == "Careful words."
        page.unroute("**/verdict")
        page.get_by_role("button", name="Retry").click()
        expect(page.locator("#item-heading")).to_contain_text("Item 2 of 2")
    assert kept(deployment, items[0]) == [ReviewKind.FIRST_PASS]


def test_an_error_of_the_server_is_told_with_its_request_id(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = item_in_queue(deployment)
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        press(page, "1", "4")
        monkeypatch.setattr(deployment, "database", None)
        press(page, "Control+Enter")
        expect(page.locator("#alert")).to_contain_text(re.compile(r"Request [0-9a-f]{16}"))
        monkeypatch.undo()
        expect(page.locator(".asked input:checked")).to_have_count(2)


def test_a_session_that_ended_gives_the_draft_back_after_signing_in(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    items = items_in_queue(deployment, 2)
    with browsing(chromium, server, ada) as page:
        begin(page, server, ada, 2)
        settle(page)
        press(page, "1", "4", "n")
        page.keyboard.type("Careful words.")
        page.context.clear_cookies()
        press(page, "Control+Enter")
        link = page.get_by_role("link", name="Sign in again")
        expect(link).to_be_visible()
        assert f"next=%2Freview%2F{items[0].item_id}" in (link.get_attribute("href") or "")
        sign_in(page.context, server, ada)
        page.reload()
        assert page.locator("#note").input_value() == "Careful words."
        expect(page.locator(".asked input:checked")).to_have_count(2)
        settle(page)
        press(page, "Control+Enter")
        expect(page.locator("#item-heading")).to_contain_text("Item 2 of 2")
        drafts = page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('adjudge:'))")
        assert drafts == []


def test_back_shows_the_item_as_it_now_is(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    items = items_in_queue(deployment, 2)
    with browsing(chromium, server, ada) as page:
        begin(page, server, ada, 2)
        settle(page)
        press(page, "1", "4", "n")
        page.keyboard.type("Of the first one.")
        press(page, "Control+Enter")
        expect(page.locator("#item-heading")).to_contain_text("Item 2 of 2")
        assert page.locator("#note").input_value() == ""
        page.go_back()
        expect(page.locator("#item")).to_have_attribute("data-item", items[0].item_id)
        expect(page.locator(".reveal")).to_contain_text("You and the judge agree.")
        assert kept(deployment, items[0]) == [ReviewKind.FIRST_PASS]
        page.go_forward()
        expect(page.locator("#item-heading")).to_contain_text("Item 2 of 2")


def test_a_batch_is_walked_without_a_script(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    items = items_in_queue(deployment, 2)
    with browsing(chromium, server, ada, java_script_enabled=False) as page:
        page.goto(f"{server.address}/review/{items[0].item_id}")
        page.get_by_role("button", name="Claim and review").click()
        expect(page.locator("[data-move]:visible, [data-opens]:visible")).to_have_count(0)
        page.get_by_role("radio", name="Fail").first.check(force=True)
        page.get_by_role("radio", name="rude").check(force=True)
        page.get_by_role("button", name="Submit").click()
        expect(page.locator(".reveal")).to_contain_text("You and the judge differ.")
        page.get_by_role("button", name="Keep mine, go on").click()
        expect(page.locator("#item")).to_have_attribute("data-item", items[1].item_id)
    assert kept(deployment, items[0]) == [ReviewKind.FIRST_PASS]


def test_what_the_browser_holds_of_a_blind_item_says_nothing_of_the_judge(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = planted_item(deployment)
    with browsing(chromium, server, ada) as page:
        open_claimed(page, server, ada, item)
        press(page, "1", "t")
        expect(page.locator("#view-raw")).to_have_attribute("aria-current", "page")
        assert marks_in(page.content()) == []
        press(page, "4", "Control+Enter")
        expect(page.locator(".reveal")).to_be_visible()
        assert "marigoldreasoning" in page.content()


# --- how it looks ---------------------------------------------------------------------------------------------------


def accessible(page: Page) -> bool:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    return True


def is_free(_page: Page, _server: Running, _ada: Person, _item: ReviewItem) -> None:
    """Nobody holds it."""


def is_mine(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    open_claimed(page, server, ada, item)
    press(page, "1")


def is_held(_page: Page, server: Running, _ada: Person, item: ReviewItem) -> None:
    review_desk.claim_item(server.deployment, somebody(server.deployment, "Ben"), item.item_id)


def is_revealed(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    is_mine(page, server, ada, item)
    press(page, "ArrowDown", "1", "ArrowUp", "2", "Control+Enter")
    expect(page.locator(".reveal")).to_be_visible()


def is_changing(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    is_revealed(page, server, ada, item)
    settle(page)
    press(page, "c")
    expect(page.locator("#note")).to_be_visible()


def is_helped(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    is_mine(page, server, ada, item)
    press(page, "?")


def is_escalating(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    is_mine(page, server, ada, item)
    press(page, "e")


def is_refused(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    is_mine(page, server, ada, item)
    page.route("**/verdict", broken)
    press(page, "ArrowDown", "4", "Control+Enter")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def is_lost(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    claim = open_claimed(page, server, ada, item)
    press(page, "1", "4", "n")
    page.keyboard.type("Careful words.")
    taken_by_ben(server.deployment, item, ada, claim.token)
    press(page, "Control+Enter")
    expect(page.get_by_role("button", name="Save as second opinion")).to_be_visible()


def is_overridden(page: Page, server: Running, ada: Person, item: ReviewItem) -> None:
    is_mine(page, server, ada, item)
    press(page, "4")
    page.locator("#verdict").get_by_role("radio", name="Partial").check(force=True)
    expect(page.get_by_role("button", name="As answered")).to_be_visible()


SIGHTS = (
    is_free,
    is_mine,
    is_overridden,
    is_held,
    is_revealed,
    is_changing,
    is_helped,
    is_escalating,
    is_refused,
    is_lost,
)
UNMOVED = (is_free, is_held)
"""Sights to be opened once they are as they are."""


NARROW = {"width": 320, "height": 640}
LOOKS = {
    "light wide": ("light", WIDE),
    "dark wide": ("dark", WIDE),
    "dark phone": ("dark", PHONE),
    "light narrow": ("light", NARROW),
}


@pytest.mark.parametrize(("theme", "viewport"), LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("sight", SIGHTS, ids=lambda sight: sight.__name__)
def test_every_sight_is_accessible_and_fits(
    chromium: Browser,
    server: Running,
    deployment: Deployment,
    ada: Person,
    sight: Callable[[Page, Running, Person, ReviewItem], None],
    theme: str,
    viewport: dict[str, int],
) -> None:
    item = item_in_queue(deployment, run={"input": CHAT, "output": ANSWER})
    with browsing(chromium, server, ada, viewport=viewport, color_scheme=theme) as page:
        sight(page, server, ada, item)
        if sight in UNMOVED:
            page.goto(f"{server.address}/review/{item.item_id}")
        assert accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_gone_content_one_question_and_settling_are_accessible_and_fit(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person, theme: str, viewport: dict[str, int]
) -> None:
    gone = item_in_queue(deployment, event_id="gone", run={"input": None, "output": None}, verdict=None)
    passed = item_in_queue(deployment, event_id="passed", run={"input": CHAT, "output": ANSWER})
    claim = review_desk.claim_item(deployment, ada, passed.item_id)
    review_desk.escalate(deployment, ada, passed.item_id, claim.token, "Please look.")
    eve = somebody(deployment, "Eve", PersonRole.AUTHOR)
    review_desk.claim_item(deployment, eve, passed.item_id)
    reviewed_rubric(deployment, "one", text=ONE_QUESTION)
    one = item_in_queue(deployment, event_id="one", rubric="one")
    for person, item in ((ada, gone), (ada, one), (eve, passed)):
        with browsing(chromium, server, person, viewport=viewport, color_scheme=theme) as page:
            if person is ada:
                review_desk.claim_item(deployment, ada, item.item_id)
            page.goto(f"{server.address}/review/{item.item_id}")
            assert accessible(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_what_has_the_focus_is_never_covered(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment, run={"input": CHAT, "output": ANSWER})
    with browsing(chromium, server, ada, viewport=PHONE) as page:
        open_claimed(page, server, ada, item)
        for _ in range(30):
            page.keyboard.press("Tab")
            covered = page.evaluate(
                """() => {
                  const one = document.activeElement, bar = document.querySelector('.verdict-bar');
                  if (bar.contains(one) || one.closest('.pop-body') || one === document.body) return '';
                  const at = one.getBoundingClientRect(), edge = bar.getBoundingClientRect().top;
                  return at.height < 200 && at.bottom > edge + 1 && at.top < innerHeight ? one.outerHTML : '';
                }"""
            )
            assert covered == ""


def test_an_author_settles_with_everything_in_sight(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    item = item_in_queue(deployment)
    claim = review_desk.claim_item(deployment, ada, item.item_id)
    review_desk.escalate(deployment, ada, item.item_id, claim.token, "Please look.")
    eve = somebody(deployment, "Eve", PersonRole.AUTHOR)
    with browsing(chromium, server, eve) as page:
        page.goto(f"{server.address}/review/{item.item_id}")
        settle(page)
        press(page, "Enter")
        expect(page.locator("#item-heading")).to_contain_text("To settle")
        expect(page.locator(".banners")).to_contain_text("Please look.")
        assert accessible(page)


# --- how fast -------------------------------------------------------------------------------------------------------

STOPWATCH = """
window.waits = [];
window.served = [];
document.addEventListener('keydown', () => { window.pressedAt = performance.now(); }, true);
document.addEventListener('htmx:after:swap', () => requestAnimationFrame(() => {
  window.waits.push(performance.now() - window.pressedAt);
  const sent = performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/verdict')).at(-1);
  if (sent) window.served.push(sent.responseStart - sent.requestStart);
}));
"""


def test_the_next_item_is_there_within_moments_of_the_key(
    chromium: Browser, server: Running, deployment: Deployment, ada: Person
) -> None:
    reviewed_rubric(deployment, text=ONE_QUESTION)
    text = "The parcel is on its way and **arrives on Friday**. See [tracking](https://shop.example/9).\n\n" * 340
    start = utc_now() - timedelta(hours=1)
    for number in range(25):
        run = {"input": f"{number} {text}"[:32_000], "output": f"{number} {text}"[:32_000]}
        item_in_queue(deployment, event_id=f"t-{number}", entered=start + timedelta(seconds=number), run=run)
    with browsing(chromium, server, ada) as page:
        page.add_init_script(STOPWATCH)
        begin(page, server, ada)
        for number in range(24):
            expect(page.locator("#item-heading")).to_contain_text(f"Item {number + 1} of 25")
            settle(page)
            press(page, "1")
        expect(page.locator("#item-heading")).to_contain_text("Item 25 of 25")
        page.wait_for_timeout(100)
        waits, served = page.evaluate("[window.waits, window.served]")
    assert len(waits) == 24
    p95, server_p95 = quantiles(waits, n=20)[-1], quantiles(served, n=20)[-1]
    print(f"key to next item: median {quantiles(waits, n=2)[0]:.0f} ms, p95 {p95:.0f} ms")
    print(f"of that the server: median {quantiles(served, n=2)[0]:.0f} ms, p95 {server_p95:.0f} ms")
    assert quantiles(waits, n=2)[0] <= 400
    if os.getloadavg()[0] < (os.cpu_count() or 1):  # else it is the machine's other work that is measured
        assert p95 <= 400
