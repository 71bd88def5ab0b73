"""A word on the next page about what was just done, and what is shown only once."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus

import orjson
from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from evaluator.deployment import Deployment
from review_ui.guard import PAGE_HEADERS, is_secure

LIFE_SECONDS = 120
SECURE_NAME = "__Host-adjudge-notice"
PLAIN_NAME = "adjudge-notice"


@dataclass(frozen=True)
class Notice:
    """What was done; `secret`: a key or link that nobody can be shown again."""

    words: str
    secret: str = ""
    kind: str = ""
    """What the secret is, for the page that shows it."""


def see_other(request: Request, path: str, notice: Notice | None = None) -> Response:
    """303 to a page of this server, which then shows the notice once."""
    answer = RedirectResponse(path, HTTPStatus.SEE_OTHER, headers=PAGE_HEADERS)
    if notice is not None:
        answer.set_cookie(
            _name(request),
            _sealed(request, notice),
            max_age=LIFE_SECONDS,
            secure=is_secure(request),
            httponly=True,
            samesite="lax",
        )
    return answer


def notice_of(request: Request) -> Notice | None:
    """The notice that came along; one that this server did not write is none."""
    body, _, seal = request.cookies.get(_name(request), "").partition(".")
    if not body or not hmac.compare_digest(seal.encode(), _seal(request, body).encode()):
        return None
    try:
        return Notice(**orjson.loads(urlsafe_b64decode(body)))
    except (Error, ValueError, TypeError):
        return None


def shown_once(request: Request, answer: Response) -> Response:
    """The page, after which the notice is gone."""
    if _name(request) in request.cookies:
        answer.delete_cookie(_name(request), secure=is_secure(request), httponly=True, samesite="lax")
    return answer


def _name(request: Request) -> str:
    return SECURE_NAME if is_secure(request) else PLAIN_NAME


def _sealed(request: Request, notice: Notice) -> str:
    body = urlsafe_b64encode(orjson.dumps(notice)).decode()
    return f"{body}.{_seal(request, body)}"


def _seal(request: Request, body: str) -> str:
    deployment: Deployment = request.app.state.deployment
    return hmac.new(deployment.secret, b"notice:" + body.encode(), sha256).hexdigest()
