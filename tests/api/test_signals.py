"""Signals of systems of record over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.world import Actor, reported_run

SOLVED = {
    "outcome": "success",
    "outcome_type": "DEFLECTED",
    "origin": "zendesk",
    "reference": "1/solved",
    "value_amount": "12.50",
    "occurred_at": "2026-03-01T10:00:00Z",
}


def report(api: TestClient, who: Actor, event_id: str = "ticket-1", **changes: Any) -> httpx.Response:
    body = {**SOLVED, **changes}
    answer: httpx.Response = api.post(f"/v1/events/{event_id}/signals", json=body, headers=who.headers)
    return answer


def test_a_signal_decides_at_once_and_says_so(api: TestClient, zendesk: Actor) -> None:
    answer = report(api, zendesk).json()
    assert answer["outcome"]["final_outcome"] == "success"
    assert answer["outcome"]["decided_by"] == "sor"
    assert answer["outcome"]["value_amount"] == "12.5"
    assert answer["signal"]["value_currency"] == "USD"
    assert answer["signal"]["reported_by"] == "zendesk"


def test_the_same_signal_twice_is_one(api: TestClient, zendesk: Actor) -> None:
    first, second = report(api, zendesk), report(api, zendesk)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json()["outcome"]["revision"] == 1


def test_the_same_reference_with_other_content_is_a_conflict(api: TestClient, zendesk: Actor) -> None:
    report(api, zendesk)
    answer = report(api, zendesk, outcome="failed", outcome_type="UNSUCCESSFUL")
    assert answer.status_code == 409
    assert "reference" in answer.json()["hint"]


def test_a_newer_signal_reverses_an_older_one(api: TestClient, zendesk: Actor) -> None:
    report(api, zendesk)
    reopened = report(
        api,
        zendesk,
        outcome="failed",
        reference="1/reopened",
        occurred_at="2026-03-02T10:00:00Z",
        outcome_type=None,
    )
    assert reopened.json()["outcome"]["final_outcome"] == "failed"
    assert reopened.json()["outcome"]["outcome_type"] == "UNSUCCESSFUL"


def test_without_a_reference_the_content_is_the_reference(api: TestClient, zendesk: Actor) -> None:
    first, second = report(api, zendesk, reference=""), report(api, zendesk, reference="")
    assert first.json()["signal"]["signal_id"] == second.json()["signal"]["signal_id"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"outcom": "success"}, "did you mean 'outcome'?"),
        ({"outcome": "solved"}, "outcome: Input should be 'pending', 'success'"),
        ({"occurred_at": "2026-03-01T10:00:00"}, "occurred_at"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "ahead of this server's clock"),
        ({"value_amount": "1e12"}, "value_amount"),
        ({"value_amount": "NaN"}, "value_amount"),
        ({"value_currency": "dollars"}, "value_currency"),
        ({"origin": ""}, "origin"),
    ],
)
def test_what_cannot_be_taken_is_named(api: TestClient, zendesk: Actor, changes: dict[str, Any], told: str) -> None:
    answer = report(api, zendesk, **changes)
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


def test_an_ingest_key_may_not_report(api: TestClient, app_of_the_product: Actor) -> None:
    assert report(api, app_of_the_product).status_code == 403


@pytest.mark.parametrize("event_id", ["a/b", "a%2Fb"])
def test_slashes_in_an_event_id_are_part_of_it(
    api: TestClient, zendesk: Actor, app_of_the_product: Actor, resolver: Actor, event_id: str
) -> None:
    api.post("/v1/runs", json=reported_run(event_id="a/b"), headers=app_of_the_product.headers)
    assert report(api, zendesk, event_id).json()["outcome"]["event_id"] == "a/b"
    story = api.get(f"/v1/events/{event_id}", headers=resolver.headers).json()
    assert len(story["runs"]) == len(story["signals"]) == 1
