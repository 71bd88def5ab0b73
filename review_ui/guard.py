"""Who may see pages, and the headers that keep them safe.

Until people can sign in, pages are for whoever sits at this machine; from elsewhere a key that may read is needed.
"""

from __future__ import annotations

from ipaddress import ip_address

from fastapi import Request

from evaluator.api.access import KeyRing
from evaluator.model.api_key import Scope

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
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


async def may_see_pages(request: Request) -> None:
    """Let local clients through, others with a key that may read; raises NoKey or WrongScope."""
    if not is_local(request):
        keys: KeyRing = request.app.state.keys
        await keys.admit(request.headers, Scope.READ)


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
