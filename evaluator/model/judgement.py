"""A judgement: one unit of judging work, run × rubric version × judge × repeat."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from sqlmodel import Field, SQLModel, String

from evaluator.model.columns import UtcTime, canonical_json, utc_now


class JudgementState(StrEnum):
    DUE = "due"
    LEASED = "leased"
    DONE = "done"
    NOT_EVALUABLE = "not_evaluable"
    SUPERSEDED = "superseded"
    """The content changed, or the rubric no longer applies to the run."""


class NotEvaluable(StrEnum):
    """Why a judgement ended without a verdict; never a score."""

    NO_CONTENT = "no_content"
    UNPARSABLE = "unparsable"
    REFUSED = "refused"
    CUT_OFF = "cut_off"
    """The reply hit the model's length limit."""
    FILTERED = "filtered"
    CONTEXT_TOO_LONG = "context_too_long"
    TIMEOUT = "timeout"
    PROVIDER_ERROR = "provider_error"
    UNREACHABLE = "unreachable"
    BAD_REQUEST = "bad_request"
    BUDGET = "budget"
    """Held back by the rubric's daily budget; taken up again at random the next day."""
    UNPRICED = "unpriced"
    """The rubric has a budget and the model no price, so the budget could not be kept."""
    WORKER_LOST = "worker_lost"
    """Worker after worker stopped while holding it."""
    INTERNAL_ERROR = "internal_error"
    """This server failed over it, attempt after attempt; its log says where."""


class Judgement(SQLModel):
    """One unit of judging work and how far it got."""

    judgement_id: str = Field(primary_key=True)
    """Hash of event, run, rubric version, judge, repeat and content: the same work never has two rows."""
    run_id: str = Field(index=True)
    event_id: str = Field(index=True)
    workflow: str = ""
    rubric_id: str
    rubric_version: str
    judge: str
    """Model name as the rubric gives it."""
    provider: str = ""
    """What limits are counted by: the model name's part before the first slash."""
    repeat: int = 0
    content_hash: str
    escalated: bool = False
    """Asked of the stronger judge, because of what the rubric's own judges said."""
    state: JudgementState = Field(default=JudgementState.DUE, sa_type=String)
    reason: NotEvaluable | None = Field(default=None, sa_type=String)
    detail: str | None = None
    """What happened, for people; never captured content."""
    draw: float = 0.0
    """Uniform in [0, 1): the order in which work held back by a budget is taken up."""
    attempts: int = 0
    """Calls that failed in a way that may pass."""
    leases: int = 0
    """Times a worker took it; many with few attempts means that workers die over it."""
    due_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    lease_token: str | None = None
    leased_at: datetime | None = Field(default=None, sa_type=UtcTime)
    lease_until: datetime | None = Field(default=None, sa_type=UtcTime)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    settled_at: datetime | None = Field(default=None, sa_type=UtcTime)


def judgement_id(*parts: str | int) -> str:
    """32 hex digits over all that makes work the same work: event, run, rubric version, judge, repeat, content."""
    return sha256(canonical_json(parts)).hexdigest()[:32]
