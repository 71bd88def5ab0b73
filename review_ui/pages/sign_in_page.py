"""/sign-in, /sign-out and links that work once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from evaluator.accounts.passwords import LONGEST, SHORTEST
from evaluator.accounts.people_directory import FormProblems, choose_password
from evaluator.accounts.session_book import SessionBook
from evaluator.accounts.sign_in import AttemptCounter, sign_in, sign_in_by_link, ticket_for
from evaluator.deployment import Deployment
from evaluator.errors import NotSignedIn, Overloaded, Refused
from evaluator.model.person import TicketPurpose
from evaluator.store.people import end_session
from review_ui.browser_session import client_address, drop_session, over_safe_way, welcome
from review_ui.error_pages import own_path
from review_ui.forms import FormHere
from review_ui.guard import is_local, same_origin, visitor_of
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.presentation import page
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

VisitorHere = Annotated[Visitor, Depends(visitor_of)]


@dataclass(frozen=True)
class SignInPage:
    """What the template shows."""

    next: str
    login: str
    problem: str
    provider: str
    """Host of the OpenID provider people may sign in with; empty where there is none."""
    notice: Notice | None


@dataclass(frozen=True)
class PasswordPage:
    """What the template shows to who has a link to choose a password with."""

    login: str
    name: str
    secret: str
    shortest: int = SHORTEST
    longest: int = LONGEST
    problems: dict[str, str] = field(default_factory=dict)


def provider_of(deployment: Deployment) -> str:
    """The OpenID provider's host as people know it; empty where none is set."""
    from urllib.parse import urlsplit

    return urlsplit(deployment.settings.oidc_issuer).hostname or ""


def attempts_of(request: Request) -> AttemptCounter:
    counter: AttemptCounter = request.app.state.attempts
    return counter


@router.get("/sign-in", dependencies=[Depends(over_safe_way)])
def show_sign_in(
    request: Request,
    visitor: VisitorHere,
    wanted: Annotated[str, Query(alias="next", description="Where to go afterwards.")] = "",
) -> Response:
    """The form; who is signed in goes on, and while nobody has an account it is the set-up."""
    if visitor.is_first:
        return see_other(request, "/set-up")
    if visitor.person is not None and own_path(wanted):
        return see_other(request, own_path(wanted))
    context = SignInPage(own_path(wanted), "", "", provider_of(request.app.state.deployment), notice_of(request))
    return shown_once(request, page("sign_in.html", context, visitor=visitor))


@router.post("/sign-in", dependencies=[Depends(over_safe_way)])
def take_sign_in(request: Request, visitor: VisitorHere, form: FormHere) -> Response:
    """Sign in, or say in the same words whatever does not fit."""
    deployment: Deployment = request.app.state.deployment
    login, wanted = form.get("login", "").strip(), own_path(form.get("next", ""))
    try:
        attempts_of(request).count(client_address(request))
        session = sign_in(deployment, login, form.get("password", ""))
    except (NotSignedIn, Overloaded) as refused:
        context = SignInPage(wanted, login[:300], refused.message, provider_of(deployment), None)
        busy = isinstance(refused, Overloaded)
        headers = {"retry-after": str(refused.retry_after_seconds)} if isinstance(refused, Overloaded) else {}
        return page("sign_in.html", context, visitor=visitor, headers=headers, status=429 if busy else 401)
    return welcome(request, session.person, session.cookie, wanted)


@router.post("/sign-out")
def take_sign_out(request: Request, visitor: VisitorHere) -> Response:
    """End this browser's session."""
    if visitor.session_hash:
        deployment: Deployment = request.app.state.deployment
        deployment.database.transact(lambda connection: end_session(connection, visitor.session_hash))
        book: SessionBook = request.app.state.sessions
        book.forget()
    return drop_session(request, see_other(request, "/sign-in", Notice("You are signed out.")))


@router.get("/sign-in/ticket/{secret}", dependencies=[Depends(over_safe_way)])
async def show_ticket(request: Request, secret: str) -> Response:
    """A form to choose a password; a link that signs in does so, on this machine alone."""
    deployment: Deployment = request.app.state.deployment
    attempts_of(request).count(client_address(request))
    ticket, person = await to_thread.run_sync(ticket_for, deployment, secret)
    if ticket.purpose == TicketPurpose.CHOOSE_PASSWORD:
        return page("choose_password.html", PasswordPage(person.login, person.name, secret))
    if not is_local(request):
        raise Refused("This link signs in on the machine itself only.", hint="Open it there, or sign in.")
    session = await to_thread.run_sync(sign_in_by_link, deployment, secret)
    return welcome(request, session.person, session.cookie, "")


@router.post("/sign-in/ticket/{secret}", dependencies=[Depends(over_safe_way)])
def take_password(request: Request, secret: str, form: FormHere) -> Response:
    """Keep the chosen password and sign in; the link is used up."""
    deployment: Deployment = request.app.state.deployment
    attempts_of(request).count(client_address(request))
    try:
        session = choose_password(deployment, secret, form.get("password", ""))
    except FormProblems as found:
        _, person = ticket_for(deployment, secret)
        context = PasswordPage(person.login, person.name, secret, problems=found.problems)
        return page("choose_password.html", context, status=400)
    book: SessionBook = request.app.state.sessions
    book.forget()
    return welcome(request, session.person, session.cookie, "")
