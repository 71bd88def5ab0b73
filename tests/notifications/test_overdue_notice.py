"""When overdue reviews are told, and what is told of them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.model.delivery import Delivery
from evaluator.notifications.overdue_notice import AGAIN, QUIET, is_worth_telling, notice_due
from evaluator.notifications.queue_figures import queue_figures
from tests.notifications.receivers import NOW, item_waits

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("overdue", "since", "told", "told_at", "worth"),
    [
        (0, None, 0, None, False),
        (1, NOW, 0, None, True),
        (5, NOW - 9 * HOUR, 5, NOW - 2 * HOUR, False),
        (9, NOW - 9 * HOUR, 5, NOW - 2 * HOUR, False),
        (10, NOW - 9 * HOUR, 5, NOW - 2 * HOUR, True),
        (5, NOW - 30 * HOUR, 5, NOW - 24 * HOUR, True),
        (1, NOW - 1 * HOUR, 5, NOW - 2 * HOUR, True),
        (99, NOW - 9 * HOUR, 1, NOW - HOUR / 2, False),
    ],
)
def test_when_it_is_worth_telling(
    overdue: int, since: datetime | None, told: int, told_at: datetime | None, worth: bool
) -> None:
    assert is_worth_telling(overdue, since, told, told_at, NOW) == worth


@given(
    overdue=st.integers(0, 1000),
    told=st.integers(1, 1000),
    since_minutes=st.integers(0, 5000),
    told_minutes=st.integers(0, 5000),
)
def test_never_twice_within_the_hour_always_after_a_day_and_never_for_nothing(
    overdue: int, told: int, since_minutes: int, told_minutes: int
) -> None:
    since, told_at = NOW - timedelta(minutes=since_minutes), NOW - timedelta(minutes=told_minutes)
    worth = is_worth_telling(overdue, since, told, told_at, NOW)
    if overdue == 0 or NOW - told_at < QUIET:
        assert not worth
    elif NOW - told_at >= AGAIN:
        assert worth


def noticed(deployment: Deployment, now: datetime, last: Delivery | None = None) -> Delivery | None:
    with deployment.database.read() as connection:
        return notice_due(queue_figures(connection, deployment.settings, now), last, now)


def test_a_notice_counts_by_workflow_and_rubric_and_names_items_never_events(deployment: Deployment) -> None:
    oldest = item_waits(deployment, "ticket-1", hours=40)
    late = item_waits(deployment, "ticket-2", hours=25)
    item_waits(deployment, "ticket-3", hours=23)
    item_waits(deployment, "ticket-4", hours=1, rubric_id="refunds", workflow="Refunds")
    notice = noticed(deployment, NOW)
    assert notice is not None
    data = notice.payload["data"]
    assert (data["overdue"], data["waiting"], data["item_ids"]) == (2, 4, [oldest, late])
    assert [(one["workflow"], one["rubric"], one["overdue"], one["waiting"]) for one in data["groups"]] == [
        ("Support", "support", 2, 3)
    ]
    assert data["oldest_waiting_since"] == (NOW - 40 * HOUR).isoformat()
    assert data["queue"] == "http://127.0.0.1:8700/review"
    assert "ticket" not in str(notice.payload)


def test_at_most_twenty_items_are_named(deployment: Deployment) -> None:
    for number in range(23):
        item_waits(deployment, f"ticket-{number}", hours=30)
    notice = noticed(deployment, NOW)
    assert notice is not None
    assert len(notice.payload["data"]["item_ids"]) == 20


def test_the_documented_body_has_the_fields_that_are_sent(deployment: Deployment) -> None:
    item_waits(deployment, hours=40)
    notice = noticed(deployment, NOW)
    assert notice is not None
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    documented = json.loads(text)
    assert documented.keys() == notice.payload.keys()
    assert documented["data"].keys() == notice.payload["data"].keys()
    assert documented["data"]["groups"][0].keys() == notice.payload["data"]["groups"][0].keys()
