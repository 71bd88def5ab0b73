"""Signing in and out, links that work once, and where one comes out."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from evaluator.accounts.passwords import hashed
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole, TicketPurpose
from evaluator.settings import Settings
from evaluator.store.api_keys import audit_trail
from evaluator.store.people import find_person, make_ticket
from review_ui.guard import PLAIN_COOKIE, SECURE_COOKIE
from review_ui.serving import build_app
from tests.accounts.people_world import FROM_A_PAGE, sign_in, somebody
from tests.review_ui.page_checks import assert_well_made

PASSWORD = "three green bottles"


@pytest.fixture
def ada(deployment: Deployment) -> Person:
    return somebody(deployment, "Ada", PersonRole.REVIEWER, login="ada@example.com", password_hash=hashed(PASSWORD))


@pytest.fixture
def visitor(browser: TestClient) -> TestClient:
    """Somebody in front of the sign-in page."""
    browser.headers.update(FROM_A_PAGE)
    browser.follow_redirects = False
    return browser


def test_who_knows_the_password_comes_to_the_page_they_wanted(visitor: TestClient, ada: Person) -> None:
    asked = visitor.get("/rubrics?x=1")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=/rubrics%3Fx%3D1")
    page = visitor.get(asked.headers["location"])
    assert_well_made(page.text)
    assert 'name="next" value="/rubrics?x=1"' in page.text
    answer = visitor.post(
        "/sign-in", data={"login": " ADA@example.com ", "password": PASSWORD, "next": "/rubrics?x=1"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/rubrics?x=1")
    assert "Ada" in visitor.get("/rubrics").text


def test_the_cookie_is_for_this_server_alone_and_out_of_reach_of_scripts(visitor: TestClient, ada: Person) -> None:
    answer = visitor.post("/sign-in", data={"login": "ada@example.com", "password": PASSWORD})
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{PLAIN_COOKIE}=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_over_https_the_cookie_is_secure_and_bound_to_the_host(
    settings: Settings, deployment: Deployment, ada: Person
) -> None:
    public = Deployment(settings.model_copy(update={"public_url": "https://adjudge.example"}))
    app = build_app(public)
    with TestClient(app, base_url="http://adjudge.example", client=("10.0.0.3", 1), headers=FROM_A_PAGE) as client:
        answer = client.post(
            "/sign-in", data={"login": "ada@example.com", "password": PASSWORD}, follow_redirects=False
        )
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith(f"{SECURE_COOKIE}=")
        assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
        value = cookie.split(";")[0].partition("=")[2]
        seen = client.get("/preferences", headers={"cookie": f"{SECURE_COOKIE}={value}"}, follow_redirects=False)
        assert seen.status_code == 200
        plain = client.get("/preferences", headers={"cookie": f"{PLAIN_COOKIE}={value}"}, follow_redirects=False)
        assert plain.status_code == 303
    public.close()


def test_over_plain_http_from_elsewhere_no_password_is_taken(deployment: Deployment, ada: Person) -> None:
    with TestClient(build_app(deployment), base_url="http://adjudge.example", headers=FROM_A_PAGE) as client:
        for answer in (
            client.get("/sign-in", headers={"accept": "text/html"}),
            client.post("/sign-in", data={"login": "ada@example.com", "password": PASSWORD}),
        ):
            assert answer.status_code == 403
            assert "ADJUDGE_PUBLIC_URL" in answer.text
            assert "ssh -L" in answer.text


def test_a_wrong_login_and_a_wrong_password_are_told_in_the_same_words(visitor: TestClient, ada: Person) -> None:
    told = set()
    for login in ("ada@example.com", "nobody@example.com"):
        answer = visitor.post("/sign-in", data={"login": login, "password": "not this one at all"})
        assert answer.status_code == 401
        assert_well_made(answer.text)
        assert f'value="{login}"' in answer.text
        assert "not this one at all" not in answer.text
        told.add(re.sub(login, "", answer.text))
    assert len(told) == 1


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\nb",
        "evil",
        "/..//evil.example",
    ],
)
def test_nobody_is_sent_to_another_site(visitor: TestClient, ada: Person, elsewhere: str) -> None:
    answer = visitor.post("/sign-in", data={"login": "ada@example.com", "password": PASSWORD, "next": elsewhere})
    assert answer.headers["location"] == "/review"
    assert visitor.get("/sign-in", params={"next": elsewhere}).status_code == 200


@pytest.mark.slow
def test_too_many_attempts_from_one_address_wait_a_minute(visitor: TestClient, ada: Person) -> None:
    answers = [visitor.post("/sign-in", data={"login": f"n{n}", "password": "x"}) for n in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert answers[-1].headers["retry-after"] == "60"


def test_signing_out_ends_the_session_itself(visitor: TestClient, deployment: Deployment, ada: Person) -> None:
    sign_in(visitor, deployment, ada)
    cookie = visitor.cookies[PLAIN_COOKIE]
    assert visitor.get("/preferences").status_code == 200
    assert visitor.post("/sign-out").headers["location"] == "/sign-in"
    visitor.cookies.set(PLAIN_COOKIE, cookie)
    assert visitor.get("/preferences").status_code == 303


def link(deployment: Deployment, person: Person, purpose: TicketPurpose) -> str:
    secret = deployment.database.transact(lambda write: make_ticket(write, person, purpose, utc_now()))
    return f"/sign-in/ticket/{secret}"


def test_an_invited_person_chooses_a_password_once(visitor: TestClient, deployment: Deployment) -> None:
    bob = somebody(deployment, "Bob", PersonRole.VIEWER, login="bob")
    path = link(deployment, bob, TicketPurpose.CHOOSE_PASSWORD)
    assert_well_made(visitor.get(path).text)
    short = visitor.post(path, data={"password": "short"})
    assert short.status_code == 400
    assert "at least 12 characters" in short.text
    assert_well_made(short.text)
    answer = visitor.post(path, data={"password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert visitor.get("/preferences").status_code == 200
    assert visitor.get(path).status_code == 404
    assert visitor.post(path, data={"password": "another good one"}).status_code == 404
    assert visitor.post("/sign-in", data={"login": "bob", "password": PASSWORD}).status_code == 303


def test_a_link_that_signs_in_does_so_once_and_on_this_machine(
    visitor: TestClient, deployment: Deployment, ada: Person
) -> None:
    path = link(deployment, ada, TicketPurpose.SIGN_IN)
    assert visitor.get(path, headers={"x-forwarded-for": "203.0.113.9"}).status_code == 403
    assert visitor.get(path).headers["location"] == "/review"
    assert visitor.get("/preferences").status_code == 200
    assert visitor.get(path).status_code == 404


def test_a_newer_link_ends_the_one_before(visitor: TestClient, deployment: Deployment, ada: Person) -> None:
    first, second = (link(deployment, ada, TicketPurpose.CHOOSE_PASSWORD) for _ in range(2))
    assert (visitor.get(first).status_code, visitor.get(second).status_code) == (404, 200)


def test_a_session_of_somebody_deactivated_ends(visitor: TestClient, deployment: Deployment, ada: Person) -> None:
    boss = somebody(deployment, "Boss", PersonRole.ADMIN)
    sign_in(visitor, deployment, ada)
    hers = visitor.cookies[PLAIN_COOKIE]
    assert visitor.get("/preferences").status_code == 200
    visitor.cookies.clear()
    sign_in(visitor, deployment, boss)
    assert visitor.post(f"/people/{ada.person_id}/deactivate").status_code == 303
    visitor.cookies.clear()
    visitor.cookies.set(PLAIN_COOKIE, hers)
    assert visitor.get("/preferences").status_code == 303
    answer = visitor.post("/sign-in", data={"login": "ada@example.com", "password": PASSWORD})
    assert answer.status_code == 401


def test_signing_in_is_audited(visitor: TestClient, deployment: Deployment, ada: Person) -> None:
    visitor.post("/sign-in", data={"login": "ada@example.com", "password": PASSWORD})
    with deployment.database.read() as connection:
        (entry,) = audit_trail(connection)
        assert find_person(connection, ada.person_id) is not None
    assert (entry.act, entry.actor) == ("sign_in", "ada@example.com")
