"""Webhooks out: one signed POST to an address that was checked after it was resolved, without redirects."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evaluator.errors import Misconfigured, Refused
from evaluator.model.columns import canonical_json
from evaluator.model.delivery import Delivery
from evaluator.notifications.attempt import SECONDS, Attempt
from evaluator.notifications.webhook_signing import signed_headers, signing_secret
from evaluator.settings import Settings

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

_METADATA = {ipaddress.ip_address("168.63.129.16")}
"""Where clouds answer virtual machines about themselves, but for those at addresses that are not global anyway."""
_HOLD_IPV4 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
"""NAT64, and the IPv4-compatible addresses of old."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where webhooks go and what they are signed with."""

    url: str
    secret: bytes = field(repr=False)
    allow_private: bool = False

    @property
    def host(self) -> str:
        """The receiver as messages name it: paths of webhooks may hold secrets."""
        return urlsplit(self.url).hostname or ""


class PrivateAddress(Refused):
    """A webhook's host resolves to no address that webhooks may go to."""


def webhook_endpoint(settings: Settings) -> WebhookEndpoint | None:
    """Where this deployment's webhooks go, None for nowhere; raises Misconfigured for what cannot be sent to."""
    if not settings.review_webhook_url:
        return None
    schemes = ("https", "http") if settings.webhook_allow_private else ("https",)
    problem = _problem(settings.review_webhook_url, schemes)
    if problem:
        raise Misconfigured(
            f"ADJUDGE_REVIEW_WEBHOOK_URL {problem}.", hint="Give an address such as https://example.com/hooks."
        )
    secret = signing_secret(settings.review_webhook_secret.get_secret_value())
    return WebhookEndpoint(settings.review_webhook_url, secret, settings.webhook_allow_private)


def _problem(url: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in schemes:
        return f"begins with none of {', '.join(f'{scheme}://' for scheme in schemes)}"
    if not parts.hostname:
        return "names no host"
    return "holds a user name; the signature says who sends" if parts.username is not None else ""


def send_webhook(endpoint: WebhookEndpoint, delivery: Delivery, now: datetime) -> Attempt:
    """Post a message's payload once; what the receiver answers beside its status is not read.

    2xx is arrival, 410 says that nobody wants it any more, all else may pass.
    """
    body = canonical_json(delivery.payload)
    headers = {
        "content-type": "application/json",
        "user-agent": "Adjudge",
        **signed_headers(endpoint.secret, delivery.delivery_id, int(now.timestamp()), body),
    }
    return judged(asyncio.run(_post(endpoint, headers, body)))


def judged(answer: int | str) -> Attempt:
    """What a status, or a word for what happened instead of one, means for the message."""
    if isinstance(answer, str):
        return Attempt(arrived=False, detail=answer)
    if HTTPStatus.OK <= answer < HTTPStatus.MULTIPLE_CHOICES:
        return Attempt(arrived=True, detail=f"answered {answer}")
    if answer == HTTPStatus.GONE:
        return Attempt(arrived=False, detail="answered 410: the receiver wants no more", may_try_again=False)
    redirects = HTTPStatus.MULTIPLE_CHOICES <= answer < HTTPStatus.BAD_REQUEST
    return Attempt(
        arrived=False, detail=f"answered {answer}" + ("; redirects are not followed" if redirects else "")
    )


async def _post(endpoint: WebhookEndpoint, headers: dict[str, str], body: bytes) -> int | str:
    import aiohttp  # 10 MB that a server which sends nothing need not hold

    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        _refuse_literal(endpoint)
        connector = aiohttp.TCPConnector(resolver=_resolver(allow_private=endpoint.allow_private), force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status
    except PrivateAddress:
        return "refused: the host has no public address; ADJUDGE_WEBHOOK_ALLOW_PRIVATE allows others"
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except aiohttp.ClientConnectorCertificateError:
        return "its certificate is not valid"
    except aiohttp.ClientConnectorDNSError:
        return "its host cannot be resolved"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"could not be reached ({type(error).__name__})"


def _refuse_literal(endpoint: WebhookEndpoint) -> None:
    """An address written out is never resolved, so it is looked at here, as it is connected to: １２７.0.0.1 is 127.0.0.1."""
    from yarl import URL

    try:
        literal = ipaddress.ip_address(URL(endpoint.url).raw_host or "")
    except ValueError:
        return
    if not endpoint.allow_private and not is_public(literal):
        raise PrivateAddress


def _resolver(*, allow_private: bool) -> AbstractResolver:
    """Resolves once and gives only what may be connected to, so that another answer of the name server changes nothing."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class CheckedResolver(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
            allowed = [one for one in found if allow_private or is_public(ipaddress.ip_address(one[4][0]))]
            if not allowed:
                raise PrivateAddress
            return [
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
                for kind, _, protocol, _, address in allowed
            ]

        async def close(self) -> None:
            """Nothing is held."""

    return CheckedResolver()


def is_public(address: Address) -> bool:
    """Whether an address is of the open internet: no private, loopback, link-local, shared, multicast or metadata one.

    An IPv6 address that stands for an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is as public as that.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inside(address)
        if inner:
            return all(is_public(one) for one in inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and address not in _METADATA


def _inside(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if any(address in network for network in _HOLD_IPV4):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()
