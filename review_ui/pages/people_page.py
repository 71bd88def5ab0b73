"""/people: who has an account and with which role; one page for each of them. For admins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from evaluator.accounts.people_directory import (
    FormProblems,
    Invited,
    change_role,
    deactivate,
    invite,
    known,
    password_link,
    rate_of,
    reactivate,
    role_of,
    set_rate,
)
from evaluator.accounts.session_book import SessionBook
from evaluator.api.access import KeyRing
from evaluator.deployment import Deployment
from evaluator.errors import Conflict
from evaluator.model.api_key import ApiKey, AuditEntry
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.store.api_keys import audit_trail, keys_of_person
from evaluator.store.database import Connection
from evaluator.store.people import last_seen, list_people
from review_ui.forms import FormHere
from review_ui.guard import needs, same_origin
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.presentation import page
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

Admin = Annotated[Visitor, Depends(needs(PersonRole.ADMIN))]
T = TypeVar("T")

ROLES = (
    (PersonRole.VIEWER, "viewer: reads pages"),
    (PersonRole.REVIEWER, "reviewer: reviews items"),
    (PersonRole.AUTHOR, "author: settles disagreements, tries rubrics"),
    (PersonRole.ADMIN, "admin: people, keys, audit log"),
)
LAST_ACTS = 10


@dataclass(frozen=True)
class PersonRow:
    """One person as the table shows them."""

    person: Person
    seen: datetime | None


@dataclass(frozen=True)
class PeoplePage:
    """What the template shows."""

    rows: tuple[PersonRow, ...]
    link: str
    """An invitation just made, this once."""
    notice: Notice | None
    name: str = ""
    login: str = ""
    role: str = PersonRole.REVIEWER
    roles: tuple[tuple[PersonRole, str], ...] = ROLES
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OnePersonPage:
    """What the template shows of one person."""

    person: Person
    seen: datetime | None
    keys: tuple[ApiKey, ...]
    acts: tuple[AuditEntry, ...]
    """The last ones done to them."""
    link: str
    notice: Notice | None
    rate: str
    role: str
    roles: tuple[tuple[PersonRole, str], ...] = ROLES
    problems: dict[str, str] = field(default_factory=dict)
    """Of `rate` and `role`; `account`: why nothing was changed."""


@router.get("/people")
def show_people(request: Request, visitor: Admin) -> Response:
    """Everybody, and the form that invites."""
    notice = notice_of(request)
    context = PeoplePage(_rows(request.app.state.deployment), link_of(notice), notice)
    return shown_once(request, page("people.html", context, visitor=visitor))


def _rows(deployment: Deployment) -> tuple[PersonRow, ...]:
    with deployment.database.read() as connection:
        people, seen = list_people(connection), last_seen(connection)
    people.sort(key=lambda person: (person.deactivated_at is not None, person.name.lower()))
    return tuple(PersonRow(person, seen.get(person.person_id)) for person in people)


@router.post("/people")
def take_invitation(request: Request, visitor: Admin, form: FormHere) -> Response:
    """A new person; the link for them is shown once."""
    deployment: Deployment = request.app.state.deployment
    name, login, role = form.get("name", ""), form.get("login", ""), form.get("role", "")
    try:
        chosen = role_of(role)
        invited = deployment.database.transact(
            lambda connection: invite(
                connection, actor=visitor.signed_in.login, name=name, login=login, role=chosen, now=utc_now()
            )
        )
    except (FormProblems, Conflict) as refused:
        problems = refused.problems if isinstance(refused, FormProblems) else {"login": refused.message}
        context = PeoplePage(_rows(deployment), "", None, name[:300], login[:300], role, problems=problems)
        return page("people.html", context, visitor=visitor, status=400)
    return see_other(request, "/people", _linked(request, invited, f"{invited.person.name} is invited."))


def _linked(request: Request, invited: Invited, words: str) -> Notice:
    return Notice(words, secret=f"{address_of(request)}/sign-in/ticket/{invited.secret}", kind="link")


def link_of(notice: Notice | None) -> str:
    """The link a notice brings; empty where it brings none."""
    return notice.secret if notice and notice.kind == "link" else ""


def address_of(request: Request) -> str:
    """This server's address as it stands in links."""
    deployment: Deployment = request.app.state.deployment
    return deployment.settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"


