"""Who asks: API keys as `Authorization: Bearer` or `x-api-key`, each with scopes.

Known keys are remembered for three seconds, so a revoked key stops working within five.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers

from evaluator.deployment import Deployment
from evaluator.errors import NoKey, WrongRole, WrongScope
from evaluator.model.api_key import ApiKey, Scope
from evaluator.model.person import Person, PersonRole
from evaluator.store.api_keys import find_key, hash_of
from evaluator.store.people import find_person

REMEMBERED_SECONDS = 3.0
_MOST_REMEMBERED = 10_000
_MAKE_ONE = "Make one with `adjudge keys create --name NAME --scope {scope}`."
_MAKE_YOUR_OWN = "People make their own at /preferences."

bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key: adj_…")
api_key_header = APIKeyHeader(name="x-api-key", auto_error=False, scheme_name="x-api-key")


class KeyRing:
    """The keys of a deployment; those that were found lately need no look into the database.

    Unknown keys are not remembered: a key that was made just now works at once.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._known: dict[str, tuple[float, ApiKey]] = {}

    def remembered(self, key: str) -> ApiKey | None:
        """The key where it was found lately."""
        until, found = self._known.get(hash_of(key), (0.0, None))
        return found if until > time.monotonic() else None

    def look_up(self, key: str) -> ApiKey | None:
        """The active key, or None."""
        key_hash = hash_of(key)
        until = time.monotonic() + REMEMBERED_SECONDS
        with self._deployment.database.read() as connection:
            found = find_key(connection, key_hash)
        if found is None:
            self._known.pop(key_hash, None)
            return None
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[key_hash] = (until, found)
        return found

    def forget(self) -> None:
        """Look every key up again."""
        self._known.clear()

    async def admit(self, headers: Headers, scope: Scope) -> ApiKey:
        """The key a request came with, where it carries the scope; raises NoKey or WrongScope."""
        key = presented_key(headers)
        if key is None:
            raise NoKey(
                "No API key came with this request: neither `Authorization: Bearer KEY` nor `x-api-key: KEY`.",
                hint=how_to_get(scope),
            )
        found = self.remembered(key) or await to_thread.run_sync(self.look_up, key)
        if found is None:
            raise NoKey(
                "The API key that came with this request is not known here, or was revoked.",
                hint=f"`adjudge keys list` shows the keys. {how_to_get(scope)}",
            )
        if scope not in found.scopes and Scope.ADMIN not in found.scopes:
            raise WrongScope(
                f"The API key {found.hint}… ({found.name}) has the scopes {', '.join(found.scopes)}; "
                f"this needs {scope}.",
                hint=how_to_get(scope),
            )
        return found


def how_to_get(scope: Scope) -> str:
    """How somebody comes by a key with a scope."""
    return _MAKE_YOUR_OWN if scope is Scope.REVIEW else _MAKE_ONE.format(scope=scope)


def presented_key(headers: Headers) -> str | None:
    """The key in a request's headers, or None."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    key = value if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    return key.strip() or None


async def deployment_of(request: Request) -> Deployment:
    deployment: Deployment = request.app.state.deployment
    return deployment


DeploymentHere = Annotated[Deployment, Depends(deployment_of)]


def _holder_of(scope: Scope) -> Callable[..., Awaitable[ApiKey]]:
    async def holder(request: Request, _bearer: Bearer = None, _header: KeyHeader = None) -> ApiKey:
        keys: KeyRing = request.app.state.keys
        return await keys.admit(request.headers, scope)

    return holder


Bearer = Annotated[object | None, Depends(bearer)]
KeyHeader = Annotated[object | None, Depends(api_key_header)]
"""Read again from the headers in `admit`; declared so that the API's description names both ways."""

Ingester = Annotated[ApiKey, Depends(_holder_of(Scope.INGEST))]
Reader = Annotated[ApiKey, Depends(_holder_of(Scope.READ))]
Reporter = Annotated[ApiKey, Depends(_holder_of(Scope.REPORT))]
Admin = Annotated[ApiKey, Depends(_holder_of(Scope.ADMIN))]


async def _reviewing(request: Request, _bearer: Bearer = None, _header: KeyHeader = None) -> tuple[ApiKey, Person]:
    """A person's own key, and the person; raises WrongScope for a program's."""
    keys: KeyRing = request.app.state.keys
    key = await keys.admit(request.headers, Scope.REVIEW)
    person = await to_thread.run_sync(_owner_of, request.app.state.deployment, key)
    if person is None:
        raise WrongScope(
            f"The API key {key.hint}… ({key.name}) is a program's; reviewing needs a person's own.",
            hint="People make theirs at /preferences.",
        )
    if person.deactivated_at is not None:
        raise NoKey(f"The API key {key.hint}… belongs to somebody whose account is deactivated.")
    return key, person


def _owner_of(deployment: Deployment, key: ApiKey) -> Person | None:
    if key.person_id is None:
        return None
    with deployment.database.read() as connection:
        return find_person(connection, key.person_id)


Reviewing = Annotated[tuple[ApiKey, Person], Depends(_reviewing)]
"""Who reviews over the API: their key and the person as they stand now; what the role allows is for the desk to say."""


async def _exporting(
    request: Request, _bearer: Bearer = None, _header: KeyHeader = None
) -> tuple[ApiKey, Person | None]:
    """A key that reads everything, or an author's own, and then the author; raises NoKey, WrongScope or WrongRole."""
    keys: KeyRing = request.app.state.keys
    try:
        return await keys.admit(request.headers, Scope.READ), None
    except WrongScope:
        key, person = await _reviewing(request)
        if not person.may(PersonRole.AUTHOR):
            raise WrongRole(
                f"An export holds what judges said of items you have not reviewed; your role is {person.role}.",
                hint="Ask an author, or use a key with the scope read.",
            ) from None
        return key, person


Exporting = Annotated[tuple[ApiKey, Person | None], Depends(_exporting)]
"""Who exports: a program's key, or a person's own with the person."""
