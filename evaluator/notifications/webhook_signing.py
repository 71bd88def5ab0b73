"""Signatures of webhooks, after the Standard Webhooks specification 1.0 (symmetric, v1)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256

from evaluator.errors import Misconfigured

PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def signing_secret(text: str) -> bytes:
    """The bytes behind a secret as operators write it, `whsec_` and base64; raises Misconfigured for any other text."""
    hint = f"It is {PREFIX} and the base64 of {_SHORTEST} to {_LONGEST} random bytes."
    if not text.startswith(PREFIX):
        raise Misconfigured(f"ADJUDGE_REVIEW_WEBHOOK_SECRET does not begin with {PREFIX}.", hint=hint)
    encoded = text.removeprefix(PREFIX)
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Misconfigured("ADJUDGE_REVIEW_WEBHOOK_SECRET is not base64.", hint=hint) from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise Misconfigured(f"ADJUDGE_REVIEW_WEBHOOK_SECRET holds {len(secret)} bytes.", hint=hint)
    return secret


def signature_of(secret: bytes, delivery_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id, Unix time and body, joined by full stops."""
    signed = b".".join((delivery_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, sha256)).decode()


def signed_headers(secret: bytes, delivery_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers by which a receiver knows who sent a body, and when."""
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(secret, delivery_id, timestamp, body),
    }
