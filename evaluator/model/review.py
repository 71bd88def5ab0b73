"""Reviews: which events people look at, who holds what, and what they said."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlmodel import Field, SQLModel, String

from evaluator.model.columns import Json, Money, UtcTime, canonical_json, utc_now
from evaluator.model.verdict import VerdictLabel


class Stream(StrEnum):
    """How an item came to be reviewed; streams are never mixed in a statistic."""

    AUDIT = "audit"
    """Drawn uniformly over events, always blind: every statistic rests on it."""
    TARGETED = "targeted"
    """Sent by the rubric's review policy."""
    PICKED = "picked"
    """Chosen by hand."""


class ItemState(StrEnum):
    """How far an item is; that somebody holds it just now is its slots' to say."""

    OPEN = "open"
    """Reviews are wanting."""
    ESCALATED = "escalated"
    """A reviewer passed it on to an author."""
    AWAITING_RESOLUTION = "awaiting_resolution"
    """Its reviewers disagree."""
    DONE = "done"
    WITHDRAWN = "withdrawn"
    """Nobody reviewed it and nothing asks for it any more."""


class ReviewItem(SQLModel):
    """An event under a rubric, for people to review; one for ever, in rounds where it is opened again."""

    item_id: str = Field(primary_key=True)
    """Hash of event and rubric."""
    event_id: str = Field(index=True)
    rubric_id: str
    rubric_version: str
    """The version the judges spoke under when it came in."""
    workflow: str = ""
    deciding_run_id: str | None = None
    rollup_revision: int = 0
    """The judges' rollup it came in with; 0: there is none."""
    stream: Stream = Field(sa_type=String)
    probability: float | None = None
    """That an event like this one is in its stream; None where that is unknown, as for all that is not audit."""
    reasons: list[str] = Field(default_factory=list, sa_type=Json)
    """Why it is here: reasons of the review policy, audit, picked, new_attempt."""
    blind: bool = True
    reviewers: int = 1
    """Reviews wanted."""
    state: ItemState = Field(default=ItemState.OPEN, sa_type=String)
    round: int = 1
    gold: bool = False
    """Whether its verdict is settled so firmly that reviewers are measured by it."""
    value_amount: Decimal | None = Field(default=None, sa_type=Money)
    """What the app said the event is worth."""
    value_currency: str | None = None
    note: str = ""
    """What whoever picked or escalated it last said."""
    rank_at: datetime = Field(sa_type=UtcTime)
    """Its place in line, earliest first: when it came in, less the head start that its priority gives."""
    entered_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    """Since when this round waits."""
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    settled_at: datetime | None = Field(default=None, sa_type=UtcTime)


def item_id_of(event_id: str, rubric_id: str) -> str:
    """20 hex digits: an event under a rubric is one item, whoever brings it in."""
    return sha256(canonical_json([event_id, rubric_id])).hexdigest()[:20]


class SlotKind(StrEnum):
    """What the holder of a slot is asked for."""

    REVIEW = "review"
    """One of the reviews that the item wants."""
    SECOND_OPINION = "second_opinion"
    GOLD = "gold"
    """An item whose verdict is known; the answer changes nothing but what its reviewer learns."""
    ADJUDICATION = "adjudication"


class SlotState(StrEnum):
    OPEN = "open"
    """To be claimed, or held as long as its lease runs."""
    DONE = "done"
    CANCELLED = "cancelled"


class ReviewSlot(SQLModel):
    """Room for one review of an item: what is claimed, atomically, by one person at a time."""

    slot_id: str = Field(primary_key=True)
    item_id: str = Field(index=True)
    round: int = 1
    kind: SlotKind = Field(default=SlotKind.REVIEW, sa_type=String)
    state: SlotState = Field(default=SlotState.OPEN, sa_type=String)
    stream: Stream = Field(sa_type=String)
    rubric_id: str
    workflow: str = ""
    rank_at: datetime = Field(sa_type=UtcTime)
    """As the item's, so that a claim reads one index."""
    claimed_by: str | None = None
    """The person who holds it, held it last, or filled it."""
    claimed_before: str | None = None
    """Whose lease had run out when it was last claimed."""
    token: str | None = None
    """Changes with each claim; whatever is done under a claim names it."""
    claimed_at: datetime | None = Field(default=None, sa_type=UtcTime)
    lease_until: datetime | None = Field(default=None, sa_type=UtcTime)
    batch_id: str | None = Field(default=None, index=True)


