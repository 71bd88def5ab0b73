"""One item as one person may see it just now, read on one connection."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.capture import Capture
from evaluator.model.columns import utc_now
from evaluator.model.event import Event
from evaluator.model.outcome import DecidedBy, Outcome
from evaluator.model.person import Person
from evaluator.model.review import ItemState, Review, ReviewAct, ReviewItem, ReviewSlot, SlotKind
from evaluator.model.rollup import Rollup
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run
from evaluator.model.verdict import CriterionVerdict
from evaluator.review_state import as_waiting, seen_item
from evaluator.reviewing.code_answers import code_answers
from evaluator.reviewing.reason_chips import chips_of
from evaluator.reviewing.review_sheet import (
    Holding,
    JudgeSaid,
    Place,
    Recorded,
    Reveal,
    ReviewSheet,
    SheetRun,
)
from evaluator.reviewing.sheet_criteria import sheet_criteria
from evaluator.reviewing.sheet_mode import Standing, is_live, standing_of
from evaluator.reviewing.sheet_runs import chosen_runs, sheet_runs, shown_mark
from evaluator.rubric_format.rubric_files import judged_hash
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store import outcomes, runs
from evaluator.store.batch_places import batch_order
from evaluator.store.database import Connection
from evaluator.store.judges_heard import Heard, judges_heard
from evaluator.store.people import find_person
from evaluator.store.review_claims import slots_of_item
from evaluator.store.review_items import acts_of_item, find_item
from evaluator.store.reviews import reviews_of_item, reviews_of_person
from evaluator.store.rubric_versions import load_versions

LAST_RECORDED = 10
"""Reviews of the person that a sheet offers to undo."""
CANNOT_JUDGE = "cannot judge"


def sheet_of(
    deployment: Deployment,
    person: Person,
    item_id: str,
    *,
    now: datetime | None = None,
    batch_id: str | None = None,
) -> ReviewSheet:
    """The item as this person may see it at `now`: what is hidden from them is not in it; raises NotFound.

    `batch_id` names the batch of theirs that they work on, for their place in it.
    """
    with deployment.database.read() as connection:
        return read_sheet(connection, deployment, person, item_id, now=now or utc_now(), batch_id=batch_id)


def read_sheet(
    connection: Connection,
    deployment: Deployment,
    person: Person,
    item_id: str,
    *,
    now: datetime,
    batch_id: str | None = None,
) -> ReviewSheet:
    """As `sheet_of`, on a connection that is open already."""
    found = _find(connection, deployment, item_id)
    standing = standing_of(found.item, person, slots=found.slots, reviews=found.reviews, acts=found.acts, now=now)
    rubric = _rubric_to_answer(connection, deployment, found.item, standing.mine)
    shown = sheet_runs(rubric, found.chosen, found.captures, hidden=standing.hidden)
    judged_by = _version(connection, deployment, found.item.rubric_version)
    by_code = _by_code(rubric, judged_by, shown, found.heard)
    sor = found.outcome is not None and found.outcome.decided_by == DecidedBy.SOR
    return ReviewSheet(
        item=_seen(found.item, standing, person),
        event=found.event,
        rubric=rubric,
        mode=standing.mode,
        hidden=standing.hidden,
        holding=_holding(connection, standing, person, now),
        chips=chips_of(found.item, hidden=standing.hidden, said=_said_of_deciding(found)),
        criteria=sheet_criteria(rubric, by_code),
        runs=shown,
        reveal=None if standing.hidden else _reveal(found),
        mine=standing.mine,
        outcome=None if standing.hidden else found.outcome,
        decided_by_record=sor,
        purged=all(one.capture is None for one in shown),
        judged_version="" if found.item.rubric_version == rubric.version else found.item.rubric_version,
        judge_failed=_why_no_verdict(found.heard, hidden=standing.hidden),
        value=found.item.value_amount,
        place=_place(connection, person, item_id, batch_id),
        form_key=secrets.token_hex(16),
        recorded=_recorded(reviews_of_person(connection, person.person_id, LAST_RECORDED)),
        shown=shown_mark(found.chosen),
        attempts=found.attempts,
    )


@dataclass(frozen=True)
class _Found:
    """All that is stored about an item, before anything is hidden."""

    item: ReviewItem
    event: Event
    chosen: Sequence[tuple[int, Run]]
    attempts: int
    captures: dict[str, Capture]
    heard: Sequence[Heard]
    rollup: Rollup | None
    outcome: Outcome | None
    slots: Sequence[ReviewSlot]
    reviews: Sequence[Review]
    acts: Sequence[ReviewAct]


def _find(connection: Connection, deployment: Deployment, item_id: str) -> _Found:
    item = find_item(connection, item_id)
    event = None if item is None else runs.load_event(connection, item.event_id)
    if item is None or event is None:
        raise NotFound(
            f"No review item {quoted(item_id)} is known here.",
            hint="The queue lists those that wait; an item's id never changes.",
        )
    of_event = runs.runs_of_events(connection, [item.event_id])[item.event_id]
    chosen = chosen_runs(item, of_event)
    return _Found(
        item=item,
        event=event,
        chosen=chosen,
        attempts=len(of_event),
        captures=runs.load_captures(connection, [run.run_id for _, run in chosen], deployment.bodies),
        heard=judges_heard(connection, item.event_id, item.rubric_id),
        rollup=outcomes.current_rollups(connection, [item.event_id]).get((item.event_id, item.rubric_id)),
        outcome=outcomes.current_outcomes(connection, [item.event_id]).get(item.event_id),
        slots=slots_of_item(connection, item_id),
        reviews=reviews_of_item(connection, item_id),
        acts=acts_of_item(connection, item_id),
    )


def _rubric_to_answer(
    connection: Connection, deployment: Deployment, item: ReviewItem, mine: Review | None
) -> Rubric:
    """The version the person answered; before that the one in force, else the one the item came in under."""
    if mine is not None:
        answered = _version(connection, deployment, mine.rubric_version)
        if answered is not None:
            return answered
    in_force = next((one for one in deployment.shelf.rubrics if one.id == item.rubric_id), None)
    rubric = in_force or _version(connection, deployment, item.rubric_version)
    if rubric is None:
        raise NotFound(
            f"The rubric {quoted(item.rubric_id)} is neither in force nor kept in the version that judged this item.",
            hint="Put its file back into the rubrics' folder.",
        )
    return rubric


def _version(connection: Connection, deployment: Deployment, version: str) -> Rubric | None:
    in_force = next((one for one in deployment.shelf.rubrics if one.version == version), None)
    if in_force is not None:
        return in_force
    known = deployment.versions_read.get(version)
    return known or load_versions(connection, {version}).get(version)


def _by_code(
    rubric: Rubric, judged_by: Rubric | None, shown: Sequence[SheetRun], heard: Sequence[Heard]
) -> dict[str, CriterionVerdict]:
    """What code says of the content shown first; what is stored of that counts where it was judged by the same."""
    first = next((one for one in shown if one.capture is not None), None)
    if first is None:
        return {}
    content: dict[str, Any] = {part.name: part.value for part in first.shown}
    same = judged_by is not None and judged_hash(judged_by) == judged_hash(rubric)
    stored = [
        answer
        for one in heard
        if same and one.run_id == first.run.run_id and judged_by and one.rubric_version == judged_by.version
        for answer in one.criteria
    ]
    return code_answers(rubric, content, stored)


def _seen(item: ReviewItem, standing: Standing, person: Person) -> ReviewItem:
    """The item without what would tell what others said: that they disagree, or that its verdict is known."""
    seen = seen_item(item, hidden=standing.hidden)
    if not standing.hidden:
        return seen
    held = standing.held
    if held is not None and held.claimed_by == person.person_id:
        return as_waiting(item)
    if item.state == ItemState.AWAITING_RESOLUTION:
        return seen.model_copy(update={"state": ItemState.ESCALATED})
    return seen


def _holding(connection: Connection, standing: Standing, person: Person, now: datetime) -> Holding | None:
    slot = standing.held
    if slot is None or slot.claimed_by is None or slot.lease_until is None or not is_live(slot, now):
        return None
    is_mine = slot.claimed_by == person.person_id
    holder = person if is_mine else find_person(connection, slot.claimed_by)
    # that an answer will be compared with a known one is not to be told before it is given
    compared = slot.kind == SlotKind.GOLD and standing.hidden
    return Holding(
        name=holder.name if holder is not None else "somebody",
        is_mine=is_mine,
        kind=SlotKind.REVIEW if compared else slot.kind,
        lease_until=slot.lease_until,
        slot_id="" if standing.hidden else slot.slot_id,
        token=(slot.token or "") if is_mine else "",
    )


def _said_of_deciding(found: _Found) -> list[Any]:
    first = found.chosen[0][1].run_id if found.chosen else ""
    return [one.verdict for one in found.heard if one.run_id == first and one.verdict and not one.escalated]


def _reveal(found: _Found) -> Reveal:
    order = {run.run_id: place for place, (_, run) in enumerate(found.chosen)}
    heard = sorted(
        (one for one in found.heard if not one.is_to_come), key=lambda one: order.get(one.run_id, len(order))
    )
    rollup = found.rollup
    return Reveal(
        verdict=rollup.verdict if rollup is not None and rollup.judged + rollup.runs else None,
        score=rollup.score if rollup is not None else None,
        rule=str(rollup.rule) if rollup is not None else "",
        judges=tuple(_judge_said(one) for one in heard),
        reviews=tuple(one for one in found.reviews if one.counts and one.round == found.item.round),
    )


def _judge_said(heard: Heard) -> JudgeSaid:
    return JudgeSaid(
        judge=heard.judge,
        run_id=heard.run_id,
        escalated=heard.escalated,
        repeat=heard.repeat,
        verdict=heard.verdict,
        score=heard.score,
        criteria=heard.criteria,
        summary=heard.summary,
        flags=heard.flags,
        not_evaluable=_reason(heard) if heard.verdict is None else "",
    )


def _why_no_verdict(heard: Sequence[Heard], *, hidden: bool) -> str:
    """Why judges said nothing; a reason's detail may name the judge, so it is left out while hidden."""
    if not heard or any(one.verdict is not None or one.is_to_come for one in heard):
        return ""
    said = [str(one.reason or "").replace("_", " ") if hidden else _reason(one) for one in heard]
    return "; ".join(dict.fromkeys(one for one in said if one))


def _reason(heard: Heard) -> str:
    word = str(heard.reason or "no verdict").replace("_", " ")
    return f"{word}: {heard.detail}" if heard.detail else word


def _place(connection: Connection, person: Person, item_id: str, batch_id: str | None) -> Place | None:
    """Where in their batch the person is; None without one, and where the item is not of it."""
    found = batch_order(connection, batch_id, person.person_id) if batch_id else None
    if batch_id is None or found is None or item_id not in found[1]:
        return None
    size, items = found
    at = items.index(item_id)
    return Place(
        batch_id=batch_id,
        number=at + 1,
        size=max(size, len(items)),
        previous=items[at - 1] if at else "",
        following=items[at + 1] if at + 1 < len(items) else "",
    )


def _recorded(reviews: Sequence[Review]) -> tuple[Recorded, ...]:
    return tuple(
        Recorded(one.review_id, one.item_id, one.event_id, str(one.verdict or CANNOT_JUDGE), one.created_at)
        for one in reviews
    )
