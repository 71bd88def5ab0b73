"""One webhook out: what arrives, and where none goes."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from typing import Any

import pytest
from standardwebhooks import Webhook

from evaluator.errors import Misconfigured
from evaluator.model.columns import utc_now
from evaluator.model.delivery import Channel, Delivery
from evaluator.notifications import webhook_sending
from evaluator.notifications.attempt import Attempt
from evaluator.notifications.webhook_sending import (
    WebhookEndpoint,
    is_public,
    judged,
    send_webhook,
    webhook_endpoint,
)
from evaluator.notifications.webhook_signing import signing_secret
from evaluator.settings import Settings
from tests.notifications.receivers import SECRET, web_server

MESSAGE = Delivery(
    delivery_id="msg_1", channel=Channel.WEBHOOK, kind="test", payload={"type": "test", "data": {"n": 1}}
)


def sent(url: str, *, allow_private: bool = True) -> Attempt:
    return send_webhook(WebhookEndpoint(url, signing_secret(SECRET), allow_private), MESSAGE, utc_now())


def test_the_receiver_can_verify_what_it_gets() -> None:
    with web_server(204) as server:
        attempt = sent(server.url)
    (got,) = server.got
    assert attempt == Attempt(arrived=True, detail="answered 204")
    assert Webhook(SECRET).verify(got.body, got.headers) == MESSAGE.payload
    assert (got.path, got.headers["content-type"]) == ("/hooks/s3cret-path", "application/json")


def test_a_redirect_is_not_followed() -> None:
    with web_server() as elsewhere, web_server(307, location=elsewhere.url) as server:
        attempt = sent(server.url)
    assert (attempt.arrived, attempt.detail) == (False, "answered 307; redirects are not followed")
    assert elsewhere.got == []


@pytest.mark.parametrize(
    ("status", "arrived", "again"), [(200, True, True), (299, True, True), (410, False, False)]
)
def test_what_a_status_means(status: int, arrived: bool, again: bool) -> None:
    assert (judged(status).arrived, judged(status).may_try_again) == (arrived, again)


@pytest.mark.parametrize("status", [100, 301, 400, 404, 429, 500, 503])
def test_every_other_status_is_tried_again(status: int) -> None:
    assert (judged(status).arrived, judged(status).may_try_again) == (False, True)


def test_a_receiver_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_sending, "SECONDS", 0.3)
    with web_server(wait=threading.Event()) as server:
        begun = time.monotonic()
        attempt = sent(server.url)
        assert server.wait is not None
        server.wait.set()
    assert (attempt.arrived, attempt.detail) == (False, "no answer within 0.3 s")
    assert time.monotonic() - begun < 5


def test_a_receiver_that_is_not_there_is_told_without_its_path() -> None:
    with web_server() as server:
        url = server.url
    attempt = sent(url)
    assert (attempt.arrived, attempt.may_try_again) == (False, True)
    assert "could not be reached" in attempt.detail
    assert "s3cret" not in attempt.detail


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f000001", "0177.0.0.1"])
def test_an_address_in_disguise_leads_nowhere(host: str) -> None:
    with web_server() as server:
        attempt = sent(server.url.replace("127.0.0.1", host), allow_private=False)
    assert not attempt.arrived
    assert server.got == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::127.0.0.1]",
        "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021",
    ],
)  # fmt: skip
def test_this_machine_is_refused_however_it_is_written(host: str) -> None:
    with web_server() as server:
        attempt = sent(server.url.replace("127.0.0.1", host), allow_private=False)
    assert not attempt.arrived
    assert attempt.detail.startswith("refused: the host has no public address")
    assert server.got == []


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    resolve = socket.getaddrinfo

    def answers_once(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        assert asked.count("rebinding.example") <= 1, "asked a second time, a name server may say something else"
        return resolve("127.0.0.1" if host == "rebinding.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answers_once)
    with web_server() as server:
        attempt = sent(server.url.replace("127.0.0.1", "rebinding.example"))
    assert attempt.arrived
    assert asked.count("rebinding.example") == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
        "168.63.129.16", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fec0::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:a00:1::1", "2001:db8::1", "::a00:1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_open_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_an_address_of_the_open_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "private", "told"),
    [
        ("http://hooks.example/x", False, "begins with none of https://"),
        ("ftp://hooks.example/x", True, "begins with none of https://, http://"),
        ("https://", False, "names no host"),
        ("https://hooks.example:port/", False, "is no URL"),
        ("https://me:hush@hooks.example/", False, "holds a user name"),
    ],
)
def test_a_url_that_cannot_be_sent_to_is_told(url: str, private: bool, told: str) -> None:
    with pytest.raises(Misconfigured, match=told) as raised:
        webhook_endpoint(
            Settings(review_webhook_url=url, review_webhook_secret=SECRET, webhook_allow_private=private)
        )
    assert "hush" not in str(raised.value)


def test_without_a_url_there_is_no_endpoint_and_with_one_a_secret_is_needed() -> None:
    assert webhook_endpoint(Settings()) is None
    with pytest.raises(Misconfigured, match="SECRET"):
        webhook_endpoint(Settings(review_webhook_url="https://hooks.example/x"))


def test_a_secret_is_in_no_text_of_the_endpoint() -> None:
    endpoint = webhook_endpoint(
        Settings(review_webhook_url="https://hooks.example/x", review_webhook_secret=SECRET)
    )
    assert "0123456789abcdef" not in repr(endpoint)