class ReviewKind(StrEnum):
    FIRST_PASS = "first_pass"  # noqa: S105 - a pass over an item, not a password
    """What the person said before anything was revealed, or at first where nothing was hidden."""
    REVISED = "revised"
    """What they said after the judge's verdict was revealed, instead of their first pass."""
    SECOND_OPINION = "second_opinion"
    GOLD = "gold"
    ADJUDICATION = "adjudication"
    """An author's verdict on a disagreement or an escalation; it stands above the reviewers'."""
    RETRACTION = "retraction"
    """Takes one of the person's reviews back."""


class Review(SQLModel):
    """What a person said of an item, append-only; its verdict has the same id."""

    review_id: str = Field(primary_key=True)
    item_id: str = Field(index=True)
    round: int = 1
    event_id: str = Field(index=True)
    rubric_id: str
    rubric_version: str
    """The version whose criteria were answered."""
    run_id: str | None = None
    """The run whose content was shown first."""
    person_id: str
    reviewer: str
    """The person's name at that time."""
    form_key: str
    """Made with each form: the same key from the same person is the same review, however often it is sent."""
    kind: ReviewKind = Field(sa_type=String)
    verdict: VerdictLabel | None = Field(default=None, sa_type=String)
    """None for a retraction and where the person could not judge."""
    cannot_judge: str | None = None
    """Why not."""
    proposed: VerdictLabel | None = Field(default=None, sa_type=String)
    """What the answers come to by the rubric's own scoring; another verdict is an override and needs a note."""
    criteria: list[dict[str, Any]] = Field(default_factory=list, sa_type=Json)
    """CriterionVerdict values, decided_by person."""
    note: str = ""
    stream: Stream = Field(sa_type=String)
    probability: float | None = None
    blind: bool = True
    """Whether nothing of judges or other reviewers had been shown to the person when they first answered."""
    seen_judge: bool = False
    """Whether the judge's verdict had been revealed to the person before this was said."""
    judge_verdict: VerdictLabel | None = Field(default=None, sa_type=String)
    """The judges' rollup at that time."""
    judge_score: float | None = None
    rollup_revision: int = 0
    agrees: bool | None = None
    """With the judges; None where one of the two says nothing."""
    counts: bool = True
    """Whether it takes part in the item's state: not retracted, revised, or of an earlier round."""
    retracts: str | None = None
    slot_id: str | None = None
    batch_id: str | None = Field(default=None, index=True)
    active_ms: int = 0
    """Time with the item visible and the person active; never more than elapsed_ms."""
    elapsed_ms: int = 0
    """From the claim to the answer, by the server's clock."""
    cost_usd: Decimal | None = Field(default=None, sa_type=Money)
    """active_ms at the person's rate; None where no rate is known."""
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)


class ReviewAct(SQLModel):
    """One thing that happened to an item, append-only: its story is told from these."""

    act_id: int | None = Field(default=None, primary_key=True)
    item_id: str
    person_id: str | None = None
    who: str = ""
    """The person's name at that time, or what acted: judge, policy, lease."""
    act: str
    """entered, reopened, withdrawn, picked, claimed, released, expired, skipped, escalated, revealed, reviewed, revised,
    second_opinion, retracted, adjudicated, marked_gold, unmarked_gold."""
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    """Small facts, such as the reason; never captured content."""
    batch_id: str | None = None
    at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)


class ReviewBatch(SQLModel):
    """A number of items that a person set out to review in one go."""

    batch_id: str = Field(primary_key=True)
    person_id: str = Field(index=True)
    size: int = 25
    filters: dict[str, str] = Field(default_factory=dict, sa_type=Json)
    """Of the queue it was begun from: workflow, rubric, stream, reason, age."""
    started_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime)
