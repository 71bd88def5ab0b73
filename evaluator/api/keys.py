"""API keys over the API, for admins; each act is audited."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from evaluator.api.access import Admin, DeploymentHere, KeyRing
from evaluator.api.answers import json_answer
from evaluator.api.problems import Problem
from evaluator.api.request_json import parse_json, read_limited, validated
from evaluator.errors import NotFound
from evaluator.model.api_key import ApiKey, Scope
from evaluator.model.columns import utc_now
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.api_keys import audit, issue_key, list_keys, revoke_key
from evaluator.store.database import Connection

router = APIRouter(tags=["keys"])

_REFUSALS: dict[int | str, dict[str, object]] = {401: {"model": Problem}, 403: {"model": Problem}}


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, description="Who or what uses it.")]
    scopes: Annotated[list[Scope], Field(min_length=1, description="What it may do; admin includes all.")]


class ShownKey(BaseModel):
    """A key as it may be shown: how it begins, never the rest."""

    name: str
    hint: str
    scopes: list[Scope]
    created_at: datetime
    revoked_at: datetime | None


class NewKey(ShownKey):
    """A key just made."""

    key: str = Field(description="Shown this once; only its hash is kept.")


async def body_of(request: Request) -> Any:
    return parse_json(await read_limited(request, 10_000), request.headers)


@router.post(
    "/v1/keys",
    summary="Make a key",
    responses={201: {"model": NewKey}, 400: {"model": Problem}, **_REFUSALS},
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"example": {"name": "support-service", "scopes": ["ingest"]}}},
        }
    },
)
def make_key(deployment: DeploymentHere, admin: Admin, body: Annotated[Any, Depends(body_of)]) -> Response:
    """The answer holds the key itself, this once."""
    wanted = validated(KeyRequest, body)
    actor = _actor(admin)
    key, stored = deployment.database.transact(
        lambda connection: issue_key(connection, name=wanted.name, scopes=set(wanted.scopes), actor=actor),
        patience_seconds=10,
    )
    return json_answer({"key": key, **_shown(stored)}, status=201, headers={"cache-control": "no-store"})


@router.get(
    "/v1/keys", summary="All keys, revoked ones too", responses={200: {"model": list[ShownKey]}, **_REFUSALS}
)
def read_keys(deployment: DeploymentHere, _admin: Admin) -> Response:
    """How each begins, what it may do and since when."""
    with deployment.database.read() as connection:
        return json_answer([_shown(key) for key in list_keys(connection)])


@router.delete(
    "/v1/keys/{hint}", summary="Revoke a key", status_code=204, responses={404: {"model": Problem}, **_REFUSALS}
)
def revoke(deployment: DeploymentHere, admin: Admin, hint: str, request: Request) -> Response:
    """By its hint; it stops working at once here and within five seconds everywhere."""

    def act(connection: Connection) -> int:
        revoked = revoke_key(connection, hint, utc_now())
        if revoked:
            audit(connection, actor=_actor(admin), act="revoke_key", subject=hint)
        return revoked

    if not deployment.database.transact(act, patience_seconds=10):
        raise NotFound(
            f"No active key begins with {quoted(hint)}.", hint="GET /v1/keys lists them with their hints."
        )
    keys: KeyRing = request.app.state.keys
    keys.forget()
    return Response(status_code=204)


def _shown(key: ApiKey) -> dict[str, Any]:
    return key.model_dump(exclude={"key_hash"})


def _actor(admin: ApiKey) -> str:
    return f"key {admin.hint} ({admin.name})"
