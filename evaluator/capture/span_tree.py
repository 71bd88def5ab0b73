"""Which span belongs to which run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from evaluator.capture.dialects import speaks_genai
from evaluator.capture.span_facts import LogFacts, SpanFacts

JUDGE_MARK = "adjudge.judge"
"""Attribute or resource attribute on traces of our own judge calls."""

SpanKey = tuple[str, str]


def unique_spans(spans: Iterable[SpanFacts]) -> dict[SpanKey, SpanFacts]:
    """Each span once and in time order, without our own judge calls and all that happened beneath them."""
    unique: dict[SpanKey, SpanFacts] = {}
    for span in sorted(spans, key=lambda span: (span.order, span.name, span.status_code)):
        unique.setdefault(span.key, span)
    judging = {key for key, span in unique.items() if JUDGE_MARK in span.attributes or JUDGE_MARK in span.resource}
    if not judging:
        return unique
    beneath = _inherited(dict.fromkeys(judging, "judge"), unique)
    return {key: span for key, span in unique.items() if key not in beneath}


def runs_of(spans: Mapping[SpanKey, SpanFacts]) -> dict[str, list[SpanFacts]]:
    """Run id → its spans in time order; spans that belong to no run are left out.

    A trace without any Botanu run is one run, named by the trace id, where an LLM or an agent is at work in it.
    """
    traces: dict[str, dict[SpanKey, SpanFacts]] = {}
    for key, span in spans.items():
        traces.setdefault(span.trace_id, {})[key] = span
    runs: dict[str, list[SpanFacts]] = {}
    for trace_id, trace in traces.items():
        for key, run_id in _run_ids(trace_id, trace).items():
            runs.setdefault(run_id, []).append(trace[key])
    return {run_id: sorted(runs[run_id], key=lambda span: span.order) for run_id in sorted(runs)}


def own_run_id(span: SpanFacts) -> str | None:
    """The run the span itself names; a root that names none stands for a run of its own."""
    if span.run_id or not span.is_root:
        return span.run_id
    return f"{span.trace_id}{span.span_id}"


class LogOwners:
    """Which run a log record belongs to."""

    def __init__(self, runs: Mapping[str, Sequence[SpanFacts]]) -> None:
        self._by_span: dict[SpanKey, str] = {}
        self._by_trace: dict[str, set[str]] = {}
        self._roots: dict[str, list[tuple[str, SpanFacts]]] = {}
        for run_id, spans in runs.items():
            for span in spans:
                self._by_span[span.key] = run_id
                self._by_trace.setdefault(span.trace_id, set()).add(run_id)
                if span.is_root:
                    self._roots.setdefault(span.trace_id, []).append((run_id, span))

    def run_of(self, log: LogFacts) -> str | None:
        """Its span's run, else the only run of its trace, else the innermost at its time."""
        run_id = self._by_span.get((log.trace_id, log.span_id))
        in_trace = self._by_trace.get(log.trace_id, set())
        if run_id is not None or not in_trace:
            return run_id
        if len(in_trace) == 1:
            return next(iter(in_trace))
        return _innermost(log.time_ns, self._roots.get(log.trace_id, ()))


def _run_ids(trace_id: str, trace: Mapping[SpanKey, SpanFacts]) -> dict[SpanKey, str]:
    own = {key: run_id for key, span in trace.items() if (run_id := own_run_id(span))}
    if not own:
        return dict.fromkeys(trace, trace_id) if any(map(speaks_genai, trace.values())) else {}
    joined = _inherited(own, trace)
    only = next(iter(set(own.values()))) if len(set(own.values())) == 1 else None
    roots = [(own[key], span) for key, span in trace.items() if span.is_root]
    above_roots: set[SpanKey] = set()
    for _, root in roots:
        _add_ancestors(root, trace, above_roots)
    for key, span in trace.items():
        if key not in joined and key not in above_roots:
            run_id = only or _innermost(span.start_ns, roots)
            if run_id:
                joined[key] = run_id
    return joined


def _inherited(own: Mapping[SpanKey, str], spans: Mapping[SpanKey, SpanFacts]) -> dict[SpanKey, str]:
    """Each span's own mark, else that of its nearest ancestor that has one; spans without either are left out."""
    found: dict[SpanKey, str | None] = dict(own)
    for key in spans:
        path: list[SpanKey] = []
        at: SpanKey | None = key
        while at is not None and at in spans and at not in found:
            found[at] = None
            path.append(at)
            parent = spans[at].parent_span_id
            at = (spans[at].trace_id, parent) if parent else None
        mark = found.get(at) if at is not None else None
        for passed in path:
            found[passed] = mark
    return {key: mark for key, mark in found.items() if mark is not None}


def _add_ancestors(span: SpanFacts, spans: Mapping[SpanKey, SpanFacts], found: set[SpanKey]) -> None:
    at = (span.trace_id, span.parent_span_id or "")
    while at in spans and at not in found:
        found.add(at)
        at = (span.trace_id, spans[at].parent_span_id or "")


def _innermost(time_ns: int, roots: Iterable[tuple[str, SpanFacts]]) -> str | None:
    """The run whose root lasted over this time and began last."""
    around = [(root.order, run_id) for run_id, root in roots if root.start_ns <= time_ns <= root.end_ns]
    return max(around)[1] if around else None
