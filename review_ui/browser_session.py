"""Putting a session into a browser and taking it out again."""

from __future__ import annotations

from ipaddress import ip_address

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from evaluator.deployment import Deployment
from evaluator.errors import Refused
from evaluator.model.person import Person, PersonRole
from review_ui.error_pages import own_path
from review_ui.guard import PAGE_HEADERS, PLAIN_COOKIE, SECURE_COOKIE, is_by_local_name, is_secure


def keep_session(request: Request, answer: Response, cookie: str) -> Response:
    """The answer with the session's cookie, for this server's pages alone."""
    deployment: Deployment = request.app.state.deployment
    secure = is_secure(request)
    answer.set_cookie(
        SECURE_COOKIE if secure else PLAIN_COOKIE,
        cookie,
        max_age=int(deployment.settings.session_days * 86_400),
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def drop_session(request: Request, answer: Response) -> Response:
    """The answer that takes the session's cookie away."""
    secure = is_secure(request)
    answer.delete_cookie(SECURE_COOKIE if secure else PLAIN_COOKIE, secure=secure, httponly=True, samesite="lax")
    return answer


def welcome(request: Request, person: Person, cookie: str, wanted: str) -> Response:
    """To the page that was wanted, else where this person begins, signed in."""
    begins = "/review" if person.may(PersonRole.REVIEWER) else "/"
    answer = RedirectResponse(own_path(wanted) or begins, 303, headers=PAGE_HEADERS)
    return keep_session(request, answer, cookie)


async def over_safe_way(request: Request) -> None:
    """Refuse to take a password where somebody between may read it."""
    if not is_secure(request) and not is_by_local_name(request):
        raise Refused(
            "Signing in needs https, or a browser on the machine itself: over plain http somebody between "
            "could read the password.",
            hint="Put a proxy with TLS before this server and set ADJUDGE_PUBLIC_URL to its https address, or open a "
            "tunnel with `ssh -L 8700:127.0.0.1:8700 HOST` and go to http://localhost:8700.",
        )


def client_address(request: Request) -> str:
    """Where an attempt to sign in comes from; behind the proxy that public_url stands for, the one it names."""
    host = request.client.host if request.client else ""
    named = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    deployment: Deployment = request.app.state.deployment
    return named if named and deployment.settings.public_url and _is_near(host) and _is_address(named) else host


def _is_near(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_private


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
