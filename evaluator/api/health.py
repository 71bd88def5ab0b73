"""Whether the process lives and whether it can work."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from evaluator.api.access import DeploymentHere
from evaluator.api.answers import json_answer
from evaluator.api.problems import as_adjudge_error
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.pipeline import WORKER_SILENCE
from evaluator.store.operations import live_workers
from evaluator.store.schema import HEAD, schema_revision

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive?")
async def alive() -> dict[str, str]:
    """Needs no database: a process that answers is not to be restarted because its database is."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can it work?",
    responses={
        200: {"content": {"application/json": {"example": {"ready": True, "missing": []}}}},
        503: {
            "content": {
                "application/json": {"example": {"ready": False, "missing": ["no worker has said so lately"]}}
            }
        },
    },
)
def ready(request: Request, deployment: DeploymentHere) -> Response:
    """Ready when the database is reachable and at this release's schema, and a worker runs here or elsewhere."""
    runs_here: bool = request.app.state.engine_status()
    missing = what_is_missing(deployment, worker_here=runs_here)
    answer: dict[str, Any] = {"ready": not missing, "missing": missing}
    return json_answer(answer, status=503 if missing else 200)


def what_is_missing(deployment: Deployment, *, worker_here: bool) -> list[str]:
    """What keeps this process from working, in words; empty when nothing does."""
    try:
        with deployment.database.read() as connection:
            found = schema_revision(connection)
            if found != HEAD:
                return [f"The database is at schema {found or 'none'}; this release needs {HEAD}."]
            workers = live_workers(connection, seen_after=utc_now() - WORKER_SILENCE)
    except Exception as error:
        if as_adjudge_error(error) is None:
            raise
        return ["The database is out of reach."]
    if worker_here or workers:
        return []
    return ["No worker has said so lately: start `adjudge worker`, or serve without --no-worker."]
