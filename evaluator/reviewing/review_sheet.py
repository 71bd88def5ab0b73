"""What one person may see of one item just now: the page and the API show this and nothing beside it.

Blindness is decided here, once: what is hidden is not in the sheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from evaluator.model.capture import Capture, Fidelity
from evaluator.model.event import Event
from evaluator.model.outcome import Outcome
from evaluator.model.review import Review, ReviewItem, SlotKind
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel


class Mode(StrEnum):
    """What the person may do with the item just now."""

    ANSWER = "answer"
    """They hold it and have not answered yet; what is blind is hidden."""
    REVEALED = "revealed"
    """They answered, see what judges and others said, and may revise or go on."""
    ADJUDICATE = "adjudicate"
    """They settle a disagreement or an escalation; nothing is hidden."""
    HELD = "held"
    """Somebody else holds it: to be read only, what is blind is hidden."""
    FREE = "free"
    """Nobody holds it: it can be claimed; what is blind is hidden."""
    READ = "read"
    """It is done, or the person may not review: to be read only."""


class Option(StrEnum):
    """What a criterion without a scale may be answered with, in this order."""

    PASS = "pass"  # noqa: S105 - the verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class SheetOption:
    """One possible answer to a criterion."""

    value: str
    """What a form sends: an Option, or a level of the scale."""
    word: str
    """What it says: the anchor text for a level."""
    hue: str
    """pass, partial, fail or unknown; a level's by whether it passes."""


@dataclass(frozen=True)
class SheetCriterion:
    """A criterion as the judge read it."""

    criterion_id: str
    question: str
    """The text the judge reads; empty where code checks it."""
    check: str
    """The code check's name; empty where a person is asked."""
    critical: bool
    weight: float
    options: tuple[SheetOption, ...]
    """In scale order; empty where code answers or it does not apply."""
    not_applicable: bool
    """Left out by the rubric for this content."""
    by_code: CriterionLabel | None
    """What code found; None where a person is asked."""


@dataclass(frozen=True)
class ContentPart:
    """One named piece of what the judge was shown of a run."""

    name: str
    value: Any
    """Text or JSON, whole; folding is the page's affair."""
    fidelity: Fidelity


@dataclass(frozen=True)
class SheetRun:
    """One attempt."""

    run: Run
    number: int
    """1 for the first attempt, by when they started."""
    decides: bool
    shown: tuple[ContentPart, ...]
    """Named by the rubric's content mapping, the AI system's answer last; empty where the content is gone."""
    capture: Capture | None
    """None where the content is gone or was never captured."""


@dataclass(frozen=True)
class JudgeSaid:
    """One judge's verdict on a run, or why there is none."""

    judge: str
    run_id: str
    escalated: bool
    repeat: int
    verdict: VerdictLabel | None
    score: float | None
    criteria: tuple[CriterionVerdict, ...]
    summary: str
    flags: tuple[str, ...]
    not_evaluable: str
    """Reason and detail; empty where there is a verdict."""


@dataclass(frozen=True)
class Reveal:
    """What judges and other reviewers said."""

    verdict: VerdictLabel | None
    """The rollup's; None where judges said nothing."""
    score: float | None
    rule: str
    judges: tuple[JudgeSaid, ...]
    reviews: tuple[Review, ...]
    """Everybody's that count, oldest first, the person's own among them."""


@dataclass(frozen=True)
class Chip:
    """Why the item is here, in a few words."""

    reason: str
    """As stored; `policy` where the true one would tell what the judge said."""
    word: str


@dataclass(frozen=True)
class Holding:
    """Somebody's claim on the item."""

    name: str
    is_mine: bool
    kind: SlotKind
    lease_until: datetime
    slot_id: str
    token: str
    """Empty unless it is the person's own."""


@dataclass(frozen=True)
class Recorded:
    """One of the last reviews of the person, to be undone."""

    review_id: str
    item_id: str
    event_id: str
    word: str
    """pass, partial, fail, unknown or cannot judge."""
    at: datetime


@dataclass(frozen=True)
class Place:
    """Where in a batch the person is."""

    batch_id: str
    number: int
    size: int
    previous: str
    """Item id of the one before in this batch; empty where there is none."""
    following: str
    """Item id of the one after, where the person went back."""


@dataclass(frozen=True)
class ReviewSheet:
    """One item as one person may see it just now."""

    item: ReviewItem
    """Its reasons are as in `chips` where something is hidden; note and rollup_revision empty then."""
    event: Event
    rubric: Rubric
    """The version to be answered."""
    mode: Mode
    hidden: bool
    """Whether what judges and others said is left out because the person has not answered yet."""
    holding: Holding | None
    chips: tuple[Chip, ...]
    criteria: tuple[SheetCriterion, ...]
    runs: tuple[SheetRun, ...]
    """The deciding one first, then the others, newest first."""
    reveal: Reveal | None
    mine: Review | None
    """What the person said in this round, where it counts."""
    outcome: Outcome | None
    """None while hidden."""
    decided_by_record: bool
    """A system of record decided the event: the verdict counts for judge quality only."""
    purged: bool
    """No run has content any more: all that can be said is that it cannot be judged."""
    judged_version: str
    """The rubric version the judges spoke under, where it is not `rubric.version`; else empty."""
    judge_failed: str
    """Why judges came to no verdict; empty where they did or are still at it."""
    value: Decimal | None
    place: Place | None
    form_key: str
    """New with each sheet; sent back with the form."""
    recorded: tuple[Recorded, ...]
    """The person's last ten reviews, newest first."""
    shown: str = ""
    """What `runs` shows first, in short; sent back with the form, so that nothing is judged unseen."""
    attempts: int = 0
    """How many runs the event has; `runs` holds at most 20 of them."""
