"""Pictures of every reviewing screen for docs/screens.md: python -m tests.browser.screens DATA_FOLDER [OUT_FOLDER].

DATA_FOLDER is a demo's, judged to its end; it is copied and left as it is. People are made, and work through the real
functions and pages, so that items are held, escalated, disagreed about and done.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, SlotKind, item_id_of
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing import review_desk
from evaluator.reviewing.hand_picking import pick
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.review_form import Answer, ReviewForm
from evaluator.reviewing.review_sheet import SheetCriterion
from evaluator.reviewing.review_submission import submit
from evaluator.reviewing.sheet_reading import sheet_of
from evaluator.settings import Settings
from evaluator.store.api_keys import audit, issue_key
from evaluator.store.people import add_person, new_person_id, open_session
from evaluator.store.review_items import find_item
from review_ui.guard import PLAIN_COOKIE
from review_ui.serving import Running, running
from tests.browser.conftest import ARGUMENTS

ROOT = Path(__file__).resolve().parents[2]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LARGEST = 200_000
"""Bytes of a picture."""
EXPIRED = "ZD-48190"
"""An event whose content is gone."""


class Studio:
    """A server over the copied demo, its people, and where pictures go."""

    def __init__(self, server: Running, browser: Browser, folder: Path) -> None:
        self.server, self.browser, self.folder = server, browser, folder
        self.deployment: Deployment = server.deployment
        self.ada = self.person("Ada Lindqvist", PersonRole.REVIEWER)
        self.grace = self.person("Grace Okafor", PersonRole.REVIEWER)
        self.rowan = self.person("Rowan Hale", PersonRole.AUTHOR)
        self.mara = self.person("Mara Weiss", PersonRole.ADMIN)

    def person(self, name: str, role: PersonRole) -> Person:
        login = f"{name.split()[0].lower()}@northwind.example"
        likes = {"time_zone": "Europe/Stockholm"}
        person = Person(person_id=new_person_id(), login=login, name=name, role=role, preferences=likes)

        def act(connection: Any) -> None:
            add_person(connection, person)
            audit(
                connection,
                actor="mara@northwind.example",
                act="create_person",
                subject=login,
                detail={"role": role},
            )

        self.deployment.database.transact(act)
        return person

    @contextmanager
    def signed_in(self, person: Person | None, **how: Any) -> Iterator[Page]:
        context: BrowserContext = self.browser.new_context(**{"viewport": WIDE, "color_scheme": "light", **how})
        if person is not None:
            cookie = self.deployment.database.transact(
                lambda connection: open_session(connection, person.person_id, utc_now(), 1)
            )
            context.add_cookies([{"name": PLAIN_COOKIE, "value": cookie, "url": self.server.address}])
        yield context.new_page()
        context.close()

    def take(self, page: Page, name: str) -> None:
        """One picture, without a caret or a half-done transition in it."""
        page.wait_for_timeout(250)
        path = self.folder / f"{name}.png"
        page.screenshot(path=path, animations="disabled", caret="hide")
        size = path.stat().st_size
        print(f"{name}.png {size / 1000:.0f} KB{'  TOO LARGE' if size > LARGEST else ''}")

    def visit(self, person: Person | None, path: str, name: str, **how: Any) -> None:
        with self.signed_in(person, **how) as page:
            page.goto(self.server.address + path)
            self.take(page, name)

    def item(self, event_id: str, rubric_id: str = "support-resolution") -> ReviewItem:
        """The event's open item under the rubric; picked by hand where nothing sent it, or it was done."""
        with self.deployment.database.read() as connection:
            known = find_item(connection, item_id_of(event_id, rubric_id))
        if known is not None and known.state == ItemState.OPEN:
            return known
        return pick(self.deployment, self.rowan, event_id, rubric_id)

    def item_done(self, event_id: str) -> ReviewItem:
        with self.deployment.database.read() as connection:
            known = find_item(connection, item_id_of(event_id, "support-resolution"))
        assert known is not None
        return known

    def say(
        self, person: Person, item: ReviewItem, verdict: VerdictLabel, note: str = "", kind: SlotKind | None = None
    ) -> None:
        """A review through the desk, its answers all the one way."""
        claim = review_desk.claim_item(self.deployment, person, item.item_id, kind=kind)
        sheet = sheet_of(self.deployment, person, item.item_id)
        answers = tuple(Answer(one.criterion_id, value_of(one, verdict)) for one in sheet.criteria if one.options)
        form = ReviewForm(
            item.item_id,
            claim.token,
            secrets.token_hex(8),
            sheet.rubric.version,
            answers,
            verdict=verdict if note else None,
            note=note,
            active_ms=24_000 + secrets.randbelow(40_000),
            shown=sheet.shown,
        )
        submit(self.deployment, person, form)


