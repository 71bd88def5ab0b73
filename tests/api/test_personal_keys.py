"""Keys that belong to people: what is done with them counts as theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from evaluator.accounts.people_directory import deactivate
from evaluator.api.access import Reviewing
from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.columns import utc_now
from evaluator.model.person import PersonRole
from tests.accounts.people_world import personal_key, somebody
from tests.world import actor


@pytest.fixture
def api(deployment: Deployment) -> Iterator[TestClient]:
    """An API with one path that says who reviews."""
    app = create_app(deployment)

    @app.get("/v1/who")
    def who(reviewing: Reviewing) -> dict[str, str]:
        key, person = reviewing
        return {"person": person.name, "key": key.hint}

    with TestClient(app) as client:
        yield client


def test_a_personal_key_is_its_person(api: TestClient, deployment: Deployment) -> None:
    key = personal_key(deployment, somebody(deployment, "Ada"))
    assert api.get("/v1/who", headers={"x-api-key": key}).json() == {"person": "Ada", "key": key[:12]}


def test_it_reviews_and_does_nothing_else(api: TestClient, deployment: Deployment) -> None:
    key = personal_key(deployment, somebody(deployment, role=PersonRole.ADMIN))
    for path in ("/v1/outcomes", "/v1/keys"):
        assert api.get(path, headers={"x-api-key": key}).status_code == 403


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.REVIEW])
def test_a_program_s_key_is_nobody(api: TestClient, deployment: Deployment, scope: Scope) -> None:
    answer = api.get("/v1/who", headers=actor(deployment, "program", scope).headers)
    assert (answer.status_code, "program's" in answer.json()["detail"]) == (403, True)
    assert "/preferences" in answer.json()["hint"]


def test_without_the_review_scope_it_is_told_where_to_get_it(api: TestClient, deployment: Deployment) -> None:
    answer = api.get("/v1/who", headers=actor(deployment, "reader", Scope.READ).headers)
    assert (answer.status_code, "/preferences" in answer.json()["hint"]) == (403, True)


def test_a_deactivated_person_s_key_ends_at_once_even_where_it_is_remembered(
    api: TestClient, deployment: Deployment
) -> None:
    somebody(deployment, "Boss", PersonRole.ADMIN)
    ada = somebody(deployment)
    headers = {"x-api-key": personal_key(deployment, ada)}
    assert api.get("/v1/who", headers=headers).status_code == 200
    deployment.database.transact(
        lambda write: deactivate(write, deployment, ada.person_id, actor="boss", now=utc_now())
    )
    assert api.get("/v1/who", headers=headers).status_code == 401
