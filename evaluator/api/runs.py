"""Runs reported whole, as JSON, by what has no OpenTelemetry."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from evaluator import pipeline
from evaluator.api.access import DeploymentHere, Ingester
from evaluator.api.answers import json_answer
from evaluator.api.problems import Problem
from evaluator.api.request_json import parse_json, read_limited, validated_all
from evaluator.capture.otlp import read_body
from evaluator.capture.price_table import price_of_call
from evaluator.capture.redaction import Redactor
from evaluator.capture.reported_runs import ReportedRun, run_from_report
from evaluator.errors import BadInput
from evaluator.model.columns import utc_now
from evaluator.store.runs import load_runs

router = APIRouter(tags=["intake"])

EXAMPLE = {
    "event_id": "ticket-4711",
    "workflow": "Support",
    "input": "Can I return opened headphones?",
    "output": "Yes, within 30 days of delivery.",
}


class TakenRuns(BaseModel):
    """Which runs were stored."""

    run_ids: list[str] = Field(description="In the order they came.")
    known: list[str] = Field(description="Those of them that were here before; the same content changes nothing.")


async def body_of(request: Request) -> Any:
    """The JSON of an intake request, within the limits of intake."""
    settings = request.app.state.deployment.settings
    most, most_decoded = int(settings.max_body_mb * 1_000_000), int(settings.max_decompressed_mb * 1_000_000)
    sent = await read_limited(request, most)
    return parse_json(read_body(sent, request.headers.get("content-encoding"), most, most_decoded), request.headers)


@router.post(
    "/v1/runs",
    summary="Report runs as JSON",
    responses={
        200: {"model": TakenRuns},
        400: {"model": Problem, "description": "Names each wrong item and field; nothing was stored."},
        401: {"model": Problem},
        403: {"model": Problem},
        413: {"model": Problem},
        503: {"model": Problem, "description": "Send it again after Retry-After."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": 'One run, a list of runs, or {"runs": […]}; all of them are stored, or none.',
            "content": {
                "application/json": {
                    "schema": {"type": ["object", "array"]},
                    "examples": {"one": {"value": EXAMPLE}, "several": {"value": {"runs": [EXAMPLE]}}},
                }
            },
        }
    },
)
def take_runs(
    deployment: DeploymentHere, _key: Ingester, request: Request, body: Annotated[Any, Depends(body_of)]
) -> Response:
    """Stored before it is answered; a run that is reported again with other content replaces what was known."""
    reported = validated_all(ReportedRun, _items(body))
    redactor: Redactor = request.app.state.redactor
    now = utc_now()
    assembled = [run_from_report(one, redactor, now, price=price_of_call) for one in reported]
    run_ids = [one.run.run_id for one in assembled]
    with deployment.database.read() as connection:
        known = load_runs(connection, set(run_ids))
    pipeline.report_runs(deployment, assembled)
    return json_answer({"run_ids": run_ids, "known": [run_id for run_id in run_ids if run_id in known]})


def _items(body: Any) -> list[Any]:
    if isinstance(body, dict) and body.keys() == {"runs"}:
        body = body["runs"]
        if not isinstance(body, list):
            raise BadInput("runs: a list of runs is needed here.")
    items = body if isinstance(body, list) else [body]
    if not items:
        raise BadInput("There is no run in this request.", hint="Send one run, a list, or {“runs”: […]}.")
    return items
