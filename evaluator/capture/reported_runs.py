"""Runs reported whole as plain JSON, by applications without OpenTelemetry and by `adjudge import`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from hashlib import sha256
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from evaluator.capture.assembly import AssembledRun
from evaluator.capture.captured_text import read_text, value_fidelity, without_nul
from evaluator.capture.chat_messages import as_input, as_output
from evaluator.capture.llm_calls import Price
from evaluator.capture.redaction import Redactor
from evaluator.capture.run_content import redactions_in
from evaluator.capture.run_tools import MOST_CALLS, tools_in_messages
from evaluator.errors import Malformed
from evaluator.model.capture import Capture, Passage
from evaluator.model.columns import canonical_json
from evaluator.model.run import ClosedBy, ExecutionStatus, Run, RunState

_LARGEST_CONTENT = 4_000_000
_LARGEST_DETAILS = 64_000
_DIALECT = "report"
_STATUS_WORDS = {
    "ok": "success",
    "completed": "success",
    "failure": "failed",
    "error": "failed",
    "canceled": "cancelled",
}


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_status(value: Any) -> Any:
    word = value.strip().lower() if isinstance(value, str) else value
    return _STATUS_WORDS.get(word, word) if isinstance(word, str) else word


Key = Annotated[str, BeforeValidator(_as_text), Field(min_length=1, max_length=400)]
_LONGEST_ERROR = 4000


def _known_only(data: Any, fields: Iterable[str]) -> Any:
    if not isinstance(data, dict):
        return data
    unknown = [str(name)[:60] for name in data if name not in fields]
    if unknown:
        nearest = get_close_matches(unknown[0], fields, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(fields)}."
        raise ValueError(f"unknown field {unknown[0]!r}; {hint}")
    return data


class ReportedToolCall(BaseModel):
    """One call of a tool; only its name is required."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    arguments: Any = None
    """Any JSON; a text that is JSON is parsed."""
    result: Any = None
    error: Annotated[str, Field(min_length=1, max_length=_LONGEST_ERROR)] | None = None
    """What went wrong, where it failed."""

    @model_validator(mode="before")
    @classmethod
    def _known_fields_only(cls, data: Any) -> Any:
        return _known_only(data, cls.model_fields)


Count = Annotated[int, Field(ge=0, lt=10**12)]


class ReportedRun(BaseModel):
    """One run as an application reports it; only event_id is required."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    event_id: Key
    run_id: Key | None = None
    """Left out: a hash of event, start and content, so that sending again doubles nothing."""
    workflow: Annotated[str, Field(max_length=400)] = ""
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    status: Annotated[ExecutionStatus, BeforeValidator(_as_status)] = ExecutionStatus.SUCCESS
    """How it ended technically: success, failed, cancelled or unknown; never an outcome."""
    error_type: Annotated[str, Field(max_length=300)] | None = None
    input: Any = None
    output: Any = None
    retrieval: Any = None
    """A list of texts or documents; a single one counts as a list of one."""
    tools: Annotated[list[ReportedToolCall], Field(max_length=MOST_CALLS)] | None = None
    """Tool calls in time order; left out, they are taken from chat messages in input and output."""
    customer_id: Key | None = None
    tenant_id: Key | None = None
    environment: Key | None = None
    service: Key | None = None
    workflow_version: Key | None = None
    parent_run_id: Key | None = None
    root_run_id: Key | None = None
    retry_of_run_id: Key | None = None
    attempt: Annotated[int, Field(ge=0, lt=10**6)] | None = None
    diagnostics: dict[str, Any] = {}
    correlations: dict[str, Any] = {}
    cost_usd: Annotated[Decimal, Field(ge=0, lt=10**8)] | None = None
    models: Annotated[list[Key], Field(max_length=100)] = []
    input_tokens: Count | None = None
    output_tokens: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_fields_only(cls, data: Any) -> Any:
        return _known_only(data, cls.model_fields)

    @model_validator(mode="after")
    def _of_a_sane_size(self) -> ReportedRun:
        for names, limit in (
            (("input", "output", "retrieval"), _LARGEST_CONTENT),
            (("diagnostics", "correlations"), _LARGEST_DETAILS),
        ):
            for name in names:
                if _json_size(name, getattr(self, name)) > limit:
                    raise ValueError(f"{name} is larger than {limit} bytes of JSON")
        if _json_size("tools", [call.model_dump() for call in self.tools or ()]) > _LARGEST_CONTENT:
            raise ValueError(f"tools is larger than {_LARGEST_CONTENT} bytes of JSON")
        if self.started_at and self.ended_at and self.ended_at < self.started_at:
            raise ValueError("ended_at is before started_at")
        return self


def _json_size(name: str, value: Any) -> int:
    try:
        return len(canonical_json(value))
    except TypeError as error:  # lone surrogates, numbers beyond 64 bits, a thousand levels of nesting
        raise ValueError(f"{name} is not JSON that can be stored: {error}") from None


def read_report(document: Any) -> ReportedRun:
    """The run in a JSON object; raises Malformed naming each field that is wrong, never its content."""
    try:
        return ReportedRun.model_validate(document)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'run'}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise Malformed("; ".join(problems[:5])) from None


def run_from_report(
    reported: ReportedRun, redactor: Redactor, now: datetime, *, price: Price | None = None
) -> AssembledRun:
    """The run, ready to be judged; its cost is the reported one, else the price of its one model's tokens."""
    capture = _capture(reported, redactor)
    started_at = reported.started_at or reported.ended_at or now
    ended_at = reported.ended_at
    cost = _cost(reported, price)
    run = Run(
        run_id=reported.run_id or _run_id(reported),
        state=RunState.READY,
        closed_by=ClosedBy.REPORT,
        execution_status=reported.status,
        started_at=started_at,
        ended_at=ended_at,
        duration_ms=(ended_at - started_at).total_seconds() * 1000 if ended_at and reported.started_at else None,
        diagnostics=without_nul(redactor.redact_value(reported.diagnostics)[0]),
        correlations=without_nul(reported.correlations),
        fidelity=capture.fidelity,
        content_hash=capture.content_hash,
        cost_total_usd=cost,
        unpriced_calls=int(cost is None and bool(reported.models)),
        last_arrival_at=now,
        assembled_at=now,
        **reported.model_dump(include=set(_SAME)),
    )
    return AssembledRun(run=run, capture=capture)