def value_of(criterion: SheetCriterion, verdict: VerdictLabel) -> str:
    """The option of this hue; for a scale, the highest that passes."""
    hue = "fail" if verdict is VerdictLabel.PARTIAL else str(verdict)
    return [one.value for one in criterion.options if one.hue == hue or one.value == hue][
        -1 if hue == "pass" else 0
    ]


def press(page: Page, *keys: str) -> None:
    page.wait_for_timeout(300)
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(60)


# --- what people do before pictures are taken -----------------------------------------------------------------------


def a_morning_of_work(studio: Studio) -> dict[str, ReviewItem]:
    """Items set aside for pictures of their own, then a queue with something under every tab."""
    kept = {
        "differs": studio.item("ZD-48255"),
        "injection": studio.item("ZD-48219"),
        "attempts": studio.item("ZD-48211"),
        "held": studio.item("ZD-48247"),
        "lost": studio.item("ZD-48202"),
        "told": studio.item("ZD-48240"),
        "escalated": studio.item("ORD-300426", "order-fulfillment"),
    }
    for event_id, one, other in (
        ("ZD-48214", "", "The bulb was asked for as well, and it is not named."),
        (
            "ZD-48213",
            "It names the five days and that nothing is to be done.",
            "It does not say when the days begin.",
        ),
    ):
        studio.say(studio.grace, studio.item(event_id), VerdictLabel.PASS, one)
        studio.say(studio.ada, studio.item_done(event_id), VerdictLabel.FAIL, other, SECOND)
    studio.say(studio.grace, kept["told"], VerdictLabel.FAIL, "It names no date for the refund.")
    studio.say(studio.ada, kept["told"], VerdictLabel.PASS, kind=SECOND)
    studio.say(studio.rowan, kept["told"], VerdictLabel.PASS, "A date is not asked for.", SlotKind.ADJUDICATION)
    claim = review_desk.claim_item(studio.deployment, studio.grace, kept["escalated"].item_id)
    why = "The battery was in stock on both tries. Is that a wrong decision, or did the stock come late?"
    review_desk.escalate(studio.deployment, studio.grace, kept["escalated"].item_id, claim.token, why)
    review_desk.claim_item(studio.deployment, studio.grace, kept["held"].item_id)
    for person, event_id, verdict in (
        (studio.grace, "ZD-48216", VerdictLabel.FAIL),
        (studio.ada, "ZD-48233", VerdictLabel.PASS),
        (studio.grace, "ZD-48204", VerdictLabel.PASS),
        (studio.ada, "ZD-48228", VerdictLabel.PASS),
    ):
        studio.say(person, studio.item(event_id), verdict)
    return kept


SECOND = SlotKind.SECOND_OPINION


def gone(studio: Studio) -> ReviewItem:
    """An event that was reported without content, put into the queue by hand."""
    key, _ = studio.deployment.database.transact(
        lambda connection: issue_key(
            connection, name="support-svc", scopes=[Scope.INGEST], actor="mara@northwind.example"
        )
    )
    run = {"run_id": f"run-{secrets.token_hex(4)}", "event_id": EXPIRED, "workflow": "Support", "status": "success"}
    sent = httpx.post(f"{studio.server.address}/v1/runs", json=run, headers={"x-api-key": key}, trust_env=False)
    assert sent.is_success, sent.text
    return pick(
        studio.deployment, studio.rowan, EXPIRED, "support-resolution", "Asked for by the customer's lawyer."
    )


