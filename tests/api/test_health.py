"""Alive and ready."""

from __future__ import annotations

from fastapi.testclient import TestClient

from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.settings import Settings
from evaluator.store.operations import beat


def test_a_process_that_answers_is_alive(api: TestClient) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}


def test_without_a_worker_it_is_not_ready(api: TestClient) -> None:
    answer = api.get("/readyz")
    assert answer.status_code == 503
    assert "adjudge worker" in answer.json()["missing"][0]


def test_a_worker_elsewhere_makes_it_ready(api: TestClient, deployment: Deployment) -> None:
    deployment.database.transact(lambda connection: beat(connection, "other:1", utc_now()))
    assert api.get("/readyz").json() == {"ready": True, "missing": []}


def test_a_worker_here_makes_it_ready(deployment: Deployment) -> None:
    with TestClient(create_app(deployment, engine_status=lambda: True)) as api:
        assert api.get("/readyz").status_code == 200


def test_without_its_database_it_is_alive_and_not_ready(settings: Settings) -> None:
    gone = Deployment(Settings(database_url="postgresql://nobody@127.0.0.1:1/none", data_dir=settings.data_dir))
    with TestClient(create_app(gone)) as api:
        assert api.get("/healthz").status_code == 200
        answer = api.get("/readyz")
        refused = api.get("/v1/outcomes", headers={"x-api-key": "adj_any"})
    assert (answer.status_code, answer.json()["missing"]) == (503, ["The database is out of reach."])
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
