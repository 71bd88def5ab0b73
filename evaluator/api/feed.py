"""The feed that resolvers pull: rollups and outcomes in commit order, gap-free, at least once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, Field

from evaluator.api.access import DeploymentHere, Reader
from evaluator.api.answers import json_answer
from evaluator.api.cursors import feed_cursor, feed_position
from evaluator.api.problems import Problem
from evaluator.deployment import Deployment
from evaluator.model.outcome import DecidedBy, FinalOutcome, Outcome
from evaluator.model.rollup import Rollup
from evaluator.store import outcomes
from evaluator.store.database import Connection
from evaluator.store.outcomes import FeedName

router = APIRouter(tags=["feed"])

Item = TypeVar("Item", Rollup, Outcome)

After = Annotated[
    str | None, Query(description="The `next` of the answer before; leave it out to read from the start.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most items in one answer.")]
Workflow = Annotated[str | None, Query(description="Only events of this workflow.", examples=["Support"])]
SettledBefore = Annotated[
    AwareDatetime | None,
    Query(
        description="Only what was decided before this time (RFC 3339) and still stands: what is not "
        "settled yet comes later, nothing is passed over."
    ),
]


class FeedPage(BaseModel, Generic[Item]):
    """Some revisions in commit order, and where to read on."""

    items: list[Item]
    next: str = Field(description="Pass it as `after`; also where there is nothing more yet.")
    more: bool = Field(description="Whether there is more to read now.")


_REFUSALS: dict[int | str, dict[str, object]] = {
    400: {"model": Problem, "description": "The cursor is not one of this feed."},
    401: {"model": Problem},
    403: {"model": Problem},
}


@router.get(
    "/v1/rollups",
    summary="Verdict rollups, as they are decided",
    responses={200: {"model": FeedPage[Rollup]}, **_REFUSALS},
)
def read_rollups(
    deployment: DeploymentHere,
    _key: Reader,
    after: After = None,
    limit: Limit = 100,
    workflow: Workflow = None,
    rubric: Annotated[str | None, Query(description="Only under this rubric.")] = None,
    settled_before: SettledBefore = None,
) -> Response:
    """Each change of an event's rollup is a revision of its own; (event_id, rubric_id, revision) names it.

    Delivered at least once: take the highest revision, and drop those you have.
    """

    def rows(connection: Connection, position: int, upto: int) -> list[Rollup]:
        return outcomes.rollups_after(
            connection,
            position,
            upto=upto,
            limit=limit + 1,
            workflow=workflow,
            rubric_id=rubric,
            settled_before=settled_before,
        )

    return _page(deployment, "rollup", after, limit, settled_before, rows)


@router.get(
    "/v1/outcomes",
    summary="Outcomes, as they are decided",
    responses={200: {"model": FeedPage[Outcome]}, **_REFUSALS},
)
def read_outcomes(
    deployment: DeploymentHere,
    _key: Reader,
    after: After = None,
    limit: Limit = 100,
    workflow: Workflow = None,
    decided_by: Annotated[DecidedBy | None, Query(description="Only what this kind of evidence decided.")] = None,
    outcome: Annotated[FinalOutcome | None, Query(description="Only this final outcome.")] = None,
    settled_before: SettledBefore = None,
) -> Response:
    """Each change of an event's outcome is a revision of its own; (event_id, revision) names it.

    Delivered at least once: take the highest revision, and drop those you have.
    """

    def rows(connection: Connection, position: int, upto: int) -> list[Outcome]:
        return outcomes.outcomes_after(
            connection,
            position,
            upto=upto,
            limit=limit + 1,
            workflow=workflow,
            decided_by=decided_by,
            final_outcome=outcome,
            settled_before=settled_before,
        )

    return _page(deployment, "outcome", after, limit, settled_before, rows)


def _page(
    deployment: Deployment,
    feed: FeedName,
    after: str | None,
    limit: int,
    settled_before: AwareDatetime | None,
    rows_between: Callable[[Connection, int, int], list[Item]],
) -> Response:
    """One page: the head is read before the rows, so all up to it are committed and none can come in between."""
    with deployment.database.read() as connection:
        head = outcomes.feed_head(connection, feed)
        position = feed_position(feed, after, head=head)
        upto = head
        if settled_before is not None:
            upto = min(head, outcomes.last_settled_position(connection, feed, settled_before))
        rows = rows_between(connection, position, upto)
    more = len(rows) > limit
    rows = rows[:limit]
    reached = rows[-1].position if more else max(upto, position)
    return json_answer({"items": rows, "next": feed_cursor(feed, reached), "more": more})
