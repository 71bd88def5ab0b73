"""Signals, the evidence about an event's outcome, and the outcome they resolve to."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlmodel import BigInteger, Field, SQLModel, String

from evaluator.model.columns import Json, Money, UtcTime, utc_now


class FinalOutcome(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    ABANDONED = "abandoned"


class OutcomeType(StrEnum):
    CONVERTED = "CONVERTED"
    DEFLECTED = "DEFLECTED"
    ESCALATED = "ESCALATED"
    UNSUCCESSFUL = "UNSUCCESSFUL"
    CUSTOM = "CUSTOM"
    PENDING = "PENDING"


class SignalSource(StrEnum):
    """Where evidence comes from, strongest first."""

    SOR = "sor"
    HUMAN = "human"
    JUDGE = "judge"


class DecidedBy(StrEnum):
    SOR = "sor"
    HUMAN = "human"
    JUDGE = "judge"
    NONE = "none"


class Signal(SQLModel):
    """One piece of evidence about an event's outcome, append-only.

    An outcome of pending takes back what the same source said before.
    """

    signal_id: str = Field(primary_key=True)
    event_id: str = Field(index=True)
    source: SignalSource = Field(sa_type=String)
    outcome: FinalOutcome = Field(sa_type=String)
    outcome_type: OutcomeType = Field(default=OutcomeType.PENDING, sa_type=String)
    value_amount: Decimal | None = Field(default=None, sa_type=Money)
    value_currency: str | None = None
    reason: str = ""
    origin: str = ""
    """The system, person or rubric that says so."""
    reference: str = ""
    """The origin's own id for what it reports: the same origin and reference are the same signal."""
    occurred_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    recorded_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    reported_by: str = ""
    """The API key's name, set by the server."""
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=Json)


class Resolution(SQLModel):
    """What an event's signals resolve to."""

    final_outcome: FinalOutcome = Field(default=FinalOutcome.PENDING, sa_type=String)
    outcome_type: OutcomeType = Field(default=OutcomeType.PENDING, sa_type=String)
    decided_by: DecidedBy = Field(default=DecidedBy.NONE, sa_type=String)
    signal_id: str | None = None
    value_amount: Decimal | None = Field(default=None, sa_type=Money)
    value_currency: str | None = None
    reason: str = ""


class Outcome(Resolution):
    """One numbered revision of an event's outcome."""

    event_id: str = Field(primary_key=True)
    revision: int = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger, unique=True)
    """Place in the feed, in commit order."""
    current: bool = True
    workflow: str = ""
    decided_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
