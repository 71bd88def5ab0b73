"""Who may do what."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from evaluator.api import access
from evaluator.deployment import Deployment
from evaluator.store.api_keys import audit_trail, list_keys
from tests.world import Actor


def test_a_key_is_stored_as_its_hash_only(deployment: Deployment, resolver: Actor) -> None:
    with deployment.database.read() as connection:
        (stored,) = list_keys(connection)
    assert len(resolver.key) == 47
    assert resolver.key.startswith(stored.hint)
    assert resolver.key not in str(stored.model_dump())


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_both_headers_carry_a_key(api: TestClient, resolver: Actor, header: str) -> None:
    value = f"Bearer {resolver.key}" if header == "authorization" else resolver.key
    assert api.get("/v1/outcomes", headers={header: value}).status_code == 200


def test_without_a_key_the_answer_says_how_to_make_one(api: TestClient) -> None:
    answer = api.get("/v1/outcomes")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "adjudge keys create" in answer.json()["hint"]
    assert answer.json()["request_id"]


def test_a_key_without_the_scope_is_told_which_it_has_and_needs(api: TestClient, zendesk: Actor) -> None:
    answer = api.get("/v1/outcomes", headers=zendesk.headers)
    assert answer.status_code == 403
    assert "report" in answer.json()["detail"]
    assert "read" in answer.json()["detail"]
    assert zendesk.key not in answer.text


def test_an_admin_may_do_everything(api: TestClient, admin: Actor) -> None:
    assert api.get("/v1/outcomes", headers=admin.headers).status_code == 200


def test_a_key_made_over_the_api_works_until_it_is_revoked(
    api: TestClient, admin: Actor, deployment: Deployment
) -> None:
    made = api.post("/v1/keys", json={"name": "resolver", "scopes": ["read"]}, headers=admin.headers)
    assert made.status_code == 201
    headers = {"x-api-key": made.json()["key"]}
    assert api.get("/v1/outcomes", headers=headers).status_code == 200
    assert api.delete(f"/v1/keys/{made.json()['hint']}", headers=admin.headers).status_code == 204
    assert api.get("/v1/outcomes", headers=headers).status_code == 401
    with deployment.database.read() as connection:
        acts = [(entry.act, entry.actor) for entry in audit_trail(connection, limit=2)]
    assert [act for act, _ in acts] == ["revoke_key", "create_key"]
    assert all("admin" in who for _, who in acts)


def test_a_key_revoked_elsewhere_stops_working_once_it_is_forgotten(
    api: TestClient, resolver: Actor, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluator.model.columns import utc_now
    from evaluator.store.api_keys import revoke_key

    monkeypatch.setattr(access, "REMEMBERED_SECONDS", 0.0)
    assert api.get("/v1/outcomes", headers=resolver.headers).status_code == 200
    deployment.database.transact(lambda connection: revoke_key(connection, resolver.key[:12], utc_now()))
    assert api.get("/v1/outcomes", headers=resolver.headers).status_code == 401
    assert access.REMEMBERED_SECONDS < 5


def test_the_list_of_keys_shows_no_key(api: TestClient, admin: Actor, resolver: Actor) -> None:
    answer = api.get("/v1/keys", headers=admin.headers)
    assert {key["name"] for key in answer.json()} == {"admin", "resolver"}
    assert resolver.key not in answer.text
    assert "key_hash" not in answer.text


def test_a_mistyped_field_is_named_with_the_nearest(api: TestClient, admin: Actor) -> None:
    answer = api.post("/v1/keys", json={"name": "x", "scope": ["read"]}, headers=admin.headers)
    assert answer.status_code == 400
    assert "did you mean 'scopes'?" in answer.json()["detail"]
