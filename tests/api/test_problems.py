"""Errors as answers."""

from __future__ import annotations

import logging

import pytest
from fastapi.testclient import TestClient

from evaluator import errors
from evaluator.api.app import create_app
from evaluator.api.problems import status_of
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError
from evaluator.store.operations import last_failures
from tests.world import Actor

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AdjudgeError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status(kind: type[AdjudgeError]) -> None:
    assert 400 <= status_of(kind()) < 600


def test_only_what_may_be_tried_again_is_503() -> None:
    assert [kind for kind in KINDS if status_of(kind()) == 503] == [kind for kind in KINDS if kind.retry_helps]


def test_an_unknown_path_and_a_wrong_method_are_problems(api: TestClient) -> None:
    assert "openapi" in api.get("/v2/nothing").json()["hint"]
    answer = api.delete("/v1/outcomes")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in answer.json()["hint"]


def test_a_failure_nobody_expected_is_shown_without_its_text(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(deployment)

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError("-".join(["customer", "4711"]))

    with TestClient(app) as api, caplog.at_level(logging.INFO):
        answer = api.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["request_id"] in caplog.text
    assert "customer-4711" not in answer.text + caplog.text
    with deployment.database.read() as connection:
        (failure,) = last_failures(connection)
    assert (failure.stage, failure.kind) == ("api", "ZeroDivisionError")
    assert answer.json()["request_id"] in failure.detail


def test_the_api_describes_itself_without_loading_anything_from_elsewhere(api: TestClient, admin: Actor) -> None:
    described = api.get("/openapi.json").json()
    assert {"/v1/traces", "/v1/runs", "/v1/rollups", "/v1/outcomes", "/v1/status"} <= described["paths"].keys()
    assert "/v1/traces/v1/logs" not in described["paths"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), (method, path)
            assert operation.get("tags"), (method, path)
    assert api.get("/docs").status_code == 404


def test_the_status_needs_the_read_scope_and_counts_everything(
    api: TestClient, resolver: Actor, zendesk: Actor
) -> None:
    assert api.get("/v1/status", headers=zendesk.headers).status_code == 403
    status = api.get("/v1/status", headers=resolver.headers).json()
    assert status["overview"]["events"] == 0
    assert status["spent_today_usd"] == "0"


@pytest.mark.parametrize("path", ["/v1/status", "/nothing", "/healthz", "/v1/runs?after=%00", "/v1/review/items"])
def test_no_answer_is_kept_in_between_or_taken_for_something_else(
    api: TestClient, resolver: Actor, path: str
) -> None:
    for headers in ({}, resolver.headers):
        answer = api.get(path, headers=headers)
        assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == (
            "nosniff",
            "no-store",
        )
