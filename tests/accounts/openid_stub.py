"""A small OpenID provider on loopback: signs real ID tokens, checks PKCE, hands each code out once."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT_ID = "adjudge-test"
CLIENT_SECRET = "s3cret/with+signs"


@dataclass
class OpenIdStub:
    """What the provider says next; tests change it."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    """Put over those an honest provider would send; None leaves one out."""
    key: RSAKey | ECKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    signs_with: RSAKey | ECKey | None = None
    """Another key than the published one."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    forged: str = ""
    """none or HS256: tokens of that algorithm, the latter under the public key as anybody can read it."""
    key_fetches: int = 0

    def honest(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": "4711",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "ada@example.com",
            "email_verified": True,
            "name": "Ada Lovelace",
        }

    def id_token(self, nonce: str) -> str:
        claims = {name: value for name, value in {**self.honest(nonce), **self.claims}.items() if value is not None}
        key = self.signs_with or self.key
        if self.forged:
            return self._forged(claims)
        algorithm = "ES256" if isinstance(key, ECKey) else "RS256"
        return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])

    def _forged(self, claims: dict[str, Any]) -> str:
        header = {"alg": self.forged, "kid": self.key.kid}
        body = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        if self.forged == "none":
            return f"{body}."
        return f"{body}.{_encoded(hmac.digest(self.key.as_pem(private=False), body.encode(), 'sha256'))}"


def app_of(stub: OpenIdStub) -> FastAPI:
    app = FastAPI()

    @app.get("/.well-known/openid-configuration")
    def described() -> dict[str, Any]:
        return {
            "issuer": stub.issuer,
            "authorization_endpoint": f"{stub.issuer}/authorize",
            "token_endpoint": f"{stub.issuer}/token",
            "jwks_uri": f"{stub.issuer}/keys",
        }

    @app.get("/keys")
    def keys() -> Any:
        stub.key_fetches += 1
        return KeySet([stub.key]).as_dict(private=False)

    @app.get("/authorize")
    def authorize(request: Request) -> Response:
        asked = dict(request.query_params)
        code = secrets.token_urlsafe(8)
        stub.codes[code] = asked
        answer = urlencode({"code": code, "state": asked["state"], "iss": stub.issuer})
        return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 303)

    @app.post("/token")
    async def token(request: Request) -> Response:
        sent = dict(parse_qsl((await request.body()).decode()))
        asked = stub.codes.pop(sent["code"], None)
        challenge = urlsafe_b64encode(sha256(sent["code_verifier"].encode()).digest()).decode().rstrip("=")
        is_client = request.headers["authorization"] == basic(CLIENT_ID, CLIENT_SECRET)
        if asked is None or asked["code_challenge"] != challenge or not is_client:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if asked["redirect_uri"] != sent["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(
            {"token_type": "Bearer", "access_token": "a", "id_token": stub.id_token(asked["nonce"])}
        )

    return app


def basic(name: str, secret: str) -> str:
    """HTTP basic authentication after RFC 6749 §2.3.1: both parts are form-encoded first."""
    from base64 import b64encode
    from urllib.parse import quote

    return "Basic " + b64encode(f"{quote(name, safe='')}:{quote(secret, safe='')}".encode()).decode()


@contextmanager
def openid_provider() -> Iterator[OpenIdStub]:
    """The provider, served on a free port of this machine."""
    stub = OpenIdStub()
    server = uvicorn.Server(uvicorn.Config(app_of(stub), port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    stub.issuer = f"http://127.0.0.1:{port}"
    yield stub
    server.should_exit = True
    thread.join(5)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def _encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")
