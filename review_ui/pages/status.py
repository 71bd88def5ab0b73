"""GET /: how the deployment stands, for whoever opens it first. Holds no captured content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.outcome import DecidedBy, FinalOutcome
from evaluator.model.person import PersonRole
from evaluator.situation import Situation, situation_of
from evaluator.store.database import Connection
from evaluator.store.event_list import EventLine, list_events
from evaluator.store.queue_rows import events_to_judge_unseen
from evaluator.wording import DECIDED_BY, plural
from review_ui.charts import HUE, ICON, VERDICT_ORDER, Share, shares
from review_ui.guard import SeesPages, is_local, may_see_pages
from review_ui.presentation import page
from review_ui.visitor import Visitor

LATEST = 15
REFRESH_SECONDS = 10

router = APIRouter(include_in_schema=False, dependencies=[Depends(may_see_pages)])

OUTCOME_ORDER = (
    *(outcome for outcome in FinalOutcome if outcome is not FinalOutcome.PENDING),
    FinalOutcome.PENDING,
)


@dataclass(frozen=True)
class Stage:
    """One stage of the way: how much came this far, and what else there is to say."""

    name: str
    count: int
    note: str
    waits: bool = False


@dataclass(frozen=True)
class EventRow:
    """One of the latest events."""

    line: EventLine
    outcome: str
    hue: str
    icon: str
    decided_by: str


@dataclass(frozen=True)
class StatusPage:
    """What the template shows."""

    situation: Situation
    headline: str
    stages: tuple[Stage, ...]
    verdicts: tuple[Share, ...]
    outcomes: tuple[Share, ...]
    latest: tuple[EventRow, ...]
    address: str
    refreshing: bool
    may_refresh: bool


@router.get("/")
def show_status(
    request: Request,
    visitor: SeesPages,
    refresh: Annotated[str, Query(description="off: do not load the page again.")] = "on",
) -> HTMLResponse:
    """One look at the whole way; loads itself again while something is on it."""
    deployment: Deployment = request.app.state.deployment
    situation = situation_of(deployment, utc_now())
    with deployment.database.read() as connection:
        lines = list_events(connection, limit=LATEST)
        unseen = _kept_from(connection, visitor, lines)
    is_moving = situation.progress.on_the_way > 0 or situation.progress.open_runs > 0
    context = StatusPage(
        situation=situation,
        headline=headline(situation),
        stages=stages_of(situation),
        verdicts=shares(situation.overview.verdicts, VERDICT_ORDER),
        outcomes=shares(outcomes_of_all(situation), OUTCOME_ORDER),
        latest=tuple(_row(line, is_kept=line.event.event_id in unseen) for line in lines),
        address=_address(request, deployment),
        refreshing=is_moving and refresh != "off",
        may_refresh=is_moving,
    )
    headers = {"refresh": str(REFRESH_SECONDS)} if context.refreshing else None
    return page("status.html", context, visitor=visitor, headers=headers)


def headline(situation: Situation) -> str:
    """The state of things in one sentence."""
    progress = situation.progress
    if situation.is_empty:
        return "Nothing has arrived yet"
    if not situation.rubrics:
        return "No rubric is in force, so nothing is judged"
    if not situation.overview.workers and progress.on_the_way:
        return "Work is waiting, and no worker is running"
    if progress.paused and not progress.on_the_way:
        return f"{plural(progress.paused, 'judgement')} on hold: the judge is paused"
    if progress.leased or progress.due:
        return f"Judging: {progress.ended:,} of {progress.known:,} done"
    if progress.traces:
        return "Spans are arriving"
    return "All that has arrived is judged"


def outcomes_of_all(situation: Situation) -> dict[str, int]:
    """Final outcome → events; those without any evidence are pending."""
    outcomes = dict(situation.overview.outcomes)
    decided = sum(number for outcome, number in outcomes.items() if outcome != FinalOutcome.PENDING)
    return {**outcomes, FinalOutcome.PENDING: situation.overview.events - decided}


def stages_of(situation: Situation) -> tuple[Stage, ...]:
    """The way from spans to outcomes, each stage with what is left behind at it."""
    seen, progress = situation.overview, situation.progress
    runs = seen.runs
    pending = outcomes_of_all(situation)[FinalOutcome.PENDING]
    unsampled = seen.samples.get("not_taken", 0)
    waiting = progress.due + progress.leased + progress.paused
    return (
        Stage("Spans", seen.spans, _told((seen.traces_waiting, "arriving")), seen.traces_waiting > 0),
        Stage("Runs", sum(runs.values()), _told((progress.open_runs, "still open")), progress.open_runs > 0),
        Stage("Sampled", seen.samples.get("taken", 0), _told((unsampled, "left out"))),
        Stage(
            "Judged",
            progress.done,
            _told((waiting, "waiting"), (progress.not_evaluable, "not evaluable")),
            waiting > 0,
        ),
        Stage("Rollups", sum(seen.rollups.values()), _told((seen.rollups.get("unknown", 0), "unknown"))),
        Stage("Outcomes", seen.events - pending, _told((pending, "pending"))),
    )


def _told(*parts: tuple[int, str]) -> str:
    return ", ".join(f"{number:,} {word}" for number, word in parts if number > 0)


def _kept_from(connection: Connection, visitor: Visitor, lines: Sequence[EventLine]) -> set[str]:
    """Events whose outcome a reviewer does not read here, for they may yet be asked about them blind."""
    if visitor.person is None or not visitor.may(PersonRole.REVIEWER):
        return set()
    return events_to_judge_unseen(connection, [line.event.event_id for line in lines], visitor.person.person_id)


def _row(line: EventLine, *, is_kept: bool) -> EventRow:
    if is_kept:
        return EventRow(line, "after your review", "unknown", ICON["unknown"], "—")
    outcome = FinalOutcome(line.outcome.final_outcome) if line.outcome else FinalOutcome.PENDING
    decided_by = DecidedBy(line.outcome.decided_by) if line.outcome else DecidedBy.NONE
    hue = HUE.get(outcome, "unknown")
    return EventRow(line, outcome, hue, ICON[hue], DECIDED_BY[decided_by])


def _address(request: Request, deployment: Deployment) -> str:
    """This server's address as a client would write it; a Host that cannot be trusted is not repeated."""
    if is_local(request):
        return f"http://{request.url.netloc}"
    return f"http://{deployment.settings.host}:{deployment.settings.port}"
