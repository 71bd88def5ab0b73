"""Errors as answers: one table from error class to status, RFC 9457 problem+json, a request id on each."""

from __future__ import annotations

import logging
import secrets
import traceback
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaluator.deployment import Deployment
from evaluator.errors import (
    AdjudgeError,
    BadInput,
    Conflict,
    Misconfigured,
    NoKey,
    NotFound,
    NotSignedIn,
    Overloaded,
    Refused,
    TooLarge,
    Unsupported,
)
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store import operations
from evaluator.store.database import is_away

log = logging.getLogger(__name__)

STATUS: dict[type[AdjudgeError], HTTPStatus] = {
    BadInput: HTTPStatus.BAD_REQUEST,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Unsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Refused: HTTPStatus.FORBIDDEN,
    NoKey: HTTPStatus.UNAUTHORIZED,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    Misconfigured: HTTPStatus.INTERNAL_SERVER_ERROR,
    AdjudgeError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Error class → status; a class that is not named here has its nearest ancestor's."""

PROBLEM_JSON = "application/problem+json"


class Problem(BaseModel):
    """What went wrong, as RFC 9457 describes it."""

    title: str = Field(description="What kind of problem it is.", examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What is wrong with this request.")
    hint: str | None = Field(default=None, description="What to do instead.")
    request_id: str = Field(description="Names this request in the server's log.", examples=["9f86d081884c7d65"])


def status_of(error: AdjudgeError) -> HTTPStatus:
    """The status an error is answered with."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def as_adjudge_error(error: Exception) -> AdjudgeError | None:
    """The error as one to be answered, or None where nobody expected it."""
    if isinstance(error, AdjudgeError):
        return error
    if is_away(error):
        return Overloaded("The database is out of reach or busy; nothing of this request was stored.")
    return None


def answer_problem(error: AdjudgeError) -> Response:
    """The problem+json answer to an error."""
    status = status_of(error)
    return _problem(status, error.message, error.hint, headers_of(error))


def headers_of(error: AdjudgeError) -> dict[str, str]:
    """The headers that go with an error's answer, whatever its content type."""
    if isinstance(error, Overloaded):
        return {"retry-after": str(error.retry_after_seconds)}
    return {"www-authenticate": "Bearer"} if isinstance(error, NoKey) else {}


def _problem(status: HTTPStatus, detail: str, hint: str | None, headers: dict[str, str]) -> Response:
    problem = Problem(title=status.phrase, status=status, detail=detail, hint=hint, request_id=new_request_id())
    log.info("Request %s was answered %d", problem.request_id, status)
    body = orjson.dumps(problem.model_dump(exclude_none=True))
    return Response(body, status, headers, PROBLEM_JSON)


def new_request_id() -> str:
    """16 hex digits that name a request in its answer and in the log."""
    return secrets.token_hex(8)


def install_problems(app: FastAPI) -> None:
    """Answer every expected error as a problem."""
    app.add_exception_handler(AdjudgeError, _on_adjudge_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_adjudge_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AdjudgeError)
    return answer_problem(error)


async def _on_invalid_parameters(_request: Request, error: Exception) -> Response:
    """Query parameters and path parts that are not what they have to be."""
    assert isinstance(error, RequestValidationError)
    told = "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}, found {quoted(str(one.get('input')))}"
        for one in error.errors()
    )
    return answer_problem(BadInput(f"{told}."))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such path, or a method the path does not take."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        detail, hint = f"There is nothing at {quoted(request.url.path)}.", "GET /openapi.json lists all paths."
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow") or "another method"
        detail, hint = f"{quoted(request.url.path)} does not take {request.method}.", f"It takes {allowed}."
    else:
        detail, hint = str(error.detail), None
    return _problem(status, detail, hint, dict(error.headers or {}))


class Edge:
    """The outermost layer: whatever nobody expected becomes a 500 with a request id, and is shown to the operator.

    The error's own text stays out of the answer and of the log: it may hold captured content.
    """

    def __init__(self, app: ASGIApp, deployment: Deployment) -> None:
        self.app = app
        self.deployment = deployment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            # nothing stored has such a name, and PostgreSQL takes none to look for
            await answer_problem(BadInput("A null character (%00) is part of no address."))(
                scope, receive, _guarding(send)
            )
            return
        send = _guarding(send)
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the edge: nothing may leave without an answer
            answer = self._answer(error)
            if not started:
                await answer(scope, receive, send)

    def _answer(self, error: Exception) -> Response:
        expected = as_adjudge_error(error)
        if expected is not None:
            return answer_problem(expected)
        request_id = note_unexpected(self.deployment, error)
        problem = Problem(
            title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=HTTPStatus.INTERNAL_SERVER_ERROR,
            detail="Something failed here that nobody expected; the request itself may be fine.",
            hint="The server's log has more under this request id.",
            request_id=request_id,
        )
        return Response(orjson.dumps(problem.model_dump()), problem.status, media_type=PROBLEM_JSON)


_GUARDS = {b"x-content-type-options": b"nosniff", b"cache-control": b"no-store"}
"""Of every answer that does not say otherwise: keys in x-api-key mean nothing to a cache in between."""


def _guarding(send: Send) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            known = {name.lower() for name, _ in headers}
            missing = [(name, value) for name, value in _GUARDS.items() if name not in known]
            message = {**message, "headers": [*headers, *missing]}
        await send(message)

    return send_on


def note_unexpected(deployment: Deployment, error: Exception) -> str:
    """Log where an unexpected error came from and show it on the status page; the request id it goes by."""
    request_id = new_request_id()
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("Request %s failed with %s\n%s", request_id, type(error).__name__, where)
    try:
        deployment.database.transact(
            lambda connection: operations.record_failure(
                connection,
                stage="api",
                kind=type(error).__name__,
                detail=f"A request failed here; the server's log has more under {request_id}.",
            ),
            patience_seconds=0.5,
        )
    except Exception as second:  # noqa: BLE001 - what cannot be recorded is in the log at least
        log.error("The failure could not be recorded: %s", type(second).__name__)
    return request_id
