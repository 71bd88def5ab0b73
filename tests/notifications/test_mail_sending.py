"""E-mails by a real mail server on loopback."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from evaluator.errors import Misconfigured
from evaluator.notifications.attempt import Attempt
from evaluator.notifications.mail_sending import MailAccount, mail_account, send_mail
from evaluator.settings import Settings
from tests.notifications.receivers import NOW, certificate, mail_server


def account(url: str, to: str = "ada@example.com, Bo <bo@example.com>") -> MailAccount:
    found = mail_account(Settings(smtp_url=url, mail_from="Adjudge <reviews@example.com>", digest_to=to))
    assert found is not None
    return found


def sent(by: MailAccount) -> Attempt:
    message = EmailMessage()
    message["Subject"] = "3 reviews waiting"
    message.set_content("3 reviews waiting – since yesterday.\n")
    return send_mail(by, message, "digest-2026-03-02", NOW)


def test_one_mail_goes_to_all_receivers() -> None:
    with mail_server() as server:
        attempt = sent(account(f"smtp://127.0.0.1:{server.port}"))
    (mail,) = server.mails
    assert attempt == Attempt(arrived=True, detail="taken by the mail server")
    assert server.receivers == [["ada@example.com", "bo@example.com"]]
    assert (mail["from"], mail["to"]) == ("Adjudge <reviews@example.com>", "ada@example.com, Bo <bo@example.com>")
    assert mail["message-id"] == "<digest-2026-03-02@example.com>"
    assert mail["date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert mail.get_content().split() == ["3", "reviews", "waiting", "–", "since", "yesterday."]


def test_a_password_goes_over_an_encrypted_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with mail_server(encrypts_with=context) as server:
        attempt = sent(account(f"smtp://me:p%40ss%2Fword@localhost:{server.port}"))
    assert attempt.arrived, attempt.detail
    assert (server.signed_in, server.was_encrypted) == ([(b"me", b"p@ss/word")], [True])


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path)
    with mail_server(encrypts_with=context) as server:
        attempt = sent(account(f"smtp://me:p%40ss%2Fword@localhost:{server.port}"))
    assert attempt == Attempt(arrived=False, detail="the mail server's certificate is not valid")
    assert server.signed_in == []


def test_a_wrong_password_is_told_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with mail_server(encrypts_with=context) as server:
        attempt = sent(account(f"smtp://me:hush@localhost:{server.port}"))
    assert attempt == Attempt(arrived=False, detail="the mail server did not take user and password (535)")


def test_a_password_is_never_sent_in_the_clear() -> None:
    with mail_server() as server:
        attempt = sent(account(f"smtp://me:hush@127.0.0.1:{server.port}"))
    assert attempt == Attempt(arrived=False, detail="the mail server could not be used (NoEncryption)")
    assert (server.mails, server.signed_in) == ([], [])


def test_one_refused_receiver_keeps_the_mail_from_none_of_the_others() -> None:
    with mail_server(refuses="bo@example.com") as server:
        attempt = sent(account(f"smtp://127.0.0.1:{server.port}"))
    assert attempt == Attempt(arrived=True, detail="taken, but for 1 of 2 receivers")
    assert server.receivers == [["ada@example.com"]]


def test_a_mail_that_nobody_may_get_has_not_arrived() -> None:
    with mail_server(refuses="bo@example.com") as server:
        attempt = sent(account(f"smtp://127.0.0.1:{server.port}", to="bo@example.com"))
    assert attempt == Attempt(arrived=False, detail="the mail server refused every receiver")


def test_what_the_server_writes_is_not_repeated() -> None:
    with mail_server(answer="451 come back, dear 10.0.0.3") as server:
        attempt = sent(account(f"smtp://127.0.0.1:{server.port}"))
    assert attempt == Attempt(arrived=False, detail="the mail server answered 451")


def test_a_server_that_is_not_there_is_told() -> None:
    with mail_server() as server:
        port = server.port
    attempt = sent(account(f"smtp://127.0.0.1:{port}"))
    assert attempt == Attempt(arrived=False, detail="the mail server could not be used (ConnectionRefusedError)")


@pytest.mark.parametrize(
    ("url", "port", "at_once"),
    [
        ("smtp://mail.example", 587, False),
        ("smtps://mail.example", 465, True),
        ("smtp://mail.example:25", 25, False),
    ],
)
def test_ports_follow_the_scheme_unless_named(url: str, port: int, at_once: bool) -> None:
    assert (account(url).port, account(url).tls_at_once) == (port, at_once)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"smtp_url": "https://me:hush@mail.example"}, "SMTP_URL is not such as"),
        ({"smtp_url": "smtp://"}, "SMTP_URL is not such as"),
        ({"smtp_url": "smtp://me:hush@mail.example:port"}, "SMTP_URL is not such as"),
        ({"mail_from": ""}, "MAIL_FROM has to be set"),
        ({"digest_to": ""}, "DIGEST_TO has to be set"),
        ({"digest_to": "ada@example.com, bo"}, "DIGEST_TO holds what is no address"),
        ({"digest_to": "ada@example.com\r\nBcc: eve@example.com"}, "DIGEST_TO holds what is no address"),
        ({"mail_from": "a@example.com, b@example.com"}, "MAIL_FROM holds several"),
    ],
)
def test_an_account_that_is_half_set_or_wrong_is_told(changes: dict[str, str], told: str) -> None:
    right = {"smtp_url": "smtp://mail.example", "mail_from": "a@example.com", "digest_to": "b@example.com"}
    with pytest.raises(Misconfigured, match=told) as raised:
        mail_account(Settings(**{**right, **changes}))  # type: ignore[arg-type]
    assert "hush" not in str(raised.value)


def test_without_a_server_there_is_no_account_and_a_password_is_in_no_text() -> None:
    assert mail_account(Settings()) is None
    assert "hush" not in repr(account("smtp://me:hush@mail.example"))
