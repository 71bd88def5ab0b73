"""An item full of marks: each place that holds what judges or other people said holds a word found nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import (
    ItemState,
    Review,
    ReviewItem,
    ReviewKind,
    ReviewSlot,
    SlotKind,
    Stream,
    item_id_of,
)
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Quote, VerdictLabel
from evaluator.store.database import table_of
from evaluator.store.review_claims import add_slot, slots_of_item, take_slot
from evaluator.store.review_items import add_act, find_item
from evaluator.store.reviews import append_review
from evaluator.store.tables import JudgementRow, ReviewItemRow, RollupRow, RunRow, VerdictRow
from tests.accounts.people_world import somebody
from tests.reviewing.review_world import item_in_queue

REASONING, EVIDENCE, SUMMARY = "marigoldreasoning", "marigoldevidence", "marigoldsummary"
MODEL, SCORE, SCORE_SHORT, FLAG = "openai/marigold-judge", 0.8712, "0.87", "marigoldflag"
OTHER_NAME, OTHER_NOTE, ITEM_NOTE = "Zinnia Quux", "zinnianote", "zinniaitemnote"
TOOL_SAYS = "dahliaexplanation"
REASONS = ("critical_fail", "panel_split", "audit")
"""Telling ones: none of them may be seen before the first pass."""

JUDGE_MARKS = (REASONING, EVIDENCE, SUMMARY, MODEL, str(SCORE), FLAG)
"""What judges said; all of it is in the sheet after the first pass."""
PEOPLE_MARKS = (OTHER_NAME, OTHER_NOTE)
"""Who else reviewed, and what they noted; all of it is in the sheet after the first pass."""
MARKS = (*JUDGE_MARKS, SCORE_SHORT, *PEOPLE_MARKS, ITEM_NOTE, TOOL_SAYS, *REASONS)
"""What nobody may see of a blind item before their first pass, whatever they ask for."""


def marks_in(text: str, marks: Iterable[str] = MARKS) -> list[str]:
    """The marks that stand in a page, an answer or a header."""
    lowered = text.lower()
    return [mark for mark in marks if _stands_in(mark.lower(), lowered)]


def _stands_in(mark: str, text: str) -> bool:
    """A score with or without its zero, as a number of its own: the seconds of a time may hold the same digits."""
    if not mark.startswith("0."):
        return mark in text
    return re.search(rf"(?<!\d)0?{re.escape(mark[1:])}(?!\d)", text) is not None


def planted_item(
    deployment: Deployment,
    *,
    event_id: str = "planted-1",
    other: Person | None = None,
    stream: Stream = Stream.AUDIT,
    **changes: Any,
) -> ReviewItem:
    """A blind item that wants two reviews and has one of somebody else, marks everywhere; `changes` as for the world."""
    fields = {"reviewers": 2, "note": ITEM_NOTE, **changes}
    item = item_in_queue(
        deployment,
        event_id=event_id,
        reasons=REASONS,
        stream=stream,
        verdict=VerdictLabel.FAIL,
        run={"run_id": f"run-of-{event_id}"},
        **fields,
    )
    person = other or somebody(deployment, OTHER_NAME, PersonRole.REVIEWER)
    deployment.database.transact(lambda connection: _plant(connection, item, person))
    return item


def _plant(connection: Any, item: ReviewItem, other: Person) -> None:
    judged = CriterionVerdict(
        id="solves",
        verdict=CriterionLabel.FAIL,
        reasoning=REASONING,
        evidence=(Quote(text=EVIDENCE, found=False),),
        note=REASONING,
    )
    of_event = {"criteria": [judged.model_dump(mode="json")], "summary": SUMMARY, "judge": MODEL, "flags": [FLAG]}
    for table, values in (
        (VerdictRow, {**of_event, "score": SCORE}),
        (JudgementRow, {"judge": MODEL}),
        (RollupRow, {"score": SCORE}),
        (RunRow, {"evaluations": [{"name": "tool", "score": SCORE, "explanation": TOOL_SAYS}]}),
    ):
        rows = table_of(table)
        connection.execute(update(rows).where(rows.c.event_id == item.event_id).values(values))
    review = review_of(item, other)
    append_review(connection, review)
    detail = {"verdict": str(review.verdict), "note": OTHER_NOTE, "agrees": False}
    add_act(connection, item.item_id, "reviewed", person=other, detail=detail, now=utc_now())
    add_act(connection, item.item_id, "escalated", person=other, detail={"note": OTHER_NOTE}, now=utc_now())


def review_of(item: ReviewItem, person: Person, **changes: Any) -> Review:
    """A review of an item as it is stored, by a person, with a note that is a mark."""
    fields: dict[str, Any] = {
        "review_id": f"of-{item.item_id}-{person.person_id}",
        "item_id": item.item_id,
        "round": item.round,
        "event_id": item.event_id,
        "rubric_id": item.rubric_id,
        "rubric_version": item.rubric_version,
        "run_id": item.deciding_run_id,
        "person_id": person.person_id,
        "reviewer": person.name,
        "form_key": f"form-{item.item_id}",
        "kind": ReviewKind.FIRST_PASS,
        "verdict": VerdictLabel.PARTIAL,
        "proposed": VerdictLabel.PARTIAL,
        "note": OTHER_NOTE,
        "stream": item.stream,
        "judge_verdict": VerdictLabel.FAIL,
        "judge_score": SCORE,
        "agrees": False,
        **changes,
    }
    return Review(**fields)


def put_state(deployment: Deployment, item: ReviewItem, state: ItemState, **changes: Any) -> ReviewItem:
    """The item in another state, as acts of people would leave it."""
    rows = table_of(ReviewItemRow)

    def act(connection: Any) -> ReviewItem:
        connection.execute(update(rows).where(rows.c.item_id == item.item_id).values(state=state, **changes))
        found = find_item(connection, item.item_id)
        assert found is not None
        return found

    return deployment.database.transact(act)


def hold(
    deployment: Deployment, item: ReviewItem, person: Person, kind: SlotKind = SlotKind.REVIEW, minutes: int = 10
) -> ReviewSlot:
    """The person's claim on the item, as the desk would leave it."""

    def act(connection: Any) -> ReviewSlot | None:
        now = utc_now()
        until = now + timedelta(minutes=minutes)
        detail = {"kind": kind}
        add_act(connection, item.item_id, "claimed", person=person, detail=detail, now=now)
        if kind is not SlotKind.REVIEW:
            return add_slot(connection, item, kind, person.person_id, now=now, until=until)
        taken = (
            take_slot(connection, one.slot_id, person.person_id, now=now, until=until)
            for one in slots_of_item(connection, item.item_id)
        )
        return next((one for one in taken if one is not None), None)

    held = deployment.database.transact(act)
    assert held is not None
    return held


def planted_id(event_id: str = "planted-1") -> str:
    """The id of the item of an event."""
    return item_id_of(event_id, "support")
