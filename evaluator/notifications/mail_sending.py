"""E-mails out: one message to all its receivers by the operator's own mail server."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, getaddresses, parseaddr
from urllib.parse import unquote, urlsplit

from evaluator.errors import Misconfigured
from evaluator.notifications.attempt import SECONDS, Attempt
from evaluator.settings import Settings
from evaluator.wording import plural

_PORTS = {"smtp": 587, "smtps": 465}
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


@dataclass(frozen=True, slots=True)
class MailAccount:
    """A mail server, who sends there and who receives."""

    host: str
    port: int
    tls_at_once: bool
    """smtps; otherwise STARTTLS where the server offers it."""
    user: str
    password: str = field(repr=False)
    sender: str
    receivers: tuple[str, ...]


def mail_account(settings: Settings) -> MailAccount | None:
    """Where and as whom this deployment mails, None for not at all; raises Misconfigured for what is half set or wrong."""
    if not settings.smtp_url:
        return None
    problem = "ADJUDGE_SMTP_URL is not such as smtp://user:password@host:587 or smtps://host."
    try:
        parts = urlsplit(settings.smtp_url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise Misconfigured(problem) from None
    if not parts.hostname:
        raise Misconfigured(problem)
    sender, *more = _addresses("ADJUDGE_MAIL_FROM", settings.mail_from)
    if more:
        raise Misconfigured("ADJUDGE_MAIL_FROM holds several addresses; mails have one sender.")
    return MailAccount(
        host=parts.hostname,
        port=port,
        tls_at_once=parts.scheme == "smtps",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        sender=sender,
        receivers=_addresses("ADJUDGE_DIGEST_TO", settings.digest_to),
    )


def _addresses(variable: str, text: str) -> tuple[str, ...]:
    """The addresses of a setting, each as a header takes it."""
    found = getaddresses([text])
    if not found or not text.isprintable() or not all(_ADDRESS.fullmatch(address) for _, address in found):
        raise Misconfigured(
            f"{variable} has to be set with ADJUDGE_SMTP_URL."
            if not text
            else f"{variable} holds what is no address.",
            hint="Give an address such as reviews@example.com.",
        )
    return tuple(formataddr(pair) for pair in found)


def send_mail(account: MailAccount, message: EmailMessage, message_id: str, now: datetime) -> Attempt:
    """Hand a message to the mail server once; it arrived where the server took it for at least one receiver."""
    message["From"] = account.sender
    message["To"] = ", ".join(account.receivers)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{message_id}@{parseaddr(account.sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    try:
        with _connected(account) as server:
            refused = server.send_message(message)
    except smtplib.SMTPRecipientsRefused:
        return Attempt(arrived=False, detail="the mail server refused every receiver")
    except smtplib.SMTPAuthenticationError as error:
        return Attempt(arrived=False, detail=f"the mail server did not take user and password ({error.smtp_code})")
    except smtplib.SMTPResponseException as error:
        return Attempt(arrived=False, detail=f"the mail server answered {error.smtp_code}")
    except ssl.SSLCertVerificationError:
        return Attempt(arrived=False, detail="the mail server's certificate is not valid")
    except TimeoutError:
        return Attempt(arrived=False, detail=f"no answer from the mail server within {SECONDS:g} s")
    except (smtplib.SMTPException, OSError) as error:
        return Attempt(arrived=False, detail=f"the mail server could not be used ({type(error).__name__})")
    if refused:
        return Attempt(
            arrived=True, detail=f"taken, but for {len(refused)} of {plural(len(account.receivers), 'receiver')}"
        )
    return Attempt(arrived=True, detail="taken by the mail server")


class NoEncryption(smtplib.SMTPException):
    """The mail server offers no encryption, and a password is not sent without."""


@contextmanager
def _connected(account: MailAccount) -> Iterator[smtplib.SMTP]:
    """The mail server, encrypted where it can be and signed in where there is a user."""
    trusted = ssl.create_default_context()
    if account.tls_at_once:
        server: smtplib.SMTP = smtplib.SMTP_SSL(account.host, account.port, timeout=SECONDS, context=trusted)
    else:
        server = smtplib.SMTP(account.host, account.port, timeout=SECONDS)
    with server:
        if not account.tls_at_once:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=trusted)
            elif account.user:
                raise NoEncryption
        if account.user:
            server.login(account.user, account.password)
        yield server
