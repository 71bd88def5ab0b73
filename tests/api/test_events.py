"""The list of events and the story of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from evaluator.api.events import EventPage
from evaluator.api.story import EventStory, ranked
from evaluator.deployment import Deployment
from evaluator.model.outcome import FinalOutcome, Outcome, Signal, SignalSource
from evaluator.resolution import resolve
from tests.world import CHECKED_RUBRIC, PROTOBUF, Actor, add_rubric, judge_all, reported_run, trace_request


def test_what_was_acknowledged_is_told_at_once(api: TestClient, app_of_the_product: Actor, resolver: Actor) -> None:
    body = trace_request(event_id="t-1", run_id="run-1", children=2).SerializeToString()
    api.post("/v1/traces", content=body, headers={**PROTOBUF, **app_of_the_product.headers})
    story = api.get("/v1/events/t-1", headers=resolver.headers).json()
    (run,) = story["runs"]
    assert run["run"]["run_id"] == "run-1"
    assert run["run"]["state"] == "ready"
    assert "Friday" in str(run["capture"]["output"]["value"])
    assert (story["outcome"]["final_outcome"], story["outcome"]["revision"]) == ("pending", 0)


def test_content_can_be_left_out(api: TestClient, app_of_the_product: Actor, resolver: Actor) -> None:
    api.post("/v1/runs", json=reported_run(), headers=app_of_the_product.headers)
    answer = api.get("/v1/events/ticket-1?content=false", headers=resolver.headers)
    assert "Friday" not in answer.text
    assert "capture" not in answer.json()["runs"][0]


def test_tool_calls_are_told_and_judged(
    api: TestClient, app_of_the_product: Actor, resolver: Actor, deployment: Deployment
) -> None:
    text = CHECKED_RUBRIC.replace("check: contains_url", "check: contains, of: calls, value: refund")
    text = text.replace("answer: output", "calls: tools")
    add_rubric(deployment.settings.rubrics_dir, rubric_id="tools", text=text)
    calls = [{"name": "refund", "arguments": {"cents": 1}, "result": "done"}, {"name": "mail", "error": "Timeout"}]
    api.post("/v1/runs", json=reported_run(tools=calls), headers=app_of_the_product.headers)
    judge_all(deployment)
    (run,) = api.get("/v1/events/ticket-1", headers=resolver.headers).json()["runs"]
    assert run["capture"]["tools"]["value"] == calls
    assert [one["verdict"]["verdict"] for one in run["judgements"]] == ["pass"]


def test_the_story_and_the_feed_tell_who_was_asked_above_and_why_a_person_should_look(
    api: TestClient, app_of_the_product: Actor, resolver: Actor, deployment: Deployment
) -> None:
    critical = CHECKED_RUBRIC.replace("check: contains_url", "check: contains_url, critical: true")
    more = "escalate: {{to: openai/strong, when: [critical_fail]}}\nreview: {{send: [critical_fail]}}\n"
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=critical + more)
    api.post("/v1/runs", json=reported_run(output="No."), headers=app_of_the_product.headers)
    judge_all(deployment)
    story = api.get("/v1/events/ticket-1", headers=resolver.headers).json()
    asked = {one["judgement"]["judge"]: one["judgement"]["escalated"] for one in story["runs"][0]["judgements"]}
    assert asked == {"openai/never-called": False, "openai/strong": True}
    [fed] = api.get("/v1/rollups?limit=1000", headers=resolver.headers).json()["items"][-1:]
    assert story["rollups"][0]["review_reasons"] == fed["review_reasons"] == ["critical_fail"]


def test_the_story_of_a_judged_event_is_whole(
    api: TestClient, app_of_the_product: Actor, resolver: Actor, zendesk: Actor, deployment: Deployment
) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    runs = [
        reported_run(run_id="first", output="No.", started_at="2026-03-01T10:00:00Z", cost_usd="0.01"),
        reported_run(run_id="second", started_at="2026-03-01T11:00:00Z"),
    ]
    api.post("/v1/runs", json=runs, headers=app_of_the_product.headers)
    judge_all(deployment)
    body = {"outcome": "failed", "origin": "zendesk", "reference": "1"}
    api.post("/v1/events/ticket-1/signals", json=body, headers=zendesk.headers)
    answer = api.get("/v1/events/ticket-1", headers=resolver.headers)
    EventStory.model_validate(answer.json())
    story = answer.json()
    assert [run["run"]["run_id"] for run in story["runs"]] == ["first", "second"]
    assert [run["judgements"][0]["verdict"]["verdict"] for run in story["runs"]] == ["fail", "pass"]
    assert [one["why"].split(":")[0] for one in story["signals"]] == ["Decides", "Outranked"]
    assert [one["decided_by"] for one in story["outcome_revisions"]] == ["judge", "sor"]
    assert story["cost"] == {
        "total_usd": None,
        "priced_part_usd": "0.01",
        "unpriced_runs": 1,
        "judging_usd": "0",
        "judging_unpriced": 0,
        "review_usd": "0",
        "review_unpriced": 0,
        "review_seconds": 0.0,
    }


def test_an_unknown_event_is_404_and_says_where_to_look(api: TestClient, resolver: Actor) -> None:
    answer = api.get("/v1/events/nowhere", headers=resolver.headers)
    assert answer.status_code == 404
    assert "'nowhere'" in answer.json()["detail"]
    assert "/v1/events" in answer.json()["hint"]


def test_the_list_goes_page_by_page_through_all_events(
    api: TestClient, app_of_the_product: Actor, resolver: Actor
) -> None:
    for number in range(5):
        api.post("/v1/runs", json=reported_run(event_id=f"e{number}"), headers=app_of_the_product.headers)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = api.get("/v1/events", params={"after": cursor, "limit": 2}, headers=resolver.headers)
        page = EventPage.model_validate(answer.json())
        seen += [item.event.event_id for item in page.items]
        cursor = page.next
    assert seen == ["e4", "e3", "e2", "e1", "e0"]


def test_the_list_filters_by_workflow_and_outcome(
    api: TestClient, app_of_the_product: Actor, resolver: Actor, zendesk: Actor
) -> None:
    runs = [reported_run(event_id="s"), reported_run(event_id="f", workflow="Fulfillment")]
    api.post("/v1/runs", json=runs, headers=app_of_the_product.headers)
    api.post("/v1/events/f/signals", json={"outcome": "success", "origin": "shop"}, headers=zendesk.headers)

    def ids(**filters: str) -> list[str]:
        answer = api.get("/v1/events", params=filters, headers=resolver.headers)
        return [item["event"]["event_id"] for item in answer.json()["items"]]

    assert ids(workflow="Support") == ["s"]
    assert ids(outcome="success") == ["f"]
    assert ids(outcome="pending") == ["s"]


sources = st.sampled_from(list(SignalSource))
signals_of_an_event = st.lists(
    st.builds(
        Signal,
        signal_id=st.uuids().map(str),
        event_id=st.just("e"),
        source=sources,
        outcome=st.sampled_from(list(FinalOutcome)),
        origin=st.sampled_from(["a", "b"]),
        occurred_at=st.integers(0, 3).map(lambda hours: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)),
        recorded_at=st.just(datetime(2026, 1, 2, tzinfo=UTC)),
    ),
    max_size=6,
)


@given(signals_of_an_event)
def test_the_signal_that_is_said_to_decide_is_the_one_that_does(signals: list[Signal]) -> None:
    resolution = resolve(signals)
    told = ranked(signals, Outcome(**resolution.model_dump(), event_id="e", revision=1, position=1))
    assert [one.signal.signal_id for one in told if one.decides] == [
        one.signal_id for one in signals if one.signal_id == resolution.signal_id
    ]
    assert len(told) == len(signals)
    assert all(one.why for one in told)