_SAME = frozenset(
    [
        "event_id",
        "workflow",
        "error_type",
        "customer_id",
        "tenant_id",
        "environment",
        "service",
        "workflow_version",
        "parent_run_id",
        "root_run_id",
        "retry_of_run_id",
        "attempt",
        "models",
        "input_tokens",
        "output_tokens",
    ]
)
"""Fields that a report and a run have alike."""


def _run_id(reported: ReportedRun) -> str:
    started = reported.started_at.isoformat() if reported.started_at else None
    told = [reported.event_id, started, reported.input, reported.output, reported.retrieval]
    if reported.tools:
        told.append([call.model_dump() for call in reported.tools])
    return f"r{sha256(canonical_json(told)).hexdigest()[:31]}"


def _capture(reported: ReportedRun, redactor: Redactor) -> Capture:
    retrieval = reported.retrieval
    if retrieval is not None and not isinstance(retrieval, list):
        retrieval = [retrieval]
    input_ = _passage(reported.input, redactor)
    output = _passage(reported.output, redactor)
    if input_.value is not None:
        input_ = input_.model_copy(update={"value": as_input(input_.value)})
    if output.value is not None:
        output = output.model_copy(update={"value": as_output(output.value)})
    retrieved = _passage(retrieval, redactor)
    tools = _tools(reported, redactor, input_, output)
    return Capture(
        input=input_,
        output=output,
        retrieval=retrieved,
        tools=tools,
        redactions=redactions_in(input_, output, retrieved, tools),
    )


def _tools(reported: ReportedRun, redactor: Redactor, input_: Passage, output: Passage) -> Passage:
    if reported.tools is None:
        return tools_in_messages(input_.value, output.value)
    calls = [call.model_dump(exclude_none=True) for call in reported.tools]
    for call in calls:
        for part in ("arguments", "result"):
            if isinstance(call.get(part), str):
                call[part] = read_text(call[part])[0]
    return _passage(calls or None, redactor)


def _passage(value: Any, redactor: Redactor) -> Passage:
    if value is None:
        return Passage()
    value = without_nul(redactor.redact_value(value)[0])
    return Passage(value=value, fidelity=value_fidelity(value), dialect=_DIALECT)


def _cost(reported: ReportedRun, price: Price | None) -> Decimal | None:
    if reported.cost_usd is not None or price is None or len(reported.models) != 1:
        return reported.cost_usd
    return price(reported.models[0], None, reported.input_tokens, reported.output_tokens, None)
