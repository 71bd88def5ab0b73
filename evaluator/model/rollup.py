"""A rollup: verdicts of an event's runs → one verdict for the event under a rubric, with coverage."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlmodel import BigInteger, Field, SQLModel, String

from evaluator.model.columns import Json, UtcTime, utc_now
from evaluator.model.verdict import VerdictLabel


class RollupRule(StrEnum):
    """How verdicts of several runs become one; the rule is the result, so it is stored with it."""

    LAST_RUN = "last_run"
    ALL = "all"
    ANY = "any"
    MEAN = "mean"
    RECENCY_WEIGHTED = "recency_weighted"
    K_OF_N = "k_of_n"


class RollupVerdict(SQLModel):
    """What a rollup rule says of an event, before it is stored."""

    rule: RollupRule = Field(sa_type=String)
    verdict: VerdictLabel = Field(sa_type=String)
    score: float | None = None
    deciding_run_id: str | None = None
    runs: int = 0
    """Runs of the event that were taken for judging."""
    judged: int = 0
    """Of those, how many have a verdict other than unknown."""
    waiting: int = 0
    not_evaluable: dict[str, int] = Field(default_factory=dict, sa_type=Json)
    """Reason → number of runs."""
    coverage: float = 0.0
    """judged ÷ runs, 0 where there are none."""


class Rollup(RollupVerdict):
    """One numbered revision of an event's rollup under a rubric."""

    event_id: str = Field(primary_key=True)
    rubric_id: str = Field(primary_key=True)
    revision: int = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger, unique=True)
    """Place in the feed, in commit order."""
    current: bool = True
    workflow: str = ""
    rubric_version: str
    fingerprints: list[str] = Field(default_factory=list, sa_type=Json)
    probability: float | None = None
    """Inclusion probability of the event under the rubric; None where runs differ in it."""
    review_reasons: list[str] = Field(default_factory=list, sa_type=Json)
    """Why the rubric's review policy wants a person to look, such as critical_fail or audit; empty: it does not."""
    decided_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
