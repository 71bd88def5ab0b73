"""/set-up: the first account, made in the browser; then what is there already and how the first run comes in."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from evaluator.accounts.passwords import SHORTEST
from evaluator.accounts.people_directory import FormProblems, set_up, set_up_code
from evaluator.deployment import Deployment
from evaluator.errors import Misconfigured, NotFound
from evaluator.judging.endpoint import DEFAULT, model_named
from evaluator.judging.weights import find_weights
from evaluator.model.api_key import Scope
from evaluator.model.columns import utc_now
from evaluator.model.person import PersonRole
from evaluator.reviewing.review_lists import tab_counts
from evaluator.situation import RubricInForce, judge_label, situation_of
from evaluator.store.api_keys import issue_key
from evaluator.store.event_list import EventLine, list_events
from evaluator.store.queue_rows import QueueTab
from review_ui.browser_session import client_address, keep_session, over_safe_way
from review_ui.forms import FormHere
from review_ui.guard import is_local, needs, same_origin, visitor_of
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.pages.sign_in_page import attempts_of
from review_ui.presentation import page
from review_ui.time_zones import time_zones
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

FIRST_APP = "first app"
_EVENTS_LOOKED_AT = 25


@dataclass(frozen=True)
class SetUpPage:
    """What the template shows: what was typed, never the password."""

    name: str = ""
    login: str = ""
    time_zone: str = "UTC"
    code: str = ""
    needs_code: bool = False
    guess: bool = True
    shortest: int = SHORTEST
    problems: dict[str, str] = field(default_factory=dict)
    zones: object = field(default_factory=time_zones)


@dataclass(frozen=True)
class NextStepsPage:
    """What the template shows."""

    judge: str
    judge_problem: str
    rubrics: tuple[RubricInForce, ...]
    rubric_problems: tuple[str, ...]
    rubrics_dir: str
    address: str
    key: str
    has_folder: bool
    first: EventLine | None
    """The newest event that a rubric is for, else the newest."""
    first_judged: bool
    picked_from: str
    """Rubric in force that is for that event's workflow, else empty."""
    waiting: int
    reviewed: bool
    notice: Notice | None


async def while_nobody(request: Request, visitor: Annotated[Visitor, Depends(visitor_of)]) -> None:
    """Let through until somebody has an account."""
    if not visitor.is_first:
        raise NotFound(
            "The set-up is done: somebody has an account here.", hint="Sign in, or ask an admin for an account."
        )


open_set_up = [Depends(while_nobody), Depends(over_safe_way)]


@router.get("/set-up", dependencies=open_set_up)
def show_set_up(
    request: Request, code: Annotated[str, Query(description="As `adjudge serve` printed it.")] = ""
) -> Response:
    """The form for the first account."""
    visitor = Visitor(is_first=True)
    return page("set_up.html", SetUpPage(code=code[:100], needs_code=not is_local(request)), visitor=visitor)


@router.post("/set-up", dependencies=open_set_up)
def take_set_up(request: Request, form: FormHere) -> Response:
    """Make the first account and sign in."""
    deployment: Deployment = request.app.state.deployment
    attempts_of(request).count(client_address(request))
    typed = {name: form.get(name, "")[:300] for name in ("name", "login", "time_zone", "code")}
    try:
        if not is_local(request):
            check_code(deployment, typed["code"])
        session = set_up(
            deployment,
            name=form.get("name", ""),
            login=form.get("login", ""),
            password=form.get("password", ""),
            time_zone=form.get("time_zone", "UTC"),
        )
    except FormProblems as found:
        context = SetUpPage(
            name=typed["name"],
            login=typed["login"],
            time_zone=typed["time_zone"],
            code=typed["code"],
            needs_code=not is_local(request),
            guess=False,
            problems=found.problems,
        )
        return page("set_up.html", context, visitor=Visitor(is_first=True), status=400)
    return keep_session(request, see_other(request, "/set-up/next"), session.cookie)


def check_code(deployment: Deployment, code: str) -> None:
    """Raise FormProblems where this is not the code that the server printed."""
    if not hmac.compare_digest(code.strip().encode(), set_up_code(deployment).encode()):
        raise FormProblems({"code": "This is not the code; `adjudge serve` prints it when it starts."})


Admin = Annotated[Visitor, Depends(needs(PersonRole.ADMIN))]


@router.get("/set-up/next")
def show_next_steps(request: Request, visitor: Admin) -> Response:
    """Judge, rubrics, the first run: what is there, and what to do for what is not."""
    deployment: Deployment = request.app.state.deployment
    situation = situation_of(deployment, utc_now())
    with deployment.database.read() as connection:
        first, rubric = first_event(list_events(connection, limit=_EVENTS_LOOKED_AT), situation.rubrics)
    waiting = tab_counts(deployment, visitor.signed_in)
    notice = notice_of(request)
    context = NextStepsPage(
        judge=judge_label(DEFAULT, deployment.settings),
        judge_problem=judge_problem(deployment),
        rubrics=situation.rubrics,
        rubric_problems=situation.rubric_problems,
        rubrics_dir=str(deployment.settings.rubrics_dir.absolute()),
        address=deployment.settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}",
        key=notice.secret if notice and notice.kind == "key" else "",
        has_folder=deployment.settings.rubrics_dir.is_dir(),
        first=first,
        first_judged=bool(first and first.coverage),
        picked_from=rubric,
        waiting=waiting[QueueTab.FOR_ME].number,
        reviewed=waiting[QueueTab.DONE].number > 0,
        notice=notice,
    )
    return shown_once(request, page("set_up_next.html", context, visitor=visitor))


def first_event(newest: Sequence[EventLine], rubrics: Sequence[RubricInForce]) -> tuple[EventLine | None, str]:
    """The newest event that a rubric in force is for, and that rubric's id; else the newest event and nothing."""
    for line in newest:
        for rubric in rubrics:
            if not rubric.workflows or line.event.workflow.casefold() in map(str.casefold, rubric.workflows):
                return line, rubric.id
    return next(iter(newest), None), ""


@router.post("/set-up/next")
def make_first_key(request: Request, visitor: Admin) -> Response:
    """A key for the first app, shown once."""
    deployment: Deployment = request.app.state.deployment
    key, _ = deployment.database.transact(
        lambda connection: issue_key(
            connection,
            name=FIRST_APP,
            scopes=[Scope.INGEST, Scope.READ, Scope.REPORT],
            actor=visitor.signed_in.login,
        )
    )
    return see_other(request, "/set-up/next", Notice("The key is made.", secret=key, kind="key"))


def judge_problem(deployment: Deployment) -> str:
    """What the default judge still lacks; empty where nothing is known to be missing."""
    if model_named(DEFAULT, deployment.settings) is not None:
        return ""
    try:
        find_weights(deployment.settings.models_dir)
    except Misconfigured:
        return (
            "Its weights, 1.1 GB, are not here yet. Fetch them with `adjudge models pull`, or name another judge in "
            "ADJUDGE_JUDGE_MODEL, such as openai/gpt-4.1-mini."
        )
    return ""
