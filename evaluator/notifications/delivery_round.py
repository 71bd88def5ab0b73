"""One round of notifications: queue what is worth telling, send what is due, write how it went."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.delivery import Channel, Delivery, DeliveryState
from evaluator.notifications.attempt import SECONDS, Attempt
from evaluator.notifications.mail_digest import digest_id, digest_message, digest_of
from evaluator.notifications.mail_sending import MailAccount, mail_account, send_mail
from evaluator.notifications.overdue_notice import KIND as OVERDUE
from evaluator.notifications.overdue_notice import notice_due
from evaluator.notifications.queue_figures import queue_figures
from evaluator.notifications.webhook_sending import WebhookEndpoint, send_webhook, webhook_endpoint
from evaluator.settings import Settings
from evaluator.store import operations
from evaluator.store.database import Connection
from evaluator.store.deliveries import (
    forget_deliveries,
    has_delivery,
    last_delivery,
    put_off,
    queue_delivery,
    settle_delivery,
    take_due,
)
from evaluator.wording import plural

WAITS = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""From each failed attempt to the next, as the Standard Webhooks specification advises: three days in all."""
JITTER = 0.2
"""Up to this share longer, so that what failed together does not come back together."""
MAIL_KEEPS = timedelta(hours=20)
"""A digest older than this is not sent: the next one says more."""
AT_ONCE = 20
LEASE = timedelta(seconds=12 * SECONDS)
"""How long a message is its sender's, ample for one attempt; after that another may send it."""
KEPT = timedelta(days=30)

STAGE = "notify"


@dataclass(frozen=True, slots=True)
class Channels:
    """Where messages of this deployment can go; None where a channel is not set."""

    webhook: WebhookEndpoint | None
    mail: MailAccount | None

    def __bool__(self) -> bool:
        return self.webhook is not None or self.mail is not None

    def receiver(self, delivery: Delivery) -> str:
        """Who is to get a message, as failures name it."""
        to = self.webhook if delivery.channel == Channel.WEBHOOK else self.mail
        return to.host if to else ""


def channels_of(settings: Settings) -> Channels:
    """The channels that are set; raises Misconfigured for one that is set wrongly."""
    return Channels(webhook_endpoint(settings), mail_account(settings))


def notify(
    deployment: Deployment, channels: Channels, *, now: Callable[[], datetime] = utc_now, ends: Callable[[], bool]
) -> int:
    """One round; how many messages were tried. `ends` is asked between messages and stops the round.

    Any number of workers may be at it: queueing takes turns, and a message is one sender's at a time.
    """
    deployment.database.transact(lambda connection: queue_what_is_due(connection, deployment, channels, now()))
    tried = 0
    while tried < AT_ONCE and not ends() and send_next(deployment, channels, now):
        tried += 1
    return tried


def send_next(deployment: Deployment, channels: Channels, now: Callable[[], datetime]) -> bool:
    """Send the message that is due longest, outside any transaction, and write how it went; False where none is due."""
    database = deployment.database
    taken = database.transact(lambda connection: take_due(connection, now(), lease=LEASE, limit=1))
    for delivery in taken:
        attempt = attempt_at(channels, delivery, now())
        after = after_attempt(delivery, attempt, now(), random.random())  # noqa: S311 - spreads retries, no secret
        database.transact(partial(_write, channels=channels, after=after, now=now()))
    return bool(taken)


def queue_what_is_due(connection: Connection, deployment: Deployment, channels: Channels, now: datetime) -> None:
    """Queue the overdue notice and the day's digest where they are due and can be sent."""
    deployment.database.lock_for_all(connection, STAGE)
    forget_deliveries(connection, settled_before=now - KEPT)
    settings = deployment.settings
    digests = channels.mail is not None and now.hour >= settings.digest_hour_utc
    wants_digest = digests and not has_delivery(connection, digest_id(now))
    if channels.webhook is None and not wants_digest:
        return
    figures = queue_figures(connection, settings, now)
    if channels.webhook is not None:
        notice = notice_due(figures, last_delivery(connection, OVERDUE), now)
        if notice is not None:
            queue_delivery(connection, notice)
    if wants_digest:
        queue_delivery(connection, digest_of(figures, now))


def attempt_at(channels: Channels, delivery: Delivery, now: datetime) -> Attempt:
    """Try once to deliver a message."""
    if delivery.channel == Channel.WEBHOOK:
        if channels.webhook is None:
            return Attempt(arrived=False, detail="ADJUDGE_REVIEW_WEBHOOK_URL is no longer set")
        return send_webhook(channels.webhook, delivery, now)
    if channels.mail is None:
        return Attempt(arrived=False, detail="ADJUDGE_SMTP_URL is no longer set")
    return send_mail(channels.mail, digest_message(delivery.payload), delivery.delivery_id, now)


@dataclass(frozen=True, slots=True)
class After:
    """What becomes of a message after an attempt."""

    delivery: Delivery
    state: DeliveryState
    due_at: datetime | None
    """When it is tried again; None where it is settled."""
    detail: str


def after_attempt(delivery: Delivery, attempt: Attempt, now: datetime, chance: float) -> After:
    """Arrived, given up, or to be tried again later; `chance`, from 0 to 1, spreads the waits."""
    if attempt.arrived:
        return After(delivery, DeliveryState.DELIVERED, None, attempt.detail)
    tried = plural(delivery.attempts, "attempt")
    failed = delivery.attempts - 1
    if attempt.may_try_again and failed < len(WAITS):
        due_at = now + WAITS[failed] * (1 + JITTER * chance)
        if delivery.channel != Channel.EMAIL or due_at - delivery.created_at < MAIL_KEEPS:
            detail = f"{attempt.detail}; {tried}, the next after {due_at:%Y-%m-%d %H:%M:%S} UTC"
            return After(delivery, DeliveryState.DUE, due_at, detail)
    return After(delivery, DeliveryState.GIVEN_UP, None, f"{attempt.detail}; given up after {tried}")


def _write(connection: Connection, channels: Channels, after: After, now: datetime) -> None:
    """Write it, and keep the failures that people see in step: one that is mended is forgotten."""
    delivery = after.delivery
    if after.due_at is not None:
        is_ours = put_off(connection, delivery, after.due_at, after.detail)
    else:
        is_ours = settle_delivery(connection, delivery, after.state, after.detail, now)
    if not is_ours:
        return
    if after.state is DeliveryState.DELIVERED:
        operations.clear_failures(connection, stage=STAGE, kind=delivery.kind)
    else:
        operations.record_failure(
            connection,
            stage=STAGE,
            kind=delivery.kind,
            subject=channels.receiver(delivery),
            detail=after.detail,
            now=now,
        )
