"""The content of a run: its root's own, else that of its LLM calls, else of whatever span has any."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from evaluator.capture.dialects import best_of, input_of, langfuse_trace, output_of, retrieval_of
from evaluator.capture.llm_calls import grouped_calls
from evaluator.capture.run_tools import tools_of
from evaluator.capture.span_facts import LogFacts, SpanFacts
from evaluator.capture.span_tree import SpanKey
from evaluator.capture.tool_spans import tool_dialect
from evaluator.model.capture import Capture, Fidelity, Passage
from evaluator.model.columns import canonical_json

_ERROR = 2
_MARKER = re.compile(rb"\[REDACTED:([a-z_]{2,20})\]")


def capture_of(root: SpanFacts | None, spans: Sequence[SpanFacts], logs: Sequence[LogFacts]) -> Capture:
    """Input, output, retrieval and tool calls of a run from its spans in time order and the log records joined to them."""
    by_span: dict[SpanKey, list[LogFacts]] = {}
    for log in logs:
        by_span.setdefault((log.trace_id, log.span_id), []).append(log)
    input_, output = _sides(root, spans, by_span)
    retrieval, tools = retrieval_of(spans), tools_of(spans, by_span)
    return Capture(
        input=input_,
        output=output,
        retrieval=retrieval,
        tools=tools,
        redactions=redactions_in(input_, output, retrieval, tools),
    )


def redactions_in(*passages: Passage) -> dict[str, int]:
    """How many stretches were replaced, by kind, as the markers in the content show."""
    data = canonical_json([passage.value for passage in passages])
    return dict(sorted(Counter(kind.decode() for kind in _MARKER.findall(data)).items()))


def _sides(
    root: SpanFacts | None, spans: Sequence[SpanFacts], logs: Mapping[SpanKey, Sequence[LogFacts]]
) -> tuple[Passage, Passage]:
    calls = [call for call in grouped_calls(spans) if not any(map(_embeds, call))]
    in_calls = {span.key for call in calls for span in call}
    around = [span for span in spans if span is not root and span.key not in in_calls and not _is_tool(span)]
    # read only as far as it takes: most roots have content of their own
    inputs = (best_of(input_of(span, logs.get(span.key, ())) for span in call) for call in calls)
    answered = [call for call in calls if any(span.status_code != _ERROR for span in call)] or calls
    last_first = sorted(answered, key=lambda call: max((span.end_ns, span.order) for span in call), reverse=True)
    outputs = (best_of(output_of(span, logs.get(span.key, ())) for span in call) for call in last_first)
    around_last_first = sorted(around, key=lambda span: (-span.end_ns, span.order))
    own_input = input_of(root, logs.get(root.key, ())) if root else Passage()
    own_output = output_of(root, logs.get(root.key, ())) if root else Passage()
    return (
        _first_there(
            (best_of((own_input, langfuse_trace(spans, "input"))),),
            _nearest(inputs),
            (input_of(span) for span in around),
        ),
        _first_there(
            (best_of((own_output, langfuse_trace(spans, "output"))),),
            _nearest(outputs),
            (output_of(span) for span in around_last_first),
        ),
    )


def _first_there(*sources: Iterable[Passage]) -> Passage:
    there = (passage for passage in chain(*sources) if passage.fidelity is not Fidelity.MISSING)
    return next(there, Passage())


def _nearest(passages: Iterable[Passage]) -> Iterator[Passage]:
    """The first passage; where the clients' sampling left it out, the next one stands in and is marked partial."""
    for place, passage in enumerate(passages):
        if passage.fidelity is not Fidelity.MISSING:
            yield passage if place == 0 else passage.model_copy(update={"fidelity": Fidelity.PARTIAL})
            return


def _embeds(span: SpanFacts) -> bool:
    names = ("gen_ai.operation.name", "openinference.span.kind", "ai.operationId", "llm.request.type")
    return any("embed" in str(span.attributes.get(name, "")).lower() for name in names)


def _is_tool(span: SpanFacts) -> bool:
    kind = str(span.attributes.get("openinference.span.kind") or "").upper()
    return kind in ("RETRIEVER", "RERANKER", "EMBEDDING", "GUARDRAIL") or tool_dialect(span) is not None
