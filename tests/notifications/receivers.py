"""Who gets notifications in tests: a web server and a mail server on loopback; and items that wait."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from evaluator.deployment import Deployment
from evaluator.model.review import ItemState, ReviewItem, Stream, item_id_of
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import ReviewItemRow

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Got:
    """One request that a web server got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebServer:
    """Answers with these statuses in turn (the last repeats), and keeps what it got."""

    statuses: list[int]
    url: str = ""
    got: list[Got] = field(default_factory=list)
    location: str = ""
    wait: threading.Event | None = None
    """Set: nothing is answered before."""


@contextmanager
def web_server(*statuses: int, location: str = "", wait: threading.Event | None = None) -> Iterator[WebServer]:
    told = WebServer(list(statuses) or [200], location=location, wait=wait)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if told.wait is not None:
                told.wait.wait(10)
            self.send_response(told.statuses[min(len(told.got), len(told.statuses)) - 1])
            if told.location:
                self.send_header("location", told.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not in a test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_port}/hooks/s3cret-path"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class MailServer:
    """Keeps the mails it took and whom they were for."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)
    signed_in: list[tuple[bytes, bytes]] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    refuses: str = ""
    """An address that it takes no mail for."""
    answer: str = "250 OK"

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.receivers.append(list(envelope.rcpt_tos))
            self.was_encrypted.append(session.ssl is not None)
        return self.answer

    def sign_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.signed_in.append((given.login, given.password))
        return AuthResult(success=given.password == b"p@ss/word", handled=False)


@contextmanager
def mail_server(
    *, encrypts_with: ssl.SSLContext | None = None, refuses: str = "", answer: str = "250 OK"
) -> Iterator[MailServer]:
    """A mail server; with a certificate it offers STARTTLS and asks for a password."""
    kept = MailServer(refuses=refuses, answer=answer)
    options: dict[str, Any] = {}
    if encrypts_with is not None:
        options = {
            "tls_context": encrypts_with,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": kept.sign_in,
        }
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as free:  # the controller looks itself up, so it has to know its port
        kept.port = free.getsockname()[1]
    controller = Controller(kept, hostname="127.0.0.1", port=kept.port, **options)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for `localhost`, and the file of the certificate to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "server.pem", folder / "server.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return context, file


def item_waits(
    deployment: Deployment,
    event_id: str = "ticket-1",
    *,
    hours: float,
    now: datetime = NOW,
    rubric_id: str = "support",
    workflow: str = "Support",
    state: ItemState = ItemState.OPEN,
) -> str:
    """An item that came in so many hours ago; its id."""
    at = now - timedelta(hours=hours)
    item = ReviewItem(
        item_id=item_id_of(event_id, rubric_id),
        event_id=event_id,
        rubric_id=rubric_id,
        rubric_version="v1",
        workflow=workflow,
        stream=Stream.TARGETED,
        state=state,
        rank_at=at,
        entered_at=at,
        created_at=at,
    )
    table = table_of(ReviewItemRow)
    deployment.database.transact(
        lambda connection: connection.execute(insert_into(connection, table), as_row(item))
    )
    return item.item_id


def all_done(deployment: Deployment) -> None:
    """People settle everything that waits."""
    table = table_of(ReviewItemRow)
    deployment.database.transact(lambda connection: connection.execute(table.update().values(state=ItemState.DONE)))
