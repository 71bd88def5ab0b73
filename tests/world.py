"""What tests talk about: rubrics, runs, spans as real clients send them, and who asks with which key."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from evaluator import pipeline
from evaluator.batches import BatchRunner
from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.columns import utc_now
from evaluator.store.api_keys import issue_key


async def _run_batches(deployment: Deployment) -> int:
    runner = BatchRunner(deployment)
    return sum([await runner.run(batch) for batch in pipeline.hand_out(deployment, utc_now())])


def judge_all(deployment: Deployment) -> None:
    """Assemble and judge all that is due, without an engine."""
    while pipeline.assemble_runs(deployment, quiet=timedelta(0)) or asyncio.run(_run_batches(deployment)):
        pass


PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass(frozen=True)
class Actor:
    """Somebody with an API key."""

    name: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


def actor(deployment: Deployment, name: str, *scopes: Scope) -> Actor:
    """An actor whose key carries these scopes."""
    key, _ = deployment.database.transact(
        lambda connection: issue_key(connection, name=name, scopes=scopes, actor="tests")
    )
    return Actor(name, key)


RUBRIC = """\
id: {id}
title: Did the answer help?
role: {role}
applies_to: {{workflow: [{workflow}]}}
content: {{question: input, answer: output}}
criteria:
  - {{id: answers, ask: Does the answer give what was asked for?, critical: true}}
"""

CHECKED_RUBRIC = """\
id: {id}
title: Does the answer name a link?
role: {role}
applies_to: {{workflow: [{workflow}]}}
content: {{answer: output}}
criteria:
  - {{id: has-link, check: contains_url}}
judges:
  - {{model: openai/never-called}}
"""
"""Judged by code alone: no model is called."""


def add_rubric(
    folder: Path,
    *,
    rubric_id: str = "support",
    role: str = "outcome",
    workflow: str = "Support",
    text: str = RUBRIC,
) -> Path:
    """A rubric file in the folder, its path."""
    path = folder / f"{rubric_id}.yaml"
    path.write_text(text.format(id=rubric_id, role=role, workflow=workflow), encoding="utf-8")
    return path


def reported_run(**changes: Any) -> dict[str, Any]:
    """A run as POST /v1/runs takes it."""
    return {
        "run_id": f"run-{secrets.token_hex(4)}",
        "event_id": "ticket-1",
        "workflow": "Support",
        "input": "Where is my order?",
        "output": "It arrives on Friday: https://shop.example/track/9",
        **changes,
    }


def trace_request(
    *,
    event_id: str = "ticket-1",
    run_id: str | None = None,
    workflow: str = "Support",
    children: int = 1,
    root: bool = True,
    attributes: dict[str, str] | None = None,
) -> ExportTraceServiceRequest:
    """One run as a Botanu client sends it: a root and its children, children first."""
    run = run_id or f"run-{secrets.token_hex(8)}"
    trace_id = sha256(run.encode()).digest()[:16]
    now = time.time_ns()
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(_text("service.name", "support-svc"))
    spans = resource.scope_spans.add().spans
    said = {"botanu.run_id": run, "botanu.event_id": event_id, "botanu.workflow": workflow}
    root_id = sha256(f"{run} root".encode()).digest()[:8]
    for number in range(children):
        child_id = sha256(f"{run} {number}".encode()).digest()[:8]
        child = Span(trace_id=trace_id, span_id=child_id, parent_span_id=root_id, name=f"botanu.step/{number}")
        child.start_time_unix_nano, child.end_time_unix_nano = now - 900_000_000, now - 100_000_000
        child.attributes.extend(_text(name, value) for name, value in said.items())
        spans.append(child)
    if root:
        whole = Span(trace_id=trace_id, span_id=root_id, name=f"botanu.run/{workflow}")
        whole.start_time_unix_nano, whole.end_time_unix_nano = now - 1_000_000_000, now
        content = {
            "botanu.eval.input_content": '{"question": "Where is my order?"}',
            "botanu.eval.output_content": '"It arrives on Friday: https://shop.example/track/9"',
            "botanu.run.start_time": "2026-01-01T00:00:00Z",
        }
        whole.attributes.extend(
            _text(name, value) for name, value in {**said, **content, **(attributes or {})}.items()
        )
        spans.append(whole)
    return request


def _text(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=value))
