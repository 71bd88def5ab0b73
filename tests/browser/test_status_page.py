"""The status page in a real browser: accessible, in both themes, as narrow as a phone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.columns import utc_now
from evaluator.store.judgements import pause_judge
from evaluator.store.operations import record_failure
from review_ui.serving import Running
from tests.world import CHECKED_RUBRIC, RUBRIC, actor, add_rubric, judge_all, reported_run

pytestmark = pytest.mark.slow


def empty(_server: Running) -> None:
    """A new server."""


def busy(server: Running) -> None:
    """Every part of the page has something to show."""
    deployment = server.deployment
    folder = deployment.settings.rubrics_dir
    add_rubric(folder, rubric_id="links", text=CHECKED_RUBRIC)
    add_rubric(folder, rubric_id="help", text=RUBRIC, workflow="Fulfillment")
    (folder / "broken.yaml").write_text("id: broken\ntitel: x\n")
    send(server, "a-rather-long-event-id/with/slashes/4711", output="No.")
    send(server, "ticket-2")
    send(server, "empty", input=None, output=None)
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright keeps an event loop on this thread
        elsewhere.submit(judge_all, deployment).result()
    send(server, "order-3", workflow="Fulfillment")
    stand_in_the_way(deployment)


def send(server: Running, event_id: str, **run: object) -> None:
    who = actor(server.deployment, "browser-test", Scope.INGEST)
    body = reported_run(event_id=event_id, **run)
    answer = httpx.post(f"{server.address}/v1/runs", json=body, headers=who.headers, trust_env=False)
    assert answer.is_success, answer.text


def stand_in_the_way(deployment: Deployment) -> None:
    now = utc_now()
    until = now.replace(year=now.year + 1)
    deployment.database.transact(
        lambda connection: pause_judge(
            connection, judge="default", reason="no_credit", detail="The account is empty.", now=now, until=until
        )
    )
    deployment.database.transact(
        lambda connection: record_failure(connection, stage="engine", kind="tick", detail="see the log")
    )


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", [empty, busy])
def test_the_page_is_accessible_fits_and_breaks_no_rule_of_its_own(
    chromium: Browser, server: Running, state: Callable[[Running], None], theme: str, width: int
) -> None:
    state(server)
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(server.address)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    context.close()


def test_everything_can_be_reached_by_keyboard_alone(chromium: Browser, server: Running) -> None:
    busy(server)
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(server.address)
    reached = [focused(page) for _ in range(7)]
    assert reached[0] == "Skip to content"
    assert "Adjudge" in reached
    assert "Rubrics" in reached
    assert "Refresh" in reached
    page.close()


def focused(page: Page) -> str:
    page.keyboard.press("Tab")
    text = page.evaluate(
        "document.activeElement.textContent.trim() || document.activeElement.getAttribute('aria-labelledby')"
    )
    return str(text)
