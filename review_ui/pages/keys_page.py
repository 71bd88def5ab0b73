"""/keys: API keys, those of programs and those of people. For admins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from evaluator.api.access import KeyRing
from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.api_key import ApiKey, Scope
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.store.api_keys import audit, issue_key, list_keys, revoke_key
from evaluator.store.database import Connection
from evaluator.store.people import list_people
from review_ui.forms import FormHere
from review_ui.guard import needs, same_origin
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.presentation import page
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

Admin = Annotated[Visitor, Depends(needs(PersonRole.ADMIN))]

SCOPES = (
    (Scope.INGEST, "ingest", "Send runs: OTLP and JSON."),
    (Scope.READ, "read", "Pull the feed and event stories."),
    (Scope.REPORT, "report", "Report signals of a system of record."),
    (Scope.ADMIN, "admin", "Everything, keys included."),
)
"""Those a program's key may have; review belongs to people."""


@dataclass(frozen=True)
class KeyRow:
    """One key as the table shows it."""

    key: ApiKey
    owner: Person | None


@dataclass(frozen=True)
class KeysPage:
    """What the template shows."""

    active: tuple[KeyRow, ...]
    revoked: tuple[KeyRow, ...]
    key: str
    """A key just made, this once."""
    notice: Notice | None
    name: str = ""
    ticked: frozenset[str] = frozenset({Scope.INGEST})
    scopes: tuple[tuple[Scope, str, str], ...] = SCOPES
    problems: dict[str, str] = field(default_factory=dict)


@router.get("/keys")
def show_all_keys(request: Request, visitor: Admin) -> Response:
    """Every key, and the form that makes one."""
    return _shown(request, visitor, notice=notice_of(request))


def _shown(
    request: Request,
    visitor: Visitor,
    *,
    notice: Notice | None = None,
    form: Mapping[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    deployment: Deployment = request.app.state.deployment
    with deployment.database.read() as connection:
        people = {person.person_id: person for person in list_people(connection)}
        rows = [KeyRow(key, people.get(key.person_id or "")) for key in list_keys(connection)]
    context = KeysPage(
        active=tuple(row for row in rows if is_active(row)),
        revoked=tuple(row for row in rows if not is_active(row)),
        key=notice.secret if notice and notice.kind == "key" else "",
        notice=notice,
        name=form.get("name", "")[:300] if form else "",
        ticked=frozenset(scopes_of(form)) if form else frozenset({Scope.INGEST}),
        problems=problems or {},
    )
    return shown_once(request, page("keys.html", context, visitor=visitor, status=400 if problems else 200))


def is_active(row: KeyRow) -> bool:
    """Whether the key works: not revoked, and its owner not deactivated."""
    return row.key.revoked_at is None and (row.owner is None or row.owner.deactivated_at is None)


def scopes_of(form: Mapping[str, str]) -> set[Scope]:
    """The scopes ticked in a form."""
    return {scope for scope, name, _ in SCOPES if f"scope-{name}" in form}


@router.post("/keys")
def take_new_key(request: Request, visitor: Admin, form: FormHere) -> Response:
    """Make a key; it is shown once."""
    deployment: Deployment = request.app.state.deployment
    name, scopes = form.get("name", "").strip(), scopes_of(form)
    problems = {}
    if not name or len(name) > 100:
        problems["name"] = "Give a name of at most 100 characters: who or what uses the key."
    if not scopes:
        problems["scopes"] = "Tick at least one thing that the key may do."
    if problems:
        return _shown(request, visitor, form=form, problems=problems)
    key, _ = deployment.database.transact(
        lambda connection: issue_key(connection, name=name, scopes=scopes, actor=visitor.signed_in.login)
    )
    return see_other(request, "/keys", Notice("The key is made.", secret=key, kind="key"))


@router.post("/keys/{hint}/revoke")
def take_revocation(request: Request, visitor: Admin, hint: str) -> Response:
    """Revoke a key; it stops working at once here and within five seconds everywhere."""
    deployment: Deployment = request.app.state.deployment

    def act(connection: Connection) -> int:
        revoked = revoke_key(connection, hint, utc_now())
        if revoked:
            audit(connection, actor=visitor.signed_in.login, act="revoke_key", subject=hint)
        return revoked

    if not deployment.database.transact(act):
        raise NotFound("There is no such key, or it is revoked already.")
    keys: KeyRing = request.app.state.keys
    keys.forget()
    return see_other(request, "/keys", Notice(f"The key {hint}… is revoked."))
