"""Hostile content on the page of one item in a real browser: nothing runs, nothing is fetched, nothing moves out of its pane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, expect

from evaluator.model.columns import utc_now
from evaluator.model.review import ReviewItem
from evaluator.store.people import open_session
from review_ui.guard import PLAIN_COOKIE
from review_ui.item_panes import View
from review_ui.rendering.content import Mark, rendered
from review_ui.serving import Running
from tests.accounts.people_world import somebody
from tests.review_ui.rendering.payloads import PAYLOADS, TEXTS
from tests.review_ui.rendering.test_run_steps import CALL, ROOT, TOOL, run_of
from tests.reviewing.review_world import item_in_queue, judged_event

pytestmark = pytest.mark.slow

A_PAGE = 8
"""Payloads shown on one page: one as the answer, the others in the chat that asked for it."""
THEMES = [{"color_scheme": "light"}, {"color_scheme": "dark"}]
STRAYS = """() => {
  const out = [];
  for (const pane of document.querySelectorAll(".pane")) {
    const within = pane.getBoundingClientRect();
    if (pane.scrollWidth > pane.clientWidth + 1) out.push(`${pane.id} scrolls sideways`);
    for (const each of pane.querySelectorAll(".shown, .shown *")) {
      const box = each.getBoundingClientRect();
      if (each.closest(".c-wide")?.contains(each) && !each.matches(".c-wide")) continue;
      if (box.width && (box.left < within.left - 1 || box.right > within.right + 1))
        out.push(`${each.tagName}.${each.className} ${Math.round(box.left)}-${Math.round(box.right)}`);
    }
  }
  return out.slice(0, 5);
}"""
STATE = """() => ({
  hit: typeof window.hit,
  names: Object.getOwnPropertyNames(document).sort(),
  polluted: Object.keys(Object.prototype),
  ids: [...document.querySelectorAll(".shown [id]")].map((each) => each.id).filter((id) => !id.startsWith("evidence-")),
  forms: document.querySelectorAll(".shown :is(form, input, button, iframe, img, svg, script, style, meta, base, link)").length,
  moved: [...document.querySelectorAll(".shown, .shown *")].filter((each) => ["fixed", "sticky"].includes(getComputedStyle(each).position)).length,
})"""


@dataclass
class Watched:
    """A page, and all that happened which must not."""

    page: Page
    server: Running
    dialogs: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("dialog", self._dismiss)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("popup", lambda popup: self.opened.append(popup.url))
        self.page.on("request", self._see)

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _see(self, request: Request) -> None:
        if not request.url.startswith(f"{self.server.address}/"):
            self.foreign.append(request.url)
        elif request.resource_type not in ("document", "stylesheet", "script", "image", "other"):
            self.sent.append(request.url)

    def assert_calm(self, path: str) -> None:
        """Raises AssertionError where content did anything at all, or stands where it must not."""
        page = self.page
        happened = (self.dialogs, self.said, self.foreign, self.opened, self.sent)
        assert happened == ([], [], [], [], [])
        assert page.url == self.server.address + path
        assert page.title().endswith("Adjudge")
        state = page.evaluate(STATE)
        assert (state["hit"], state["ids"], state["forms"], state["moved"]) == ("undefined", [], 0, 0)
        assert state["polluted"] == []
        assert state["names"] == ["location"]
        assert page.evaluate(STRAYS) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")

    def show(self, path: str) -> None:
        self.page.goto(self.server.address + path)
        self.page.evaluate("document.querySelectorAll('.shown details').forEach((each) => { each.open = true; })")
        self.assert_calm(path)


@pytest.fixture
def watched(chromium: Browser, server: Running, request: pytest.FixtureRequest) -> Iterator[Watched]:
    how = getattr(request, "param", {})
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    sign_in(context, server)
    yield Watched(context.new_page(), server)
    context.close()


def sign_in(context: BrowserContext, server: Running) -> None:
    person, days = somebody(server.deployment), server.deployment.settings.session_days
    cookie = server.deployment.database.transact(
        lambda connection: open_session(connection, person.person_id, utc_now(), days)
    )
    context.add_cookies([{"name": PLAIN_COOKIE, "value": cookie, "url": server.address}])


def sendable(value: Any) -> Any:
    """The value as it can be sent and kept as JSON: without NUL, half surrogate pairs and numbers that are none."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, dict):
        return {sendable(str(name)): sendable(each) for name, each in list(value.items())}
    if isinstance(value, list | tuple):
        return [sendable(each) for each in value]
    return value if value is None or isinstance(value, bool) else str(value)[:40]


def bounded(value: Any, depth: int = 0) -> Any:
    """The value no deeper than what is taken in."""
    if depth > 60:
        return "deep"
    if isinstance(value, dict):
        return {name: bounded(each, depth + 1) for name, each in value.items()}
    return [bounded(each, depth + 1) for each in value] if isinstance(value, list) else value


def pages_of_payloads() -> dict[str, dict[str, Any]]:
    """Event id → input and output of its run, all payloads among them."""
    kept = [bounded(sendable(value)) for value in PAYLOADS.values()]
    groups = [kept[at : at + A_PAGE] for at in range(0, len(kept), A_PAGE)]
    return {
        f"hostile-{at}": {
            "input": [{"role": "user", "content": each} for each in group[1:]] or "nothing",
            "output": group[0],
        }
        for at, group in enumerate(groups)
    }


