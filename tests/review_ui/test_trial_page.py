"""An author tries a text of a rubric on the last events, from the page to the comparison."""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.model.backtest import Backtest, BacktestState
from evaluator.model.person import PersonRole
from evaluator.settings import Settings
from evaluator.store.api_keys import audit_trail
from evaluator.store.backtests import backtests_of
from review_ui.serving import running
from tests.accounts.people_world import sign_in, somebody
from tests.panel_stub import Panel, panel_of
from tests.review_ui.page_checks import assert_well_made
from tests.test_pipeline import judge_all, report
from tests.world import CHECKED_RUBRIC, RUBRIC, add_rubric

LINK, NO_LINK = "See https://shop.example/track/9", "We value your feedback."
STRICTER = CHECKED_RUBRIC.format(id="links", role="outcome", workflow="Support").replace(
    "check: contains_url", "check: regex, value: 'https://shop'"
)


@pytest.fixture
def links(deployment: Deployment) -> Deployment:
    """Three tickets judged by a rubric that wants a link, which is in force."""
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    report(deployment, event_id="t1", run_id="r1", output=LINK)
    report(deployment, event_id="t2", run_id="r2", output="See https://other.example/")
    report(deployment, event_id="t3", run_id="r3", output=NO_LINK)
    judge_all(deployment)
    return deployment


@pytest.fixture
def author(links: Deployment, browser: TestClient) -> TestClient:
    """The browser of an author."""
    sign_in(browser, links, somebody(links, "Bea", PersonRole.AUTHOR, login="bea@example.com"))
    return browser


def plan_in(page: str) -> str:
    (plan,) = re.findall(r'name="plan" value="([^"]+)"', page)
    return str(plan)


def begin(client: TestClient, text: str) -> str:
    """Look, confirm; where it is shown."""
    shown = client.post("/rubrics/links/try", data={"text": text})
    assert shown.status_code == 200, shown.text
    started = client.post(
        "/rubrics/links/try/start", data={"text": text, "plan": plan_in(shown.text)}, follow_redirects=False
    )
    assert started.status_code == 303, started.text
    return str(started.headers["location"])


def ended(deployment: Deployment, patience: float = 20.0) -> Backtest:
    deadline = time.monotonic() + patience
    while True:
        with deployment.database.read() as connection:
            (found,) = backtests_of(connection, "links")
        if found.state != BacktestState.RUNNING:
            return found
        assert time.monotonic() < deadline, "never ended"
        time.sleep(0.05)


def test_the_page_begins_with_the_text_in_force(author: TestClient) -> None:
    page = author.get("/rubrics/links/try").text
    assert_well_made(page)
    (text,) = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert html.unescape(text) == CHECKED_RUBRIC.format(id="links", role="outcome", workflow="Support")
    assert 'href="/rubrics/links/try"' in author.get("/rubrics/links").text


def test_what_it_takes_is_shown_before_anything_is_judged(links: Deployment, author: TestClient) -> None:
    page = author.post("/rubrics/links/try", data={"text": STRICTER}).text
    assert_well_made(page)
    assert re.search(r"3 events with 3 runs, the text against version <code>\w{8}</code>, in force now\.", page)
    assert str(links.settings.rubrics_dir) not in page
    assert "No judge is called: it costs nothing." in page
    with links.database.read() as connection:
        assert backtests_of(connection, "links") == []


def test_a_confirmed_trial_runs_to_its_comparison_in_the_author_s_name(
    links: Deployment, author: TestClient
) -> None:
    where = begin(author, STRICTER)
    found = ended(links)
    assert (found.state, found.done, found.started_by) == (BacktestState.DONE, 6, "bea@example.com")
    page = author.get(where).text
    assert_well_made(page)
    assert "r2" in page
    with links.database.read() as connection:
        assert [entry.actor for entry in audit_trail(connection) if entry.act == "backtest"] == ["bea@example.com"]


def test_a_text_with_errors_is_shown_with_them_and_kept(author: TestClient) -> None:
    broken = STRICTER.replace("criteria:", "critera:")
    answer = author.post("/rubrics/links/try", data={"text": broken})
    assert answer.status_code == 422
    assert_well_made(answer.text)
    assert "did you mean" in answer.text
    assert "critera:" in answer.text
    assert 'name="plan"' not in answer.text


@pytest.mark.parametrize("text", ["", "just words", "a: [", "\x00", "{}", "&a [*a]", "<script>alert(1)</script>"])
def test_whatever_is_pasted_is_answered_and_never_run(author: TestClient, text: str) -> None:
    answer = author.post("/rubrics/links/try", data={"text": text})
    assert answer.status_code == 422
    assert_well_made(answer.text)
    assert "<script>alert" not in answer.text


def test_another_rubric_s_text_is_refused(author: TestClient) -> None:
    answer = author.post("/rubrics/links/try", data={"text": STRICTER.replace("id: links", "id: other")})
    assert answer.status_code == 422
    assert "here links is tried" in answer.text


def test_a_text_survives_the_round_character_by_character(author: TestClient) -> None:
    text = STRICTER + "# tab\there, <b>, &amp;, \u202e, 'quotes' and \"more\"\n\n"
    page = author.post("/rubrics/links/try", data={"text": text.replace("\n", "\r\n")}).text
    (in_area,) = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    (hidden,) = re.findall(r'name="text" value="(.*?)">', page, re.DOTALL)
    assert html.unescape(in_area) == html.unescape(hidden) == text


