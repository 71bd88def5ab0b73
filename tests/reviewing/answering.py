"""People who answer items of the review world."""

from __future__ import annotations

import secrets
from typing import Any

from evaluator.deployment import Deployment
from evaluator.model.person import Person
from evaluator.model.review import ReviewItem, SlotKind
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.review_desk import Claim, claim_item
from evaluator.reviewing.review_form import Answer, ReviewForm
from evaluator.reviewing.review_submission import Submitted, submit
from evaluator.reviewing.sheet_runs import chosen_runs, shown_mark
from evaluator.store.review_items import find_item
from evaluator.store.runs import runs_of_events
from tests.reviewing.review_world import reviewed_rubric

ANSWERS = {
    VerdictLabel.PASS: {"solves": "pass", "tone": "5"},
    VerdictLabel.FAIL: {"solves": "fail", "tone": "5"},
    VerdictLabel.UNKNOWN: {"solves": "unknown", "tone": "5"},
}
"""What is to be answered under the review world's rubric for each verdict; its link is checked by code."""


def form_of(
    deployment: Deployment, item_id: str, verdict: VerdictLabel | None, token: str = "", **changes: Any
) -> ReviewForm:
    """A form with answers that come to this verdict; None: it cannot be judged."""
    said: dict[str, Any] = {"cannot_judge": "It is in Welsh."}
    if verdict is not None:
        said = {"answers": tuple(Answer(*each) for each in ANSWERS[verdict].items())}
    if "rubric_version" not in changes:
        said["rubric_version"] = reviewed_rubric(deployment).version
    said["shown"] = shown_now(deployment, item_id)
    fields = {"form_key": secrets.token_hex(8), "active_ms": 4_000, **said, **changes}
    return ReviewForm(item_id=item_id, token=token, **fields)


def shown_now(deployment: Deployment, item_id: str) -> str:
    """What a sheet would show first just now, in short."""
    with deployment.database.read() as connection:
        item = find_item(connection, item_id)
        return (
            shown_mark(chosen_runs(item, runs_of_events(connection, [item.event_id])[item.event_id]))
            if item
            else ""
        )


def answer(
    deployment: Deployment,
    person: Person,
    item: ReviewItem,
    verdict: VerdictLabel | None,
    kind: SlotKind | None = None,
    **changes: Any,
) -> Submitted:
    """Claim an item and answer it so."""
    claim: Claim = claim_item(deployment, person, item.item_id, kind=kind)
    return submit(deployment, person, form_of(deployment, item.item_id, verdict, claim.token, **changes))
