"""The feed as a resolver pulls it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from evaluator.api.cursors import feed_cursor
from evaluator.deployment import Deployment
from tests.world import CHECKED_RUBRIC, Actor, add_rubric, judge_all, reported_run


def report(api: TestClient, zendesk: Actor, event_id: str, outcome: str, **more: Any) -> None:
    body = {"outcome": outcome, "origin": "zendesk", **more}
    assert api.post(f"/v1/events/{event_id}/signals", json=body, headers=zendesk.headers).is_success


def read_all(api: TestClient, resolver: Actor, path: str, **filters: Any) -> tuple[list[dict[str, Any]], str]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = api.get(path, params={"after": cursor, "limit": 2, **filters}, headers=resolver.headers).json()
        items += page["items"]
        cursor = page["next"]
        if not page["more"]:
            return items, cursor


def test_every_outcome_comes_once_in_commit_order(api: TestClient, resolver: Actor, zendesk: Actor) -> None:
    for number in range(5):
        report(api, zendesk, f"e{number}", "success")
    items, cursor = read_all(api, resolver, "/v1/outcomes")
    assert [item["event_id"] for item in items] == [f"e{number}" for number in range(5)]
    report(api, zendesk, "e0", "failed")
    (news,), _ = read_all_after(api, resolver, cursor)
    assert (news["event_id"], news["revision"], news["final_outcome"]) == ("e0", 2, "failed")


def read_all_after(api: TestClient, resolver: Actor, cursor: str) -> tuple[list[dict[str, Any]], str]:
    page = api.get("/v1/outcomes", params={"after": cursor}, headers=resolver.headers).json()
    return page["items"], page["next"]


def test_a_filter_that_leaves_nothing_still_moves_the_cursor_on(
    api: TestClient, resolver: Actor, zendesk: Actor
) -> None:
    report(api, zendesk, "e1", "success")
    items, cursor = read_all(api, resolver, "/v1/outcomes", outcome="failed")
    assert items == []
    assert read_all_after(api, resolver, cursor)[0] == []


def test_settled_before_holds_back_what_is_fresh_and_passes_nothing_over(
    api: TestClient, resolver: Actor, zendesk: Actor
) -> None:
    report(api, zendesk, "e1", "success")
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    items, cursor = read_all(api, resolver, "/v1/outcomes", settled_before=an_hour_ago)
    assert items == []
    later = api.get(
        "/v1/outcomes", params={"after": cursor, "settled_before": in_an_hour}, headers=resolver.headers
    )
    assert [item["event_id"] for item in later.json()["items"]] == ["e1"]


def test_settled_before_leaves_out_what_was_replaced(api: TestClient, resolver: Actor, zendesk: Actor) -> None:
    report(api, zendesk, "e1", "success")
    report(api, zendesk, "e1", "failed")
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    items, _ = read_all(api, resolver, "/v1/outcomes", settled_before=in_an_hour)
    assert [item["final_outcome"] for item in items] == ["failed"]


@pytest.mark.parametrize(
    "cursor", ["nonsense!", "bm90aGluZw", feed_cursor("rollup", 0), feed_cursor("outcome", 99)]
)
def test_a_cursor_of_elsewhere_is_refused_and_explained(api: TestClient, resolver: Actor, cursor: str) -> None:
    answer = api.get("/v1/outcomes", params={"after": cursor}, headers=resolver.headers)
    assert answer.status_code == 400
    assert "`after`" in answer.json()["hint"]


@pytest.mark.parametrize("limit", [0, 1001])
def test_the_limit_has_limits(api: TestClient, resolver: Actor, limit: int) -> None:
    answer = api.get("/v1/rollups", params={"limit": limit}, headers=resolver.headers)
    assert answer.status_code == 400
    assert "limit" in answer.json()["detail"]


def test_rollups_carry_coverage_and_follow_the_verdicts(
    api: TestClient, resolver: Actor, app_of_the_product: Actor, deployment: Deployment
) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    api.post("/v1/runs", json=reported_run(event_id="e1"), headers=app_of_the_product.headers)
    judge_all(deployment)
    ((rollup,), _) = read_all(api, resolver, "/v1/rollups", rubric="links", workflow="Support")
    assert (rollup["event_id"], rollup["verdict"], rollup["coverage"], rollup["revision"]) == ("e1", "pass", 1.0, 1)
    ((outcome,), _) = read_all(api, resolver, "/v1/outcomes", decided_by="judge")
    assert outcome["final_outcome"] == "success"
    assert read_all(api, resolver, "/v1/rollups", workflow="Fulfillment")[0] == []
