"""Spans and log records → runs: a pure function, whatever came late, twice or out of order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from evaluator.capture.app_says import correlations_of, diagnostics_of, evaluations_of
from evaluator.capture.execution import ended_how, instant
from evaluator.capture.llm_calls import LlmCall, Price, llm_calls
from evaluator.capture.run_content import capture_of
from evaluator.capture.span_facts import LogFacts, SpanFacts
from evaluator.capture.span_intake import EVENT_NAMES, bounded_id
from evaluator.capture.span_tree import JUDGE_MARK, LogOwners, own_run_id, runs_of, unique_spans
from evaluator.model.capture import Capture
from evaluator.model.run import ClosedBy, Run, RunState

_WORKFLOW_NAMES = ("gen_ai.workflow.name", "traceloop.workflow.name", "gen_ai.agent.name")
_LONGEST_WORD = 400


@dataclass(frozen=True)
class AssembledRun:
    """A run as far as its spans arrived, with its content, its LLM calls and which spans it is made of."""

    run: Run
    capture: Capture
    calls: tuple[LlmCall, ...] = ()
    span_keys: tuple[tuple[str, str], ...] = ()
    """(trace_id, span_id) in time order."""


def assemble(
    spans: Iterable[SpanFacts], logs: Iterable[LogFacts], *, price: Price, now: datetime
) -> list[AssembledRun]:
    """The runs in all spans and log records of some traces, ordered by run id.

    Pass whole traces: a run's rows are replaced by what comes out. A run named by its trace id stands for a
    trace that has told of no Botanu run yet, and is not among the results once it has.
    """
    runs = runs_of(unique_spans(spans))
    owners = LogOwners(runs)
    records: dict[str, list[LogFacts]] = {}
    for log in sorted(
        {(log.trace_id, log.span_id, log.digest): log for log in logs}.values(), key=lambda log: log.order
    ):
        run_id = None if JUDGE_MARK in log.resource or JUDGE_MARK in log.attributes else owners.run_of(log)
        if run_id is not None:
            records.setdefault(run_id, []).append(log)
    return [_assembled(run_id, found, records.get(run_id, []), price, now) for run_id, found in runs.items()]


def _assembled(
    run_id: str, spans: Sequence[SpanFacts], logs: Sequence[LogFacts], price: Price, now: datetime
) -> AssembledRun:
    is_botanu = any(own_run_id(span) for span in spans)
    root = _root(run_id, spans, is_botanu)
    in_precedence = [root, *spans] if root else list(spans)
    calls = llm_calls(spans, price)
    capture = capture_of(root, spans, logs)
    execution = ended_how(root)
    run = Run(
        run_id=run_id,
        event_id=_event_id(in_precedence),
        workflow=_workflow(in_precedence),
        state=RunState.READY if root else RunState.OPEN,
        closed_by=ClosedBy.ROOT if root else None,
        execution_status=execution.status,
        error_type=execution.error_type,
        started_at=instant(_start_ns(root, spans)),
        ended_at=instant(root.end_ns) if root and root.end_ns else None,
        duration_ms=execution.duration_ms,
        trace_id=root.trace_id if root else spans[0].trace_id,
        root_span_id=root.span_id if root else None,
        parent_run_id=_first(in_precedence, "botanu.parent_run_id"),
        root_run_id=_first(in_precedence, "botanu.root_run_id"),
        retry_of_run_id=_first(in_precedence, "botanu.retry_of_run_id"),
        attempt=_attempt(_first(in_precedence, "botanu.attempt")),
        customer_id=_first(in_precedence, "botanu.customer_id"),
        tenant_id=_first(in_precedence, "botanu.tenant_id"),
        environment=_first(in_precedence, "botanu.environment")
        or _resource(in_precedence, "deployment.environment.name", "deployment.environment"),
        workflow_version=_first(in_precedence, "botanu.workflow.version"),
        service=_resource(in_precedence, "service.name"),
        diagnostics=diagnostics_of(spans, logs),
        correlations=correlations_of(spans),
        evaluations=evaluations_of(spans, logs),
        fidelity=capture.fidelity,
        content_hash=capture.content_hash,
        span_count=len(spans),
        last_arrival_at=now,
        assembled_at=now,
        **totals_of(calls),
    )
    return AssembledRun(run=run, capture=capture, calls=calls, span_keys=tuple(span.key for span in spans))


def totals_of(calls: Sequence[LlmCall]) -> dict[str, Any]:
    """The columns of a run that sum up its LLM calls; a cost is only known where every call's is."""
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    unpriced = len(calls) - len(costs)
    return {
        "llm_calls": len(calls),
        "models": list(dict.fromkeys(call.model for call in calls if call.model)),
        "input_tokens": _sum(call.input_tokens for call in calls),
        "output_tokens": _sum(call.output_tokens for call in calls),
        "cost_total_usd": None if unpriced else sum(costs, Decimal(0)),
        "unpriced_calls": unpriced,
    }


def _root(run_id: str, spans: Sequence[SpanFacts], is_botanu: bool) -> SpanFacts | None:
    """The span whose arrival ends the run."""
    if is_botanu:
        return next((span for span in spans if span.is_root and own_run_id(span) == run_id), None)
    return next((span for span in spans if span.parent_span_id is None), None)


def _start_ns(root: SpanFacts | None, spans: Sequence[SpanFacts]) -> int:
    if root and root.start_ns:
        return root.start_ns
    return min((span.start_ns for span in spans if span.start_ns), default=0)


def _event_id(spans: Sequence[SpanFacts]) -> str:
    named = (_first(spans, name) for name in EVENT_NAMES)
    return next(filter(None, named), spans[0].trace_id)


def _workflow(spans: Sequence[SpanFacts]) -> str:
    named = _first(spans, "botanu.workflow")
    for span in spans:
        if not named and span.name.startswith("botanu.run/"):
            named = span.name.removeprefix("botanu.run/")
    for name in _WORKFLOW_NAMES:
        named = named or _first(spans, name)
    return named or _resource(spans, "service.name") or ""


def _first(spans: Iterable[SpanFacts], name: str) -> str | None:
    """The first value of an attribute, as text."""
    values = (span.attributes.get(name) for span in spans)
    return next((bounded_id(value) for value in values if value is not None and value != ""), None)


def _resource(spans: Sequence[SpanFacts], *names: str) -> str | None:
    values = (span.resource.get(name) for span in spans for name in names)
    return next((str(value)[:_LONGEST_WORD] for value in values if value), None)


def _attempt(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
