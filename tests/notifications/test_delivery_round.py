"""Rounds of notifications: what is sent once, what is tried again, what is given up and seen."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.model.delivery import Channel, Delivery, DeliveryState
from evaluator.model.operation import Failure
from evaluator.notifications.attempt import Attempt
from evaluator.notifications.delivery_round import (
    JITTER,
    LEASE,
    WAITS,
    Channels,
    after_attempt,
    channels_of,
    notify,
)
from evaluator.notifications.mail_sending import MailAccount
from evaluator.notifications.webhook_sending import WebhookEndpoint
from evaluator.notifications.webhook_signing import signing_secret
from evaluator.settings import Settings
from evaluator.store.deliveries import last_deliveries, put_off, queue_delivery, settle_delivery, take_due
from evaluator.store.operations import last_failures
from tests.notifications.receivers import NOW, SECRET, all_done, item_waits, mail_server, web_server

HOUR = timedelta(hours=1)


def webhooks(url: str) -> Channels:
    return Channels(WebhookEndpoint(url, signing_secret(SECRET), allow_private=True), None)


def mails(port: int) -> Channels:
    account = MailAccount("127.0.0.1", port, False, "", "", "reviews@example.com", ("ada@example.com",))
    return Channels(None, account)


def round_at(deployment: Deployment, channels: Channels, now: datetime) -> int:
    return notify(deployment, channels, now=lambda: now, ends=lambda: False)


def kept(deployment: Deployment) -> list[Delivery]:
    with deployment.database.read() as connection:
        return list(last_deliveries(connection))


def failures(deployment: Deployment) -> list[Failure]:
    with deployment.database.read() as connection:
        return [one for one in last_failures(connection) if one.stage == "notify"]


def test_overdue_reviews_are_told_once_then_when_they_doubled_and_after_a_day(deployment: Deployment) -> None:
    item_waits(deployment, "t-1", hours=25)
    with web_server(204) as server:
        channels = webhooks(server.url)
        for minutes in (0, 1, 70):
            round_at(deployment, channels, NOW + timedelta(minutes=minutes))
        assert len(server.got) == 1
        item_waits(deployment, "t-2", hours=30)
        round_at(deployment, channels, NOW + 2 * HOUR)
        assert len(server.got) == 2
        round_at(deployment, channels, NOW + 25 * HOUR)
        round_at(deployment, channels, NOW + 26 * HOUR + timedelta(minutes=1))
    assert [json.loads(got.body)["data"]["overdue"] for got in server.got] == [1, 2, 2]


def test_where_nothing_is_overdue_nothing_is_told(deployment: Deployment) -> None:
    item_waits(deployment, "t-1", hours=23)
    item_waits(deployment, "t-2", hours=99)
    with web_server() as server:
        round_at(deployment, webhooks(server.url), NOW - 100 * HOUR)
        all_done(deployment)
        round_at(deployment, webhooks(server.url), NOW)
    assert server.got == []


def test_a_receiver_that_fails_is_tried_again_under_one_id_and_shown_until_it_takes(deployment: Deployment) -> None:
    item_waits(deployment, hours=25)
    with web_server(500, 503, 200) as server:
        channels = webhooks(server.url)
        round_at(deployment, channels, NOW)
        (failure,) = failures(deployment)
        assert (failure.kind, failure.subject) == ("review.overdue", "127.0.0.1")
        assert failure.detail.startswith("answered 500; 1 attempt, the next after 2026-03-02 09:00:0")
        assert "s3cret" not in failure.detail
        round_at(deployment, channels, NOW + timedelta(minutes=1))
        round_at(deployment, channels, NOW + timedelta(minutes=2))
        assert len(server.got) == 2, "the second wait is of five minutes"
        round_at(deployment, channels, NOW + timedelta(minutes=8))
    assert len({got.headers["webhook-id"] for got in server.got}) == 1
    assert len({got.body for got in server.got}) == 1
    (delivery,) = kept(deployment)
    assert (delivery.state, delivery.attempts, delivery.detail) == (DeliveryState.DELIVERED, 3, "answered 200")
    assert failures(deployment) == []


def test_a_receiver_that_is_gone_is_given_up_and_shown(deployment: Deployment) -> None:
    item_waits(deployment, hours=25)
    with web_server(410) as server:
        round_at(deployment, webhooks(server.url), NOW)
        round_at(deployment, webhooks(server.url), NOW + 2 * HOUR)
    assert len(server.got) == 1
    (delivery,) = kept(deployment)
    assert delivery.state == DeliveryState.GIVEN_UP
    assert [one.detail for one in failures(deployment)] == [
        "answered 410: the receiver wants no more; given up after 1 attempt"
    ]


@given(chance=st.floats(0, 1), attempts=st.integers(1, 20))
def test_waits_grow_over_three_days_and_then_it_is_given_up(chance: float, attempts: int) -> None:
    delivery = Delivery(delivery_id="m", channel=Channel.WEBHOOK, kind="k", attempts=attempts, created_at=NOW)
    after = after_attempt(delivery, Attempt(arrived=False, detail="answered 500"), NOW, chance)
    if attempts > len(WAITS):
        assert (after.state, after.due_at) == (DeliveryState.GIVEN_UP, None)
    else:
        assert after.due_at is not None
        assert WAITS[attempts - 1] <= after.due_at - NOW <= WAITS[attempts - 1] * (1 + JITTER)
    assert timedelta(days=3) < sum(WAITS, timedelta()) < timedelta(days=4)


def test_a_digest_goes_out_once_a_day_from_its_hour_on(deployment: Deployment) -> None:
    item_waits(deployment, hours=60)
    with mail_server() as server:
        channels = mails(server.port)
        for at in (NOW - 4 * HOUR, NOW, NOW + HOUR, NOW + 20 * HOUR, NOW + 24 * HOUR):
            round_at(deployment, channels, at)
    assert [mail["subject"] for mail in server.mails] == ["1 review waiting, 1 overdue"] * 2
    assert {one.delivery_id for one in kept(deployment)} == {"digest-2026-03-02", "digest-2026-03-03"}


def test_no_digest_goes_out_on_a_day_that_begins_with_an_empty_queue(deployment: Deployment) -> None:
    with mail_server() as server:
        round_at(deployment, mails(server.port), NOW)
        item_waits(deployment, hours=0, now=NOW + HOUR)
        round_at(deployment, mails(server.port), NOW + 2 * HOUR)
    assert server.mails == []


def test_a_digest_that_fails_is_tried_again_and_not_on_the_next_day(deployment: Deployment) -> None:
    item_waits(deployment, hours=1)
    with mail_server(answer="451 later") as server:
        channels = mails(server.port)
        at = NOW
        while at < NOW + 20 * HOUR:
            round_at(deployment, channels, at)
            at += HOUR / 2
    (delivery,) = kept(deployment)
    assert delivery.state == DeliveryState.GIVEN_UP
    assert delivery.attempts == 6
    assert [one.detail.startswith("the mail server answered 451; given up") for one in failures(deployment)] == [
        True
    ]


def test_any_number_of_workers_send_a_message_once(deployment: Deployment) -> None:
    item_waits(deployment, hours=25)
    with web_server(204) as server, ThreadPoolExecutor(4) as workers:
        channels = webhooks(server.url)
        tried = list(workers.map(lambda _: round_at(deployment, channels, NOW), range(4)))
    assert len(server.got) == 1
    assert sum(tried) == 1


def test_what_a_killed_worker_took_is_due_again_when_its_lease_ends(deployment: Deployment) -> None:
    transact = deployment.database.transact
    transact(lambda connection: queue_delivery(connection, MESSAGE))
    (mine,) = transact(lambda connection: take_due(connection, NOW, lease=LEASE))
    assert transact(lambda connection: take_due(connection, NOW + LEASE / 2, lease=LEASE)) == []
    (yours,) = transact(lambda connection: take_due(connection, NOW + LEASE, lease=LEASE))
    assert (mine.attempts, yours.attempts) == (1, 2)
    assert not transact(lambda connection: put_off(connection, mine, NOW, "late"))
    assert not transact(lambda connection: settle_delivery(connection, mine, DeliveryState.GIVEN_UP, "late", NOW))
    assert transact(lambda connection: settle_delivery(connection, yours, DeliveryState.DELIVERED, "ok", NOW))


MESSAGE = Delivery(delivery_id="m-1", channel=Channel.WEBHOOK, kind="outcome.revised", due_at=NOW, created_at=NOW)


def test_one_id_is_queued_once(deployment: Deployment) -> None:
    queued = [
        deployment.database.transact(lambda connection: queue_delivery(connection, MESSAGE)) for _ in range(2)
    ]
    assert queued == [True, False]


def test_a_round_ends_when_it_is_told_to(deployment: Deployment) -> None:
    item_waits(deployment, hours=25)
    with web_server() as server:
        assert notify(deployment, webhooks(server.url), now=lambda: NOW, ends=lambda: True) == 0
    assert server.got == []
    assert [one.state for one in kept(deployment)] == [DeliveryState.DUE]


def test_a_channel_that_is_no_longer_set_is_told(deployment: Deployment) -> None:
    deployment.database.transact(lambda connection: queue_delivery(connection, MESSAGE))
    round_at(deployment, mails(1), NOW - 4 * HOUR)
    round_at(deployment, mails(1), NOW.replace(hour=0) + 24 * HOUR)
    assert [one.detail.split(";")[0] for one in failures(deployment)] == [
        "ADJUDGE_REVIEW_WEBHOOK_URL is no longer set"
    ]


def test_settled_messages_are_kept_for_a_month(deployment: Deployment) -> None:
    item_waits(deployment, hours=25)
    with web_server() as server:
        round_at(deployment, webhooks(server.url), NOW)
        all_done(deployment)
        round_at(deployment, webhooks(server.url), NOW + timedelta(days=29))
        assert len(kept(deployment)) == 1
        round_at(deployment, webhooks(server.url), NOW + timedelta(days=31))
    assert kept(deployment) == []


def test_without_settings_there_is_no_channel() -> None:
    assert not channels_of(Settings())
