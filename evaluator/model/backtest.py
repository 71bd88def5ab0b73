"""A backtest: stored runs judged again under another version of a rubric, beside what stands; it changes no outcome."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel, String

from evaluator.model.columns import Json, Money, UtcTime, utc_now
from evaluator.model.judgement import NotEvaluable
from evaluator.model.verdict import VerdictLabel


class BacktestState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    """Interrupted; the same backtest asked for again goes on where it stopped."""


class Backtest(SQLModel):
    """One comparison of two versions on the same runs, and how far it got."""

    backtest_id: str = Field(primary_key=True)
    rubric_id: str = Field(index=True)
    baseline_version: str
    candidate_version: str
    state: BacktestState = Field(default=BacktestState.RUNNING, sa_type=String)
    planned: int = 0
    """Judgements it is made of, both versions together."""
    done: int = 0
    estimated_usd: Decimal | None = Field(default=None, sa_type=Money)
    """None where the judge has no known price."""
    estimated_seconds: float | None = None
    cost_usd: Decimal | None = Field(default=Decimal(0), sa_type=Money)
    unpriced_calls: int = 0
    started_by: str = ""
    started_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime)
    report: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    """What it found, as `evaluator.authoring.backtest_report` wrote it; empty until it is done."""


class BacktestVerdict(SQLModel):
    """How one judgement of a backtest ended: a verdict, or the reason why there is none."""

    backtest_id: str = Field(primary_key=True)
    run_id: str = Field(primary_key=True)
    rubric_version: str = Field(primary_key=True)
    judge: str = Field(primary_key=True)
    repeat: int = Field(default=0, primary_key=True)
    event_id: str
    escalated: bool = False
    verdict: VerdictLabel | None = Field(default=None, sa_type=String)
    reason: NotEvaluable | None = Field(default=None, sa_type=String)
    detail: str | None = None
    score: float | None = None
    criteria: list[dict[str, Any]] = Field(default_factory=list, sa_type=Json)
    """CriterionVerdict values."""
    flags: list[str] = Field(default_factory=list, sa_type=Json)
    fingerprint: str = ""
    content_hash: str = ""
    cost_usd: Decimal | None = Field(default=None, sa_type=Money)
    input_tokens: int | None = None
    output_tokens: int | None = None
    calls: int = 0
    latency_ms: float | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
