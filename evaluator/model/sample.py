"""A sample: the decision to judge a run under a rubric."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel, String

from evaluator.model.columns import UtcTime, utc_now


class SampleReason(StrEnum):
    """Why a run was taken or not."""

    RATE = "rate"
    """The event's draw against the rubric's rate decided."""
    ALWAYS = "always"
    """A run of the event matched one of the rubric's always rules."""
    REQUESTED = "requested"
    """Somebody asked for this run to be judged."""
    LEFT_OUT = "left_out"
    """The rubric applied to the run once and no longer does: not taken, whatever the rate."""


class Sample(SQLModel):
    """Whether a run is judged under a rubric version, why, and how probable that was."""

    run_id: str = Field(primary_key=True)
    rubric_version: str = Field(primary_key=True)
    rubric_id: str
    event_id: str = Field(index=True)
    taken: bool
    reason: SampleReason = Field(sa_type=String)
    probability: float
    """That a run like this one is taken: sampling × capture; 0 < probability ≤ 1 where taken."""
    decided_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
