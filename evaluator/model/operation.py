"""What the operator of a server should see: failures, paused judges, workers, spend."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlmodel import Field, SQLModel

from evaluator.model.columns import Money, UtcTime, utc_now


class Failure(SQLModel):
    """Something that went wrong and that a person should know of; equal ones are counted, not repeated."""

    stage: str = Field(primary_key=True)
    """capture, rubrics, sample, judge, rollup, resolve, notify, backtest or engine."""
    kind: str = Field(primary_key=True)
    subject: str = Field(default="", primary_key=True)
    """The model, file or run concerned."""
    detail: str = ""
    """For people; never captured content."""
    count: int = 1
    first_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    last_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime, index=True)


class JudgePause(SQLModel):
    """A judge that is not called for a while, and why."""

    judge: str = Field(primary_key=True)
    reason: str
    detail: str = ""
    since: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    until: datetime = Field(sa_type=UtcTime)


class WorkerBeat(SQLModel):
    """That a worker process is alive."""

    worker: str = Field(primary_key=True)
    started_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    seen_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)


class Spend(SQLModel):
    """What judging under a rubric cost on one UTC day; never part of the product's cost."""

    rubric_id: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    """YYYY-MM-DD, UTC."""
    settled_usd: Decimal = Field(default=Decimal(0), sa_type=Money)
    unpriced_calls: int = 0
    calls: int = 0
