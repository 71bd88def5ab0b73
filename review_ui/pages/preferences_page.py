"""/preferences: how a person likes to work, their password, their browsers, their own API keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from evaluator.accounts.passwords import SHORTEST
from evaluator.accounts.people_directory import (
    FormProblems,
    change_password,
    problem_with_time_zone,
    set_preferences,
    told,
)
from evaluator.accounts.session_book import SessionBook
from evaluator.api.access import KeyRing
from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.api_key import ApiKey, Scope
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole, Preferences
from evaluator.store.api_keys import audit, issue_key, keys_of_person, revoke_key
from evaluator.store.database import Connection
from evaluator.store.people import end_sessions
from review_ui.browser_session import over_safe_way
from review_ui.forms import FormHere
from review_ui.guard import needs, same_origin
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.presentation import page
from review_ui.time_zones import time_zones
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

SignedInHere = Annotated[Visitor, Depends(needs(PersonRole.VIEWER))]

PATH = "/preferences"
MOST_KEYS = 20


@dataclass(frozen=True)
class PreferencesPage:
    """What the template shows."""

    person: Person
    name: str
    likes: Preferences
    keys: tuple[ApiKey, ...]
    key: str
    """A key just made, this once."""
    may_review: bool
    notice: Notice | None
    shortest: int = SHORTEST
    problems: dict[str, str] = field(default_factory=dict)
    zones: object = field(default_factory=time_zones)


@router.get(PATH)
def show_preferences(request: Request, visitor: SignedInHere) -> Response:
    """Everything a person may change about themselves."""
    return _shown(request, visitor, notice=notice_of(request))


def _shown(
    request: Request,
    visitor: Visitor,
    *,
    notice: Notice | None = None,
    name: str | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    deployment: Deployment = request.app.state.deployment
    person = visitor.signed_in
    with deployment.database.read() as connection:
        keys = keys_of_person(connection, person.person_id)
    context = PreferencesPage(
        person=person,
        name=person.name if name is None else name,
        likes=person.likes,
        keys=tuple(keys),
        key=notice.secret if notice and notice.kind == "key" else "",
        may_review=person.may(PersonRole.REVIEWER),
        notice=notice,
        problems=problems or {},
    )
    answer = page("preferences.html", context, visitor=visitor, status=400 if problems else 200)
    return shown_once(request, answer)


def theme_of(text: str) -> Literal["system", "light", "dark"]:
    """The theme asked for, the system's where it is none."""
    return "dark" if text == "dark" else "light" if text == "light" else "system"


@router.post(PATH)
def take_preferences(request: Request, visitor: SignedInHere, form: FormHere) -> Response:
    """Keep name and preferences."""
    deployment: Deployment = request.app.state.deployment
    person, zone = visitor.signed_in, form.get("time_zone", "UTC")
    try:
        told(time_zone=problem_with_time_zone(zone))
        likes = Preferences(
            shortcuts="shortcuts" in form,
            auto_advance="auto_advance" in form,
            theme=theme_of(form.get("theme", "")),
            time_zone=zone,
        )
        deployment.database.transact(
            lambda connection: set_preferences(connection, person, name=form.get("name", ""), likes=likes)
        )
    except FormProblems as found:
        return _shown(request, visitor, name=form.get("name", "")[:300], problems=found.problems)
    _forget_sessions(request)
    return see_other(request, PATH, Notice("Saved."))


@router.post(f"{PATH}/password", dependencies=[Depends(over_safe_way)])
def take_new_password(request: Request, visitor: SignedInHere, form: FormHere) -> Response:
    """Another password; every other browser is signed out."""
    try:
        change_password(
            request.app.state.deployment,
            visitor.signed_in,
            current=form.get("current", ""),
            password=form.get("password", ""),
            session_hash=visitor.session_hash,
        )
    except FormProblems as found:
        return _shown(request, visitor, problems=found.problems)
    _forget_sessions(request)
    return see_other(request, PATH, Notice("Your password is changed; other browsers are signed out."))


@router.post(f"{PATH}/sign-out-everywhere")
def sign_out_everywhere(request: Request, visitor: SignedInHere) -> Response:
    """End every other session of this person."""
    deployment: Deployment = request.app.state.deployment
    person = visitor.signed_in
    ended = deployment.database.transact(
        lambda connection: end_sessions(connection, person.person_id, but=visitor.session_hash)
    )
    _forget_sessions(request)
    words = f"Signed out of {ended} other browsers." if ended != 1 else "Signed out of one other browser."
    return see_other(request, PATH, Notice(words))


@router.post(f"{PATH}/keys")
def make_own_key(
    request: Request, visitor: Annotated[Visitor, Depends(needs(PersonRole.REVIEWER))], form: FormHere
) -> Response:
    """A key that reviews as this person, shown once."""
    deployment: Deployment = request.app.state.deployment
    person, name = visitor.signed_in, form.get("key_name", "").strip()
    if not name or len(name) > 100:
        problem = "Give a name of at most 100 characters, such as the script that uses it."
        return _shown(request, visitor, problems={"key_name": problem})

    def act(connection: Connection) -> str | None:
        if len(keys_of_person(connection, person.person_id)) >= MOST_KEYS:
            return None
        key, _ = issue_key(
            connection, name=name, scopes=[Scope.REVIEW], actor=person.login, person_id=person.person_id
        )
        return key

    key = deployment.database.transact(act)
    if key is None:
        return _shown(request, visitor, problems={"key_name": f"You have {MOST_KEYS} keys: revoke one first."})
    return see_other(request, f"{PATH}#keys", Notice("The key is made.", secret=key, kind="key"))


@router.post(f"{PATH}/keys/{{hint}}/revoke")
def revoke_own_key(request: Request, visitor: SignedInHere, hint: str) -> Response:
    """Revoke one of one's own keys."""
    deployment: Deployment = request.app.state.deployment
    person = visitor.signed_in

    def act(connection: Connection) -> int:
        revoked = revoke_key(connection, hint, utc_now(), person_id=person.person_id)
        if revoked:
            audit(connection, actor=person.login, act="revoke_key", subject=hint)
        return revoked

    if not deployment.database.transact(act):
        raise NotFound("You have no such key, or it is revoked already.")
    ring: KeyRing = request.app.state.keys
    ring.forget()
    return see_other(request, f"{PATH}#keys", Notice(f"The key {hint}… is revoked."))


def _forget_sessions(request: Request) -> None:
    book: SessionBook = request.app.state.sessions
    book.forget()