# --- pictures -------------------------------------------------------------------------------------------------------


def focus(studio: Studio, kept: dict[str, ReviewItem]) -> None:
    review_desk.claim_item(studio.deployment, studio.ada, kept["attempts"].item_id)
    path = f"/review/{kept['attempts'].item_id}"
    studio.visit(studio.ada, path, "blind-phone", viewport=PHONE)
    studio.visit(studio.ada, path, "blind-dark", color_scheme="dark")
    studio.visit(studio.ada, f"{path}?view=diff", "diff")
    studio.visit(studio.ada, f"{path}?view=steps", "steps")
    with studio.signed_in(studio.ada) as page:
        page.goto(studio.server.address + path)
        studio.take(page, "blind")
        press(page, "?")
        studio.take(page, "keys-sheet")


def reveal(studio: Studio, kept: dict[str, ReviewItem]) -> None:
    review_desk.claim_item(studio.deployment, studio.ada, kept["differs"].item_id)
    with studio.signed_in(studio.ada) as page:
        page.goto(f"{studio.server.address}/review/{kept['differs'].item_id}")
        press(page, "2")
        page.locator(".reveal").wait_for()
        press(page, "m")
        studio.take(page, "reveal")
        page.emulate_media(color_scheme="dark")
        studio.take(page, "reveal-dark")


def injection(studio: Studio, kept: dict[str, ReviewItem]) -> None:
    review_desk.claim_item(studio.deployment, studio.ada, kept["injection"].item_id)
    studio.visit(studio.ada, f"/review/{kept['injection'].item_id}", "injection")


def lost_claim(studio: Studio, kept: dict[str, ReviewItem]) -> None:
    item = kept["lost"]
    claim = review_desk.claim_item(studio.deployment, studio.ada, item.item_id)
    with studio.signed_in(studio.ada) as page:
        page.goto(f"{studio.server.address}/review/{item.item_id}")
        page.locator("#note").fill("Pitched tents may come back within 30 days; the reply says the opposite.")
        review_desk.release(studio.deployment, studio.ada, item.item_id, claim.token)
        studio.say(studio.grace, item, VerdictLabel.PASS)
        page.locator('button[data-says="fail"]').click()
        page.locator(".alarm").wait_for()
        studio.take(page, "lost-claim")


def settling(studio: Studio, kept: dict[str, ReviewItem]) -> None:
    studio.visit(studio.rowan, "/disagreements", "disagreements")
    claim = review_desk.claim_item(studio.deployment, studio.rowan, kept["escalated"].item_id)
    studio.visit(studio.rowan, f"/review/{kept['escalated'].item_id}", "settling")
    review_desk.release(studio.deployment, studio.rowan, kept["escalated"].item_id, claim.token)
    studio.visit(studio.rowan, f"/review/{kept['told'].item_id}/story", "story")


BATCH = {"ZD-48201": "1", "ZD-48251": "2", "ZD-48258": "s", "ZD-48236": "1", "ZD-48239": "2", "ZD-48207": "2"}
"""Event → the key it is answered with."""


def a_batch(studio: Studio) -> None:
    """Six items, answered as somebody who reads them would; the toast of one that agrees, and the end."""
    for event_id in BATCH:
        pick(studio.deployment, studio.rowan, event_id, "support-resolution")
    filters = QueueFilter(workflow="Support", reason="picked")
    batch = review_desk.begin_batch(studio.deployment, studio.ada, filters, len(BATCH))
    first = review_desk.next_item(studio.deployment, studio.ada, batch_id=batch.batch_id)
    assert isinstance(first, review_desk.Claim)
    with studio.signed_in(studio.ada) as page:
        page.goto(f"{studio.server.address}/review/{first.item_id}?batch={batch.batch_id}")
        keys = {item_id_of(event_id, "support-resolution"): key for event_id, key in BATCH.items()}
        said = 0
        has_toast = False
        while "/batch/" not in page.url:
            page.wait_for_timeout(400)
            if page.locator(".mode-revealed").count():
                press(page, "Enter")
                continue
            if page.locator(".last-said.fresh", has_text="agrees").count() and not has_toast:
                studio.take(page, "agreed")
                has_toast = True
            page.wait_for_timeout(4_000 + 1_300 * said)
            said += 1
            press(page, keys[page.locator("#item").get_attribute("data-item") or ""])
            page.wait_for_timeout(400)
        studio.take(page, "batch-end")