@router.get("/people/{person_id}")
def show_person(request: Request, visitor: Admin, person_id: str) -> Response:
    """One person: role, rate, link, account."""
    return _one(request, visitor, person_id, notice=notice_of(request))


def _one(
    request: Request,
    visitor: Visitor,
    person_id: str,
    *,
    notice: Notice | None = None,
    typed: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    deployment: Deployment = request.app.state.deployment
    typed = typed or {}
    with deployment.database.read() as connection:
        person = known(connection, person_id)
        context = OnePersonPage(
            person=person,
            seen=last_seen(connection).get(person_id),
            keys=tuple(keys_of_person(connection, person_id)),
            acts=tuple(audit_trail(connection, subject=person.login, limit=LAST_ACTS)),
            link=link_of(notice),
            notice=notice,
            rate=typed.get("rate", "" if person.usd_per_hour is None else f"{person.usd_per_hour.normalize():f}"),
            role=typed.get("role", str(person.role)),
            problems=problems or {},
        )
    answer = page("person.html", context, visitor=visitor, status=400 if problems else 200)
    return shown_once(request, answer)


def _acting(
    request: Request, visitor: Visitor, person_id: str, form: dict[str, str], act: Callable[[Connection], Notice]
) -> Response:
    """Do it and go back to the person's page, or show that with what was wrong."""
    deployment: Deployment = request.app.state.deployment
    try:
        notice = deployment.database.transact(act)
    except FormProblems as found:
        return _one(request, visitor, person_id, typed=form, problems=found.problems)
    except Conflict as refused:
        return _one(request, visitor, person_id, typed=form, problems={"account": str(refused)})
    book: SessionBook = request.app.state.sessions
    book.forget()
    keys: KeyRing = request.app.state.keys
    keys.forget()
    return see_other(request, f"/people/{person_id}", notice)


@router.post("/people/{person_id}")
def take_person(request: Request, visitor: Admin, person_id: str, form: FormHere) -> Response:
    """Role and rate."""
    deployment: Deployment = request.app.state.deployment
    actor = visitor.signed_in.login

    def act(connection: Connection) -> Notice:
        role, rate = role_of(form.get("role", "")), rate_of(form.get("rate", ""))
        change_role(connection, deployment, person_id, role, actor=actor)
        set_rate(connection, person_id, rate, actor=actor)
        return Notice("Saved.")

    return _acting(request, visitor, person_id, form, act)


@router.post("/people/{person_id}/password-link")
def make_link(request: Request, visitor: Admin, person_id: str) -> Response:
    """A new link to choose a password with, shown once."""

    def act(connection: Connection) -> Notice:
        invited = password_link(connection, person_id, actor=visitor.signed_in.login, now=utc_now())
        return _linked(request, invited, "The link is made; earlier ones no longer work.")

    return _acting(request, visitor, person_id, {}, act)


@router.post("/people/{person_id}/deactivate")
def take_deactivation(request: Request, visitor: Admin, person_id: str) -> Response:
    """End an account: sessions, links and keys stop working."""
    deployment: Deployment = request.app.state.deployment

    def act(connection: Connection) -> Notice:
        person = deactivate(connection, deployment, person_id, actor=visitor.signed_in.login, now=utc_now())
        return Notice(f"{person.name} is deactivated: signed out everywhere, and their keys no longer work.")

    return _acting(request, visitor, person_id, {}, act)


@router.post("/people/{person_id}/reactivate")
def take_reactivation(request: Request, visitor: Admin, person_id: str) -> Response:
    """Let somebody in again."""

    def act(connection: Connection) -> Notice:
        person = reactivate(connection, person_id, actor=visitor.signed_in.login)
        return Notice(f"{person.name} may sign in again.")

    return _acting(request, visitor, person_id, {}, act)
