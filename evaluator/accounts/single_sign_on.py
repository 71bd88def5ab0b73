"""Signing in with an OpenID provider: authorization code with PKCE, the ID token verified here.

After OpenID Connect Core 1.0 §3.1, RFC 7636 (PKCE) and RFC 9207 (the issuer in the answer).
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from evaluator.accounts.people_directory import LONGEST_NAME, is_plain, problem_with_login
from evaluator.accounts.sign_in import NewSession, begin_session
from evaluator.deployment import Deployment
from evaluator.errors import Misconfigured, Overloaded, Refused
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection
from evaluator.store.people import (
    active_admins,
    add_person,
    anybody_has_account,
    new_person_id,
    person_by_login,
    person_by_subject,
    update_person,
)

if TYPE_CHECKING:
    import httpx
    from joserfc.jwk import KeySet

ALGORITHMS = ["RS256", "ES256"]
STATE_SECONDS = 600
DESCRIPTION_SECONDS = 3_600
LEEWAY_SECONDS = 60
"""By which the provider's clock and ours may differ."""
NEW_KEYS_SECONDS = 10
"""Not oftener are the provider's keys fetched for a key id that is not among them."""
TIMEOUT_SECONDS = 10.0
LONGEST_SUBJECT = 255
"""Characters, after OpenID Connect Core 1.0 §2."""
AGAIN = "Start again from the sign-in page."


@dataclass(frozen=True)
class Leaving:
    """Where the browser goes to sign in, and what it keeps meanwhile."""

    url: str
    sealed: str


@dataclass(frozen=True)
class Identity:
    """Somebody as the provider's verified ID token names them."""

    subject: str
    """Issuer and subject."""
    email: str
    """In lower case; empty where the token has none."""
    is_verified: bool
    name: str


@dataclass(frozen=True)
class _Description:
    """What the provider says of itself."""

    issuer: str
    authorization: str
    token: str
    jwks: str
    takes_basic: bool


