"""The steps of a run, from spans that were really sent and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from evaluator import pipeline
from evaluator.capture.otlp import Limits, decode_traces
from evaluator.capture.redaction import Redactor
from evaluator.deployment import Deployment
from evaluator.model.run import Run
from evaluator.store.runs import load_runs
from review_ui.rendering.run_steps import MOST_STEPS, Step, StepKind, shown_steps, steps_of
from tests.capture.telemetry import TRACE, any_value, span_id
from tests.review_ui.rendering.payloads import TEXTS
from tests.review_ui.rendering.shown_html import assert_harmless
from tests.reviewing.review_world import judged_event

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4.1-mini",
    "gen_ai.provider.name": "openai",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 200,
    "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]}]',
    "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "On its way."}]}]',
}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "find_order",
    "gen_ai.tool.call.arguments": '{"order": 4711}',
    "gen_ai.tool.call.result": '{"status": "shipped"}',
}

Sent = tuple[str, str, Mapping[str, Any], int, int, int]
"""Name, parent's name, attributes, begin and end in milliseconds, and status code."""


def run_of(deployment: Deployment, *spans: Sent) -> Run:
    """The run that comes of a root and these spans."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name, parent, attributes, begin, end, status in (("botanu.run/Support", "", {}, 0, 900, 0), *spans):
        added = scope.spans.add(
            trace_id=bytes.fromhex(TRACE),
            span_id=bytes.fromhex(span_id(name)),
            parent_span_id=bytes.fromhex(span_id(parent)) if parent else b"",
            name=name,
            start_time_unix_nano=(1_000 + begin) * 1_000_000,
            end_time_unix_nano=(1_000 + end) * 1_000_000,
        )
        added.status.code = Status.STATUS_CODE_ERROR if status == 2 else Status.STATUS_CODE_UNSET
        added.status.message = "the shop did not answer" if status == 2 else ""
        for key, value in {"botanu.run_id": "run-1", "botanu.event_id": "ticket-1", **attributes}.items():
            added.attributes.add(key=key).value.CopyFrom(any_value(value))
    data = request.SerializeToString()
    pipeline.capture_spans(deployment, decode_traces(data, "application/x-protobuf", Redactor(), Limits()))
    while pipeline.assemble_runs(deployment, quiet=timedelta(0)):
        pass
    return stored(deployment, "run-1")


def stored(deployment: Deployment, run_id: str) -> Run:
    with deployment.database.read() as connection:
        return load_runs(connection, [run_id])[run_id]


ROOT = "botanu.run/Support"


def test_steps_stand_below_the_one_they_happened_within(deployment: Deployment) -> None:
    run = run_of(
        deployment,
        ("chat gpt", "botanu.step/answer", CALL, 100, 400, 0),
        ("execute_tool find_order", "botanu.step/look up", TOOL, 20, 60, 0),
        ("botanu.step/look up", ROOT, {}, 10, 80, 0),
        ("botanu.step/answer", ROOT, {}, 90, 500, 0),
    )
    steps = steps_of(deployment, run)
    assert [(step.depth, step.kind, step.name) for step in steps] == [
        (0, StepKind.RUN, "Support"),
        (1, StepKind.STEP, "look up"),
        (2, StepKind.TOOL, "execute_tool find_order"),
        (1, StepKind.STEP, "answer"),
        (2, StepKind.CALL, "chat gpt"),
    ]
    assert [(step.after_ms, step.duration_ms) for step in steps][-1] == (100, 300)


def test_a_call_tells_model_tokens_cost_and_what_was_said(deployment: Deployment) -> None:
    call = steps_of(deployment, run_of(deployment, ("chat gpt", ROOT, CALL, 100, 400, 0)))[-1]
    assert (call.model, call.input_tokens, call.output_tokens) == ("gpt-4.1-mini", 1_000, 200)
    assert call.cost_usd is not None
    assert call.input["messages"][0]["content"] == "Where is it?"
    assert call.output == "On its way."


def test_a_tool_tells_what_it_was_given_and_gave(deployment: Deployment) -> None:
    tool = steps_of(deployment, run_of(deployment, ("find", ROOT, TOOL, 100, 400, 2)))[-1]
    assert (tool.tool, tool.input, tool.output) == ("find_order", {"order": 4711}, {"status": "shipped"})
    assert tool.failed
    assert tool.message == "the shop did not answer"


def test_a_run_reported_without_spans_has_none_and_says_so(deployment: Deployment) -> None:
    judged_event(deployment, run_id="reported", verdict=None)
    steps = steps_of(deployment, stored(deployment, "reported"))
    assert steps == ()
    assert "reported without them" in shown_steps(steps)


def test_very_many_steps_are_bounded(deployment: Deployment) -> None:
    spans: list[Sent] = [(f"span {at}", ROOT, {}, at, at + 1, 0) for at in range(MOST_STEPS + 50)]
    steps = steps_of(deployment, run_of(deployment, *spans))
    assert len(steps) == MOST_STEPS
    assert f"Only the first {MOST_STEPS} steps." in shown_steps(steps)


def test_spans_whose_parents_run_in_a_circle_are_all_there(deployment: Deployment) -> None:
    run = run_of(deployment, ("a", "b", {}, 10, 20, 0), ("b", "a", {}, 11, 19, 0), ("c", "c", {}, 12, 13, 0))
    assert sorted(step.name for step in steps_of(deployment, run)) == ["Support", "a", "b", "c"]


A_STEP = Step(StepKind.CALL, "chat", 0, 0.0, 1_234.0, failed=False, message="")


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_steps_are_inert(name: str) -> None:
    text = TEXTS[name]
    step = replace(
        A_STEP, name=text[:200], failed=True, message=text[:500], model=text, tool=text, input=text, output=[text]
    )
    assert_harmless(shown_steps([step, replace(step, depth=40, kind=StepKind.TOOL)]))


def test_a_step_says_what_it_took() -> None:
    step = replace(A_STEP, model="m", input_tokens=1_000, output_tokens=None)
    html = shown_steps([step, replace(A_STEP, duration_ms=None)])
    facts = "".join(
        f'<span class="c-fact">{each}</span>' for each in ("LLM call", "1.2 s", "m", "1,000 → ? tokens", "unpriced")
    )
    assert facts in html
    assert "did not end" in html


def test_content_beyond_what_a_page_takes_is_left_out_and_said() -> None:
    steps: Sequence[Step] = [replace(A_STEP, input="word " * 1_000)] * 200
    html = shown_steps(steps)
    assert "Input left out: this page is long enough." in html
    assert len(html) < 1_000_000
