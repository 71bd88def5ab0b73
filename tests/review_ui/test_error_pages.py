"""Errors as pages for browsers, as problem+json for programs, as a part of the page for scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.errors import Conflict, Misconfigured, Overloaded, WrongRole
from evaluator.model.person import PersonRole
from review_ui.error_pages import own_path
from review_ui.serving import build_app
from tests.accounts.people_world import sign_in, somebody
from tests.review_ui.page_checks import assert_well_made

HTML = {"accept": "text/html,application/xhtml+xml"}
CUSTOMER = "customer-4711"


@pytest.fixture
def browser(deployment: Deployment) -> Iterator[TestClient]:
    """A browser of somebody signed in, on a server with pages that fail."""
    router = APIRouter()
    errors: dict[str, Exception] = {
        "conflict": Conflict("Somebody holds it."),
        "busy": Overloaded(),
        "wrong": Misconfigured("A setting."),
        "role": WrongRole("This needs an author."),
        "broken": ZeroDivisionError(CUSTOMER),
    }

    @router.api_route("/fails/{how}", methods=["GET", "POST"])
    def fails(how: str) -> None:
        raise errors[how]

    app: FastAPI = build_app(deployment)
    app.include_router(router)
    with TestClient(app, base_url="http://localhost:8700", client=("127.0.0.1", 1)) as client:
        somebody(deployment, "Grace", PersonRole.ADMIN)
        sign_in(client, deployment, somebody(deployment, "Ada"))
        yield client


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nowhere", 404, "There is nothing here"),
        ("/audit?before=x", 400, "cannot be used"),
        ("/rubrics/%00", 400, "null character"),
        ("/people", 403, "This is not allowed"),
        ("/fails/conflict", 409, "Somebody holds it."),
        ("/fails/busy", 503, "Too busy just now"),
        ("/fails/wrong", 500, "A setting."),
        ("/fails/broken", 500, "nobody expected"),
    ],
)
def test_a_browser_gets_a_page_that_says_what_and_under_which_request(
    browser: TestClient, deployment: Deployment, path: str, status: int, words: str
) -> None:
    if path.startswith("/audit"):
        sign_in(browser, deployment, somebody(deployment, "Root", PersonRole.ADMIN))
    answer = browser.get(path, headers=HTML)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert words in answer.text
    assert "Request <code>" in answer.text
    assert CUSTOMER not in answer.text
    assert_well_made(answer.text)


def test_a_program_gets_problem_json_as_ever(browser: TestClient) -> None:
    for path in ("/nowhere", "/fails/conflict"):
        assert browser.get(path).headers["content-type"] == "application/problem+json"
    for path in ("/v1/nowhere", "/v1/keys"):
        assert browser.get(path, headers=HTML).headers["content-type"] == "application/problem+json"


def test_what_was_kept_is_said_of_what_would_have_changed_something(browser: TestClient) -> None:
    told = browser.post("/fails/conflict", headers={**HTML, "referer": "http://localhost:8700/rubrics?x=1"}).text
    assert "Nothing of this request was stored" in told
    assert 'href="/rubrics"' in told
    assert "look before you send it again" in browser.post("/fails/broken", headers=HTML).text
    assert browser.post("/fails/busy", headers=HTML).headers["retry-after"] == "2"


def test_a_script_gets_the_part_alone(browser: TestClient) -> None:
    part = browser.post("/fails/conflict", headers={"hx-request": "true"})
    assert (part.status_code, "<html" in part.text, 'role="alert"' in part.text) == (409, False, True)


def test_who_can_change_a_role_is_told_even_where_the_rule_lies_deeper(browser: TestClient) -> None:
    assert "Ask Grace" in browser.get("/fails/role", headers=HTML).text


def test_a_session_that_ended_under_a_script_is_told_in_place(browser: TestClient) -> None:
    browser.cookies.clear()
    for headers in ({"hx-request": "true"}, {"sec-fetch-mode": "cors"}):
        told = browser.post(
            "/preferences", headers={**headers, "hx-current-url": "http://localhost:8700/review/i1?batch=b"}
        )
        assert told.status_code == 401
        assert "what you wrote is kept" in told.text
        assert 'href="/sign-in?next=/review/i1%3Fbatch%3Db"' in told.text
        assert "<html" not in told.text


def test_a_form_sent_after_the_session_ended_is_answered_with_a_page(browser: TestClient) -> None:
    browser.cookies.clear()
    told = browser.post("/preferences", headers=HTML, data={"name": "x"})
    assert told.status_code == 401
    assert "Sign in in another tab" in told.text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/review?x=1#a", "/review?x=1#a"),
        ("//evil.example", ""),
        ("/\\evil.example", ""),
        ("/a\\b", ""),
        ("https://evil.example", ""),
        ("/a b", ""),
        ("/\u202e", ""),
        ("", ""),
    ],
)
def test_only_paths_of_this_server_are_gone_to(text: str, path: str) -> None:
    assert own_path(text) == path