class Provider:
    """The OpenID provider of the settings: its description and keys, fetched when needed and kept for an hour."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._turn = threading.Lock()
        self._described: tuple[float, _Description] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._used: dict[str, float] = {}

    @property
    def is_set(self) -> bool:
        """Whether people may sign in with a provider here."""
        return bool(self._deployment.settings.oidc_issuer)

    def leave(self, back: str, wanted: str) -> Leaving:
        """The provider's address to sign in at; `back`: where it sends the browser, `wanted`: the page to end on."""
        state = secrets.token_urlsafe(32)
        challenge = (
            urlsafe_b64encode(sha256(self._derived("verifier", state).encode()).digest()).decode().rstrip("=")
        )
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": back,
            "scope": "openid email profile",
            "state": state,
            "nonce": self._derived("nonce", state),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        kept = {"state": state, "wanted": wanted, "until": int(time.time()) + STATE_SECONDS}
        body = urlsafe_b64encode(orjson.dumps(kept)).decode()
        address = self._description().authorization
        joint = "&" if urlsplit(address).query else "?"
        return Leaving(f"{address}{joint}{urlencode(asked)}", f"{body}.{self._derived('kept', body)}")

    def come_back(self, back: str, sealed: str, answer: dict[str, str]) -> tuple[Identity, str]:
        """Who signed in at the provider and the page they wanted; `answer`: the query the browser came back with.

        Raises Refused with the reason, Overloaded where the provider does not answer.
        """
        state, wanted = self._kept(sealed, answer.get("state", ""))
        description = self._description()
        if "error" in answer:
            raise Refused(f"The OpenID provider refused: {quoted(answer['error'][:200])}.", hint=AGAIN)
        if answer.get("iss", description.issuer) != description.issuer:
            raise Refused("The answer came from another OpenID provider than was asked.", hint=AGAIN)
        if not answer.get("code"):
            raise Refused("The OpenID provider sent no code.", hint=AGAIN)
        token = self._exchange(description, answer["code"], back, self._derived("verifier", state))
        claims = self._verified(description, token, self._derived("nonce", state))
        return _identity(description.issuer, claims), wanted

    @property
    def _client_id(self) -> str:
        client_id = self._deployment.settings.oidc_client_id
        if not client_id:
            raise Misconfigured(
                "ADJUDGE_OIDC_ISSUER is set without ADJUDGE_OIDC_CLIENT_ID.",
                hint="Register this server at the provider and set the client id it gives.",
            )
        return client_id

    def _derived(self, purpose: str, text: str) -> str:
        """A secret that only this deployment can make again; so the browser keeps none."""
        return hmac.new(self._deployment.secret, f"oidc {purpose}:{text}".encode(), sha256).hexdigest()

    def _kept(self, sealed: str, state: str) -> tuple[str, str]:
        """State and wanted page as the browser kept them; each state is good once."""
        body, _, seal = sealed.partition(".")
        if not body or not hmac.compare_digest(seal.encode(), self._derived("kept", body).encode()):
            raise Refused("This browser did not start to sign in here, or took longer than 10 minutes.", hint=AGAIN)
        try:
            kept = orjson.loads(urlsafe_b64decode(body))
        except (Error, ValueError):
            raise Refused("What the browser kept cannot be read.", hint=AGAIN) from None
        if not hmac.compare_digest(str(kept["state"]).encode(), state.encode()):
            raise Refused("The provider's answer does not belong to what this browser started.", hint=AGAIN)
        now = time.time()
        with self._turn:
            self._used = {each: until for each, until in self._used.items() if until > now}
            if kept["until"] < now or state in self._used:
                raise Refused("This sign-in was finished already, or took longer than 10 minutes.", hint=AGAIN)
            self._used[state] = float(kept["until"])
        return state, str(kept["wanted"])

    def _description(self) -> _Description:
        if self._described is not None and self._described[0] > time.monotonic():
            return self._described[1]
        issuer = self._deployment.settings.oidc_issuer.rstrip("/")
        found = self._fetch("GET", f"{issuer}/.well-known/openid-configuration")
        told = str(found.get("issuer", ""))
        if told.rstrip("/") != issuer:
            raise Misconfigured(
                f"The OpenID provider at {issuer} calls itself {quoted(told[:200])}.",
                hint="Set ADJUDGE_OIDC_ISSUER to exactly what it calls itself.",
            )
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        description = _Description(
            issuer=told,
            authorization=_safe_address(found, "authorization_endpoint"),
            token=_safe_address(found, "token_endpoint"),
            jwks=_safe_address(found, "jwks_uri"),
            takes_basic="client_secret_basic" in methods,
        )
        self._described = (time.monotonic() + DESCRIPTION_SECONDS, description)
        return description

    def _exchange(self, description: _Description, code: str, back: str, verifier: str) -> str:
        """The ID token for a code."""
        import httpx

        secret = self._deployment.settings.oidc_client_secret.get_secret_value()
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        auth = None
        if secret and description.takes_basic:
            auth = httpx.BasicAuth(quote(self._client_id, safe=""), quote(secret, safe=""))
        else:
            sent |= {"client_id": self._client_id, **({"client_secret": secret} if secret else {})}
        found = self._fetch("POST", description.token, data=sent, auth=auth)
        token = found.get("id_token")
        if not isinstance(token, str):
            raise Refused("The OpenID provider sent no ID token.", hint=AGAIN)
        return token

    def _verified(self, description: _Description, token: str, nonce: str) -> dict[str, Any]:
        """An ID token's claims, once signature, issuer, audience, expiry and nonce are right."""
        from joserfc import jwt
        from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError

        audience = self._client_id
        wanted = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": description.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = self._decoded(description, token)
            wanted.validate(claims)
        except ExpiredTokenError:
            raise Refused("The ID token has expired.", hint=AGAIN) from None
        except MissingClaimError as error:
            raise Refused(f"The ID token lacks {error.claim}.", hint=AGAIN) from None
        except InvalidClaimError as error:
            raise Refused(f"The ID token's {error.claim} is not what it has to be.", hint=AGAIN) from None
        except (JoseError, ValueError):
            raise Refused(
                "The ID token's signature is not the provider's, or it cannot be read.", hint=AGAIN
            ) from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", audience if not several else None) != audience:
            raise Refused("The ID token was made for another application.", hint=AGAIN)
        return claims

    def _decoded(self, description: _Description, token: str) -> dict[str, Any]:
        """Claims under a signature that fits; the keys are fetched anew where the token names one not known yet."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError

        try:
            return jwt.decode(token, self._key_set(description), algorithms=ALGORITHMS).claims
        except InvalidKeyIdError:
            return jwt.decode(
                token, self._key_set(description, older_than=NEW_KEYS_SECONDS), algorithms=ALGORITHMS
            ).claims

    def _key_set(self, description: _Description, *, older_than: float = DESCRIPTION_SECONDS) -> KeySet:
        """The provider's public keys, fetched anew where those known are older than so many seconds."""
        try:
            from joserfc.jwk import KeySet
        except ImportError:
            raise Misconfigured(
                "Signing in with an OpenID provider needs joserfc.",
                hint="Install Adjudge with its extra: pip install 'adjudge[oidc]'.",
            ) from None

        if self._keys is None or time.monotonic() - self._keys[0] > older_than:
            found = self._fetch("GET", description.jwks)
            keys = [key for key in found.get("keys", []) if key.get("kty") in ("RSA", "EC")]
            self._keys = (time.monotonic(), KeySet.import_key_set({"keys": keys}))
        return self._keys[1]

    def _fetch(
        self, method: str, url: str, *, data: dict[str, str] | None = None, auth: httpx.Auth | None = None
    ) -> dict[str, Any]:
        """A JSON object of the provider's; raises Overloaded where it does not answer, Refused where it refuses."""
        import httpx

        host = urlsplit(url).hostname or url
        try:
            with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=not _is_loopback(host)) as client:
                answer = client.request(method, url, data=data, auth=auth, headers={"accept": "application/json"})
        except httpx.HTTPError as error:
            raise Overloaded(
                f"The OpenID provider at {host} does not answer ({type(error).__name__}); sign in with a password, "
                "or try again shortly."
            ) from None
        try:
            found = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            found = None
        if not answer.is_success or not isinstance(found, dict):
            why = f": {quoted(str(found['error'])[:200])}" if isinstance(found, dict) and "error" in found else ""
            raise Refused(f"The OpenID provider at {host} answered {answer.status_code}{why}.", hint=AGAIN)
        return found