@pytest.mark.parametrize(
    "watched",
    [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}],
    ids=["wide", "phone"],
    indirect=True,
)
def test_no_payload_does_anything_or_leaves_its_pane(watched: Watched) -> None:
    for event_id, run in pages_of_payloads().items():
        item = item_in_queue(watched.server.deployment, event_id=event_id, run=run)
        for view in ("", "?view=raw"):
            watched.show(f"/review/{item.item_id}{view}")


def test_what_is_folded_does_nothing_when_it_is_shown_whole(watched: Watched) -> None:
    everything = "\n\n".join(sendable(text) for text in TEXTS.values())
    item = item_in_queue(watched.server.deployment, run={"input": everything[:150_000], "output": TEXTS["svg"]})
    watched.show(f"/review/{item.item_id}")
    watched.page.get_by_role("link", name="Show all").first.click()
    expect(watched.page.locator(".fold")).to_have_count(0)
    assert (watched.dialogs, watched.said, watched.foreign, watched.opened) == ([], [], [], [])
    assert watched.page.evaluate(STRAYS) == []
    assert watched.page.evaluate("typeof window.hit") == "undefined"


@pytest.mark.parametrize("watched", THEMES, indirect=True, ids=str)
def test_differences_between_hostile_attempts_do_nothing(watched: Watched) -> None:
    deployment = watched.server.deployment
    before, after = list(map(sendable, TEXTS.values()))[:40], list(map(sendable, TEXTS.values()))[20:60]
    judged_event(deployment, "hostile", input="first", output="\n".join(before))
    item = item_in_queue(deployment, event_id="hostile", run={"input": "again", "output": "\n".join(after)})
    watched.show(f"/review/{item.item_id}?view={View.DIFFERENCE}")
    assert watched.page.locator(".c-difference del").count()
    assert watched.page.locator(".c-difference ins").count()
    found = Axe().run(watched.page)
    assert found.violations_count == 0, found.generate_report()


def shown(watched: Watched, answer: Any) -> ReviewItem:
    item = item_in_queue(watched.server.deployment, run={"input": "A question", "output": answer})
    watched.show(f"/review/{item.item_id}")
    return item


def test_a_link_does_nothing_until_its_whole_address_was_seen(watched: Watched) -> None:
    item = shown(watched, "[https://bank.example](https://evil.example/login?next=bank.example) **urgent**")
    page = watched.page
    assert "(evil.example)" in page.locator(".c-md p").inner_text()
    page.locator(".c-link").click()
    watched.assert_calm(f"/review/{item.item_id}")
    address = page.locator(".c-links a")
    assert address.inner_text() == address.get_attribute("href") == "https://evil.example/login?next=bank.example"
    assert address.get_attribute("target") == "_blank"
    assert address.get_attribute("rel") == "noopener noreferrer nofollow ugc"


def test_what_turns_text_is_seen_as_an_escape(watched: Watched) -> None:
    shown(watched, TEXTS["bidi overrides"])
    escapes = watched.page.locator(".pane .escape")
    assert escapes.all_inner_texts()[0] == "\\u202e"
    assert escapes.first.bounding_box()["width"] > 10  # type: ignore[index]
    assert "invoice\\u202egpj.exe" in watched.page.locator("#pane-answer").inner_text()


def test_marks_piled_up_stay_within_their_line(watched: Watched) -> None:
    shown(watched, TEXTS["marks piled up"] + "\n\nA second paragraph")
    box = watched.page.locator("#pane-answer .shown").bounding_box()
    assert box is not None
    assert watched.page.evaluate("getComputedStyle(document.querySelector('.shown')).contain") == "paint"
    assert box["height"] < 3_000


@pytest.mark.parametrize("watched", THEMES, indirect=True, ids=str)
@pytest.mark.parametrize(
    "name",
    [
        "clobbering",
        "table with html",
        "many headings",
        "wide table",
        "link of another script",
        "anthropic parts",
        "five hundred items",
        "bidi isolates never closed",
    ],
)
def test_content_of_every_kind_is_accessible(watched: Watched, name: str) -> None:
    shown(watched, sendable(PAYLOADS[name]))
    found = Axe().run(watched.page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("watched", THEMES, indirect=True, ids=str)
def test_marked_quotes_are_accessible_and_do_nothing(watched: Watched) -> None:
    """Put into the page as it is, since only judges that really answered have quotes."""
    item = shown(watched, "x")
    value = [
        {"role": "user", "content": TEXTS["table with html"]},
        {"role": "tool", "content": '{"status": 7, "b": "<i>"}'},
    ]
    marks = [Mark("out", TEXTS["script"], "1"), Mark('"status": 7', '" onclick="x', "2"), Mark("<b>", "", "<b>")]
    html = rendered(value, marks=marks).html
    assert html.count("<mark") >= 4
    watched.page.evaluate("html => { document.querySelector('#pane-answer .part').innerHTML = html; }", str(html))
    watched.assert_calm(f"/review/{item.item_id}")
    found = Axe().run(watched.page)
    assert found.violations_count == 0, found.generate_report()


def test_steps_are_accessible_and_do_nothing(watched: Watched) -> None:
    deployment = watched.server.deployment
    hostile = {
        **CALL,
        "gen_ai.request.model": TEXTS["script"],
        "gen_ai.output.messages": TEXTS["image with onerror"],
    }
    run = run_of(deployment, (TEXTS["svg"], ROOT, hostile, 100, 400, 2), ("find", ROOT, TOOL, 100, 400, 0))
    item = item_in_queue(deployment, event_id=run.event_id, deciding_run_id=run.run_id)
    watched.show(f"/review/{item.item_id}?view={View.STEPS}")
    assert watched.page.locator(".c-step").count() == 3
    found = Axe().run(watched.page)
    assert found.violations_count == 0, found.generate_report()
