"""An event: one business transaction, such as a ticket or an order."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from evaluator.model.columns import UtcTime, utc_now


class Event(SQLModel):
    """One business transaction that one or more runs work on."""

    event_id: str = Field(primary_key=True)
    workflow: str = ""
    """Low-cardinality kind of event; empty while only a signal is known of it."""
    customer_id: str | None = None
    environment: str | None = None
    first_seen_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    last_activity_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
