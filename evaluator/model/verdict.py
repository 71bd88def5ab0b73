"""A verdict: an answer for a run or event under a rubric, append-only."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlmodel import Field, SQLModel, String

from evaluator.model.columns import Json, Money, UtcTime, utc_now


class VerdictLabel(StrEnum):
    """What a verdict says."""

    PASS = "pass"  # noqa: S105 - the verdict, not a password
    PARTIAL = "partial"
    FAIL = "fail"
    UNKNOWN = "unknown"


class CriterionLabel(StrEnum):
    """What a judge says of one criterion."""

    PASS = "pass"  # noqa: S105 - the verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


class Quote(BaseModel):
    """A stretch of content a judge rests on, and whether it stands there word for word."""

    model_config = ConfigDict(frozen=True)

    text: str
    found: bool


class CriterionVerdict(BaseModel):
    """A judge's answer to one criterion."""

    model_config = ConfigDict(frozen=True)

    id: str
    verdict: CriterionLabel
    level: float | None = None
    """The scale's level where the criterion has a scale; a mean where it was asked several times."""
    reasoning: str = ""
    evidence: tuple[Quote, ...] = ()
    note: str | None = None
    """Why the answer was changed after the judge gave it, such as unsupported evidence."""
    decided_by: str = "judge"
    """judge, check (code), precheck or person."""


class VerdictSource(StrEnum):
    JUDGE = "judge"
    HUMAN = "human"


class Verdict(SQLModel):
    """One judge's or one person's answer for a run under a rubric version."""

    verdict_id: str = Field(primary_key=True)
    judgement_id: str | None = Field(default=None, unique=True)
    event_id: str = Field(index=True)
    run_id: str | None = Field(default=None, index=True)
    rubric_id: str
    rubric_version: str
    source: VerdictSource = Field(default=VerdictSource.JUDGE, sa_type=String)
    verdict: VerdictLabel = Field(sa_type=String)
    score: float | None = None
    """Weighted share of criteria passed, 0 to 1; None where nothing could be scored."""
    criteria: list[dict[str, Any]] = Field(default_factory=list, sa_type=Json)
    """CriterionVerdict values."""
    summary: str = ""
    flags: list[str] = Field(default_factory=list, sa_type=Json)
    """injection_suspected, content_cut, evidence_not_found, precheck_…, cached, unpriced."""
    judge: str = ""
    """Model name as configured, or the person's name."""
    fingerprint: str = ""
    content_hash: str = ""
    """Of what the judge was shown, so that equal content is not judged twice."""
    repeat: int = 0
    cost_usd: Decimal | None = Field(default=None, sa_type=Money)
    """What judging cost; None when the model has no known price."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    calls: int = 0
    latency_ms: float | None = None
    stands: bool = True
    """A person's is the one that counts for its event under the rubric: not retracted, revised, outvoted or open to
    dispute. At most one of each event and rubric does."""
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
