"""The API over a real deployment, and the people and programs that ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from tests.world import Actor, actor


@pytest.fixture
def api(deployment: Deployment) -> Iterator[TestClient]:
    with TestClient(create_app(deployment), raise_server_exceptions=True) as client:
        yield client


@pytest.fixture
def app_of_the_product(deployment: Deployment) -> Actor:
    return actor(deployment, "support-service", Scope.INGEST)


@pytest.fixture
def resolver(deployment: Deployment) -> Actor:
    return actor(deployment, "resolver", Scope.READ)


@pytest.fixture
def zendesk(deployment: Deployment) -> Actor:
    return actor(deployment, "zendesk", Scope.REPORT)


@pytest.fixture
def admin(deployment: Deployment) -> Actor:
    return actor(deployment, "admin", Scope.ADMIN)
