"""Who may see pages and act on them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.errors import NotSignedIn
from evaluator.model.api_key import Scope
from evaluator.model.person import PersonRole
from evaluator.settings import Settings
from review_ui.guard import CONTENT_SECURITY_POLICY, host_name, may_see_pages, needs, own_origins, same_origin
from review_ui.serving import build_app
from review_ui.visitor import Visitor
from tests.accounts.people_world import FROM_A_PAGE, sign_in, somebody
from tests.world import Actor, actor

FROM_ELSEWHERE = [
    {"host": "rebound.example"},
    {"host": "localhost.rebound.example:8700"},
    {"x-forwarded-for": "203.0.113.9"},
    {"forwarded": "for=203.0.113.9"},
    {"via": "1.1 proxy"},
    {"x-real-ip": "203.0.113.9"},
]


def where_to(client: TestClient, path: str = "/", **headers: str) -> str:
    """Where a request without a session is sent."""
    answer = client.get(path, headers=headers, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_whoever_sits_at_this_machine_sees_pages_while_nobody_has_an_account(browser: TestClient) -> None:
    assert browser.get("/").status_code == 200


def test_once_somebody_has_an_account_this_machine_signs_in_as_well(
    browser: TestClient, deployment: Deployment, resolver: Actor
) -> None:
    ada = somebody(deployment, role=PersonRole.VIEWER)
    assert where_to(browser) == "/sign-in"
    assert browser.get("/", headers=resolver.headers).status_code == 200
    sign_in(browser, deployment, ada)
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_another_name_or_a_proxy_needs_a_key_or_a_session(
    browser: TestClient, resolver: Actor, headers: dict[str, str]
) -> None:
    assert where_to(browser, **headers) == "/sign-in"
    assert browser.get("/", headers={**headers, **resolver.headers}).status_code == 200


@pytest.mark.parametrize("headers", FROM_ELSEWHERE[:2])
def test_a_session_of_this_machine_does_not_count_under_another_name(
    browser: TestClient, deployment: Deployment, headers: dict[str, str]
) -> None:
    sign_in(browser, deployment, somebody(deployment))
    assert where_to(browser, **headers) == "/sign-in"


def test_another_machine_needs_a_key(deployment: Deployment, resolver: Actor) -> None:
    with TestClient(build_app(deployment), base_url="http://localhost:8700", client=("203.0.113.9", 1)) as client:
        assert where_to(client) == "/sign-in"
        assert client.get("/", headers=resolver.headers).status_code == 200


def test_a_key_without_the_read_scope_or_unknown_is_told_so(browser: TestClient, deployment: Deployment) -> None:
    somebody(deployment)
    sends = actor(deployment, "sends", Scope.INGEST)
    assert browser.get("/", headers=sends.headers).status_code == 403
    assert browser.get("/", headers={"x-api-key": "adj_unknown"}).status_code == 401


def test_a_proxy_that_says_nothing_of_itself_but_speaks_http_1_0_needs_a_key(browser: TestClient) -> None:
    with pytest.raises(NotSignedIn):
        asyncio.run(may_see_pages(request_of("1.0", browser)))
    asyncio.run(may_see_pages(request_of("1.1", browser)))


def request_of(http_version: str, browser: TestClient) -> Request:
    scope = {
        "type": "http",
        "http_version": http_version,
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "client": ("127.0.0.1", 50000),
        "headers": [(b"host", b"localhost:8700")],
        "app": browser.app,
    }
    return Request(scope)


@pytest.fixture
def acting(deployment: Deployment, browser: TestClient) -> TestClient:
    """A browser on a server that has one page for reviewers with a form."""
    router = APIRouter(dependencies=[Depends(same_origin)])

    @router.post("/act")
    def act(visitor: Annotated[Visitor, Depends(needs(PersonRole.REVIEWER))]) -> str:
        return visitor.name

    app = browser.app
    assert isinstance(app, FastAPI)
    app.include_router(router)
    return browser


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("reviewer", 200), ("author", 200), ("admin", 200)])
def test_a_role_may_do_what_lesser_roles_may(
    acting: TestClient, deployment: Deployment, role: str, status: int
) -> None:
    sign_in(acting, deployment, somebody(deployment, role=PersonRole(role)))
    assert acting.post("/act").status_code == status


def test_who_lacks_the_role_learns_which_and_from_whom(acting: TestClient, deployment: Deployment) -> None:
    somebody(deployment, "Grace Hopper", PersonRole.ADMIN)
    sign_in(acting, deployment, somebody(deployment, role=PersonRole.VIEWER))
    told = acting.post("/act").json()
    assert told["detail"] == "This needs the role reviewer; yours is viewer."
    assert "Grace Hopper" in told["hint"]


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:8700"}, False),
        ({"origin": "http://localhost:8700"}, True),
        ({"origin": "https://localhost:8700"}, False),
        ({"origin": "http://localhost:3000"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_what_another_sites_page_sends_is_refused(
    acting: TestClient, deployment: Deployment, headers: dict[str, str], is_own: bool
) -> None:
    sign_in(acting, deployment, somebody(deployment))
    for name in FROM_A_PAGE:
        del acting.headers[name]
    assert acting.post("/act", headers=headers).status_code == (200 if is_own else 403)


def test_the_public_address_is_an_own_origin_and_a_foreign_host_is_none(settings: Settings) -> None:
    public = Deployment(settings.model_copy(update={"public_url": "https://adjudge.example/"}))
    with TestClient(build_app(public)) as client:
        request = request_of("1.1", client)
        assert own_origins(request) == {"https://adjudge.example", "http://localhost:8700"}
        request.scope["headers"] = [(b"host", b"evil.example")]
        assert own_origins(Request(request.scope)) == {"https://adjudge.example"}
    public.close()


def test_an_api_key_is_not_a_session_and_a_session_is_no_key(
    acting: TestClient, deployment: Deployment, resolver: Actor
) -> None:
    admin = actor(deployment, "admin", Scope.ADMIN)
    assert acting.post("/act", headers={**FROM_A_PAGE, **admin.headers}).status_code == 401
    sign_in(acting, deployment, somebody(deployment, role=PersonRole.ADMIN))
    assert acting.get("/v1/keys").status_code == 401


def test_pages_carry_the_headers_that_keep_them_safe(browser: TestClient) -> None:
    headers = browser.get("/").headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8700", "localhost"),
        ("LOCALHOST", "localhost"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ],
)
def test_a_host_is_read_without_its_port(host: str, name: str) -> None:
    assert host_name(host) == name
