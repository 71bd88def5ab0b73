"""The first account, made in the browser, and the steps after it."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from evaluator.accounts.people_directory import set_up_code
from evaluator.deployment import Deployment
from evaluator.model.person import PersonRole
from evaluator.store.people import list_people
from review_ui.server import announce_set_up
from review_ui.serving import build_app
from tests.accounts.people_world import FROM_A_PAGE, sign_in, somebody
from tests.review_ui.page_checks import assert_well_made
from tests.reviewing.review_world import judged_event
from tests.world import add_rubric

FORM = {"name": "Ada", "login": "Ada@example.com", "password": "three green bottles", "time_zone": "Europe/Berlin"}


@pytest.fixture
def newcomer(browser: TestClient) -> TestClient:
    """Whoever just started the server, in front of it."""
    browser.headers.update(FROM_A_PAGE)
    return browser


def test_a_newcomer_comes_from_nothing_to_a_first_run(
    newcomer: TestClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.rubric_shelf._LOOK_AGAIN_SECONDS", 0.0)
    status = newcomer.get("/")
    assert 'href="/set-up"' in status.text
    page = newcomer.get("/sign-in")
    assert page.url.path == "/set-up"
    assert_well_made(page.text)
    assert 'name="code"' not in page.text

    steps = newcomer.post("/set-up", data=FORM)
    assert steps.url.path == "/set-up/next"
    assert_well_made(steps.text)
    assert "Nothing has arrived yet" in steps.text
    with_key = newcomer.post("/set-up/next")
    assert_well_made(with_key.text)
    key = re.search(r"adj_[\w-]{43}", with_key.text)
    assert key is not None
    sent = newcomer.post(
        "/v1/runs",
        json={"event_id": "ticket-4711", "workflow": "Support", "input": "q", "output": "a"},
        headers={"authorization": f"Bearer {key[0]}"},
    )
    assert sent.status_code == 200
    early = newcomer.get("/set-up/next").text
    assert "no such folder" not in early, "the step says what to do already"
    add_rubric(deployment.settings.rubrics_dir)
    arrived = newcomer.get("/set-up/next").text
    assert_well_made(arrived)
    assert "The first run arrived" in arrived
    assert "ticket-4711" in arrived
    assert key[0] not in arrived
    assert "adjudge judge --last 100" in arrived, "the run came before its rubric"


def test_the_first_event_can_be_reviewed_whatever_the_policy_asks(
    newcomer: TestClient, deployment: Deployment
) -> None:
    newcomer.post("/set-up", data=FORM)
    judged_event(deployment, "ticket-4711")
    steps = newcomer.get("/set-up/next").text
    assert "Put it into the queue" in steps
    rubric = re.search(r'name="rubric" value="([^"]+)"', steps)
    assert rubric is not None
    queue = newcomer.post("/review/pick", data={"events": "ticket-4711", "rubric": rubric[1]})
    assert "1 event in the queue" in queue.text
    assert "1 item in the queue" in newcomer.get("/set-up/next").text


def test_steps_are_found_again(newcomer: TestClient) -> None:
    newcomer.post("/set-up", data=FORM)
    for path in ("/", "/review"):
        page = newcomer.get(path).text
        assert_well_made(page)
        assert 'href="/set-up/next"' in page


def test_the_first_account_is_an_admin_s_and_the_set_up_is_over(
    newcomer: TestClient, deployment: Deployment
) -> None:
    newcomer.post("/set-up", data=FORM)
    with deployment.database.read() as connection:
        (ada,) = list_people(connection)
    assert (ada.login, ada.role, ada.likes.time_zone) == ("ada@example.com", PersonRole.ADMIN, "Europe/Berlin")
    newcomer.cookies.clear()
    assert newcomer.get("/set-up").status_code == 404
    assert newcomer.post("/set-up", data={**FORM, "login": "eve"}).status_code == 404
    assert newcomer.get("/").url.path == "/sign-in"


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(newcomer: TestClient) -> None:
    answer = newcomer.post("/set-up", data={**FORM, "login": "a b", "password": "ada-secret"})
    assert answer.status_code == 400
    assert_well_made(answer.text)
    assert 'value="Ada"' in answer.text
    assert 'value="a b"' in answer.text
    assert "ada-secret" not in answer.text
    assert 'id="password-problem"' in answer.text
    assert 'aria-describedby="password-hint password-problem"' in answer.text


def test_another_site_s_page_cannot_set_a_server_up(browser: TestClient, deployment: Deployment) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
        assert browser.post("/set-up", data=FORM, headers=headers).status_code == 403
    with deployment.database.read() as connection:
        assert list_people(connection) == []


def test_from_another_machine_it_takes_the_code_that_was_printed(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    announce_set_up(deployment, "http://localhost:8700")
    printed = capsys.readouterr().out.strip()
    assert printed.endswith(f"/set-up?code={set_up_code(deployment)}")
    app = build_app(deployment)
    with TestClient(app, base_url="http://localhost:8700", client=("172.17.0.1", 1), headers=FROM_A_PAGE) as client:
        assert client.get("/").url.path == "/set-up"
        page = client.get(printed.removeprefix("Set up    "))
        assert f'value="{set_up_code(deployment)}"' in page.text
        for code in ("", "0" * 16, "é"):
            refused = client.post("/set-up", data={**FORM, "code": code})
            assert (refused.status_code, "not the code" in refused.text) == (400, True)
        done = client.post("/set-up", data={**FORM, "code": set_up_code(deployment)}, follow_redirects=False)
        assert done.status_code == 303
    announce_set_up(deployment, "http://localhost:8700")
    assert capsys.readouterr().out == ""


def test_a_code_cannot_be_guessed_at_length(deployment: Deployment) -> None:
    app = build_app(deployment)
    with TestClient(app, base_url="http://localhost:8700", client=("172.17.0.1", 1), headers=FROM_A_PAGE) as client:
        answers = [client.post("/set-up", data={**FORM, "code": f"{n}"}).status_code for n in range(21)]
    assert answers == [400] * 20 + [503]


def test_the_steps_are_for_admins(newcomer: TestClient, deployment: Deployment) -> None:
    sign_in(newcomer, deployment, somebody(deployment, role=PersonRole.AUTHOR))
    assert newcomer.get("/set-up/next").status_code == 403
    assert newcomer.post("/set-up/next").status_code == 403
