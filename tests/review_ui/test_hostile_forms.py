"""Addresses and forms nobody would send: every page answers them in a page, never with an error of its own."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

import review_ui.pages
from evaluator.accounts.sign_in import AttemptCounter
from evaluator.deployment import Deployment
from evaluator.model.person import PersonRole
from evaluator.reviewing.review_desk import claim_item
from review_ui.serving import build_app
from tests.accounts.people_world import sign_in, somebody
from tests.reviewing.review_world import item_in_queue

HOSTILE = (
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "%E2%80%AE%22%3E%3Cscript%3E",
    "..%2f..%2fetc",
    "%0d%0ax: y",
    "9" * 400,
)
FIELDS = [
    "token",
    "batch",
    "note",
    "answer.solves",
    "answer.tone",
    "verdict",
    "form_key",
    "rubric_version",
    "shown",
    "active_ms",
    "cannot_judge",
    "review",
    "workflow",
    "rubric",
    "stream",
    "reason",
    "older_than_hours",
    "size",
    "events",
    "name",
    "login",
    "password",
    "current",
    "time_zone",
    "role",
    "rate",
    "next",
    "code",
    "key",
    "hint",
    "scopes",
    "theme",
    "shortcuts",
    "auto_advance",
    "gold",
    "text",
    "plan",
    "back",
    "state",
]
QUERY = [
    "tab",
    "page",
    "workflow",
    "rubric",
    "stream",
    "reason",
    "older_than_hours",
    "view",
    "run",
    "all",
    "batch",
    "item",
    "state",
    "told",
    "actor",
    "act",
    "subject",
    "before",
    "next",
    "code",
    "version",
    "kind",
    "start",
    "event",
    "refresh",
]

FORM = {"content-type": "application/x-www-form-urlencoded"}


def routes(method: str) -> Iterator[str]:
    for module in pkgutil.iter_modules(review_ui.pages.__path__):
        router = import_module(f"review_ui.pages.{module.name}").router
        for route in router.routes:
            if isinstance(route, APIRoute) and method in (route.methods or ()):
                yield route.path


@dataclass(frozen=True)
class Attacker:
    """An admin's browser, to which an error of the server is an answer as any other, and an item that they hold."""

    browser: TestClient
    item_id: str

    def at_the_item(self, path: str) -> str:
        return path.replace("{item_id}", self.item_id)


@pytest.fixture
def admin(deployment: Deployment) -> Iterator[Attacker]:
    app = build_app(deployment)
    app.state.attempts = AttemptCounter(per_minute=10**6)
    person = somebody(deployment, "Eve", PersonRole.ADMIN)
    item = item_in_queue(deployment)
    claim_item(deployment, person, item.item_id)
    with TestClient(
        app,
        base_url="http://localhost:8700",
        client=("127.0.0.1", 50000),
        raise_server_exceptions=False,
        follow_redirects=False,
    ) as client:
        sign_in(client, deployment, person)
        client.headers["accept"] = "text/html"
        yield Attacker(client, item.item_id)


@pytest.mark.slow
def test_pages(admin: Attacker) -> None:
    for path in routes("GET"):
        for each in HOSTILE:
            alone = [
                f"{name}={each}" for name in (QUERY if "item" in path or path in ("/review", "/audit") else ())
            ]
            queries = ["&".join(f"{name}={each}" for name in QUERY), *alone]
            addresses = [f"{admin.at_the_item(path)}?{query}" for query in queries]
            for address in (re.sub(r"{\w+}", each, path), *addresses):
                answer = admin.browser.get(address)
                assert answer.status_code < 500, address
                assert "<script>" not in answer.text, address
                assert "x" not in answer.headers, address


@pytest.mark.slow
def test_forms(admin: Attacker) -> None:
    for path in set(routes("POST")) - {"/sign-out"}:
        for each in HOSTILE:
            addresses = {re.sub(r"{\w+}", each, path), re.sub(r"{\w+}", each, admin.at_the_item(path))}
            for address in addresses:
                for body in ("&".join(f"{name}={each}" for name in FIELDS), f"{each}={each}"):
                    answer = admin.browser.post(address, content=body, headers=FORM)
                    assert answer.status_code < 500, (address, body[:300])
                    assert "<script>" not in answer.text, address
