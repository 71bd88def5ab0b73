"""/sign-in/provider: away to the OpenID provider, and back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from evaluator.accounts.single_sign_on import STATE_SECONDS, Provider, sign_in_as
from evaluator.errors import NotFound
from review_ui.browser_session import client_address, over_safe_way, welcome
from review_ui.error_pages import own_path
from review_ui.guard import PAGE_HEADERS, is_secure
from review_ui.notices import see_other
from review_ui.pages.people_page import address_of
from review_ui.pages.sign_in_page import VisitorHere, attempts_of

router = APIRouter(include_in_schema=False, dependencies=[Depends(over_safe_way)])

SECURE_NAME = "__Host-adjudge-oidc"
PLAIN_NAME = "adjudge-oidc"
BACK = "/sign-in/provider/back"


def provider_here(request: Request) -> Provider:
    """The provider; raises NotFound where none is set."""
    provider: Provider = request.app.state.provider
    if not provider.is_set:
        raise NotFound(
            "No OpenID provider is set here.", hint="ADJUDGE_OIDC_ISSUER names it; sign in with a password."
        )
    return provider


ProviderHere = Annotated[Provider, Depends(provider_here)]


def _name(request: Request) -> str:
    return SECURE_NAME if is_secure(request) else PLAIN_NAME


@router.get("/sign-in/provider")
def leave(
    request: Request, visitor: VisitorHere, provider: ProviderHere, wanted: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """To the provider; the browser keeps what its answer has to fit."""
    if visitor.is_first:
        return see_other(request, "/set-up")
    leaving = provider.leave(f"{address_of(request)}{BACK}", own_path(wanted))
    answer = RedirectResponse(leaving.url, 303, headers=PAGE_HEADERS)
    answer.set_cookie(
        _name(request),
        leaving.sealed,
        max_age=STATE_SECONDS,
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(BACK)
def come_back(request: Request, provider: ProviderHere) -> Response:
    """From the provider; signs in whom it brings, or says why not."""
    attempts_of(request).count(client_address(request))
    sealed = request.cookies.get(_name(request), "")
    identity, wanted = provider.come_back(f"{address_of(request)}{BACK}", sealed, dict(request.query_params))
    session = sign_in_as(request.app.state.deployment, identity)
    answer = welcome(request, session.person, session.cookie, wanted)
    answer.delete_cookie(_name(request), secure=is_secure(request), httponly=True, samesite="lax")
    return answer
