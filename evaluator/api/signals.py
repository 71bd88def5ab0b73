"""Signals of systems of record: the strongest evidence about an event's outcome."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from evaluator import pipeline
from evaluator.api.access import DeploymentHere, Reporter
from evaluator.api.answers import json_answer
from evaluator.api.problems import Problem
from evaluator.api.request_json import parse_json, read_limited, validated
from evaluator.capture.span_intake import bounded_id
from evaluator.errors import BadInput
from evaluator.model.columns import canonical_json, utc_now
from evaluator.model.outcome import FinalOutcome, Outcome, OutcomeType, Signal, SignalSource
from evaluator.settlement import signal_id

router = APIRouter(tags=["events"])

MOST_BYTES = 256_000
FURTHEST_AHEAD = timedelta(days=1)
"""Clocks differ; a signal from further ahead would outweigh all that is reported until then."""

_TYPE_OF = {
    FinalOutcome.PENDING: OutcomeType.PENDING,
    FinalOutcome.SUCCESS: OutcomeType.CUSTOM,
    FinalOutcome.PARTIAL: OutcomeType.CUSTOM,
}

Text = Annotated[str, Field(max_length=2000)]


class SignalReport(BaseModel):
    """What a system of record says of an event."""

    model_config = ConfigDict(extra="forbid")

    outcome: FinalOutcome = Field(description="pending takes back what systems of record said before.")
    outcome_type: OutcomeType | None = Field(
        default=None,
        description="Left out: PENDING for pending, CUSTOM for success and partial, UNSUCCESSFUL otherwise.",
    )
    value_amount: (
        Annotated[Decimal, Field(max_digits=18, decimal_places=10, ge=-900_000_000, le=900_000_000)] | None
    ) = None
    value_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="ISO 4217; USD where only an amount is given."
    )
    reason: Text = ""
    origin: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="The system that says so.", examples=["zendesk"]
    )
    reference: Annotated[str, Field(max_length=400)] = Field(
        default="",
        description="The system's own id of what it reports: the same origin and reference are the same signal. "
        "Left out: a hash of the content and of occurred_at.",
    )
    occurred_at: AwareDatetime | None = Field(default=None, description="RFC 3339; left out: now.")
    facts: dict[str, Any] = Field(default_factory=dict, description="Kept with the signal and shown, not read.")


class SignalTaken(BaseModel):
    """The signal as stored, and the outcome now in force."""

    signal: Signal
    outcome: Outcome


async def body_of(request: Request) -> Any:
    return parse_json(await read_limited(request, MOST_BYTES), request.headers)


@router.post(
    "/v1/events/{event_id:path}/signals",
    summary="Report what a system of record knows of an event",
    responses={
        200: {"model": SignalTaken},
        400: {"model": Problem, "description": "Names the field; nothing was stored."},
        401: {"model": Problem},
        403: {"model": Problem},
        409: {"model": Problem, "description": "The same origin and reference was reported with other content."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": SignalReport.model_json_schema(ref_template="#/components/schemas/{model}"),
                    "example": {
                        "outcome": "success",
                        "outcome_type": "DEFLECTED",
                        "origin": "zendesk",
                        "reference": "4711/solved",
                        "value_amount": "12.50",
                        "value_currency": "USD",
                    },
                }
            },
        }
    },
)
def report_signal(
    deployment: DeploymentHere,
    key: Reporter,
    event_id: Annotated[str, Path(description="May hold slashes, plain or as %2F.")],
    body: Annotated[Any, Depends(body_of)],
) -> Response:
    """Takes effect at once and outranks people and judges; of several signals the one that occurred last decides.

    An event that is not known yet may be reported on; its runs may come later.
    """
    report = validated(SignalReport, body)
    signal = _signal(bounded_id(event_id), report, key.name, utc_now())
    outcome = pipeline.report_signal(
        deployment, signal, actor=f"key {key.hint} ({key.name})", dated=report.occurred_at is not None
    )
    return json_answer({"signal": signal, "outcome": in_force(outcome, signal.event_id)})


def in_force(outcome: Outcome | None, event_id: str) -> Outcome:
    """The outcome in force; an event that never had evidence is pending, revision 0."""
    return outcome or Outcome(event_id=event_id, revision=0, position=0, reason="Nothing has been reported yet.")


def _signal(event_id: str, report: SignalReport, reporter: str, now: datetime) -> Signal:
    if not event_id.strip():
        raise BadInput("The path names no event.", hint="POST /v1/events/EVENT-ID/signals")
    occurred_at = report.occurred_at or now
    if occurred_at > now + FURTHEST_AHEAD:
        raise BadInput(
            f"occurred_at: {occurred_at.isoformat()} lies more than a day ahead of this server's clock.",
            hint="Check the reporting system's clock and time zone.",
        )
    reference = report.reference or _content_reference(event_id, report, occurred_at)
    amount = report.value_amount
    return Signal(
        signal_id=signal_id(SignalSource.SOR, report.origin, reference),
        event_id=event_id,
        source=SignalSource.SOR,
        outcome=report.outcome,
        outcome_type=report.outcome_type or _TYPE_OF.get(report.outcome, OutcomeType.UNSUCCESSFUL),
        value_amount=amount,
        value_currency=report.value_currency or ("USD" if amount is not None else None),
        reason=report.reason,
        origin=report.origin,
        reference=reference,
        occurred_at=occurred_at,
        recorded_at=now,
        reported_by=reporter,
        facts=report.facts,
    )


def _content_reference(event_id: str, report: SignalReport, occurred_at: datetime) -> str:
    content = report.model_dump(mode="json", exclude={"reference", "occurred_at"})
    return sha256(canonical_json([event_id, content, occurred_at.isoformat()])).hexdigest()[:32]
