"""Events: the list, and the whole story of one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from evaluator import pipeline
from evaluator.api.access import DeploymentHere, Reader
from evaluator.api.answers import json_answer
from evaluator.api.cursors import list_cursor, list_place
from evaluator.api.problems import Problem
from evaluator.api.signals import in_force
from evaluator.api.story import CostStory, EventStory, story_of
from evaluator.capture.span_intake import bounded_id
from evaluator.deployment import Deployment
from evaluator.model.event import Event
from evaluator.model.outcome import FinalOutcome, Outcome
from evaluator.store.event_list import EventLine, list_events

router = APIRouter(tags=["events"])

MOST_PIECES = 200
"""Rounds of assembly before a story is told; each takes up to 50 traces of the event."""


class Coverage(BaseModel):
    """How many of the runs taken for judging have a verdict."""

    judged: int
    runs: int


class ListedEvent(BaseModel):
    """An event as the list shows it."""

    event: Event
    outcome: Outcome
    runs: int
    coverage: Coverage | None = Field(description="Of the rubric that covers least; null where no run was taken.")
    cost: CostStory


class EventPage(BaseModel):
    """Some events, newest activity first, and where to read on."""

    items: list[ListedEvent]
    next: str | None = Field(description="Pass it as `after`; null at the end.")


@router.get(
    "/v1/events",
    summary="Events, newest activity first",
    responses={
        200: {"model": EventPage},
        400: {"model": Problem},
        401: {"model": Problem},
        403: {"model": Problem},
    },
)
def read_events(
    deployment: DeploymentHere,
    _key: Reader,
    after: Annotated[str | None, Query(description="The `next` of the answer before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    workflow: Annotated[str | None, Query(description="Only this workflow.")] = None,
    outcome: Annotated[FinalOutcome | None, Query(description="Only with this final outcome now.")] = None,
) -> Response:
    """A list to look through; resolvers read /v1/outcomes, which passes nothing over."""
    place = list_place(after)
    with deployment.database.read() as connection:
        lines = list_events(connection, limit=limit + 1, after=place, workflow=workflow, outcome=outcome)
    more = len(lines) > limit
    lines = lines[:limit]
    last = lines[-1].event if lines else None
    cursor = list_cursor((last.last_activity_at, last.event_id)) if more and last is not None else None
    return json_answer({"items": [_listed(line) for line in lines], "next": cursor})


def _listed(line: EventLine) -> dict[str, Any]:
    return {
        "event": line.event,
        "outcome": in_force(line.outcome, line.event.event_id),
        "runs": line.runs,
        "coverage": None if line.coverage is None else {"judged": line.coverage[0], "runs": line.coverage[1]},
        "cost": CostStory(
            total_usd=line.cost.total,
            priced_part_usd=line.cost.priced_part,
            unpriced_runs=line.cost.unpriced_runs,
            judging_usd=line.judging_usd,
            judging_unpriced=line.judging_unpriced,
            review_usd=line.reviewing.usd,
            review_unpriced=line.reviewing.unpriced,
            review_seconds=line.reviewing.seconds,
        ),
    }


@router.get(
    "/v1/events/{event_id:path}",
    summary="The whole story of an event",
    responses={
        200: {"model": EventStory},
        401: {"model": Problem},
        403: {"model": Problem},
        404: {"model": Problem},
    },
)
def read_event(
    deployment: DeploymentHere,
    _key: Reader,
    event_id: Annotated[str, Path(description="May hold slashes, plain or as %2F.")],
    content: Annotated[bool, Query(description="false leaves captured content out.")] = True,
) -> Response:
    """Never less than was acknowledged: what has arrived of the event is put together first."""
    known_as = bounded_id(event_id)
    assemble_all(deployment, known_as)
    with deployment.database.read() as connection:
        story = story_of(connection, deployment, known_as, content=content)
    return json_answer(story)


def assemble_all(deployment: Deployment, event_id: str) -> None:
    """Put together whatever has arrived of an event and is no run yet."""
    for _ in range(MOST_PIECES):
        if not pipeline.assemble_runs(deployment, event_id=event_id):
            return
