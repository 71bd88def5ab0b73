"""Connections that keep the server waiting for a request."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.settings import Settings
from review_ui import impatience
from review_ui.serving import Running, _listen, running
from tests.world import actor, reported_run

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(impatience, "HEADERS_MAY_TAKE", 0.4)
    with running(settings.model_copy(update={"port": 0}), with_worker=False) as server:
        yield server


def connected(server: Running) -> socket.socket:
    connection = socket.create_connection((server.host, server.port), timeout=10)
    connection.settimeout(10)
    return connection


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"\r\n" + HEAD], ids=["nothing", "half", "one and a half"])
def test_a_connection_whose_request_does_not_come_is_closed(server: Running, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        while connection.recv(65536):
            pass


def begin_report(server: Running, deployment: Deployment, connection: socket.socket) -> bytes:
    """Send a report but for its end, which is returned."""
    key = actor(deployment, "app", Scope.INGEST).key
    body = json.dumps(reported_run()).encode()
    head = f"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[:10])
    return body[10:]


def test_a_body_may_take_longer_than_the_headers(server: Running, deployment: Deployment) -> None:
    with connected(server) as connection:
        rest = begin_report(server, deployment, connection)
        time.sleep(1)
        connection.sendall(rest)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_arrive_is_given_up(
    server: Running, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.api.request_json.READING_SECONDS", 0.5)
    with connected(server) as connection:
        begin_report(server, deployment, connection)
        assert connection.recv(65536).startswith(b"HTTP/1.1 503")


def test_small_answers_are_not_held_up_for_the_next_packet() -> None:
    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP, "asyncio sets TCP_NODELAY only where the protocol is named"
