"""Every recording of a real client becomes the runs it stands for, in either encoding, order and number of deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evaluator.capture.assembly import AssembledRun
from evaluator.model.capture import Fidelity
from evaluator.model.run import ClosedBy, ExecutionStatus, RunState
from tests.capture.telemetry import JSON, PROTOBUF, Arrived, as_json

FULL, TRUNCATED, PARTIAL, MISSING = Fidelity.FULL, Fidelity.TRUNCATED, Fidelity.PARTIAL, Fidelity.MISSING


@dataclass(frozen=True)
class Expected:
    """What one run of a recording must be."""

    event: str
    workflow: str = "Support"
    status: ExecutionStatus = ExecutionStatus.SUCCESS
    error: str | None = None
    ready: bool = True
    spans: int = 1
    fidelity: Fidelity = MISSING
    dialect: str | None = None
    input: Any = None
    output: Any = None
    retrieval: Any = None
    tools: Any = None
    redactions: dict[str, int] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    tokens: tuple[int | None, int | None] = (None, None)
    cost: Decimal | None = Decimal(0)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    correlations: dict[str, Any] = field(default_factory=dict)
    parent: str | None = None


RECORDINGS: dict[str, list[Expected]] = {
    "py_actx": [Expected("ticket-43")],
    "py_ctx": [Expected("ticket-42")],
    "py_deco": [
        Expected(
            "ticket-44",
            fidelity=FULL,
            dialect="botanu.eval",
            input={
                "tk": {"id": "ticket-44", "user": "acme", "text": "Please email [REDACTED] about card [REDACTED]"},
                "urgent": True,
            },
            output={"answer": "Reset link sent to [REDACTED]", "refund": False, "lines": ["ü", 1, None]},
        )
    ],
    "py_deco_async": [
        Expected(
            "ticket-42",
            fidelity=PARTIAL,
            dialect="botanu.eval",
            input={"tk": "<__main__.T object at 0x7f4acdfea7d0>"},
            output=["x"],
        )
    ],
    "py_deco_big": [
        Expected(
            "ticket-45",
            fidelity=TRUNCATED,
            dialect="botanu.eval",
            input={"text": "i" * (4096 - len('{"text": "'))},
            output="o" * 4095,
        )
    ],
    "py_deco_obj": [
        Expected(
            "ticket-42",
            fidelity=PARTIAL,
            dialect="botanu.eval",
            input={"tk": "<__main__.T object at 0x7f6e423d6910>"},
            output="plain string answer",
        )
    ],
    "py_exc_deco": [
        Expected(
            "ticket-47",
            status=ExecutionStatus.FAILED,
            error="ValueError",
            fidelity=PARTIAL,
            dialect="botanu.eval",
            input={"q": "why"},
        )
    ],
    "py_nested": [
        Expected("ticket-48"),
        Expected(
            "sub-1",
            workflow="SubAgent",
            spans=2,
            tools=[{"name": "search_kb"}],
            parent="01a1f721-6d53-7d26-b827-196ba3ad1da4",
        ),
    ],
    "py_oldapi_deco": [
        Expected(
            "order-1",
            workflow="fulfill-order",
            diagnostics={
                "value_type": "orders_fulfilled",
                "value_amount": 1,
                "confidence": 0.9,
                "reason": "r",
                "metadata": {"batch_id": "b"},
                "claimed": [
                    {"status": "success", "via": "span_event", "at": "2026-11-20T04:24:22.217050+00:00"},
                    {"status": "success", "via": "log", "at": "2026-11-20T04:24:22.217072+00:00"},
                    {"status": "success", "via": "attribute", "at": "2026-11-20T04:24:22.217127+00:00"},
                ],
            },
        )
    ],
    "py_openai1_content_both": [
        Expected(
            "ticket-52",
            spans=4,
            fidelity=FULL,
            dialect="gen_ai",
            input={
                "messages": [
                    {"role": "system", "content": "be nice"},
                    {"role": "user", "content": "hello [REDACTED:email]"},
                ]
            },
            output="hi there",
            redactions={"email": 1},
            models=("gpt-4o-mini-2024-07-18",),
            tokens=(11, 3),
            cost=Decimal("0.00000345"),
        )
    ],
    "py_anthropic0_auto": [
        Expected(
            "ticket-53",
            spans=3,
            fidelity=FULL,
            dialect="gen_ai",
            input={"messages": [{"role": "user", "content": "hello"}]},
            output="hi there",
            models=("claude-3-5-sonnet-20241022",),
            tokens=(9, 3),
            cost=None,
        )
    ],
    "py_outcome": [
        Expected(
            "ticket-42",
            diagnostics={
                "value_type": "tickets_resolved",
                "value_amount": 1,
                "confidence": 0.92,
                "reason": "ok",
                "metadata": {"batch_id": "abc"},
            },
            correlations={"zendesk_ticket_id": "T-123", "stripe_charge_id": "ch_1", "custom_thing": "x"},
        )
    ],
    "py_outcome_in_step": [
        Expected("ticket-42", spans=2, diagnostics={"value_type": "tickets_resolved", "value_amount": 1})
    ],
    "py_retry": [
        Expected("ticket-49", status=ExecutionStatus.FAILED, error="RuntimeError"),
        Expected("ticket-49"),
    ],
    "py_step": [
        Expected(
            "ticket-42",
            spans=5,
            fidelity=FULL,
            dialect="botanu.eval",
            input="Question: when is my refund? call [REDACTED]",
            output="In 5 days.",
            retrieval=["Doc snippet: refunds take 5 days. mail [REDACTED]"],
            models=("gpt-4o-2024-08-06",),
            tokens=(120, 20),
            cost=Decimal("0.0004875"),
        )
    ],
    "py_xcrash": [
        Expected(
            "ticket-crash",
            status=ExecutionStatus.UNKNOWN,
            ready=False,
            models=("gpt-4o",),
            tokens=(5, 5),
            cost=Decimal("0.0000625"),
        )
    ],
    "py_xlate": [
        Expected("ticket-late", spans=2, models=("gpt-4o",), tokens=(5, 5), cost=Decimal("0.0000625")),
    ],
}


def files_of(shared: Path, recording: str) -> list[Path]:
    """The request bodies of one recording, in the order they were sent."""
    folder = shared / "data" / "wire"
    return sorted(file for file in folder.glob("*.bin") if file.name.rsplit("_", 2)[0] == recording)


def replayed(files: list[Path], content_type: str = PROTOBUF) -> Arrived:
    """What has arrived after these requests."""
    arrived = Arrived()
    for file in files:
        logs = file.stem.endswith("logs")
        data = file.read_bytes() if content_type == PROTOBUF else as_json(file.read_bytes(), logs=logs)
        batch = arrived.log_records(data, content_type) if logs else arrived.traces(data, content_type)
        assert batch.rejected == 0
    return arrived


def seen(assembled: AssembledRun) -> Expected:
    """A run in the terms of the table."""
    run, capture = assembled.run, assembled.capture
    return Expected(
        event=run.event_id,
        workflow=run.workflow,
        status=run.execution_status,
        error=run.error_type,
        ready=run.state == RunState.READY,
        spans=run.span_count,
        fidelity=run.fidelity,
        dialect=capture.input.dialect or capture.output.dialect,
        input=capture.input.value,
        output=capture.output.value,
        retrieval=capture.retrieval.value,
        tools=capture.tools.value,
        redactions=capture.redactions,
        models=tuple(run.models),
        tokens=(run.input_tokens, run.output_tokens),
        cost=run.cost_total_usd,
        diagnostics=run.diagnostics,
        correlations=run.correlations,
        parent=run.parent_run_id,
    )


def test_every_recording_is_in_the_table(shared: Path) -> None:
    recorded = {file.name.rsplit("_", 2)[0] for file in (shared / "data" / "wire").glob("*.bin")}
    assert recorded == set(RECORDINGS)


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_recording_becomes_its_runs(shared: Path, recording: str, content_type: str) -> None:
    found = replayed(files_of(shared, recording), content_type).runs()
    assert [seen(run) for run in found] == RECORDINGS[recording]


@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_order_and_number_of_deliveries_do_not_matter(shared: Path, recording: str) -> None:
    files = files_of(shared, recording)
    forward = replayed(files).runs()
    assert replayed([*reversed(files), *files]).runs() == forward


@pytest.mark.parametrize("recording", RECORDINGS)
def test_both_encodings_make_the_same_runs(shared: Path, recording: str) -> None:
    files = files_of(shared, recording)
    assert replayed(files, JSON).runs() == replayed(files, PROTOBUF).runs()


def test_the_first_of_two_attempts_failed_and_started_first(shared: Path) -> None:
    first, second = (assembled.run for assembled in replayed(files_of(shared, "py_retry")).runs())
    assert first.started_at < second.started_at
    assert (first.attempt, second.attempt) == (1, 1)
    assert first.root_run_id != second.root_run_id


def test_a_late_root_closes_the_run_that_its_child_opened(shared: Path) -> None:
    child, whole = files_of(shared, "py_xlate")
    (opened,) = replayed([child]).runs()
    (closed,) = replayed([child, whole]).runs()
    assert (opened.run.state, opened.run.closed_by) == (RunState.OPEN, None)
    assert (closed.run.state, closed.run.closed_by) == (RunState.READY, ClosedBy.ROOT)
    assert opened.run.run_id == closed.run.run_id


def test_the_log_of_the_host_application_is_discarded(shared: Path) -> None:
    arrived = replayed(files_of(shared, "py_openai1_content_both"))
    assert arrived.discarded == 3
    assert [log.name for log in arrived.logs.values()] == ["gen_ai.client.inference.operation.details"]


def test_content_that_comes_as_a_log_record_alone_is_joined_to_its_span(shared: Path) -> None:
    arrived = replayed(files_of(shared, "py_openai1_content_both"))
    for facts in arrived.spans.values():
        assert isinstance(facts.attributes, dict)
        for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            facts.attributes.pop(name, None)
    (assembled,) = arrived.runs()
    (expected,) = RECORDINGS["py_openai1_content_both"]
    assert (assembled.capture.input.value, assembled.capture.output.value) == (expected.input, expected.output)


def test_nothing_of_the_process_is_kept_with_each_span(shared: Path) -> None:
    (facts,) = replayed(files_of(shared, "py_deco")).spans.values()
    assert set(facts.resource) == {
        "service.name",
        "deployment.environment",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
        "telemetry.sdk.language",
    }
