"""The whole application, pages included, as a browser of this machine sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from review_ui.serving import build_app
from tests.world import Actor, actor


@pytest.fixture
def browser(deployment: Deployment) -> Iterator[TestClient]:
    """A client on this machine, asking by this machine's name."""
    app = build_app(deployment)
    with TestClient(app, base_url="http://localhost:8700", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def resolver(deployment: Deployment) -> Actor:
    return actor(deployment, "resolver", Scope.READ)


@pytest.fixture
def app_of_the_product(deployment: Deployment) -> Actor:
    return actor(deployment, "support-service", Scope.INGEST, Scope.REPORT)
