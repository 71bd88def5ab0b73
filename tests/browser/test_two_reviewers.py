"""Two people in two browsers at one queue: never the same item, nothing twice, nothing unseen."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect

from evaluator.deployment import Deployment
from evaluator.model.person import Person
from evaluator.model.review import Stream
from evaluator.reviewing import review_desk
from evaluator.store.reviews import reviews_of_items, reviews_of_person
from review_ui.serving import Running
from tests.accounts.people_world import somebody
from tests.browser.test_focus_screen import begin, browsing, kept, open_claimed, press, settle
from tests.reviewing.review_world import item_in_queue, items_in_queue, judged_event

pytestmark = pytest.mark.slow

HAMMER = """(path) => Promise.all(Array.from({length: 8}, () =>
  fetch(path, {method: "POST", headers: {"hx-request": "true"}}).then((answer) => answer.text())
    .then((page) => (page.match(/data-item="(\\w+)"/) || [])[1])))"""
"""Ask for the next item many times at once; the items that came."""


@pytest.fixture
def deployment(server: Running) -> Deployment:
    return server.deployment


@pytest.fixture
def two(deployment: Deployment) -> list[Person]:
    return [somebody(deployment, "Ada"), somebody(deployment, "Ben")]


def item_of(page: Page) -> str:
    return page.locator("#item").get_attribute("data-item") or ""


def test_hammering_next_and_submit_gives_no_item_to_both_and_stores_each_once(
    chromium: Browser, server: Running, deployment: Deployment, two: list[Person]
) -> None:
    items = [item.item_id for item in items_in_queue(deployment, 8)]
    seen: list[set[str]] = [set(), set()]
    with ExitStack() as stack:
        pages = [stack.enter_context(browsing(chromium, server, person)) for person in two]
        batches = [begin(page, server, person, 8) for page, person in zip(pages, two, strict=True)]
        open_ones = [0, 1]
        while open_ones:
            for number in list(open_ones):
                page = pages[number]
                if page.locator("#item.mode-answer").count() == 0:
                    open_ones.remove(number)
                    continue
                here = item_of(page)
                seen[number].add(here)
                assert set(page.evaluate(HAMMER, f"/review/{here}/next?batch={batches[number]}")) == {here}, (
                    "asked again it is the same"
                )
                settle(page)
                page.keyboard.press("1")
                page.keyboard.press("4")
                with page.expect_response("**/verdict"):
                    press(page, "Control+Enter", "Control+Enter", "Control+Enter")
                page.wait_for_function(
                    "(was) => document.querySelector('#item')?.dataset.item !== was || "
                    "document.querySelector('#item.mode-revealed')",
                    arg=here,
                )
                if page.locator("#item.mode-revealed").count():
                    settle(page)
                    with page.expect_response("**/next"):
                        page.keyboard.press("Enter")
                    page.wait_for_function(
                        "(was) => document.querySelector('#item')?.dataset.item !== was", arg=here
                    )
    assert not seen[0] & seen[1], "never the same item"
    assert seen[0] | seen[1] == set(items), "and none is left"
    with deployment.database.read() as connection:
        said = reviews_of_items(connection, items)
        by_person = [{one.item_id for one in reviews_of_person(connection, who.person_id, 50)} for who in two]
    assert Counter(one.item_id for of_item in said.values() for one in of_item) == Counter(items)
    assert by_person == seen


def test_an_old_page_judges_no_attempt_that_it_never_showed(
    chromium: Browser, server: Running, deployment: Deployment, two: list[Person]
) -> None:
    item = item_in_queue(deployment, stream=Stream.PICKED)
    with browsing(chromium, server, two[0]) as page:
        claim = open_claimed(page, server, two[0], item)
        press(page, "1", "4", "n")
        page.keyboard.type("Of the first attempt.")
        review_desk.release(deployment, two[0], item.item_id, claim.token)
        judged_event(deployment, run_id="second", started_at="2026-12-01T10:00:00Z", output="Your second answer.")
        press(page, "Control+Enter")
        expect(page.get_by_role("alert")).to_contain_text("has a new attempt since you opened it")
        assert page.locator("#note").input_value() == "Of the first attempt."
        press(page, "Control+Enter")
        assert kept(deployment, item) == []
        page.get_by_role("link", name="Open it as it is now").click()
        expect(page.locator("#item.mode-free")).to_be_visible()
        page.get_by_role("button", name="Claim and review").click()
        expect(page.locator("#item.mode-answer")).to_contain_text("Your second answer.")
        assert page.locator("#note").input_value() == "Of the first attempt.", "what was written is here again"
        page.reload()
        settle(page)
        page.locator("#note").focus()
        with page.expect_response("**/verdict") as answer:
            press(page, "Control+Enter")
        assert answer.value.status == 200
    with deployment.database.read() as connection:
        (review,) = reviews_of_items(connection, [item.item_id])[item.item_id]
    assert (review.run_id, review.note) == ("second", "Of the first attempt.")
