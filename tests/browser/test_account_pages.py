"""Pages about accounts in a real browser: from a new server to a reviewer at work, accessible and without scripts."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, Page, expect

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole, TicketPurpose
from evaluator.store.people import make_ticket
from review_ui.serving import Running
from tests.accounts.people_world import personal_key, somebody
from tests.browser.test_rubric_pages import assert_sound

pytestmark = pytest.mark.slow

PASSWORD = "three green bottles"


def elsewhere(deployment: Deployment) -> tuple[Person, str]:
    """An admin and a link that signs them in."""
    boss = somebody(deployment, "Boss", PersonRole.ADMIN, login="boss@example.com")
    ada = somebody(deployment, "Ada with a name that is long enough to need two lines", PersonRole.REVIEWER)
    personal_key(deployment, ada)
    secret = deployment.database.transact(lambda write: make_ticket(write, boss, TicketPurpose.SIGN_IN, utc_now()))
    return ada, secret


def filled(server: Running) -> tuple[Person, str]:
    with ThreadPoolExecutor(1) as other:  # Playwright keeps an event loop on this thread
        return other.submit(elsewhere, server.deployment).result()


def local(server: Running) -> str:
    return server.address.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_of_accounts_are_accessible_fit_and_break_no_rule_of_their_own(
    chromium: Browser, server: Running, theme: str, width: int
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    address = local(server)
    page.goto(f"{address}/set-up")
    assert_sound(page, width)
    ada, secret = filled(server)
    page.goto(f"{address}/sign-in")
    assert_sound(page, width)
    page.goto(f"{address}/sign-in/ticket/{secret}", wait_until="commit")
    for path in ("/preferences", "/people", f"/people/{ada.person_id}", "/keys", "/audit", "/set-up/next"):
        page.goto(address + path)
        assert_sound(page, width)
        assert said == [], path
    page.locator("summary").click()
    assert_sound(page, width)
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_newcomer_sets_up_invites_and_the_invited_signs_in(
    chromium: Browser, server: Running, scripts: bool
) -> None:
    address = local(server)
    context = chromium.new_context(java_script_enabled=scripts, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto(address)
    page.get_by_role("link", name="Set up accounts", exact=True).first.click()
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo" if scripts else "UTC")
    page.get_by_label("Your name").fill("Boss")
    page.get_by_label("E-mail or name to sign in with").fill("boss@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_text("It is shown this once.")).to_be_visible()

    page.goto(f"{address}/people")
    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_label("E-mail or name to sign in with").fill("ada@example.com")
    page.get_by_role("button", name="Invite").click()
    link = re.search(r"http://\S+/sign-in/ticket/\S+", page.inner_text("main"))
    assert link is not None
    invited(chromium, link[0], address, scripts)

    page.reload()
    page.get_by_role("link", name="Ada").click()
    page.get_by_role("button", name="Deactivate Ada").click()
    expect(page.get_by_role("status")).to_contain_text("Ada is deactivated")
    page.locator("summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    context.close()


def invited(chromium: Browser, link: str, address: str, scripts: bool) -> None:
    """Somebody with a link chooses a password, signs out and in, and says how they like their pages."""
    context = chromium.new_context(java_script_enabled=scripts)
    page: Page = context.new_page()
    page.goto(link)
    expect(page.get_by_label("You sign in as")).to_have_value("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Keep it and sign in").click()
    page.goto(f"{address}/preferences")
    page.locator("summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.goto(f"{address}/preferences")
    page.get_by_label("E-mail or name").fill("ada@example.com")
    page.get_by_label("Password").fill("not this one, no")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit together")
    expect(page.get_by_label("E-mail or name")).to_have_value("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Preferences", exact=True)).to_be_visible()
    page.get_by_label("Theme").select_option("dark")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    context.close()
