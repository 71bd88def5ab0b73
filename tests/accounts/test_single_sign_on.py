"""Signing in with an OpenID provider, against a real small one on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import ECKey, RSAKey
from pydantic import SecretStr

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import PersonRole
from evaluator.settings import Settings
from evaluator.store.api_keys import audit_trail
from evaluator.store.people import find_person, person_by_login, update_person
from review_ui.serving import build_app
from tests.accounts.openid_stub import CLIENT_ID, CLIENT_SECRET, OpenIdStub, openid_provider, query_of
from tests.accounts.people_world import somebody

BACK = "/sign-in/provider/back"


@pytest.fixture
def provider() -> Iterator[OpenIdStub]:
    with openid_provider() as stub:
        yield stub


@pytest.fixture
def deployment(settings: Settings, provider: OpenIdStub) -> Iterator[Deployment]:
    changes = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
        "oidc_allowed_domains": "example.org, Partner.example",
        "oidc_default_role": "reviewer",
    }
    deployment = Deployment(settings.model_copy(update=changes))
    somebody(deployment, "Grace", PersonRole.ADMIN)
    yield deployment
    deployment.close()


@pytest.fixture
def browser(deployment: Deployment) -> Iterator[TestClient]:
    app = build_app(deployment)
    with TestClient(
        app, base_url="http://localhost:8700", client=("127.0.0.1", 50000), follow_redirects=False
    ) as client:
        yield client


def answer_of_provider(browser: TestClient, wanted: str = "/rubrics") -> dict[str, str]:
    """The query the provider sends the browser back with."""
    leaving = browser.get("/sign-in/provider", params={"next": wanted})
    assert leaving.status_code == 303, leaving.text
    back = httpx.get(leaving.headers["location"], trust_env=False).headers["location"]
    assert urlsplit(back).path == BACK
    return query_of(back)


def come_back(browser: TestClient, **changes: str) -> Any:
    return browser.get(BACK, params={**answer_of_provider(browser), **changes})


def test_who_was_invited_signs_in_and_is_known_from_then_on(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub
) -> None:
    ada = somebody(deployment, "Ada", PersonRole.AUTHOR, login="ada@example.com")
    answer = come_back(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rubrics")
    assert "Ada" in browser.get("/preferences").text
    provider.claims = {"email": "elsewhere@example.com", "email_verified": False}
    browser.cookies.clear()
    assert come_back(browser).status_code == 303
    with deployment.database.read() as connection:
        found = find_person(connection, ada.person_id)
    assert found is not None
    assert (found.oidc_subject, found.role) == (f"{provider.issuer} 4711", PersonRole.AUTHOR)
    with deployment.database.read() as connection:
        linked = [one.subject for one in audit_trail(connection) if one.act == "link_account"]
    assert linked == ["ada@example.com"]


def test_who_comes_from_an_allowed_domain_gets_an_account(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub
) -> None:
    provider.claims = {"email": "New@Partner.Example"}
    assert come_back(browser).status_code == 303
    with deployment.database.read() as connection:
        person = person_by_login(connection, "new@partner.example")
    assert person is not None
    assert (person.role, person.name) == (PersonRole.REVIEWER, "Ada Lovelace")


def test_es256_is_taken_as_well(browser: TestClient, deployment: Deployment, provider: OpenIdStub) -> None:
    somebody(deployment, login="ada@example.com")
    provider.key = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
    assert come_back(browser).status_code == 303


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "lacks nonce"),
        ({"aud": "somebody-else"}, "aud"),
        ({"aud": [CLIENT_ID, "other"], "azp": "other"}, "another application"),
        ({"aud": [CLIENT_ID, "other"]}, "another application"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": 1_700_000_000}, "expired"),
        ({"exp": None}, "lacks exp"),
        ({"email_verified": False}, "verified"),
        ({"email_verified": None}, "verified"),
        ({"email": "eve@evil.example"}, "invited"),
        ({"email": "eve@sub.example.org"}, "invited"),
    ],
)
def test_who_does_not_fit_is_refused_with_the_reason(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub, claims: dict[str, Any], why: str
) -> None:
    somebody(deployment, login="ada@example.com")
    provider.claims = claims
    answer = come_back(browser)
    assert answer.status_code == 403, answer.text
    assert why in answer.json()["detail"]
    assert browser.get("/preferences").status_code == 303


def test_a_token_another_key_signed_is_refused(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub
) -> None:
    somebody(deployment, login="ada@example.com")
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    answer = come_back(browser)
    assert (answer.status_code, "signature" in answer.text) == (403, True)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_without_a_signature_of_the_provider_is_refused(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub, algorithm: str
) -> None:
    somebody(deployment, login="ada@example.com")
    provider.forged = algorithm
    answer = come_back(browser)
    assert (answer.status_code, "signature" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "claims",
    [{"sub": "a\x00b"}, {"sub": "x" * 300}, {"email": "ada\x00@partner.example"}, {"email": "a b@partner.example"}],
)
def test_a_name_nobody_could_have_is_refused(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub, claims: dict[str, Any]
) -> None:
    somebody(deployment, login="ada@example.com")
    provider.claims = claims
    assert come_back(browser).status_code == 403


def test_of_a_newcomers_name_only_what_can_be_seen_is_taken(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub
) -> None:
    provider.claims = {"email": "new@partner.example", "name": "Ada\r\nBcc: x\x00\u202e Lovelace"}
    assert come_back(browser).status_code == 303
    with deployment.database.read() as connection:
        person = person_by_login(connection, "new@partner.example")
    assert person is not None
    assert person.name == "AdaBcc: x Lovelace"


def test_new_keys_are_fetched_when_the_provider_changes_them(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.accounts.single_sign_on.NEW_KEYS_SECONDS", 0)
    somebody(deployment, login="ada@example.com")
    assert come_back(browser).status_code == 303
    assert come_back(browser).status_code == 303
    assert provider.key_fetches == 1
    provider.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
    assert come_back(browser).status_code == 303
    assert provider.key_fetches == 2


def test_an_answer_is_good_once_and_for_the_browser_that_asked(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub
) -> None:
    somebody(deployment, login="ada@example.com")
    answer = answer_of_provider(browser)
    kept = dict(browser.cookies)
    assert browser.get(BACK, params={**answer, "state": "another"}).status_code == 403
    assert browser.get(BACK, params=answer).status_code == 303
    browser.cookies.clear()
    assert "did not start" in browser.get(BACK, params=answer).json()["detail"]
    browser.cookies.update(kept)
    assert "finished already" in browser.get(BACK, params=answer).json()["detail"]


def test_an_answer_that_took_too_long_is_refused(
    browser: TestClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody(deployment, login="ada@example.com")
    answer, later = answer_of_provider(browser), time.time() + 601
    monkeypatch.setattr("evaluator.accounts.single_sign_on.time.time", lambda: later)
    assert "10 minutes" in browser.get(BACK, params=answer).json()["detail"]


def test_a_changed_cookie_is_refused(browser: TestClient, deployment: Deployment) -> None:
    answer = answer_of_provider(browser)
    browser.cookies.set("adjudge-oidc", browser.cookies["adjudge-oidc"].replace("e", "f", 1))
    assert browser.get(BACK, params=answer).status_code == 403


def test_what_the_provider_refuses_is_told(browser: TestClient, deployment: Deployment) -> None:
    state = answer_of_provider(browser)["state"]
    told = browser.get(BACK, params={"state": state, "error": "access_denied"}).json()
    assert "access_denied" in told["detail"]
    assert "another OpenID provider" in come_back(browser, iss="https://evil.example").json()["detail"]
    assert "invalid_grant" in come_back(browser, code="another").json()["detail"]


def test_a_deactivated_account_stays_out(browser: TestClient, deployment: Deployment) -> None:
    ada = somebody(deployment, login="ada@example.com")
    assert come_back(browser).status_code == 303
    deployment.database.transact(lambda write: update_person(write, ada.person_id, deactivated_at=utc_now()))
    answer = come_back(browser)
    assert (answer.status_code, "deactivated" in answer.text, "Grace" in answer.text) == (403, True, True)


def test_nobody_takes_over_an_account_that_has_its_own_subject(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub
) -> None:
    somebody(deployment, login="ada@example.com", oidc_subject=f"{provider.issuer} 1")
    assert "another account" in come_back(browser).json()["detail"]


def test_a_provider_that_is_away_is_told_and_passwords_go_on(
    browser: TestClient, deployment: Deployment, provider: OpenIdStub
) -> None:
    answer = answer_of_provider(browser)
    provider.issuer = "http://127.0.0.1:1"
    app: Any = browser.app
    app.state.provider._described = None
    object.__setattr__(deployment.settings, "oidc_issuer", "http://127.0.0.1:1")
    told = browser.get(BACK, params=answer)
    assert (told.status_code, "password" in told.json()["detail"]) == (503, True)
    assert browser.get("/sign-in").status_code == 200


def test_the_sign_in_page_names_the_provider(browser: TestClient) -> None:
    assert "Sign in with 127.0.0.1" in browser.get("/sign-in").text