def lists(studio: Studio) -> None:
    studio.visit(studio.ada, "/review", "queue")
    studio.visit(studio.ada, "/review", "queue-phone", viewport=PHONE)
    studio.visit(studio.rowan, "/review", "queue-author-dark", color_scheme="dark")
    studio.visit(studio.rowan, "/review?tab=done", "done")


def accounts(studio: Studio) -> None:
    studio.visit(studio.ada, "/preferences", "preferences")
    for name in ("people", "keys", "audit"):
        studio.visit(studio.mara, f"/{name}", name)
    studio.visit(None, "/sign-in", "sign-in")
    with studio.signed_in(studio.rowan) as page:
        page.goto(f"{studio.server.address}/rubrics/support-resolution/try")
        page.get_by_role("button", name="See what it takes").click()
        studio.take(page, "try-a-rubric")


def fresh(browser: Browser, folder: Path) -> None:
    """What a deployment shows before anything is in it."""
    with tempfile.TemporaryDirectory() as place:
        rubrics = Path(place) / "rubrics"
        rubrics.mkdir()
        settings = Settings(data_dir=Path(place) / "data", rubrics_dir=rubrics, database_url="", port=0)
        with running(settings, with_worker=False) as server:
            page = browser.new_page(
                viewport={"width": 1440, "height": 900}, color_scheme="light", timezone_id="Europe/Stockholm"
            )
            page.goto(f"{server.address}/set-up")
            page.get_by_label("Your name").fill("Mara Weiss")
            page.get_by_label("E-mail or name to sign in with").fill("mara@northwind.example")
            page.get_by_label("Password").fill(secrets.token_hex(10))
            page.screenshot(path=folder / "set-up.png", animations="disabled", caret="hide")
            page.get_by_role("button", name="Make the account").click()
            shutil.copyfile(ROOT / "rubrics" / "support-resolution.yaml", rubrics / "support-resolution.yaml")
            page.wait_for_timeout(1500)
            page.goto(f"{server.address}/review")
            page.screenshot(path=folder / "empty.png", animations="disabled", caret="hide")
            page.close()


def take_all(server: Running, browser: Browser, folder: Path) -> None:
    studio = Studio(server, browser, folder)
    kept = a_morning_of_work(studio)
    purged = gone(studio)
    lists(studio)
    studio.visit(studio.ada, f"/review/{kept['held'].item_id}", "held")
    focus(studio, kept)
    reveal(studio, kept)
    injection(studio, kept)
    lost_claim(studio, kept)
    settling(studio, kept)
    review_desk.claim_item(studio.deployment, studio.ada, purged.item_id)
    studio.visit(studio.ada, f"/review/{purged.item_id}", "purged")
    a_batch(studio)
    studio.visit(studio.ada, "/review?workflow=Support&older_than_hours=168", "empty-filtered")
    accounts(studio)


def main(given: str, out: str = "") -> None:
    """Copy, serve, act, and write every picture."""
    folder = Path(out) if out else ROOT / "docs" / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    program = os.environ.get("ADJUDGE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        data = Path(place) / "data"
        shutil.copytree(given, data)
        settings = Settings(data_dir=data, rubrics_dir=ROOT / "rubrics", database_url="", port=0)
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        with running(settings, with_worker=False) as server:
            take_all(server, browser, folder)
        fresh(browser, folder)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
