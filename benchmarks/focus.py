"""The focus screen: from the key that submits until the next item is on the screen, in Chromium, at a person's pace."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from benchmarks.figures import Figure
from benchmarks.load import run_to_judge, words_of
from benchmarks.reviewing import PANE_CHARS, bring_in, percentile, prepared
from benchmarks.servers import adjudge, free_port, served
from evaluator.capture.assembly import AssembledRun
from evaluator.deployment import Deployment
from evaluator.model.capture import Capture, Fidelity, Passage
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.reviewing import review_desk
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.store.database import Connection
from evaluator.store.people import add_person, new_person_id, open_session
from review_ui.guard import PLAIN_COOKIE

ITEMS = 60
ANSWERED = 50
COLD = 5
"""Of these, so many first ones are left out: a server just started is no person's day."""
PAUSE_MS = 1_000
"""From one item to the keys of the next: time in which the server draws what comes."""
BETWEEN_KEYS_MS = 50
MOST_MS = 100
"""From the key to the next item: what people take for at once."""
MOST_SERVER_MS = 40
KEYS = ("1", "2", "Enter")
"""Solved, unkind: what the judge said too, so that the next item follows; the last key submits."""
VIEWPORT = ViewportSize(width=1440, height=900)
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")

STOPWATCH = """
(() => {
  const kept = window.stopwatch = { waits: [], fragments: [] };
  performance.setResourceTimingBufferSize(100_000);
  const shown = () => document.getElementById("item")?.dataset.item;
  let pressedAt = 0, before;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") [pressedAt, before] = [event.timeStamp, shown()];
  }, true);
  document.addEventListener("htmx:after:swap", (event) => {
    if (shown() === before || !document.getElementById("item-heading")) return;
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => {
        kept.waits.push((performance.now() - pressedAt) / 1000);
        kept.fragments.push(event.detail.ctx.text);
      };
      painted.port2.postMessage(null);
    });
  });
})();
"""
"""Takes the time from the key's own time stamp to the first task after the frame that shows another item."""

SERVED = """() => performance.getEntriesByType("resource").filter((one) => one.name.endsWith("/verdict"))
  .map((one) => (one.responseStart - one.requestStart) / 1000)"""


@dataclass(frozen=True)
class Told:
    """What the browser saw, in seconds, one of each per item."""

    waits: list[float]
    """From the key to the next item."""
    served: list[float]
    """Of that, from the request's first byte out to the answer's first byte in."""
    fragments: list[str]
    first_page: str

    @property
    def kilobytes(self) -> float:
        """Of one answer."""
        return sum(len(one.encode()) for one in self.fragments) / len(self.fragments) / 1000