def _safe_address(found: dict[str, Any], name: str) -> str:
    """An address of the provider's description; raises Misconfigured where somebody between could read it."""
    address = str(found.get(name, ""))
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise Misconfigured(
            f"The OpenID provider's {name} has to be an https address; found {quoted(address[:200])}."
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _identity(issuer: str, claims: dict[str, Any]) -> Identity:
    """Raises Refused for a subject nobody could have; people choose the rest themselves at some providers."""
    subject, email = str(claims["sub"]), str(claims.get("email") or "").strip().lower()
    if not subject.isprintable() or len(subject) > LONGEST_SUBJECT:
        raise Refused("The ID token's sub is not what it has to be.", hint=AGAIN)
    named = str(claims.get("name") or claims.get("preferred_username") or email.partition("@")[0])
    name = "".join(each for each in named if is_plain(each)).strip()[:LONGEST_NAME]
    return Identity(
        subject=f"{issuer} {subject}",
        email=email,
        is_verified=claims.get("email_verified") in (True, "true") and problem_with_login(email) is None,
        name=name or "Somebody",
    )


def sign_in_as(deployment: Deployment, identity: Identity) -> NewSession:
    """A session for who the provider brings: known, invited, or of an allowed domain; raises Refused with the reason."""

    def act(connection: Connection) -> NewSession:
        now = utc_now()
        deployment.database.lock_for_all(connection, "people")
        person = person_of(connection, deployment, identity, now)
        return NewSession(person, begin_session(connection, deployment, person, now, how="OpenID provider"))

    return deployment.database.transact(act, patience_seconds=10)


def person_of(connection: Connection, deployment: Deployment, identity: Identity, now: datetime) -> Person:
    """The account an identity has or gets; raises Refused."""
    person = person_by_subject(connection, identity.subject)
    if person is None:
        person = _by_email(connection, deployment, identity, now)
    if person.deactivated_at is not None:
        raise Refused(f"The account {quoted(person.login)} is deactivated.", hint=_whom_to_ask(connection))
    return person


def _by_email(connection: Connection, deployment: Deployment, identity: Identity, now: datetime) -> Person:
    if not anybody_has_account(connection):
        raise Refused(
            "Nobody has set this server up yet.", hint="Open /set-up first: the first account is an admin's."
        )
    if not identity.email or not identity.is_verified:
        raise Refused(
            "The OpenID provider does not say that your e-mail address is verified, and nobody here is known by its "
            "name for you.",
            hint="Verify the address there, then sign in again.",
        )
    person = person_by_login(connection, identity.email)
    if person is not None and person.oidc_subject is not None:
        raise Refused(
            f"{quoted(identity.email)} belongs to another account of the OpenID provider here.",
            hint=_whom_to_ask(connection),
        )
    if person is not None:
        update_person(connection, person.person_id, oidc_subject=identity.subject)
        audit(connection, actor="OpenID provider", act="link_account", subject=person.login)
        return person
    return _newcomer(connection, deployment, identity, now)


def _newcomer(connection: Connection, deployment: Deployment, identity: Identity, now: datetime) -> Person:
    settings = deployment.settings
    domains = {each.strip().lower() for each in settings.oidc_allowed_domains.split(",") if each.strip()}
    if identity.email.rpartition("@")[2] not in domains:
        raise Refused(f"Nobody has invited {quoted(identity.email)} here.", hint=_whom_to_ask(connection))
    person = Person(
        person_id=new_person_id(),
        login=identity.email,
        name=identity.name,
        role=PersonRole(settings.oidc_default_role),
        oidc_subject=identity.subject,
        created_at=now,
    )
    add_person(connection, person)
    detail = {"name": person.name, "role": person.role}
    audit(connection, actor="OpenID provider", act="create_person", subject=person.login, detail=detail)
    return person


def _whom_to_ask(connection: Connection) -> str:
    return f"Ask {' or '.join(person.name for person in active_admins(connection)) or 'whoever runs this server'}."
