"""From an empty folder to an outcome that people decide: only what pages show is typed, and it works as shown."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.load import stub_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

Found = TypeVar("Found")

ADJUDGE = (sys.executable, "-c", "import sys; from review_ui.server import main; sys.exit(main())")
JUDGE_SAYS = "as asked"
"""What the stub gives as its reasoning."""
NO_KEYS_YET = 300
"""Milliseconds after which an item takes keys."""
PASSWORDS = ("three green bottles", "four yellow bottles")
APPLICATION = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
said = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Where is my parcel?",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "At the depot."}
with provider.get_tracer("app").start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat", **said}):
    pass
"""
"""An application with OpenTelemetry that knows nothing of us but its environment."""


@dataclass(frozen=True)
class Started:
    """A server that somebody started in an empty folder."""

    address: str
    environment: dict[str, str]
    folder: Path

    def run(self, *arguments: str, **environment: str) -> str:
        """A command in the folder the server was started from; what it printed."""
        done = subprocess.run(
            arguments, env={**self.environment, **environment}, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    with stub_model(5) as judge:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ADJUDGE_", "OTEL_"))}
        own |= {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "ADJUDGE_PORT": "0",
            "ADJUDGE_JUDGE_MODEL": "openai/stub",
            "ADJUDGE_JUDGE_API_BASE": judge.api_base,
        }
        with _serving(tmp_path, own) as address:
            yield Started(address, own, tmp_path)


@contextmanager
def _serving(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """`adjudge serve`; its address once it says it."""
    with subprocess.Popen(
        [*ADJUDGE, "serve"], env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = next(line for line in process.stdout if line.startswith("Adjudge "))
            yield said.split()[1]
        finally:
            process.terminate()
            process.wait(20)


def words(command: str) -> list[str]:
    """A command's words as a shell takes them, lines that go on joined."""
    return shlex.split(command.replace("\\\n", " "))


def sent_as_shown(command: str) -> None:
    """The shown curl command, word for word, without needing curl."""
    _, url, *rest = words(command)
    given = list(zip(rest[::2], rest[1::2], strict=True))
    headers = dict(value.split(": ", 1) for flag, value in given if flag == "-H")
    (body,) = [value for flag, value in given if flag == "-d"]
    assert httpx.post(url, headers=headers, content=body).status_code == 200


def within(seconds: float, look: Callable[[], Found | None]) -> Found:
    """What is found once it is there."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found


@dataclass(frozen=True)
class Told:
    """What a resolver reads with the key of the first app."""

    address: str
    key: str

    def read(self, path: str) -> dict[str, Any]:
        answer = httpx.get(self.address + path, headers={"x-api-key": self.key})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def outcome(self, event_id: str) -> tuple[str, str] | None:
        """The newest revision in the feed: outcome, and who decided it."""
        found = [each for each in self.read("/v1/outcomes?limit=100")["items"] if each["event_id"] == event_id]
        return (found[-1]["final_outcome"], found[-1]["decided_by"]) if found else None


def shown(page: Page, begins: str) -> str:
    """The lines to copy that begin so."""
    (found,) = [text for text in page.locator("pre").all_inner_texts() if text.startswith(begins)]
    return found


def set_up(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Set up accounts").first.click()
    page.get_by_label("Your name").fill("Ada Lindqvist")
    page.get_by_label("E-mail or name").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORDS[0])
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("First steps")


def first_event(page: Page, started: Started) -> Told:
    """A key, a rubric and a run, each as the page shows it; what the key then reads."""
    page.get_by_role("button", name="Make a key").click()
    key = re.search(r"adj_[\w-]{43}", page.content())
    assert key is not None
    run, exports = shown(page, "curl"), shown(page, "export")
    command, *arguments = words(shown(page, "adjudge rubrics new"))
    assert command == "adjudge"
    started.run(*ADJUDGE, *arguments)
    within(5, lambda: is_there(page))
    sent_as_shown(run)
    told = Told(started.address, key[0])
    assert within(20, lambda: told.outcome("ticket-4711")) == ("success", "judge")
    page.goto(f"{started.address}/set-up/next")
    expect(page.get_by_text("ticket-4711")).to_be_visible()
    named = dict(line.split("#")[0].removeprefix("export ").strip().split("=", 1) for line in exports.splitlines())
    started.run(sys.executable, "-c", APPLICATION, **named)
    within(20, lambda: len(told.read("/v1/outcomes?limit=100")["items"]) >= 2 or None)
    return told


def is_there(page: Page) -> bool | None:
    """Whether the rubric is in force, as the page says once it is asked again."""
    page.get_by_role("link", name="Is it there?").click()
    return page.get_by_text("In force").count() > 0 or None


def answer_by_key(page: Page, key: str) -> None:
    page.wait_for_timeout(NO_KEYS_YET)
    page.keyboard.press(key)


def test_a_newcomer_gets_from_nothing_to_an_outcome_that_a_person_decides(
    chromium: Browser, started: Started
) -> None:
    page = chromium.new_context().new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    set_up(page, started.address)
    told = first_event(page, started)

    page.goto(f"{started.address}/review")
    page.get_by_text("Add events by hand", exact=True).click()
    page.get_by_label("Events").fill("ticket-4711")
    page.get_by_role("button", name="Add to the queue").click()
    page.get_by_role("link", name="ticket-4711").click()
    if page.get_by_role("button", name="Claim").count():
        page.get_by_role("button", name="Claim").click()
    assert JUDGE_SAYS not in page.content()
    answer_by_key(page, "2")
    expect(page.get_by_text("You and the judge differ.")).to_be_visible()
    assert JUDGE_SAYS in page.content()
    assert told.outcome("ticket-4711") == ("failed", "human")
    (review,) = told.read("/v1/events/ticket-4711")["reviews"]
    assert (review["reviewer"], review["verdict"], review["blind"]) == ("Ada Lindqvist", "fail", True)

    answer_by_key(page, "z")
    expect(page.get_by_text("Taken back").first).to_be_attached()
    assert told.outcome("ticket-4711") == ("success", "judge")
    answer_by_key(page, "r")
    expect(page).to_have_url(re.compile(r"/review(\?|$)"))

    bo = invited(page, chromium, started.address)
    bo.goto(f"{started.address}/review")
    bo.get_by_role("link", name="ticket-4711").click()
    if bo.get_by_role("button", name="Claim").count():
        bo.get_by_role("button", name="Claim").click()
    assert JUDGE_SAYS not in bo.content()
    answer_by_key(bo, "2")
    expect(bo.get_by_text("You and the judge differ.")).to_be_visible()
    assert told.outcome("ticket-4711") == ("failed", "human")
    assert {each["reviewer"] for each in told.read("/v1/events/ticket-4711")["reviews"]} == {"Ada Lindqvist", "Bo"}

    forgets(bo, page, started.address)
    assert said == []


def invited(page: Page, chromium: Browser, address: str) -> Page:
    """A second person in a browser of their own, let in by the link."""
    page.goto(f"{address}/people")
    page.get_by_label("Name", exact=True).fill("Bo")
    page.get_by_label("E-mail or name").fill("bo@example.com")
    page.get_by_label("Role").select_option("reviewer")
    page.get_by_role("button", name="Invite").click()
    bo = chromium.new_context().new_page()
    bo.goto(shown(page, "http").strip())
    bo.get_by_label("Password").fill(PASSWORDS[0])
    bo.get_by_role("button", name="Keep it and sign in").click()
    expect(bo).to_have_url(f"{address}/review")
    return bo


def forgets(bo: Page, boss: Page, address: str) -> None:
    """Out, in with a wrong password, then with a new one by an admin's link."""
    bo.get_by_text("Bo", exact=False).first.click()
    bo.get_by_role("button", name="Sign out").click()
    bo.get_by_label("E-mail or name").fill("bo@example.com")
    bo.get_by_label("Password").fill("never that one")
    bo.get_by_role("button", name="Sign in").click()
    expect(bo.get_by_text("do not fit together")).to_be_visible()
    expect(bo.get_by_text("An admin here can give you a link")).to_be_visible()
    boss.goto(f"{address}/people")
    boss.get_by_role("link", name="Bo").click()
    boss.get_by_role("button", name="Make a link").click()
    bo.goto(shown(boss, "http").strip())
    bo.get_by_label("Password").fill(PASSWORDS[1])
    bo.get_by_role("button", name="Keep it and sign in").click()
    expect(bo).to_have_url(f"{address}/review")
