"""People of a test's deployment: somebody with a role, signed in, with a key of their own."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.store.api_keys import issue_key
from evaluator.store.people import add_person, new_person_id, open_session
from review_ui.guard import PLAIN_COOKIE

FROM_A_PAGE = {"sec-fetch-site": "same-origin"}
"""What a browser says with a form of one of our own pages."""


def somebody(
    deployment: Deployment, name: str = "Ada", role: PersonRole = PersonRole.REVIEWER, **changes: Any
) -> Person:
    """A person with this role; their login is their name and a few random letters unless given."""
    login = changes.pop("login", f"{name.lower().replace(' ', '.')}-{secrets.token_hex(3)}@example.com")
    person = Person(person_id=new_person_id(), login=login, name=name, role=role, **changes)
    deployment.database.transact(lambda connection: add_person(connection, person))
    return person


def sign_in(client: TestClient, deployment: Deployment, person: Person) -> None:
    """Give the client a session of this person; it has to come by a name of this machine, as `browser` does."""
    cookie = deployment.database.transact(
        lambda connection: open_session(connection, person.person_id, utc_now(), deployment.settings.session_days)
    )
    client.cookies.set(PLAIN_COOKIE, cookie)
    client.headers.update(FROM_A_PAGE)


def personal_key(deployment: Deployment, person: Person) -> str:
    """An API key that reviews as this person."""
    key, _ = deployment.database.transact(
        lambda connection: issue_key(
            connection,
            name=f"{person.name}'s",
            scopes=[Scope.REVIEW],
            actor="tests",
            person_id=person.person_id,
        )
    )
    return key
