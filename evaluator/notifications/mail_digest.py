"""The daily e-mail on what waits for review: figures, links and how it reads, as text and as simple HTML."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.message import EmailMessage
from html import escape
from typing import Any

from evaluator.model.delivery import Channel, Delivery, DeliveryState
from evaluator.notifications.queue_figures import QueueFigures
from evaluator.wording import plural, visible

KIND = "review.digest"
GROUPS_TOLD = 50


def digest_id(now: datetime) -> str:
    """The id of a UTC day's digest: one a day, whoever sends it."""
    return f"digest-{now:%Y-%m-%d}"


def digest_of(figures: QueueFigures, now: datetime) -> Delivery:
    """The day's digest to be queued; where nothing waits it is settled from the start, so that the day is done."""
    empty = not figures.total.waiting
    return Delivery(
        delivery_id=digest_id(now),
        channel=Channel.EMAIL,
        kind=KIND,
        payload={} if empty else _data(figures),
        state=DeliveryState.DELIVERED if empty else DeliveryState.DUE,
        detail="nothing waited, nothing was sent" if empty else "",
        due_at=now,
        created_at=now,
        settled_at=now if empty else None,
    )


def _data(figures: QueueFigures) -> dict[str, Any]:
    total = figures.total
    return {
        "waiting": total.waiting,
        "overdue": total.overdue,
        "escalated": total.escalated,
        "disagreements": total.disagreements,
        "oldest_waiting_since": total.oldest_at.isoformat() if total.oldest_at else None,
        "sla_hours": figures.sla / timedelta(hours=1),
        "groups": [
            {
                "workflow": one.workflow,
                "rubric": one.rubric_id,
                "waiting": one.waiting,
                "overdue": one.overdue,
                "oldest_waiting_since": one.oldest_at.isoformat(),
            }
            for one in figures.groups[:GROUPS_TOLD]
        ],
        "groups_left_out": max(0, len(figures.groups) - GROUPS_TOLD),
        "queue": figures.queue,
    }


def digest_message(payload: Mapping[str, Any]) -> EmailMessage:
    """The e-mail that a digest's payload makes: subject, text and HTML; sender and receivers are still to be set."""
    message = EmailMessage()
    overdue = f", {payload['overdue']:,} overdue" if payload["overdue"] else ""
    message["Subject"] = f"{plural(payload['waiting'], 'review')} waiting{overdue}"
    message.set_content(_text(payload))
    message.add_alternative(_html(payload), subtype="html")
    return message


def _facts(payload: Mapping[str, Any]) -> list[str]:
    """Sentences on the queue as a whole."""
    oldest = _when(payload["oldest_waiting_since"])
    facts = [f"{plural(payload['waiting'], 'review')} waiting, the oldest since {oldest}."]
    if payload["overdue"]:
        facts.append(f"{payload['overdue']:,} overdue: waiting for more than {payload['sla_hours']:g} h.")
    if payload["disagreements"]:
        facts.append(f"{plural(payload['disagreements'], 'disagreement')} of reviewers to be settled by an author.")
    if payload["escalated"]:
        facts.append(f"{payload['escalated']:,} escalated to an author.")
    return facts


def _lines(payload: Mapping[str, Any]) -> list[tuple[str, int, int, str]]:
    """Name, waiting, overdue and oldest of each workflow and rubric; names are what apps and files say."""
    return [
        (
            visible(f"{one['workflow'] or 'no workflow'} / {one['rubric']}"),
            one["waiting"],
            one["overdue"],
            _when(one["oldest_waiting_since"]),
        )
        for one in payload["groups"]
    ]


def _when(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M} UTC"


def _rest(payload: Mapping[str, Any]) -> str:
    return f"and {payload['groups_left_out']:,} more" if payload["groups_left_out"] else ""


def _text(payload: Mapping[str, Any]) -> str:
    groups = [
        f"* {name}: {waiting:,} waiting"
        + (f", {overdue:,} overdue" if overdue else "")
        + f", oldest since {oldest}"
        for name, waiting, overdue, oldest in _lines(payload)
    ]
    parts = ["\n".join(_facts(payload)), "\n".join([*groups, _rest(payload)]).rstrip(), payload["queue"]]
    return "\n\n".join(parts) + "\n"


def _html(payload: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td align="right">{waiting:,}</td><td align="right">{overdue:,}</td>'
        f"<td>{escape(oldest)}</td></tr>"
        for name, waiting, overdue, oldest in _lines(payload)
    )
    facts = "".join(f"<p>{escape(fact)}</p>" for fact in _facts(payload))
    rest = f"<p>{escape(_rest(payload))}</p>" if _rest(payload) else ""
    link = escape(payload["queue"], quote=True)
    return (
        f"<!doctype html><html lang=en><body>{facts}"
        '<table cellpadding="4"><tr><th align="left">Workflow / rubric</th><th>Waiting</th><th>Overdue</th>'
        f'<th align="left">Oldest since</th></tr>{rows}</table>{rest}<p><a href="{link}">{link}</a></p></body></html>'
    )
