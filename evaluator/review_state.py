"""What an item's reviews come to, and what may be said of why it is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from evaluator.model.columns import canonical_json
from evaluator.model.review import ItemState, ReviewItem, ReviewKind, Stream
from evaluator.model.run import Run
from evaluator.model.verdict import VerdictLabel

POLICY = "policy"
"""What is shown instead of a reason that would tell what the judge said, or that nothing did."""
TELLING = (
    "unknown",
    "critical_fail",
    "panel_split",
    "injection_suspected",
    "near_threshold",
    "new_attempt",
    "audit",
)
"""Reasons that are hidden with the judge's verdict; audit among them, so that nobody can tell the streams apart, and
new_attempt, which tells who reviewed before that judges now differ from them."""
NEUTRAL = ("low_confidence", "value_above", "picked")
"""Reasons that say nothing of the judge's verdict."""
REASONS = (POLICY, *TELLING, *NEUTRAL)


@dataclass(frozen=True)
class Given:
    """A counted review: what it says, in which part, and when."""

    review_id: str
    verdict: VerdictLabel | None
    """None: the person could not judge."""
    kind: ReviewKind
    at: datetime


@dataclass(frozen=True)
class Settled:
    """Where an item is, and the one review whose verdict stands; None where none does."""

    state: ItemState
    authoritative_review_id: str | None = None


def settle(wanted: int, given: Sequence[Given], *, escalated: bool = False, withdrawn: bool = False) -> Settled:
    """Where an item is after the reviews that count, in any order and each as often as it is told.

    `wanted` are the reviews an item of this round wants; `given` leaves out what was retracted, what was revised
    (its revision stands in its place) and what is of an earlier round. Gold answers and retractions never count.

    - An adjudication stands above all else: done. Of several, the last one does.
    - Escalated: waits for an author, and nothing stands.
    - Fewer first passes (or their revisions) than wanted: open, and nothing stands.
    - Different verdicts, second opinions among them: awaiting resolution, and nothing stands.
    - One verdict: done, and the last review that gave it stands. Without any verdict: done without one.
    """
    counted = {one.review_id: one for one in given if one.kind in _COUNTED}.values()
    adjudications = [one for one in counted if one.kind == ReviewKind.ADJUDICATION]
    if withdrawn and not counted:
        return Settled(ItemState.WITHDRAWN)
    if adjudications:
        last = max(adjudications, key=_order)
        return Settled(ItemState.DONE, None if last.verdict is None else last.review_id)
    if escalated:
        return Settled(ItemState.ESCALATED)
    if sum(one.kind in _FILLING for one in counted) < wanted:
        return Settled(ItemState.OPEN)
    said = [one for one in counted if one.verdict is not None]
    if len({one.verdict for one in said}) > 1:
        return Settled(ItemState.AWAITING_RESOLUTION)
    return Settled(ItemState.DONE, max(said, key=_order).review_id if said else None)


_FILLING = frozenset({ReviewKind.FIRST_PASS, ReviewKind.REVISED})
_COUNTED = _FILLING | {ReviewKind.SECOND_OPINION, ReviewKind.ADJUDICATION}


def _order(one: Given) -> tuple[datetime, str]:
    return one.at, one.review_id


def mark_of(run: Run) -> str:
    """A run and its content in short: the run before the hyphen, what may be shown of it after it."""
    return f"{_short(run.run_id)}-{_short([run.content_hash, run.diagnostics])}"


def _short(value: object) -> str:
    return sha256(canonical_json(value)).hexdigest()[:12]


def shown_reasons(item: ReviewItem, *, hidden: bool) -> tuple[str, ...]:
    """Why an item is here, as somebody may be told; with `hidden`, `policy` stands for all that would tell.

    It stands first and whether or not there is anything to be hidden: a place or a lack of it would tell the streams
    apart. What was picked by hand says so.
    """
    if not hidden:
        return tuple(item.reasons)
    told = tuple(dict.fromkeys(reason for reason in item.reasons if reason in NEUTRAL))
    return told if told and item.stream == Stream.PICKED else (POLICY, *told)


def seen_item(item: ReviewItem, *, hidden: bool) -> ReviewItem:
    """An item as somebody may see it; with `hidden`, without what judges or others said and without its stream's marks."""
    if not hidden:
        return item
    stream = Stream.TARGETED if item.stream == Stream.AUDIT else item.stream
    changed = {
        "reasons": list(shown_reasons(item, hidden=True)),
        "stream": stream,
        "probability": None,
        "rollup_revision": 0,
        "note": "",
        "gold": False,
        "rank_at": item.entered_at,
    }
    return item.model_copy(update=changed)


def as_waiting(item: ReviewItem) -> ReviewItem:
    """An item as it was before its verdict was known: for who is asked without knowing that it is."""
    return seen_item(item, hidden=True).model_copy(update={"state": ItemState.OPEN, "settled_at": None})


def reasons_meant(reason: str) -> Collection[str]:
    """The stored reasons that a filter's word stands for, where nothing is hidden."""
    return TELLING if reason == POLICY else (reason,)
