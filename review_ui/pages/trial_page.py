"""/rubrics/{id}/try: a text of a rubric on the last 20 events; what it takes is shown before anything is called. For authors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from evaluator.api.rubric_catalogue import KnownRubric, known_rubric, text_of_file
from evaluator.authoring.backtest_plan import Estimate, VersionEstimate
from evaluator.authoring.rubric_trial import LAST, Trial, Trials, trial_of
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, BadInput, NotFound
from evaluator.model.person import PersonRole
from evaluator.rubric_format.rubric_problems import RubricProblem, RubricProblems
from evaluator.wording import dollars, duration, plural
from review_ui.forms import FormHere
from review_ui.guard import needs, same_origin
from review_ui.notices import Notice, see_other
from review_ui.pages.rubric_page import unknown
from review_ui.presentation import page
from review_ui.rubric_words import short
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

Author = Annotated[Visitor, Depends(needs(PersonRole.AUTHOR))]


@dataclass(frozen=True)
class Side:
    """One of the two versions and what judging under it takes."""

    name: str
    short: str
    estimate: VersionEstimate


@dataclass(frozen=True)
class TrialShown:
    """A trial that may be begun."""

    plan: str
    """What was shown, so that nothing else is begun."""
    against: str
    """How the version it is compared with was found, or why there is none."""
    events: int
    runs: int
    sides: tuple[Side, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class TrialPage:
    """What the template shows."""

    known: KnownRubric
    text: str
    rows: int
    problems: tuple[RubricProblem, ...]
    message: str
    """Why it cannot be tried; empty where the problems say so, or it can."""
    trial: TrialShown | None
    running: str
    """Path of the trial that runs on this server; empty where none does."""
    last: int = LAST


@router.get("/rubrics/{rubric_id}/try")
def show_trial(
    request: Request,
    visitor: Author,
    rubric_id: str,
    version: Annotated[str | None, Query(description="Begin with another version's text.")] = None,
) -> HTMLResponse:
    """The text to be tried: the file's as it stands, or a version's."""
    deployment: Deployment = request.app.state.deployment
    try:
        known = known_rubric(deployment, rubric_id, version or None)
    except NotFound as missing:
        return unknown("No such rubric", missing, visitor)
    of_file = known.broken is not None and not version
    text = text_of_file(known.broken.path) if known.broken and of_file else known.source
    problems = known.broken.problems if known.broken and of_file else ()
    return page("trial.html", _page(request, known, text, problems=tuple(problems)), visitor=visitor)


@router.post("/rubrics/{rubric_id}/try")
def estimate_trial(request: Request, visitor: Author, rubric_id: str, form: FormHere) -> Response:
    """What is wrong with the text, or what trying it takes; nothing is called."""
    return _answered(request, visitor, rubric_id, form.get("text", ""))


@router.post("/rubrics/{rubric_id}/try/start")
def start_trial(request: Request, visitor: Author, rubric_id: str, form: FormHere) -> Response:
    """Begin what was shown; where that is another thing by now, show it again."""
    return _answered(request, visitor, rubric_id, form.get("text", ""), confirmed=form.get("plan", ""))


@router.post("/rubrics/{rubric_id}/backtests/{backtest_id}/stop")
def stop_trial(request: Request, _visitor: Author, rubric_id: str, backtest_id: str) -> Response:
    """Let what is being asked finish and leave the rest; asked for again the trial goes on there."""
    trials: Trials = request.app.state.trials
    told = None
    if not trials.stop(backtest_id, patience_seconds=3):
        told = Notice("It does not run on this server: it has ended, or was begun elsewhere and is stopped there.")
    return see_other(request, path_of(rubric_id, backtest_id), told)


def path_of(rubric_id: str, backtest_id: str) -> str:
    """Where a backtest is shown."""
    return f"/rubrics/{quote(rubric_id, safe='')}/backtests/{quote(backtest_id, safe='')}"


def _answered(request: Request, visitor: Visitor, rubric_id: str, text: str, confirmed: str = "") -> Response:
    deployment: Deployment = request.app.state.deployment
    try:
        known = known_rubric(deployment, rubric_id, None)
    except NotFound as missing:
        return unknown("No such rubric", missing, visitor)
    try:
        trial = trial_of(deployment, known.rubric.id, text)
    except RubricProblems as wrong:
        context = _page(request, known, text, problems=tuple(wrong.problems))
    except (BadInput, NotFound) as wrong:
        context = _page(request, known, text, message=str(wrong))
    else:
        return _begun(request, visitor, known, text, trial, confirmed)
    return page("trial.html", context, visitor=visitor, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _begun(
    request: Request, visitor: Visitor, known: KnownRubric, text: str, trial: Trial, confirmed: str
) -> Response:
    """To the backtest where the trial is what was confirmed; else what it takes."""
    trials: Trials = request.app.state.trials
    message, status = "", HTTPStatus.OK
    if confirmed == trial.backtest_id:
        try:
            started = trials.start(trial, started_by=visitor.signed_in.login)
        except AdjudgeError as refused:
            message, status = str(refused), HTTPStatus.CONFLICT
        else:
            return see_other(request, path_of(known.rubric.id, started))
    elif confirmed:
        message, status = "What is to be judged has changed meanwhile: look again.", HTTPStatus.CONFLICT
    context = _page(request, known, text, problems=trial.warnings, message=message, trial=trial)
    return page("trial.html", context, visitor=visitor, status=status)


def _page(
    request: Request,
    known: KnownRubric,
    text: str,
    *,
    problems: tuple[RubricProblem, ...] = (),
    message: str = "",
    trial: Trial | None = None,
) -> TrialPage:
    trials: Trials = request.app.state.trials
    return TrialPage(
        known=known,
        text=text,
        rows=min(40, max(12, text.count("\n") + 2)),
        problems=problems,
        message=message,
        trial=shown(trial) if trial else None,
        running=path_of(trials.rubric_id, trials.running) if trials.running else "",
    )


def shown(trial: Trial) -> TrialShown:
    """What a trial compares and takes, in words."""
    versions, estimate = trial.versions, trial.plan.estimate
    names = ("the text",) if versions.baseline is None else ("version before", "the text")
    return TrialShown(
        plan=trial.backtest_id,
        against=versions.why.partition(":")[0],
        events=trial.choice.events,
        runs=len(trial.choice.runs),
        sides=tuple(
            Side(name, short(one.version), one) for name, one in zip(names, estimate.versions, strict=True)
        ),
        lines=(*trial.choice.notes, *trial.plan.notes, *_takes(estimate)),
    )


def _takes(estimate: Estimate) -> Iterator[str]:
    """What the trial takes altogether."""
    if not estimate.calls and not estimate.escalations:
        yield "No judge is called: it costs nothing."
        return
    takes = "" if estimate.seconds is None else f", in about {duration(estimate.seconds)}"
    if estimate.unpriced:
        yield f"About {plural(estimate.calls, 'call')}{takes}. No price is known of {', '.join(estimate.unpriced)}."
    else:
        yield f"About {plural(estimate.calls, 'call')} and {dollars(estimate.usd)}{takes}."
    for one in estimate.escalations:
        most = "" if one.most_usd is None else f" and {dollars(one.most_usd)}"
        yield f"Where verdicts escalate, at most {plural(one.most_calls, 'call')} of {one.judge}{most} on top."
