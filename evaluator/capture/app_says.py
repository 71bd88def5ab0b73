"""What the application and other tools say of a run: diagnostics, correlations, evaluations. Shown, never authoritative."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evaluator.capture.captured_text import without_nul
from evaluator.capture.execution import instant
from evaluator.capture.span_facts import LogFacts, SpanFacts

_OUTCOME = "botanu.outcome."
_METADATA = "botanu.outcome.metadata."
_CORRELATION = "botanu.correlation."
_FIELDS = ("value_type", "value_amount", "confidence", "reason", "error_type")
_EMITTED = "botanu.outcome_emitted"
_EVALUATED = "gen_ai.evaluation.result"


def diagnostics_of(spans: Sequence[SpanFacts], logs: Sequence[LogFacts]) -> dict[str, Any]:
    """What the run's spans carry of `emit_outcome`, the last write of each field.

    First-generation clients also claim an outcome: under `claimed`, each with status, via and time; never used as one.
    """
    found: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for span in sorted(spans, key=_written_at):
        for name, value in span.attributes.items():
            if value is None or not name.startswith(_OUTCOME):
                continue
            if name.startswith(_METADATA):
                metadata[name.removeprefix(_METADATA)] = without_nul(value)
            elif (field := name.removeprefix(_OUTCOME)) in _FIELDS and not (
                field == "error_type" and value == "None"
            ):
                found[field] = without_nul(value)
    claimed = _claimed(spans, logs)
    return {**found, **({"metadata": metadata} if metadata else {}), **({"claimed": claimed} if claimed else {})}


def correlations_of(spans: Iterable[SpanFacts]) -> dict[str, Any]:
    """Keys that join systems of record, the last write of each."""
    return {
        name.removeprefix(_CORRELATION): without_nul(value)
        for span in spans
        for name, value in span.attributes.items()
        if name.startswith(_CORRELATION) and value is not None
    }


def evaluations_of(spans: Sequence[SpanFacts], logs: Sequence[LogFacts]) -> list[dict[str, Any]]:
    """Scores that other tools sent along, each with name, score, label and explanation, each once."""
    told: list[Mapping[str, Any]] = []
    for span in spans:
        events = (event["attributes"] for event in span.span_events if event.get("name") == _EVALUATED)
        told += [_evaluation(fields, "gen_ai.evaluation.", "score.value", "score.label") for fields in events]
        told += [_evaluation(fields, "", "score", "label") for fields in _openinference(span)]
    told += [
        _evaluation(log.attributes, "gen_ai.evaluation.", "score.value", "score.label")
        for log in logs
        if log.name == _EVALUATED
    ]
    unique = {repr(evaluation): dict(evaluation) for evaluation in told if evaluation["name"]}
    return [unique[key] for key in sorted(unique)]


def _written_at(span: SpanFacts) -> tuple[int, tuple[int, int, str, str]]:
    """When the span's diagnostics were written: its last emission, else its end."""
    emitted = [event.get("time_ns", 0) for event in span.span_events if event.get("name") == _EMITTED]
    return max(emitted, default=span.end_ns), span.order


def _claimed(spans: Sequence[SpanFacts], logs: Sequence[LogFacts]) -> list[dict[str, Any]]:
    claims: list[tuple[int, str, str]] = []
    for span in spans:
        for event in span.span_events:
            status = event["attributes"].get("status") if event.get("name") == _EMITTED else None
            if status:
                claims.append((event.get("time_ns", 0), "span_event", str(status)))
        if span.attributes.get("botanu.outcome.status"):
            claims.append((span.end_ns, "attribute", str(span.attributes["botanu.outcome.status"])))
    for log in logs:
        if log.scope == "botanu.outcome":
            said = log.attributes.get("botanu.outcome.status") or str(log.body or "").removeprefix("outcome:")
            claims.append((log.time_ns, "log", str(said)))
    return [
        {"status": status, "via": via, "at": instant(at).isoformat()}
        for at, via, status in sorted(claims)
        if status
    ]


def _evaluation(fields: Mapping[str, Any], prefix: str, score: str, label: str) -> dict[str, Any]:
    name = fields.get(f"{prefix}name")
    return {
        "name": None if name is None else str(name),
        "score": fields.get(prefix + score),
        "label": fields.get(prefix + label),
        "explanation": without_nul(fields.get(f"{prefix}explanation")),
    }


def _openinference(span: SpanFacts) -> list[dict[str, Any]]:
    """`evaluations.N.evaluation.field` as one mapping per N."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in span.attributes.items():
        if name.startswith("evaluations."):
            index, _, field = name.removeprefix("evaluations.").partition(".evaluation.")
            groups.setdefault(index, {})[field] = value
    return [groups[index] for index in sorted(groups)]