def test_what_was_not_shown_is_not_begun(links: Deployment, author: TestClient) -> None:
    shown = author.post("/rubrics/links/try", data={"text": STRICTER})
    other = STRICTER.replace("https://shop", "https://other")
    answer = author.post("/rubrics/links/try/start", data={"text": other, "plan": plan_in(shown.text)})
    assert answer.status_code == 409
    assert "has changed meanwhile" in answer.text
    with links.database.read() as connection:
        assert backtests_of(connection, "links") == []


def test_what_does_not_run_here_is_not_stopped_here(author: TestClient) -> None:
    links = begin(author, STRICTER)
    while "It does not run on this server" not in author.post(f"{links}/stop").text:
        time.sleep(0.05)
    assert "It does not run" not in author.get(links).text


def test_without_stored_runs_there_is_nothing_to_try(deployment: Deployment, browser: TestClient) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    sign_in(browser, deployment, somebody(deployment, role=PersonRole.AUTHOR))
    answer = browser.post("/rubrics/links/try", data={"text": STRICTER})
    assert answer.status_code == 422
    assert "No stored run fits" in answer.text


def test_a_rubric_that_is_not_there_is_told(author: TestClient) -> None:
    assert author.get("/rubrics/none/try").status_code == 404
    assert author.post("/rubrics/none/try", data={"text": STRICTER}).status_code == 404


@pytest.mark.parametrize("role", [PersonRole.VIEWER, PersonRole.REVIEWER])
def test_trying_is_for_authors(links: Deployment, browser: TestClient, role: PersonRole) -> None:
    sign_in(browser, links, somebody(links, role=role))
    assert browser.get("/rubrics/links/try").status_code == 403
    for path in ("try", "try/start", "backtests/x/stop"):
        assert browser.post(f"/rubrics/links/{path}", data={"text": STRICTER}).status_code == 403
    assert "/rubrics/links/try" not in browser.get("/rubrics/links").text


def test_another_site_s_page_begins_nothing(author: TestClient) -> None:
    author.headers.update({"sec-fetch-site": "cross-site"})
    for path in ("try", "try/start", "backtests/x/stop"):
        assert author.post(f"/rubrics/links/{path}", data={"text": STRICTER}).status_code == 403


@contextmanager
def served(settings: Settings, panel: Panel, *, with_worker: bool) -> Iterator[tuple[Deployment, TestClient]]:
    """A whole server whose rubric asks a model, one event judged; and an author's browser."""
    changed = settings.model_copy(
        update={
            "port": 0,
            "judge_model": "openai/steady",
            "judge_api_base": panel.address,
            "judge_input_usd_per_mtok": 1.0,
        }
    )
    add_rubric(changed.rubrics_dir, rubric_id="links", text=RUBRIC)
    with running(changed, with_worker=with_worker) as server:
        deployment = server.deployment
        for number in range(4):
            report(deployment, event_id=f"t{number}", run_id=f"r{number}", input=f"Where is order {number}?")
        client = TestClient(server.app, base_url="http://localhost:8700", client=("127.0.0.1", 50000))
        sign_in(client, deployment, somebody(deployment, role=PersonRole.AUTHOR))
        yield deployment, client


ASKED_OTHERWISE = RUBRIC.format(id="links", role="outcome", workflow="Support").replace(
    "Does the answer", "Does it"
)


@pytest.mark.slow
@pytest.mark.parametrize("with_worker", [True, False], ids=["beside the worker", "without one"])
def test_a_trial_that_calls_judges_shows_its_cost_first_can_be_stopped_and_goes_on(
    settings: Settings, with_worker: bool
) -> None:
    may_answer, asked = threading.Event(), threading.Event()
    with panel_of(steady=["pass"]) as panel:

        def wait(_model: str) -> None:
            asked.set()
            assert may_answer.wait(20)

        with served(settings, panel, with_worker=with_worker) as (deployment, client):
            panel.at_call = wait
            page = client.post("/rubrics/links/try", data={"text": ASKED_OTHERWISE}).text
            assert re.search(r"About \d+ calls and \$0\.\d+", page), page
            where = begin(client, ASKED_OTHERWISE)
            assert asked.wait(20)
            assert 'action="' + where + '/stop"' in client.get(where).text
            other = ASKED_OTHERWISE.replace("Does it", "Does this")
            shown = client.post("/rubrics/links/try", data={"text": other}).text
            refused = client.post("/rubrics/links/try/start", data={"text": other, "plan": plan_in(shown)})
            assert refused.status_code == 409
            assert "Another trial is running" in refused.text
            stopped = client.post(f"{where}/stop").text
            assert "Stopping: what is being asked may finish." in stopped
            assert f'{where}/stop"' not in stopped
            may_answer.set()
            assert ended(deployment).state == BacktestState.STOPPED
            panel.at_call = lambda _model: None
            assert begin(client, ASKED_OTHERWISE) == where
            found = ended(deployment)
            assert (found.state, found.done) == (BacktestState.DONE, found.planned)


@pytest.mark.slow
def test_a_judge_that_cannot_be_reached_ends_the_trial_visibly(settings: Settings) -> None:
    with panel_of(steady=[401]) as panel, served(settings, panel, with_worker=False) as (deployment, client):
        where = begin(client, ASKED_OTHERWISE)
        assert ended(deployment).state == BacktestState.STOPPED
        page = client.get(where).text
        assert "Stopped after 0 of" in page
        assert "trying the same text again" in page
