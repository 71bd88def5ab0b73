"""The steps of a run as its spans tell of them: what happened when, for how long, by which model or tool, at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from markupsafe import Markup

from evaluator.capture.dialects import input_of, output_of
from evaluator.capture.llm_calls import LlmCall, llm_calls
from evaluator.capture.price_table import price_of_call
from evaluator.capture.span_facts import LogFacts, SpanFacts, chunk_spans, log_facts
from evaluator.capture.span_tree import LogOwners, SpanKey, runs_of, unique_spans
from evaluator.capture.tool_call import ToolCall
from evaluator.capture.tool_spans import executed_calls, tool_dialect
from evaluator.deployment import Deployment
from evaluator.model.run import Run
from evaluator.store.spans import load_traces
from evaluator.wording import dollars, plural
from review_ui.rendering.content import rendered
from review_ui.rendering.text_view import inert

MOST_STEPS = 500
_MOST_TRACES = 20
_FOLDED_AT = 4_000
_MOST_CONTENT = 200_000
"""Characters of content on one page, over all steps."""
_DEEPEST = 8
_LONGEST_NAME = 200
_ERROR = 2


class StepKind(StrEnum):
    """What a span tells of."""

    RUN = "run"
    STEP = "step"
    CALL = "LLM call"
    TOOL = "tool"
    SPAN = "span"


@dataclass(frozen=True)
class Step:
    """One span of a run; what it does not tell is None or empty."""

    kind: StepKind
    name: str
    depth: int
    """0 for those without a parent in the run."""
    after_ms: float
    """Since the first span of the run began."""
    duration_ms: float | None
    """None where its end did not come."""
    failed: bool
    message: str
    """What the span says about its failure."""
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    """Of an LLM call; None as well where its model has no price."""
    tool: str = ""
    input: Any = None
    """What a model or a tool was given; None where it was not captured."""
    output: Any = None


def steps_of(deployment: Deployment, run: Run) -> Sequence[Step]:
    """The first 500 spans of a run, each after the one it happened within; none of a run that was reported as JSON."""
    if not run.trace_id:
        return ()
    with deployment.database.read() as connection:
        arrived = load_traces(connection, [run.trace_id], deployment.bodies, max_traces=_MOST_TRACES)
    runs = runs_of(unique_spans(chunk_spans(arrived.chunks)))
    spans = runs.get(run.run_id, [])[:MOST_STEPS]
    if not spans:
        return ()
    owners = LogOwners(runs)
    logs: dict[SpanKey, list[LogFacts]] = {}
    for log in sorted(map(log_facts, arrived.logs), key=lambda log: log.order):
        if owners.run_of(log) == run.run_id:
            logs.setdefault((log.trace_id, log.span_id), []).append(log)
    return _steps(spans, logs)


def _steps(spans: Sequence[SpanFacts], logs: Mapping[SpanKey, Sequence[LogFacts]]) -> Sequence[Step]:
    calls = {(call.trace_id, call.span_ids[0]): call for call in llm_calls(spans, price_of_call)}
    tools = {call.span_id: call for call in executed_calls(spans) if call.span_id}
    began = min((span.start_ns for span in spans if span.start_ns), default=0)
    return tuple(
        _step(span, depth, began, calls.get(span.key), tools.get(span.span_id), logs.get(span.key, ()))
        for span, depth in _in_order(spans)
    )


def _in_order(spans: Sequence[SpanFacts]) -> Iterator[tuple[SpanFacts, int]]:
    """Each span once with its depth, below its parent; those whose parents run in a circle come last."""
    known = {span.key: span for span in spans}
    within: dict[SpanKey, list[SpanFacts]] = {}
    tops: list[SpanFacts] = []
    for span in spans:
        parent = (span.trace_id, span.parent_span_id or "")
        (within.setdefault(parent, []) if parent in known and parent != span.key else tops).append(span)
    seen: set[SpanKey] = set()
    for top in (*tops, *spans):
        waiting = [(top, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span.key in seen:
                continue
            seen.add(span.key)
            yield span, depth
            waiting += [(each, depth + 1) for each in reversed(within.get(span.key, ()))]


def _step(
    span: SpanFacts,
    depth: int,
    began: int,
    call: LlmCall | None,
    tool: ToolCall | None,
    logs: Sequence[LogFacts],
) -> Step:
    kind = _kind(span, call)
    has_content = kind is StepKind.CALL
    return Step(
        kind=kind,
        name=_name(span),
        depth=depth,
        after_ms=max(0, span.start_ns - began) / 1e6 if span.start_ns else 0.0,
        duration_ms=(span.end_ns - span.start_ns) / 1e6 if span.end_ns >= span.start_ns > 0 else None,
        failed=span.status_code == _ERROR or bool(tool and tool.error),
        message=span.status_message or (tool.error if tool and tool.error else ""),
        model=(call.model or "") if call else "",
        input_tokens=call.input_tokens if call else None,
        output_tokens=call.output_tokens if call else None,
        cost_usd=call.cost_usd if call else None,
        tool=tool.name if tool else "",
        input=tool.arguments if tool else input_of(span, logs).value if has_content else None,
        output=tool.result if tool else output_of(span, logs).value if has_content else None,
    )


def _kind(span: SpanFacts, call: LlmCall | None) -> StepKind:
    if call is not None:
        return StepKind.CALL
    if tool_dialect(span) is not None:
        return StepKind.TOOL
    if span.is_root:
        return StepKind.RUN
    return StepKind.STEP if span.name.startswith("botanu.step/") else StepKind.SPAN


def _name(span: SpanFacts) -> str:
    return (span.name.removeprefix("botanu.step/").removeprefix("botanu.run/") or "no name")[:_LONGEST_NAME]


def shown_steps(steps: Sequence[Step]) -> Markup:
    """The steps as a list; says so where there are none."""
    if not steps:
        return Markup(
            '<div class="shown"><p class="c-more">No spans: this run was reported without them.</p></div>'
        )
    left = _MOST_CONTENT
    rows: list[str] = []
    for step in steps:
        contents, used = _contents(step, left)
        left -= used
        rows.append(_row(step, contents))
    more = f'<p class="c-more">Only the first {MOST_STEPS} steps.</p>' if len(steps) >= MOST_STEPS else ""
    html = f'<div class="shown"><ol class="c-steps">{"".join(rows)}</ol>{more}</div>'
    return Markup(html)  # noqa: S704 - made of escaped pieces only


def _row(step: Step, contents: str) -> str:
    facts = [step.kind.value, _milliseconds(step.duration_ms) if step.duration_ms is not None else "did not end"]
    if step.model:
        facts.append(step.model[:_LONGEST_NAME])
    if step.tool and step.tool not in step.name:
        facts.append(step.tool)
    if step.input_tokens is not None or step.output_tokens is not None:
        facts.append(f"{_count(step.input_tokens)} → {_count(step.output_tokens)} tokens")
    if step.kind is StepKind.CALL:
        facts.append(dollars(step.cost_usd))
    failed = (
        f'<p class="c-failure">failed{": " if step.message else ""}{inert(step.message)}</p>' if step.failed else ""
    )
    told = "".join(f'<span class="c-fact">{inert(fact)}</span>' for fact in facts)
    return (
        f'<li class="c-step c-depth-{min(step.depth, _DEEPEST)}"><p class="c-what"><span class="c-after">'
        f'+{_milliseconds(step.after_ms)}</span> <span class="c-name">{inert(step.name)}</span> {told}</p>'
        f"{failed}{contents}</li>"
    )


def _contents(step: Step, left: int) -> tuple[str, int]:
    parts: list[str] = []
    used = 0
    for word, value in (("Input", step.input), ("Output", step.output)):
        if value is None:
            continue
        if used >= left:
            parts.append(f'<p class="c-more">{word} left out: this page is long enough.</p>')
            continue
        shown = rendered(value, limit=_FOLDED_AT)
        used += min(shown.characters, _FOLDED_AT)
        folded = f" of {plural(shown.characters, 'character')}, folded" if shown.folded else ""
        parts.append(f'<details class="c-node"><summary>{word}{folded}</summary>{shown.html}</details>')
    return "".join(parts), used


def _milliseconds(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds < 1_000 else f"{milliseconds / 1_000:,.1f} s"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"
