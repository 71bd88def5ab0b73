"""How a run ended technically, from its root span; never an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from evaluator.capture.span_facts import SpanFacts
from evaluator.model.run import ExecutionStatus

_ERROR = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAILED_WORDS = frozenset(("failure", "failed", "error", "timeout"))
_CANCELLED_WORDS = frozenset(("cancelled", "canceled"))
_LONGEST = 300


@dataclass(frozen=True)
class Execution:
    """The end of a run; unknown while its root has not arrived."""

    status: ExecutionStatus = ExecutionStatus.UNKNOWN
    error_type: str | None = None
    duration_ms: float | None = None


def ended_how(root: SpanFacts | None) -> Execution:
    """Status, error type and duration as the root span, its completion event and its exceptions tell."""
    if root is None:
        return Execution()
    completed = [event["attributes"] for event in root.span_events if event.get("name") == "botanu.run.completed"]
    status = _status(root, {str(fields.get("status", "")).lower() for fields in completed})
    error_type = None
    if status is not ExecutionStatus.SUCCESS:
        classes = [fields.get("error_class") for fields in completed]
        classes += [event["attributes"].get("exception.type") for event in root.span_events]
        classes.append(root.attributes.get("error.type"))
        error_type = next((str(name)[:_LONGEST] for name in classes if name and name != "None"), None)
    return Execution(status, error_type, _duration_ms(root))


def instant(time_ns: int) -> datetime:
    """Nanoseconds since 1970 as an aware time."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def _status(root: SpanFacts, completed: set[str]) -> ExecutionStatus:
    cancelled_event = any(event.get("name") == "botanu.run.cancelled" for event in root.span_events)
    if cancelled_event or _is_true(root.attributes.get("botanu.run.cancelled")) or completed & _CANCELLED_WORDS:
        return ExecutionStatus.CANCELLED
    if root.status_code == _ERROR or completed & _FAILED_WORDS:
        return ExecutionStatus.FAILED
    return ExecutionStatus.SUCCESS


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _duration_ms(root: SpanFacts) -> float | None:
    told = root.attributes.get("botanu.run.duration_ms")
    if isinstance(told, (int, float)) and not isinstance(told, bool):
        return float(told)
    return (root.end_ns - root.start_ns) / 1e6 if root.end_ns >= root.start_ns > 0 else None
