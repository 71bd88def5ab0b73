"""A delivery: one message to somewhere else, kept until it arrived or was given up."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel, String

from evaluator.model.columns import Json, UtcTime, utc_now


class Channel(StrEnum):
    WEBHOOK = "webhook"
    EMAIL = "email"


class DeliveryState(StrEnum):
    DUE = "due"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class Delivery(SQLModel):
    """One message and how far it got; the same id is the same message, however often it is queued."""

    delivery_id: str = Field(primary_key=True)
    """Also the webhook's `webhook-id`."""
    channel: Channel = Field(sa_type=String)
    kind: str
    """What it tells, such as review.overdue or review.digest."""
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    """What is sent; never captured content."""
    state: DeliveryState = Field(default=DeliveryState.DUE, sa_type=String)
    attempts: int = 0
    due_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    detail: str = ""
    """How the last attempt went, for people."""
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    settled_at: datetime | None = Field(default=None, sa_type=UtcTime)
