"""A run: one execution attempt within an event."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel, String

from evaluator.model.capture import Fidelity
from evaluator.model.columns import Json, Money, UtcTime, utc_now


class RunState(StrEnum):
    """Whether a run may be judged yet."""

    OPEN = "open"
    """Spans have come, its root has not."""
    READY = "ready"
    """Its root came, it went idle, or it was reported whole."""


class ClosedBy(StrEnum):
    """What made a run ready."""

    ROOT = "root"
    IDLE_TIMEOUT = "idle_timeout"
    REPORT = "report"


class ExecutionStatus(StrEnum):
    """How the run ended technically; never an outcome."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Run(SQLModel):
    """One execution attempt within an event, put together from its spans or reported whole."""

    run_id: str = Field(primary_key=True)
    event_id: str = Field(index=True)
    workflow: str
    state: RunState = Field(default=RunState.OPEN, sa_type=String)
    closed_by: ClosedBy | None = Field(default=None, sa_type=String)
    execution_status: ExecutionStatus = Field(default=ExecutionStatus.UNKNOWN, sa_type=String)
    error_type: str | None = None
    started_at: datetime = Field(sa_type=UtcTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime)
    duration_ms: float | None = None
    trace_id: str | None = None
    root_span_id: str | None = None
    parent_run_id: str | None = None
    root_run_id: str | None = None
    retry_of_run_id: str | None = None
    attempt: int | None = None
    """As the client counts; attempts are ordered by started_at, never by this."""
    customer_id: str | None = None
    tenant_id: str | None = None
    environment: str | None = None
    workflow_version: str | None = None
    service: str | None = None
    diagnostics: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    """What the app said about itself: value_type, value_amount, confidence, reason, error_type, metadata, claimed."""
    correlations: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    """Keys that join systems of record, such as zendesk_ticket_id."""
    evaluations: list[dict[str, Any]] = Field(default_factory=list, sa_type=Json)
    """Scores that other tools sent along, each with name, score, label, explanation."""
    fidelity: Fidelity = Field(default=Fidelity.MISSING, sa_type=String)
    content_hash: str = ""
    span_count: int = 0
    llm_calls: int = 0
    models: list[str] = Field(default_factory=list, sa_type=Json)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_total_usd: Decimal | None = Field(default=None, sa_type=Money)
    """None when any LLM call of the run has no price."""
    unpriced_calls: int = 0
    last_arrival_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime, index=True)
    assembled_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
