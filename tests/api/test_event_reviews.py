"""An event's story tells what people said of it, and the feed shows what followed."""

from __future__ import annotations

from decimal import Decimal

from fastapi.testclient import TestClient

from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.review_desk import claim_item
from evaluator.reviewing.review_submission import submit
from evaluator.reviewing.review_undo import undo
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer, form_of
from tests.reviewing.review_world import item_in_queue
from tests.test_batches import execute
from tests.world import actor


def test_the_story_and_the_feed_tell_what_people_said_and_what_it_cost(deployment: Deployment) -> None:
    item = item_in_queue(deployment)
    ada = somebody(deployment, "Ada", usd_per_hour=Decimal(36))
    claim = claim_item(deployment, ada, item.item_id)
    execute(deployment, "UPDATE review_slot SET claimed_at = claimed_at - 60000000 WHERE claimed_at IS NOT NULL")
    form = form_of(deployment, item.item_id, VerdictLabel.FAIL, claim.token, active_ms=50_000, note="No date.")
    undo(deployment, ada, submit(deployment, ada, form).review.review_id)
    answer(deployment, ada, item, VerdictLabel.FAIL, active_ms=0)
    resolver = actor(deployment, "resolver", Scope.READ)
    with TestClient(create_app(deployment)) as api:
        story = api.get("/v1/events/ticket-1", headers=resolver.headers).json()
        [listed] = api.get("/v1/events", headers=resolver.headers).json()["items"]
        last = api.get("/v1/outcomes", headers=resolver.headers).json()["items"][-1]
    first, retraction, second = story["reviews"]
    assert (first["kind"], first["note"], first["stands"], first["counts"]) == (
        "first_pass",
        "No date.",
        False,
        False,
    )
    assert (retraction["kind"], retraction["retracts"]) == ("retraction", first["review_id"])
    assert (second["reviewer"], second["verdict"], second["agrees"], second["stands"]) == (
        "Ada",
        "fail",
        False,
        True,
    )
    assert [one["id"] for one in second["criteria"]] == ["solves", "tone", "has-link"]
    assert (last["final_outcome"], last["decided_by"]) == ("failed", "human")
    assert [one["signal"]["source"] for one in story["signals"] if one["decides"]] == ["human"]
    for cost in (story["cost"], listed["cost"]):
        assert (Decimal(cost["review_usd"]), cost["review_unpriced"], cost["review_seconds"]) == (
            Decimal("0.5"),
            1,
            50,
        )
        assert cost["judging_unpriced"] == 0, "a person's verdict is none of a judge without a price"
