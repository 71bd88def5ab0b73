"""How the deployment stands, as JSON: what the status page and `adjudge status` show."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from evaluator.api.access import DeploymentHere, Reader
from evaluator.api.answers import json_answer
from evaluator.api.problems import Problem
from evaluator.model.columns import utc_now
from evaluator.situation import Situation, situation_of

router = APIRouter(tags=["status"])


@router.get(
    "/v1/status",
    summary="Counts per stage, what waits and why",
    responses={200: {"model": Situation}, 401: {"model": Problem}, 403: {"model": Problem}},
)
def read_status(deployment: DeploymentHere, _key: Reader) -> Response:
    """One look at everything; holds no captured content."""
    return json_answer(situation_of(deployment, utc_now()))
