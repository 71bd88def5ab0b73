"""Errors as pages: what happened, what was kept, what to do; the API's own answers stay as they are.

The API answers each error as problem+json. Where a browser asked for a page, this turns that answer into one.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import orjson
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaluator.api.problems import PROBLEM_JSON, answer_problem
from evaluator.errors import NotSignedIn, WrongRole
from review_ui.guard import PAGE_HEADERS, SAFE_METHODS, who_gives_roles
from review_ui.presentation import page
from review_ui.visitor import ANONYMOUS, Visitor

NO_PAGES = ("/v1/", "/static/", "/openapi.json", "/healthz", "/readyz")
"""Paths that programs ask for."""

TITLES = {
    HTTPStatus.BAD_REQUEST: "This cannot be used as it was sent",
    HTTPStatus.UNAUTHORIZED: "Sign in first",
    HTTPStatus.FORBIDDEN: "This is not allowed",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.METHOD_NOT_ALLOWED: "This page takes no such request",
    HTTPStatus.CONFLICT: "Somebody else was faster",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "This is too large",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too busy just now",
}
KEPT = "Nothing of this request was stored; what was there before is as it was."
KEPT_UNLESS = "It is not known how far this request came: look before you send it again."


@dataclass(frozen=True)
class ErrorPage:
    """What the template shows."""

    title: str
    detail: str
    hint: str
    kept: str
    request_id: str
    back: str


@dataclass(frozen=True)
class SessionEnded:
    """What the fragment shows."""

    sign_in: str


def install_error_pages(app: FastAPI) -> None:
    """Answer errors of pages as pages; to be called once everything else is in place."""
    app.add_exception_handler(NotSignedIn, _on_not_signed_in)
    app.add_exception_handler(WrongRole, _on_wrong_role)
    app.add_middleware(ErrorPages)


def is_page(path: str) -> bool:
    """Whether a path is a page's, not the API's."""
    return not path.startswith(NO_PAGES)


def is_part(request: Request) -> bool:
    """Whether a script asked, to replace a part of the page it is on."""
    return "hx-request" in request.headers or request.headers.get("sec-fetch-mode") == "cors"


def sign_in_path(path: str, query: str = "") -> str:
    """Where to sign in and come back from."""
    back = f"{path}?{query}" if query else path
    return "/sign-in" if back == "/" else f"/sign-in?next={quote(back, safe='/')}"


async def _on_not_signed_in(request: Request, error: Exception) -> Response:
    """To the sign-in page, and back afterwards; what a script asked for is told in place instead."""
    assert isinstance(error, NotSignedIn)
    if not is_page(request.url.path):
        return answer_problem(error)
    if is_part(request):
        came_from = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer", ""))
        return page(
            "session_ended.html", SessionEnded(sign_in_path(came_from.path or "/", came_from.query)), status=401
        )
    if request.method in SAFE_METHODS:
        target = sign_in_path(quote(request.url.path), request.url.query)
        return RedirectResponse(target, HTTPStatus.SEE_OTHER, headers=PAGE_HEADERS)
    return answer_problem(
        NotSignedIn(f"{error.message} {KEPT}", hint="Sign in in another tab, then send this again.")
    )


async def _on_wrong_role(request: Request, error: Exception) -> Response:
    """Who can change a role is always told."""
    assert isinstance(error, WrongRole)
    if error.hint is None and is_page(request.url.path):
        error = WrongRole(
            error.message, hint=await to_thread.run_sync(who_gives_roles, request.app.state.deployment)
        )
    return answer_problem(error)


class ErrorPages:
    """The layer around everything that turns problem+json into a page where a browser asked for one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope["path"]) or not _wants_page(Request(scope)):
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        held: list[Message] = []

        async def hold_problems(message: Message) -> None:
            if message["type"] == "http.response.start" and not _is_problem(message):
                held.clear()
                await send(message)
            elif message["type"] == "http.response.start":
                held.append(message)
            elif not held:
                await send(message)
            else:
                held.append(message)
                if not message.get("more_body"):
                    await as_page(Request(scope), held)(scope, receive, send)

        await self.app(scope, receive, hold_problems)


def _wants_page(request: Request) -> bool:
    return "hx-request" in request.headers or "text/html" in request.headers.get("accept", "")


def _is_problem(start: Message) -> bool:
    return (b"content-type", PROBLEM_JSON.encode()) in [(name.lower(), value) for name, value in start["headers"]]


def as_page(request: Request, messages: list[Message]) -> Response:
    """A problem that was answered, as a page, or as a part of one where a script asked."""
    start, *bodies = messages
    problem = orjson.loads(b"".join(message.get("body", b"") for message in bodies))
    visitor: Visitor = getattr(request.state, "visitor", None) or ANONYMOUS
    status = HTTPStatus(start["status"])
    is_unsure = (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR
        and request.method not in SAFE_METHODS
        and status != HTTPStatus.SERVICE_UNAVAILABLE
    )
    context = ErrorPage(
        title=TITLES.get(status, "Something went wrong here"),
        detail=problem["detail"],
        hint=problem.get("hint") or "",
        kept="" if request.method in SAFE_METHODS else KEPT_UNLESS if is_unsure else KEPT,
        request_id=problem["request_id"],
        back=own_path(urlsplit(request.headers.get("referer", "")).path)
        if request.method not in SAFE_METHODS
        else "",
    )
    passed_on = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in start["headers"]
        if name.lower() in (b"retry-after", b"www-authenticate", b"allow")
    }
    block = "problem" if is_part(request) else None
    return page("error.html", context, visitor=visitor, status=status, headers=passed_on, block=block)


def own_path(text: str) -> str:
    """A path of this server as it may be gone to; empty for anything else, lest a link lead elsewhere."""
    if not text.startswith("/") or "\\" in text or "//" in text.partition("?")[0]:
        return ""
    return text if text.isascii() and text.isprintable() and " " not in text else ""
