"""Who may see pages."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.errors import NoKey
from review_ui.guard import CONTENT_SECURITY_POLICY, host_name, may_see_pages
from review_ui.serving import build_app
from tests.world import Actor


def test_whoever_sits_at_this_machine_sees_pages(browser: TestClient) -> None:
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"host": "localhost.rebound.example:8700"},
        {"x-forwarded-for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
        {"x-real-ip": "203.0.113.9"},
    ],
)
def test_another_name_or_a_proxy_needs_a_key(browser: TestClient, resolver: Actor, headers: dict[str, str]) -> None:
    refused = browser.get("/", headers=headers)
    assert refused.status_code == 401
    assert "Latest events" not in refused.text
    assert browser.get("/", headers={**headers, **resolver.headers}).status_code == 200


def test_another_machine_needs_a_key(deployment: Deployment, resolver: Actor) -> None:
    with TestClient(build_app(deployment), base_url="http://localhost:8700", client=("203.0.113.9", 1)) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers=resolver.headers).status_code == 200


def test_a_proxy_that_says_nothing_of_itself_but_speaks_http_1_0_needs_a_key(browser: TestClient) -> None:
    with pytest.raises(NoKey):
        asyncio.run(may_see_pages(request_of("1.0", browser)))
    asyncio.run(may_see_pages(request_of("1.1", browser)))


def request_of(http_version: str, browser: TestClient) -> Request:
    scope = {
        "type": "http",
        "http_version": http_version,
        "client": ("127.0.0.1", 50000),
        "headers": [(b"host", b"localhost:8700")],
        "app": browser.app,
    }
    return Request(scope)


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
