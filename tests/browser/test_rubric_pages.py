"""The pages of rubrics and backtests in a real browser: accessible, in both themes, as narrow as a phone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from evaluator.store.backtests import find_backtest
from review_ui.pages.backtest_page import FLIPS_A_PAGE
from review_ui.serving import Running
from tests.review_ui.rubric_world import ADDRESS, BROKEN, OLD, SUPPORT, backtest, everything, write

pytestmark = pytest.mark.slow

PATHS = {
    "the list": "/rubrics",
    "a rubric": ADDRESS,
    "an older version": f"{ADDRESS}?version={OLD.version}",
    "a rubric whose file is gone": "/rubrics/refunds",
    "a backtest that is done": f"{ADDRESS}/backtests/b1",
    "a backtest that runs": f"{ADDRESS}/backtests/b2",
    "a backtest that was stopped": f"{ADDRESS}/backtests/b3",
}


def filled(server: Running) -> str:
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright keeps an event loop on this thread
        elsewhere.submit(everything, server.deployment).result()
    return server.address


def assert_sound(page: Page, width: int) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_fit_and_break_no_rule_of_their_own(
    chromium: Browser, server: Running, theme: str, width: int
) -> None:
    address = filled(server)
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for name, path in PATHS.items():
        page.goto(address + path)
        assert_sound(page, width)
        assert said == [], name
    context.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_pages_with_nothing_to_show_are_sound_as_well(chromium: Browser, server: Running, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(f"{server.address}/rubrics")
    assert_sound(page, width)
    page.goto(f"{server.address}/rubrics/nowhere")
    assert_sound(page, width)
    folder = server.deployment.settings.rubrics_dir
    write(
        folder, "support", SUPPORT.replace("Is the tone right for", "Is the tone right and is the answer short for")
    )
    write(folder, "broken", BROKEN)
    server.deployment.shelf._looked_at = 0.0
    for path in ("/rubrics", ADDRESS):
        page.goto(server.address + path)
        assert_sound(page, width)
    context.close()


def test_a_reader_goes_from_the_status_to_a_difference_by_links_alone(chromium: Browser, server: Running) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(filled(server))
    page.get_by_role("link", name="Rubrics", exact=True).click()
    page.locator(f'main a[href="{ADDRESS}"]').click()
    page.locator(f'a[href="{ADDRESS}/backtests/b1"]').click()
    page.get_by_role("link", name="wrong before, right now").click()
    assert page.url.endswith("/backtests/b1?kind=gained#flips")
    page.get_by_role("link", name="Run run-3").click()
    assert page.evaluate("document.querySelector(':target').id") == "run-run-3"
    page.close()


def test_a_report_s_links_land_on_their_flips(chromium: Browser, server: Running) -> None:
    def many() -> list[str]:
        made = backtest(server.deployment, runs=4 * FLIPS_A_PAGE, runs_an_event=2)
        with server.deployment.database.read() as connection:
            found = find_backtest(connection, made.backtest_id)
        assert found is not None
        return [flip["link"].removeprefix("http://pages") for flip in found.report["flips"]]

    with ThreadPoolExecutor(1) as elsewhere:
        links = elsewhere.submit(many).result()
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    for link in (links[0], links[FLIPS_A_PAGE], links[-1]):
        page.goto(server.address + link)
        target = page.locator(":target")
        assert target.get_attribute("id") == link.partition("#")[2]
        assert 0 <= target.evaluate("each => each.getBoundingClientRect().top") < 900
    page.close()


def test_the_keyboard_alone_reaches_a_flip_and_what_is_folded(chromium: Browser, server: Running) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{filled(server)}{ADDRESS}/backtests/b1")
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(each => [each.textContent.trim().slice(0, 40), getComputedStyle(each).outlineStyle, each.tagName])"
            "(document.activeElement)"
        )
        if focused[2] == "BODY":
            break
        assert focused[1] == "solid", f"no ring around {focused[0]}"
        seen.append(focused[0])
    assert seen[0].startswith("Skip")
    assert [one for one in seen if one.startswith("Run run-")] == [
        "Run run-0",
        "Run run-3",
        "Run run-6",
        "Run run-9",
    ]
    page.close()


def test_a_chosen_run_s_prompt_is_shown_by_the_form(chromium: Browser, server: Running) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{filled(server)}{ADDRESS}?refresh=off")
    page.get_by_label("Run", exact=True).fill("run-5")
    page.get_by_role("button", name="Show its prompt").click()
    assert "run run-5 of event ticket-5" in page.locator("section.prompt").inner_text()
    page.close()
