"""Signatures of webhooks, checked with the specification's own library."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from evaluator.errors import Misconfigured
from evaluator.notifications.webhook_signing import signature_of, signed_headers, signing_secret


def test_the_specification_s_example_comes_out() -> None:
    secret = signing_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert (
        signature_of(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@given(secret=st.binary(min_size=24, max_size=64), said=st.text(), padded=st.booleans())
def test_the_specification_s_library_takes_what_is_signed_here(secret: bytes, said: str, padded: bool) -> None:
    encoded = base64.b64encode(secret).decode()
    text = "whsec_" + (encoded if padded else encoded.rstrip("="))
    body = (
        json.dumps({"said": said}, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )
    now = int(datetime.now(UTC).timestamp())
    headers = dict(signed_headers(signing_secret(text), "msg_1", now, body.encode()))
    assert Webhook(text).verify(body, headers)["said"] == json.loads(body)["said"]


def test_another_body_or_another_secret_is_refused() -> None:
    text = "whsec_" + base64.b64encode(b"k" * 32).decode()
    headers = dict(signed_headers(b"k" * 32, "msg_1", int(datetime.now(UTC).timestamp()), b"{}"))
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    assert Webhook(text).verify("{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(text).verify('{"more": 1}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify("{}", headers)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "does not begin with whsec_"),
        ("c2VjcmV0", "does not begin with whsec_"),
        ("whsec_not base64!", "is not base64"),
        ("whsec_é", "is not base64"),
        ("whsec_c2hvcnQ=", "holds 5 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "holds 65 bytes"),
    ],
)
def test_a_secret_that_is_none_is_told_without_being_shown(text: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told) as raised:
        signing_secret(text)
    assert text == "" or text not in str(raised.value)
