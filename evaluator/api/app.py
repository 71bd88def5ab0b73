"""The HTTP API as one application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import CapacityLimiter
from fastapi import FastAPI

from evaluator.api import events, feed, health, intake, keys, review_api, rubric_api, runs, signals, status
from evaluator.api.access import KeyRing
from evaluator.api.intake import Intake
from evaluator.api.problems import Edge, install_problems
from evaluator.capture.otlp import assert_fast_protobuf
from evaluator.capture.redaction import Redactor
from evaluator.deployment import Deployment

DESCRIPTION = """\
What each AI event achieved: send runs in, pull rollups and outcomes out.

Keys go in `Authorization: Bearer` or `x-api-key` and carry scopes: ingest, read, report, review, admin.
Money is decimal text in US dollars unless a currency stands beside it; times are RFC 3339 in UTC.
Errors are `application/problem+json` (OTLP paths: `google.rpc.Status` in the request's content type).
A 503 may be sent again after Retry-After; nothing of a refused request was stored.
"""


def create_app(deployment: Deployment, *, engine_status: Callable[[], bool] | None = None) -> FastAPI:
    """The API over a deployment; `engine_status` says whether a worker runs in this process.

    The interactive documentation is off: its pages load scripts from elsewhere. /openapi.json is on.
    """
    assert_fast_protobuf()
    settings = deployment.settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.intake.close()

    app = FastAPI(
        title="Adjudge",
        version=version("adjudge"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.deployment = deployment
    app.state.keys = KeyRing(deployment)
    app.state.lint_turns = CapacityLimiter(rubric_api.LINTS_AT_ONCE)
    app.state.redactor = Redactor(settings.redact_extra, enabled=settings.redact)
    app.state.intake = Intake(deployment, app.state.keys)
    app.state.engine_status = engine_status or (lambda: False)
    for part in (intake, runs, feed, signals, events, rubric_api, review_api, status, keys, health):
        app.include_router(part.router)
    install_problems(app)
    app.add_middleware(Edge, deployment=deployment)
    return app
