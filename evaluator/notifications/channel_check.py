"""A test of the channels: one message to each that is set, at once, kept nowhere."""

from __future__ import annotations

import secrets
from datetime import datetime
from email.message import EmailMessage

from evaluator.model.delivery import Channel, Delivery
from evaluator.notifications.attempt import Attempt
from evaluator.notifications.delivery_round import Channels
from evaluator.notifications.mail_sending import send_mail
from evaluator.notifications.webhook_sending import send_webhook


def try_channels(channels: Channels, now: datetime) -> list[tuple[str, Attempt]]:
    """Each channel that is set, in words, and how its message went."""
    told = []
    message_id = f"test_{secrets.token_hex(12)}"
    if channels.webhook is not None:
        payload = {"type": "test", "timestamp": now.isoformat(), "data": {}}
        delivery = Delivery(delivery_id=message_id, channel=Channel.WEBHOOK, kind="test", payload=payload)
        told.append((f"webhook to {channels.webhook.host}", send_webhook(channels.webhook, delivery, now)))
    if channels.mail is not None:
        message = EmailMessage()
        message["Subject"] = "Adjudge: test"
        message.set_content("This is a test. The daily e-mail on what waits for review comes like this one.\n")
        attempt = send_mail(channels.mail, message, message_id, now)
        told.append((f"e-mail by {channels.mail.host}", attempt))
    return told