def measure(*, items: int = ITEMS, answered: int = ANSWERED, cold: int = COLD) -> list[Figure]:
    """A reviewer answers a batch, once of plain chats, once of dense markdown; then a bare page swaps the same answers.

    SQLite, the server in its own process. Nothing is measured where there is no Chromium: at ADJUDGE_CHROMIUM or on
    the path.
    """
    found = os.environ.get("ADJUDGE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        print("The focus screen is left out: no Chromium; ADJUDGE_CHROMIUM names one.", file=sys.stderr)
        return []
    figures: list[Figure] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        for kind, content in (("chat", plain_chat), ("markdown", dense_markdown)):
            runs = [_run(number, content) for number in range(items)]
            with tempfile.TemporaryDirectory() as folder:
                ours = _ours(browser, Path(folder), runs, answered)
            with tempfile.TemporaryDirectory() as folder:
                bare = _bare(browser, Path(folder), ours, answered)
            figures += _figures(f"focus, 32 KB {kind}", ours, bare, cold)
        browser.close()
    return figures


def _figures(name: str, ours: Told, bare: Told, cold: int) -> list[Figure]:
    def at(seconds: Sequence[float], percent: int) -> float:
        return percentile(seconds[cold:], percent)

    return [
        Figure(f"{name}: key → next item p50, ms", at(ours.waits, 50)),
        Figure(f"{name}: key → next item p95, ms", at(ours.waits, 95), "≤", MOST_MS),
        Figure(f"{name}: its server p50, ms", at(ours.served, 50)),
        Figure(f"{name}: its server p95, ms", at(ours.served, 95), "≤", MOST_SERVER_MS),
        Figure(f"{name}: bare handler p50, ms", at(bare.waits, 50)),
        Figure(f"{name}: bare handler p95, ms", at(bare.waits, 95)),
        Figure(f"{name}: bare handler's server p95, ms", at(bare.served, 95)),
        Figure(f"{name}: p50 ÷ bare handler", at(ours.waits, 50) / at(bare.waits, 50)),
        Figure(f"{name}: p95 ÷ bare handler", at(ours.waits, 95) / at(bare.waits, 95)),
        Figure(f"{name}: one answer, KB", ours.kilobytes),
    ]


def _ours(browser: Browser, folder: Path, runs: Sequence[AssembledRun], answered: int) -> Told:
    deployment, variables = prepared(folder)
    try:
        for run in runs:  # one after the other, as a judge's verdicts come in: no two have the same place in line
            bring_in(deployment, [run])
        path, cookie = _batch_of_somebody(deployment, len(runs))
    finally:
        deployment.close()
    port = free_port()
    with served(adjudge(port, "--no-worker"), port, "/healthz", variables) as server:
        return _answered(browser, f"{server.url}{path}", answered, KEYS, cookie)


def _bare(browser: Browser, folder: Path, ours: Told, answered: int) -> Told:
    (folder / "page.html").write_text(ours.first_page)
    for place, fragment in enumerate(ours.fragments):
        (folder / f"{place}.html").write_text(fragment)
    port = free_port()
    with served(["-m", "benchmarks.bare_fragments", str(folder), str(port)], port, "/healthz") as server:
        return _answered(browser, f"{server.url}/", answered, KEYS[-1:])


def _batch_of_somebody(deployment: Deployment, size: int) -> tuple[str, str]:
    """The path of the first item in the batch of a new reviewer, and the cookie that signs them in."""
    person = Person(person_id=new_person_id(), login="ada@example.com", name="Ada", role=PersonRole.REVIEWER)

    def act(connection: Connection) -> str:
        add_person(connection, person)
        return open_session(connection, person.person_id, utc_now(), deployment.settings.session_days)

    cookie = deployment.database.transact(act)
    batch = review_desk.begin_batch(deployment, person, QueueFilter(), size)
    claim = review_desk.next_item(deployment, person, batch_id=batch.batch_id)
    if not isinstance(claim, review_desk.Claim):
        raise RuntimeError(f"Nothing to review: {claim}")
    return f"/review/{claim.item_id}?batch={batch.batch_id}", cookie


def _answered(browser: Browser, url: str, answered: int, keys: Sequence[str], cookie: str = "") -> Told:
    with _tab(browser, url, cookie) as page:
        first = page.goto(url)
        if first is None or first.status != 200:
            raise RuntimeError(f"{url} is not shown")
        first_page = first.text()
        for place in range(answered):
            page.wait_for_timeout(PAUSE_MS)
            for key in keys:
                page.wait_for_timeout(BETWEEN_KEYS_MS)
                page.keyboard.press(key)
            _until_shown(page, place + 1)
        told: dict[str, Any] = page.evaluate("window.stopwatch")
        return Told(told["waits"], page.evaluate(SERVED), told["fragments"], first_page)


@contextmanager
def _tab(browser: Browser, url: str, cookie: str) -> Iterator[Page]:
    """A tab with a stopwatch in it, signed in where there is a cookie."""
    context = browser.new_context(viewport=VIEWPORT)
    if cookie:
        context.add_cookies([{"name": PLAIN_COOKIE, "value": cookie, "url": url}])
    context.add_init_script(STOPWATCH)
    yield context.new_page()
    context.close()


def _until_shown(page: Page, number: int) -> None:
    """Look seldom: what asks the page takes time from it."""
    for _ in range(100):
        page.wait_for_timeout(200)
        if page.evaluate("window.stopwatch.waits.length") >= number:
            return
    raise RuntimeError(f"Item {number} was not followed by another: {page.locator('#item').inner_text()[:300]}")


def _run(number: int, content: Callable[[int], tuple[Any, str]]) -> AssembledRun:
    """The only attempt of an event, with 32 KB on each side."""
    one = run_to_judge(number, runs_per_event=1)
    asked, answered = content(number)
    capture = Capture(
        input=Passage(value=asked, fidelity=Fidelity.FULL, dialect="report"),
        output=Passage(value=answered, fidelity=Fidelity.FULL, dialect="report"),
    )
    return AssembledRun(run=one.run.model_copy(update={"content_hash": capture.content_hash}), capture=capture)


def plain_chat(number: int) -> tuple[list[dict[str, str]], str]:
    """40 messages of two people, short enough to be shown unfolded, and the answer; all of it prose."""
    messages = 40
    share = PANE_CHARS // messages - 50  # as written, each has that much around it
    text = words_of(number, PANE_CHARS)
    asked = [
        {"role": "assistant" if place % 2 else "user", "content": text[place * share : (place + 1) * share]}
        for place in range(messages)
    ]
    return asked, words_of(-number - 1, PANE_CHARS)[:PANE_CHARS]


def dense_markdown(number: int) -> tuple[str, str]:
    """Both sides with a sign of markdown every few words: headings, emphasis, links, lists, tables and code."""
    return _markdown(2 * number), _markdown(2 * number + 1)


def _markdown(seed: int) -> str:
    words = random.Random(seed)
    text = words_of(seed, 2 * PANE_CHARS).replace(".", "").split()

    def some(most: int) -> str:
        start = words.randrange(len(text) - most)
        return " ".join(text[start : start + words.randint(3, most)])

    blocks: list[str] = []
    while sum(len(one) + 2 for one in blocks) < PANE_CHARS:
        blocks += [
            f"## {some(6).capitalize()}",
            f"{some(9)} **{some(4)}** and `{some(3)}`, see [{some(4)}](https://shop.example/{len(blocks)}). *{some(5)}*",
            "\n".join(f"{place}. **{some(4)}**: {some(8)}" for place in range(1, 5)),
            "\n".join(
                [f"| {some(3)} | {some(3)} |", "|---|---|", *(f"| *{some(4)}* | `{some(3)}` |" for _ in "1234")]
            ),
            "\n".join(f"- {some(6)}\n  - [{some(3)}](https://shop.example/{place})" for place in range(3)),
            f"> {some(9)} ~~{some(3)}~~",
            f'```json\n{{"{text[len(blocks)]}": {len(blocks)}, "said": "{some(4)}"}}\n```',
        ]
    return "\n\n".join(blocks)[:PANE_CHARS]
