"""docs/capture.md says what intake does."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from evaluator.api.app import create_app
from evaluator.api.request_json import READING_SECONDS
from evaluator.capture import redaction
from evaluator.capture.attribute_names import RESOURCE_KEPT, Part, part_of
from evaluator.capture.dialects import input_of, output_of
from evaluator.capture.plain_otlp import MAX_DEPTH, is_kept
from evaluator.capture.redaction import Redactor
from evaluator.capture.reported_runs import ReportedRun, read_report
from evaluator.capture.run_tools import MOST_CALLS
from evaluator.capture.span_facts import SpanFacts
from evaluator.capture.span_intake import EVENT_NAMES, bounded_id
from evaluator.capture.tool_spans import TOOL_DIALECTS, executed_calls
from evaluator.deployment import Deployment
from evaluator.errors import Malformed
from evaluator.model.capture import Fidelity, Passage
from evaluator.model.run import ExecutionStatus
from evaluator.pipeline import QUIET
from evaluator.settings import Settings

DOC = (Path(__file__).parent.parent / "docs" / "capture.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOC.split(f"## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of a section's tables, but for their heads."""
    lines = re.findall(r"^\| (.+) \|$", section(title), re.MULTILINE)
    return [re.split(r" \| ", line) for line in lines if not line.startswith("--")]


@pytest.mark.parametrize("field", ReportedRun.model_fields)
def test_each_field_of_a_reported_run_stands_in_the_table(field: str) -> None:
    table = section("Three ways in").split("### Runs as JSON")[1]
    assert field in re.findall(r"`(\w+)`", "".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))


@pytest.mark.parametrize("status", ExecutionStatus)
def test_each_status_of_a_reported_run_is_named(status: str) -> None:
    assert f"`{status}`" in DOC


def test_the_limits_that_can_be_set_are_those_in_force() -> None:
    settings = Settings()
    for told in (
        f"`ADJUDGE_MAX_BODY_MB`, {settings.max_body_mb:g} MB",
        f"`ADJUDGE_MAX_DECOMPRESSED_MB`, {settings.max_decompressed_mb:g} MB",
        f"`ADJUDGE_MAX_TEXT_CHARS`, {settings.max_text_chars:,} characters",
        f"`ADJUDGE_MAX_REQUESTS_IN_FLIGHT`, {settings.max_requests_in_flight}",
        f"{READING_SECONDS:g} s",
        f"{MAX_DEPTH} levels",
    ):
        assert told in section("Limits")


@pytest.mark.parametrize(("name", "most"), [("output", 4_000_000), ("diagnostics", 64_000)])
def test_the_limits_of_reported_runs_are_those_in_force(name: str, most: int) -> None:
    assert f"{most:,} bytes each" in section("Limits")

    def value(size: int) -> object:
        return "x" * (size - 2) if name == "output" else {"k": "x" * (size - 8)}

    assert read_report({"event_id": "e", name: value(most)})
    with pytest.raises(Malformed, match=f"larger than {most} bytes"):
        read_report({"event_id": "e", name: value(most + 1)})


def test_ids_are_as_long_as_the_page_says() -> None:
    assert "400 characters" in section("Limits")
    assert (bounded_id("x" * 400), len(bounded_id("x" * 401))) == ("x" * 400, 433)


def test_each_answer_of_intake_stands_in_the_table(deployment: Deployment) -> None:
    paths = create_app(deployment).openapi()["paths"]
    answers = {
        status for path in ("traces", "logs", "runs") for status in paths[f"/v1/{path}"]["post"]["responses"]
    }
    # 422 is FastAPI's own entry; the app answers 400 in its place.
    assert answers - {"422"} <= {row[0] for row in rows("What the answers mean")}


