"""Who may see pages and act on them, and the headers that keep them safe.

Once somebody has an account everyone signs in; until then pages are for whoever sits at this machine. Programs come
with a key that may read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import Depends, Request

from evaluator.accounts.session_book import SessionBook, SignedIn
from evaluator.api.access import KeyRing, presented_key
from evaluator.deployment import Deployment
from evaluator.errors import NotSignedIn, Refused, WrongRole
from evaluator.model.api_key import Scope
from evaluator.model.person import PersonRole
from evaluator.store.people import active_admins
from review_ui.visitor import Visitor

LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
"""Any other Host means a name that somebody else may point at this machine."""

PROXY_HEADERS = {"forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"}
"""And all that begin with x-forwarded-."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

PAGE_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


SECURE_COOKIE = "__Host-adjudge"
PLAIN_COOKIE = "adjudge"
"""Over plain http to a name of this machine only: browsers refuse a secure cookie there."""

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


async def visitor_of(request: Request) -> Visitor:
    """Whoever asks, whether or not they signed in; kept with the request for its error page."""
    known: Visitor | None = getattr(request.state, "visitor", None)
    if known is not None:
        return known
    book: SessionBook = request.app.state.sessions
    signed_in = await _signed_in(request, book)
    if signed_in is not None:
        visitor = Visitor(signed_in.person, signed_in.session_hash)
    else:
        visitor = Visitor(is_first=not await to_thread.run_sync(book.somebody_has_account))
    request.state.visitor = visitor
    return visitor


async def _signed_in(request: Request, book: SessionBook) -> SignedIn | None:
    cookie = session_cookie(request)
    if cookie is None:
        return None
    return book.remembered(cookie) or await to_thread.run_sync(book.look_up, cookie)


def session_cookie(request: Request) -> str | None:
    """The session's cookie; the plain one counts only where the browser came by a name of this machine."""
    if is_secure(request):
        return request.cookies.get(SECURE_COOKIE)
    return request.cookies.get(PLAIN_COOKIE) if is_by_local_name(request) else None


async def may_see_pages(request: Request) -> Visitor:
    """Let in who signed in, who has a key that may read, and this machine until somebody has an account.

    Raises NotSignedIn, or NoKey and WrongScope for a key.
    """
    visitor = await visitor_of(request)
    if visitor.may(PersonRole.VIEWER) or (visitor.is_first and is_local(request)):
        return visitor
    if presented_key(request.headers) is None:
        raise NotSignedIn("Sign in to see this page.", hint="Programs send a key with the scope read.")
    keys: KeyRing = request.app.state.keys
    await keys.admit(request.headers, Scope.READ)
    return visitor


SeesPages = Annotated[Visitor, Depends(may_see_pages)]


def needs(role: PersonRole) -> Callable[[Request], Awaitable[Visitor]]:
    """A dependency that lets people in whose role includes this one; raises NotSignedIn and WrongRole."""

    async def with_role(request: Request) -> Visitor:
        visitor = await visitor_of(request)
        person = visitor.signed_in
        if not person.may(role):
            deployment: Deployment = request.app.state.deployment
            raise WrongRole(
                f"This needs the role {role}; yours is {person.role}.",
                hint=await to_thread.run_sync(who_gives_roles, deployment),
            )
        return visitor

    return with_role


def who_gives_roles(deployment: Deployment) -> str:
    """Whom to ask for another role, by name."""
    with deployment.database.read() as connection:
        names = [person.name for person in active_admins(connection)]
    return f"Ask {' or '.join(names)}, who can change it." if names else ""


async def same_origin(request: Request) -> None:
    """Refuse what another site's page sends: by Sec-Fetch-Site, else by Origin; reading is not looked at."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    is_own = site in ("same-origin", "none") if site is not None else origin in own_origins(request)
    if not is_own:
        raise Refused(
            "This came from a page of another site, or from a program that does not say where it comes from; "
            "nothing was changed.",
            hint="Open the page here and press the button there. Programs use the API with a key.",
        )


def own_origins(request: Request) -> set[str]:
    """What a browser says of this server's own pages."""
    deployment: Deployment = request.app.state.deployment
    public = urlsplit(deployment.settings.public_url)
    origins = {f"{public.scheme}://{public.netloc}"} if public.netloc else set()
    if is_by_local_name(request):
        origins.add(f"{request.url.scheme}://{request.headers['host'].strip().lower()}")
    return origins


def is_by_local_name(request: Request) -> bool:
    """Whether the browser came by a name that always means its own machine: no one in between can listen."""
    return host_name(request.headers.get("host", "")) in LOCAL_NAMES


def is_secure(request: Request) -> bool:
    """Whether the browser came by https: here, or at the proxy that public_url names."""
    deployment: Deployment = request.app.state.deployment
    public = urlsplit(deployment.settings.public_url)
    if request.url.scheme == "https":
        return True
    return public.scheme == "https" and request.headers.get("host", "").lower() == public.netloc.lower()


def is_local(request: Request) -> bool:
    """Whether the request comes from this machine, by its own name, and not through a proxy."""
    if request.client is None or not _is_loopback(request.client.host):
        return False
    if any(name in PROXY_HEADERS or name.startswith("x-forwarded-") for name in request.headers):
        return False
    if request.scope["http_version"] == "1.0":  # no browser's; a proxy that is not told otherwise speaks it
        return False
    return host_name(request.headers.get("host", "")) in LOCAL_NAMES


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """A Host header without its port, in lower case."""
    name, colon, port = host.strip().lower().rpartition(":")
    return (
        name if colon and port.isdigit() and (not name.count(":") or name.endswith("]")) else host.strip().lower()
    )
