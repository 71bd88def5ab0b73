"""Runs reported whole."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from evaluator.capture.assembly import AssembledRun
from evaluator.capture.price_table import price_of_call
from evaluator.capture.redaction import Redactor
from evaluator.capture.reported_runs import ReportedRun, read_report, run_from_report
from evaluator.errors import Malformed
from evaluator.model.capture import Fidelity
from evaluator.model.run import ClosedBy, ExecutionStatus, RunState
from tests.capture.telemetry import NOW


def reported(**fields: Any) -> AssembledRun:
    """The run of a report about ticket-1."""
    return run_from_report(read_report({"event_id": "ticket-1", **fields}), Redactor(), NOW, price=price_of_call)


def test_the_least_report_is_a_run_that_may_be_judged() -> None:
    run = reported().run
    assert (run.event_id, run.state, run.closed_by) == ("ticket-1", RunState.READY, ClosedBy.REPORT)
    assert (run.execution_status, run.fidelity, run.started_at) == (ExecutionStatus.SUCCESS, Fidelity.MISSING, NOW)


def test_everything_that_is_reported_is_kept() -> None:
    whole = reported(
        event_id=42,
        run_id="r-1",
        workflow="Support",
        started_at="2026-11-20T10:00:00Z",
        ended_at="2026-11-20T11:00:01.5+01:00",
        status="failure",
        error_type="Timeout",
        input=[{"role": "user", "content": "Where?"}],
        output={"role": "assistant", "content": "Here."},
        retrieval="a document",
        customer_id="acme",
        diagnostics={"confidence": 0.4},
        correlations={"zendesk_ticket_id": "T-1"},
        cost_usd="0.125",
        models=["gpt-4o"],
        input_tokens=10,
        output_tokens=2,
        retry_of_run_id="r-0",
    )
    run, capture = whole.run, whole.capture
    assert (run.event_id, run.run_id, run.workflow, run.retry_of_run_id) == ("42", "r-1", "Support", "r-0")
    assert (run.started_at, run.duration_ms) == (datetime(2026, 11, 20, 10, tzinfo=UTC), 1500)
    assert (run.execution_status, run.error_type) == (ExecutionStatus.FAILED, "Timeout")
    assert (run.cost_total_usd, run.models, run.input_tokens) == (Decimal("0.125"), ["gpt-4o"], 10)
    assert (run.diagnostics, run.correlations) == ({"confidence": 0.4}, {"zendesk_ticket_id": "T-1"})
    assert capture.input.value == {"messages": [{"role": "user", "content": "Where?"}]}
    assert (capture.output.value, capture.retrieval.value) == ("Here.", ["a document"])
    assert capture.fidelity is Fidelity.FULL


def test_content_is_redacted_but_the_join_keys_survive() -> None:
    found = reported(
        input={"from": "bob@example.com"},
        output="Called +49 30 1234567.",
        customer_id="bob@example.com",
        diagnostics={"reason": "bob@example.com asked"},
        correlations={"mail": "bob@example.com"},
    )
    assert found.capture.input.value == {"from": "[REDACTED:email]"}
    assert found.capture.output.value == "Called [REDACTED:phone]."
    assert found.capture.redactions == {"email": 1, "phone": 1}
    assert found.run.diagnostics == {"reason": "[REDACTED:email] asked"}
    assert (found.run.customer_id, found.run.correlations) == ("bob@example.com", {"mail": "bob@example.com"})


def test_tool_calls_are_kept_in_order_parsed_and_redacted() -> None:
    calls = [
        {"name": "look", "arguments": '{"mail": "bob@example.com"}', "result": ["a"]},
        {"name": "send", "arguments": {}, "error": "Timeout"},
        {"name": "look", "result": None},
    ]
    found = reported(tools=calls).capture
    assert found.tools.value == [
        {"name": "look", "arguments": {"mail": "[REDACTED:email]"}, "result": ["a"]},
        {"name": "send", "arguments": {}, "error": "Timeout"},
        {"name": "look"},
    ]
    assert found.redactions == {"email": 1}
    assert found.fidelity is Fidelity.MISSING


def test_tool_calls_tell_runs_without_an_id_apart() -> None:
    without = reported(input="a").run.run_id
    assert reported(input="a", tools=[]).run.run_id == without
    assert reported(input="a", tools=[{"name": "look"}]).run.run_id != without


def test_tool_calls_that_are_not_reported_are_those_of_the_messages() -> None:
    call = {"type": "tool_call", "id": "c1", "name": "look", "arguments": {}}
    messages = [{"role": "user", "content": "Where?"}, {"role": "assistant", "parts": [call]}]
    assert reported(input=messages).capture.tools.value == [{"name": "look", "arguments": {}}]
    assert reported(input=messages, tools=[]).capture.tools.value is None


def test_sending_again_names_the_same_run_and_other_content_another() -> None:
    content: dict[str, Any] = {"input": "a", "output": "b", "started_at": "2026-11-20T10:00:00Z"}
    first = reported(**content).run.run_id
    assert reported(**content).run.run_id == first
    others: list[dict[str, Any]] = [
        {**content, "output": "c"},
        {**content, "started_at": None},
        {**content, "event_id": "ticket-2"},
    ]
    assert len({first, *(reported(**other).run.run_id for other in others)}) == 4


def test_an_empty_answer_is_an_answer() -> None:
    assert reported(input="a", output="").run.fidelity is Fidelity.FULL
    assert reported(input="a").run.fidelity is Fidelity.PARTIAL


def test_tokens_of_one_model_are_priced_where_no_cost_is_reported() -> None:
    assert reported(models=["gpt-4o"], input_tokens=1000, output_tokens=100).run.cost_total_usd == Decimal("0.0035")
    assert reported(models=["gpt-4o", "gpt-4.1"], input_tokens=1000, output_tokens=1).run.cost_total_usd is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"worklfow": "x"}, "unknown field 'worklfow'; did you mean 'workflow'?"),
        ({"outcome": "success"}, "unknown field 'outcome'"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": None}, "event_id"),
        ({"event_id": "x" * 401}, "event_id"),
        ({"started_at": "2026-11-20T10:00:00"}, "started_at"),
        (
            {"started_at": "2026-11-20T10:00:00Z", "ended_at": "2026-11-20T09:00:00Z"},
            "ended_at is before started_at",
        ),
        ({"status": "splendid"}, "status"),
        ({"cost_usd": -1}, "cost_usd"),
        ({"cost_usd": "NaN"}, "cost_usd"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"output": "x" * 4_000_001}, "output is larger than"),
        ({"diagnostics": {"k": "x" * 70_000}}, "diagnostics is larger than"),
        ({"input": "\ud800"}, "input is not JSON"),
        ({"tools": {"name": "look"}}, "tools: Input should be a valid list"),
        ({"tools": ["look"]}, "tools.0: Input should be a valid dictionary"),
        ({"tools": [{"nmae": "look"}]}, "tools.0: unknown field 'nmae'; did you mean 'name'?"),
        ({"tools": [{"name": "look"}, {"arguments": {}}]}, "tools.1.name: Field required"),
        ({"tools": [{"name": "look", "error": 3}]}, "tools.0.error: Input should be a valid string"),
        ({"tools": [{"name": "look"}] * 1001}, "tools: List should have at most 1000 items"),
        ({"tools": [{"name": "look", "result": "x" * 4_000_001}]}, "tools is larger than"),
        ({"tools": [{"name": "look", "result": "\ud800"}]}, "tools is not JSON"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Malformed, match=message.replace("?", r"\?")):
        reported(**fields)


@pytest.mark.parametrize("document", [None, [], "run", 3])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(Malformed):
        read_report(document)


def test_the_error_never_shows_content() -> None:
    with pytest.raises(ValidationError) as caught:
        ReportedRun.model_validate({"event_id": {"secret": "hunter2"}, "input": "hunter2"})
    assert "hunter2" not in str(caught.value)