def test_logs_are_taken_where_clients_with_one_endpoint_post_them(deployment: Deployment) -> None:
    with TestClient(create_app(deployment)) as api:
        assert api.post("/v1/traces/v1/logs").status_code == 401
        assert api.post("/v1/metrics").status_code == 404


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        (row[0].strip("`"), row[2].strip("`"))
        for row in rows("Redaction")[1:]
        if len(row) == 3 and row[2].strip(" |")
    ],
)
def test_each_example_is_redacted_as_its_kind(kind: str, example: str) -> None:
    redacted, counts = Redactor().redact(f"It was {example}, as they said.")
    assert counts == {kind: 1}
    assert f"[REDACTED:{kind}]" in redacted


def test_every_kind_stands_in_the_table() -> None:
    source = inspect.getsource(redaction)
    kinds = {kind for pair in re.findall(r'counts\["(\w+)"\]|, "(\w+)", counts', source) for kind in pair if kind}
    assert {row[0].strip("`") for row in rows("Redaction")[1:]} == kinds


@pytest.mark.parametrize(
    "name", re.findall(r"`([a-z_]+\.[a-z_.]+[a-z*])`", section("Redaction").split("Exempt")[1])
)
def test_what_is_said_to_be_exempt_is(name: str) -> None:
    assert part_of(name.replace("*", "anything")) is Part.IDENTITY


def test_what_is_kept_of_a_resource_is_as_the_page_says() -> None:
    listed = section("What is never stored").split("anything but these:")[1].split(".\n*")[0]
    assert set(re.findall(r"`([^`]+)`", listed)) == RESOURCE_KEPT


def test_the_log_records_that_are_kept_are_as_the_page_says() -> None:
    assert is_kept("gen_ai.choice", "any")
    assert is_kept("", "botanu.outcome")
    assert not is_kept("exception", "my.app")


def test_a_trace_is_left_alone_as_long_as_the_page_says() -> None:
    assert "nothing has come to a trace for half a second" in section("From spans to runs")
    assert timedelta(seconds=0.5) == QUIET


def test_events_are_named_in_the_order_of_the_page() -> None:
    (row,) = [row for row in rows("From spans to runs") if row[0] == "event"]
    assert tuple(re.findall(r"`([^`]+)`", row[1])) == EVENT_NAMES


@pytest.mark.parametrize(("side", "read"), [(1, input_of), (2, output_of)])
def test_dialects_win_in_the_order_of_the_page(side: int, read: Callable[[SpanFacts], Passage]) -> None:
    table = [row for row in rows("Content") if row[0].startswith("`") and len(row) == 3]
    left = {row[0].strip("`"): re.findall(r"`([^`]+)`", row[side])[0] for row in table}
    order = []
    while left:
        span = SpanFacts("t", "s", attributes={name: _content(name) for name in left.values()})
        won = read(span).dialect or "none"
        order.append(won)
        del left[won]
    assert order == [row[0].strip("`") for row in table]


@pytest.mark.parametrize("row", [row for row in rows("Content") if len(row) == 4 and row[0].startswith("`")])
def test_a_tool_span_of_each_dialect_is_read_as_the_page_says(row: list[str]) -> None:
    dialect, mark, arguments, result = (re.findall(r"`([^`]+)`", cell) for cell in row)
    kind = {mark[0]: mark[1] if len(mark) > 1 else "look"}
    (call,) = executed_calls(
        [SpanFacts("t", "s", name="look", attributes={**kind, arguments[0]: "a", result[0]: "r"})]
    )
    assert (call.dialect, call.name, call.arguments, call.result) == (dialect[0], "look", "a", "r")


def test_every_dialect_of_tool_spans_is_in_the_table() -> None:
    assert {row[0].strip("`") for row in rows("Content") if len(row) == 4} >= {*TOOL_DIALECTS}


def test_a_run_has_as_many_tool_calls_as_the_page_says() -> None:
    assert f"{MOST_CALLS:,}; of spans" in section("Limits")


def _content(name: str) -> str:
    return '[{"role": "user", "content": "q"}]' if "messages" in name else "said"


@pytest.mark.parametrize("fidelity", Fidelity)
def test_each_fidelity_stands_in_the_table(fidelity: str) -> None:
    assert [f"`{fidelity}`"] == [row[0] for row in rows("Content") if row[0] == f"`{fidelity}`"]
