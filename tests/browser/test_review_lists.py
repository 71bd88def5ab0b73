"""The lists around the focus screen in a real browser: sound on every screen, filtered in place, and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.reviewing.review_desk import claim_item
from evaluator.store.people import open_session
from review_ui.guard import PLAIN_COOKIE
from review_ui.serving import Running
from tests.accounts.people_world import somebody
from tests.review_ui.queue_world import Desk, desk, dispute, people
from tests.reviewing.review_world import item_in_queue, items_in_queue, reviewed_rubric

pytestmark = pytest.mark.slow

EVERY_20_S = 20_000


@contextmanager
def browsing(chromium: Browser, server: Running, person: Person, **how: Any) -> Iterator[Page]:
    """A page of a browser in which the person is signed in; what its console says fails the test."""
    context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **how})
    cookie = server.deployment.database.transact(
        lambda connection: open_session(connection, person.person_id, utc_now(), 1)
    )
    context.add_cookies([{"name": PLAIN_COOKIE, "value": cookie, "url": server.address}])
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert said == []


def paths(work: Desk) -> dict[str, tuple[Person, str]]:
    """Every list and state of it, and who looks at it."""
    item = work.waiting[0].item_id
    return {
        "the queue of a reviewer": (work.ada, "/review"),
        "the queue of an author": (work.eve, "/review?stream=audit"),
        "in progress": (work.ben, "/review?tab=in_progress"),
        "escalated": (work.eve, "/review?tab=escalated"),
        "disagreements as rows": (work.eve, "/review?tab=disagreements"),
        "done": (work.eve, "/review?tab=done"),
        "filtered to nothing": (work.ada, "/review?workflow=Returns"),
        "a tab with nothing": (work.root, "/review?tab=escalated&rubric=refunds"),
        "not allowed": (work.vera, "/review"),
        "disagreements of an author": (work.eve, "/disagreements"),
        "disagreements of a reviewer": (work.ben, "/disagreements"),
        "a story that is hidden": (work.ada, f"/review/{item}/story"),
        "a story that asks first": (work.eve, f"/review/{item}/story"),
        "a story that is told": (work.ada, f"/review/{work.disputed.item_id}/story"),
        "a batch": (work.ada, f"/review/batch/{work.batch.batch_id}"),
    }


def assert_sound(page: Page, name: str) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], name


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 320)])
def test_lists_are_accessible_fit_and_break_no_rule_of_their_own(
    chromium: Browser, server: Running, theme: str, width: int
) -> None:
    work = desk(server.deployment, number=8)
    for name, (person, path) in paths(work).items():
        how = {"viewport": {"width": width, "height": 900}, "color_scheme": theme}
        with browsing(chromium, server, person, **how) as page:
            page.goto(server.address + path)
            for folded in page.locator("summary").all():
                if folded.is_visible():
                    folded.click()
            assert_sound(page, name)


NARROW = """() => [...document.querySelectorAll("button, select, a.button, .tabs a, .brand, .places a, .person a, summary")].filter((one) => {
  const {width, height} = one.getBoundingClientRect();
  return width > 0 && Math.min(width, height) < 44;
}).map((one) => one.outerHTML)"""
"""What is there to press and too small for a finger."""


def test_what_is_pressed_is_wide_enough_for_a_finger(chromium: Browser, server: Running) -> None:
    work = desk(server.deployment, number=8)
    finger = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}
    with browsing(chromium, server, work.root, **finger) as page:
        for path in ("/review", "/disagreements", "/preferences", "/people", "/keys", "/audit", "/"):
            page.goto(server.address + path)
            assert page.evaluate(NARROW) == [], path


@pytest.mark.parametrize("width", [320, 1280])
def test_the_empty_screens_are_sound_as_well(chromium: Browser, server: Running, width: int) -> None:
    ada, ben, eve, _ = people(server.deployment)
    how = {"viewport": {"width": width, "height": 900}}
    with browsing(chromium, server, eve, **how) as page:
        page.goto(f"{server.address}/review")
        expect(page.get_by_role("heading", name="No rubric is in force yet")).to_be_visible()
        assert_sound(page, "no rubric")
    reviewed_rubric(server.deployment)
    item = item_in_queue(server.deployment)
    claim_item(server.deployment, ben, item.item_id)
    with browsing(chromium, server, ada, **how) as page:
        page.goto(f"{server.address}/review")
        expect(page.get_by_role("heading", name="All items are claimed")).to_be_visible()
        assert_sound(page, "all claimed")
        page.goto(f"{server.address}/disagreements")
        expect(page.get_by_role("heading", name="Nobody disagrees")).to_be_visible()
        assert_sound(page, "no disagreements")


def test_a_filter_acts_at_once_in_place_and_is_in_the_address(chromium: Browser, server: Running) -> None:
    work = desk(server.deployment, number=8)
    with browsing(chromium, server, work.eve) as page:
        page.goto(f"{server.address}/review")
        page.evaluate("window.kept = true")
        page.locator("#filter-workflow").select_option("Refunds")
        expect(page.locator("tbody tr")).to_have_count(2)
        assert page.url.endswith("?tab=for_me&workflow=Refunds&rubric=&older_than_hours=&reason=")
        assert page.evaluate("window.kept") is True
        expect(page.locator("#filter-workflow")).to_have_value("Refunds")
        page.get_by_role("link", name="Clear filters").click()
        expect(page.locator("tbody tr")).to_have_count(7)
        page.go_back()
        expect(page.locator("tbody tr")).to_have_count(2)


def test_counters_are_fetched_again_only_while_somebody_can_see_them(chromium: Browser, server: Running) -> None:
    ada = somebody(server.deployment)
    items_in_queue(server.deployment, 2)
    with browsing(chromium, server, ada) as page:
        page.clock.install()
        page.goto(f"{server.address}/review")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        count = page.locator("#tab-for_me .count")
        expect(count).to_have_text("2")
        item_in_queue(server.deployment, event_id="ticket-3")
        page.clock.run_for(EVERY_20_S)
        expect(count).to_have_text("3")
        expect(page.locator("tbody tr")).to_have_count(2)
        hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
        tell = "document.dispatchEvent(new Event('visibilitychange'))"
        page.evaluate(hide % "true" + tell)
        before = len(asked)
        item_in_queue(server.deployment, event_id="ticket-4")
        page.clock.run_for(3 * EVERY_20_S)
        assert len(asked) == before
        page.evaluate(hide % "false" + tell)
        expect(count).to_have_text("4")


def test_everything_works_without_a_script(chromium: Browser, server: Running) -> None:
    work = desk(server.deployment, number=8)
    with browsing(chromium, server, work.eve, java_script_enabled=False) as page:
        page.goto(f"{server.address}/review")
        page.locator("#filter-workflow").select_option("Refunds")
        page.get_by_role("button", name="Filter").click()
        assert page.locator("tbody tr").count() == 2
        page.get_by_role("link", name="Clear filters").click()
        page.get_by_text("Add events by hand").click()
        page.get_by_label("Events").fill("ticket-66\nnowhere")
        page.get_by_role("combobox", name="Rubric").last.select_option("support")
        page.get_by_role("button", name="Add to the queue").click()
        assert page.get_by_role("alert").inner_text().startswith("1 event could not be added:")
        page.goto(f"{server.address}/review")
        page.get_by_role("button", name=re.compile("Start reviewing")).click()
        assert re.search(r"/review/\w+\?batch=\w+$", page.url)


def test_a_disagreement_is_settled_by_keyboard_alone(chromium: Browser, server: Running) -> None:
    ada, ben, eve, _ = people(server.deployment)
    dispute(server.deployment, ada, ben)
    with browsing(chromium, server, eve) as page:
        page.goto(f"{server.address}/disagreements")
        page.get_by_text("Settle right here").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert page.evaluate("document.activeElement.value") == "pass"
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.value") == "fail"
        page.get_by_label("Note").focus()
        page.keyboard.type("The parcel was lost.")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Settled ticket-88: fail. Your verdict stands.")


def test_a_viewer_reads_whom_to_ask(chromium: Browser, server: Running) -> None:
    somebody(server.deployment, "Grace", PersonRole.ADMIN)
    vera = somebody(server.deployment, "Vera", PersonRole.VIEWER)
    with browsing(chromium, server, vera) as page:
        page.goto(f"{server.address}/review")
        expect(page.get_by_text("Ask Grace, who can change it.")).to_be_visible()
