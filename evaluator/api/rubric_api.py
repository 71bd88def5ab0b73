"""Rubrics as JSON: what is in force, every version with its text, backtests, and a check of a text before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from evaluator.api.access import DeploymentHere, Reader
from evaluator.api.answers import json_answer
from evaluator.api.problems import Problem
from evaluator.api.request_json import read_limited
from evaluator.api.rubric_catalogue import (
    KnownRubric,
    RubricLine,
    Standing,
    VersionLine,
    catalogue_of,
    known_rubric,
)
from evaluator.authoring.backtest_report import BacktestReport
from evaluator.errors import NotFound, Overloaded
from evaluator.model.backtest import Backtest, BacktestState
from evaluator.rubric_format.marked_yaml import MAX_BYTES
from evaluator.rubric_format.rubric_files import decoded, read_files
from evaluator.rubric_format.rubric_problems import RubricProblem, Severity, quoted
from evaluator.rubric_format.rubric_schema import rubric_schema
from evaluator.rubric_format.rubric_warnings import rubric_warnings
from evaluator.store.backtests import backtests_of, find_backtest
from evaluator.store.rubric_figures import RECENT, Tally

router = APIRouter(tags=["rubrics"])

TEXT = FilePath("<text>")
"""What stands for the file's name in problems of a text that was sent here."""

LINTS_AT_ONCE, MOST_WAITING = 1, 20
"""Checking a text takes a processor for itself: intake comes first."""

RubricId = Annotated[str, Path(description="The rubric's id, as its file says.")]

_REFUSED: dict[int | str, dict[str, Any]] = {401: {"model": Problem}, 403: {"model": Problem}}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    **_REFUSED,
    404: {"model": Problem, "description": "Not known here; the detail names the nearest id."},
}


class VerdictCounts(BaseModel):
    """What judges said last."""

    verdicts: dict[str, int] = Field(description="pass, partial, fail, unknown → verdicts.")
    counted: int = Field(description=f"At most {RECENT}, the newest.")
    cost_per_verdict_usd: Decimal | None = Field(
        description="Of those with a known price; null where none has one."
    )
    unpriced: int


class ListedProblem(BaseModel):
    """One thing wrong with a rubric's text, and where the docs explain it."""

    file: str
    line: int
    column: int
    severity: Severity = Field(description="Only errors make a rubric invalid.")
    field: str = Field(description="Dotted path; empty for the file as a whole.")
    message: str
    found: str
    allowed: str
    suggestion: str | None
    link: str = Field(description="A file of the project's repository and a heading in it.")


class ListedRubric(BaseModel):
    """A rubric as the list shows it."""

    id: str
    title: str
    role: str
    standing: Standing
    version: str
    in_force_since: datetime | None = Field(description="null before it judged anything.")
    workflows: list[str] = Field(description="Empty: all.")
    sample_rate: float
    judges: list[str]
    rollup: str
    judged: VerdictCounts
    not_evaluable: int = Field(description="Judgements that ended without a verdict.")
    problems: list[ListedProblem] = Field(description="Of its file as it stands now.")


class FileProblems(BaseModel):
    """A file that is not used as it stands."""

    file: str
    problems: list[ListedProblem]


class RubricList(BaseModel):
    """Every rubric known here, in force or not."""

    items: list[ListedRubric]
    broken_files: list[FileProblems]


class ListedVersion(BaseModel):
    """One version of a rubric."""

    version: str
    in_force_since: datetime | None = Field(
        description="null while it was only tried on stored runs, or not at all."
    )
    first_used_at: datetime | None
    in_file: bool = Field(description="Whether it is what the file says now.")
    changed: list[str] = Field(description="What it changed of the next older one, such as `sample.rate changed`.")
    judged: VerdictCounts


class VersionList(BaseModel):
    """A rubric's versions, newest first."""

    items: list[ListedVersion]
    more: int = Field(description="Older ones that are not listed.")


class RubricText(BaseModel):
    """One version of a rubric in full."""

    id: str
    title: str
    standing: Standing
    version: str
    in_force: str | None = Field(description="The version that judges what arrives now.")
    rubric: dict[str, Any] = Field(description="What the version means, defaults filled in.")
    yaml: str
    yaml_kept: bool = Field(description="false: the text was not kept, and is written anew from the meaning.")
    judged: VerdictCounts
    not_evaluable: dict[str, int] = Field(description="Reason → judgements, of all versions.")
    problems: list[ListedProblem] = Field(description="Of its file as it stands now.")


class ListedBacktest(BaseModel):
    """A backtest and how far it got; its report stands in its own answer."""

    backtest_id: str
    baseline_version: str
    candidate_version: str
    state: BacktestState
    planned: int = Field(description="Judgements, of both versions.")
    done: int
    estimated_usd: Decimal | None
    estimated_seconds: float | None
    cost_usd: Decimal | None
    unpriced_calls: int
    started_by: str
    started_at: datetime
    ended_at: datetime | None


class BacktestList(BaseModel):
    """A rubric's last backtests, newest first."""

    items: list[ListedBacktest]


class WholeBacktest(ListedBacktest):
    """A backtest with what it found."""

    rubric_id: str
    report: BacktestReport | None = Field(description="null while it runs, and where it was ended without one.")


class LintAnswer(BaseModel):
    """What is wrong with a rubric's text."""

    valid: bool
    id: str | None
    version: str | None = Field(description="The version this text would make; null where it is not valid.")
    problems: list[ListedProblem]


@router.get("/v1/rubrics", summary="Every rubric known here", responses={200: {"model": RubricList}, **_REFUSED})
def read_rubrics(deployment: DeploymentHere, _key: Reader) -> Response:
    """Those in force, those whose file is gone but that judged something, and files with errors."""
    catalogue = catalogue_of(deployment)
    return json_answer(
        {
            "items": [_listed(line) for line in catalogue.lines],
            "broken_files": [{"file": one.name, "problems": _problems(one.problems)} for one in catalogue.broken],
        }
    )


@router.post(
    "/v1/rubrics/lint",
    summary="Check a rubric's text",
    responses={200: {"model": LintAnswer}, 413: {"model": Problem}, 503: {"model": Problem}, **_REFUSED},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}
    },
)
async def lint_rubric(request: Request, _key: Reader) -> Response:
    """Every problem of the text at its line and column; nothing is stored, and no judge is called."""
    turns: CapacityLimiter = request.app.state.lint_turns
    if turns.statistics().tasks_waiting >= MOST_WAITING:
        raise Overloaded("Other texts are being checked already, and more wait.")
    body = await read_limited(request, MAX_BYTES)
    return json_answer(await to_thread.run_sync(_linted, body, limiter=turns))


def _linted(body: bytes) -> dict[str, Any]:
    """The text as if it stood alone in a folder: what it clashes with is not looked at."""
    folder = read_files([(TEXT, lambda: decoded(body, str(TEXT)))])
    for one in folder.loaded:
        warnings = rubric_warnings(one.root, one.rubric, str(TEXT))
        return {
            "valid": True,
            "id": one.rubric.id,
            "version": one.rubric.version,
            "problems": _problems(sorted(warnings, key=lambda each: (each.line, each.column))),
        }
    return {"valid": False, "id": None, "version": None, "problems": _problems(folder.problems)}


def _problems(problems: Sequence[RubricProblem]) -> list[dict[str, Any]]:
    names = ListedProblem.model_fields
    return [{**{name: getattr(one, name) for name in names}, "file": FilePath(one.file).name} for one in problems]


@router.get("/v1/rubrics/schema", summary="The JSON schema of a rubric file", responses={**_REFUSED})
def read_schema(_key: Reader) -> Response:
    """For editors: draft-07 with what YAML language servers read besides."""
    return json_answer(rubric_schema())


@router.get("/v1/rubrics/{rubric_id}", summary="A rubric", responses={200: {"model": RubricText}, **_UNKNOWN})
def read_rubric_text(deployment: DeploymentHere, _key: Reader, rubric_id: RubricId) -> Response:
    """As it is in force; of one whose file is gone, as it was last."""
    return json_answer(_in_full(known_rubric(deployment, rubric_id)))


@router.get(
    "/v1/rubrics/{rubric_id}/versions",
    summary="A rubric's versions",
    responses={200: {"model": VersionList}, **_UNKNOWN},
)
def read_versions(deployment: DeploymentHere, _key: Reader, rubric_id: RubricId) -> Response:
    """Newest first, those that were only tried too."""
    known = known_rubric(deployment, rubric_id)
    return json_answer({"items": [_version(one) for one in known.versions], "more": known.more_versions})


@router.get(
    "/v1/rubrics/{rubric_id}/versions/{version}",
    summary="One version in full",
    responses={200: {"model": RubricText}, **_UNKNOWN},
)
def read_version(
    deployment: DeploymentHere,
    _key: Reader,
    rubric_id: RubricId,
    version: Annotated[str, Path(description="Its first digits are enough where they are one version's only.")],
) -> Response:
    """A version never changes: its body and text as they judged."""
    return json_answer(_in_full(known_rubric(deployment, rubric_id, version)))


@router.get(
    "/v1/rubrics/{rubric_id}/backtests",
    summary="A rubric's backtests",
    responses={200: {"model": BacktestList}, **_UNKNOWN},
)
def read_backtests(deployment: DeploymentHere, _key: Reader, rubric_id: RubricId) -> Response:
    """The last 50, newest first."""
    known_rubric(deployment, rubric_id)
    with deployment.database.read() as connection:
        found = backtests_of(connection, rubric_id)
    return json_answer({"items": [_backtest(one) for one in found]})


@router.get(
    "/v1/rubrics/{rubric_id}/backtests/{backtest_id}",
    summary="A backtest and what it found",
    responses={200: {"model": WholeBacktest}, **_UNKNOWN},
)
def read_backtest(
    deployment: DeploymentHere, _key: Reader, rubric_id: RubricId, backtest_id: Annotated[str, Path()]
) -> Response:
    """Flips come with a line of what the judges said; GET /v1/events/{event_id} has the content."""
    with deployment.database.read() as connection:
        found = find_backtest(connection, backtest_id)
    if found is None or found.rubric_id != rubric_id:
        known_rubric(deployment, rubric_id)
        raise NotFound(
            f"{rubric_id} has no backtest {quoted(backtest_id)}.",
            hint=f"GET /v1/rubrics/{rubric_id}/backtests lists them.",
        )
    return json_answer({**_backtest(found), "rubric_id": rubric_id, "report": found.report or None})


def _backtest(one: Backtest) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ListedBacktest.model_fields}


def _listed(line: RubricLine) -> dict[str, Any]:
    rubric = line.rubric
    return {
        "id": rubric.id,
        "title": rubric.title,
        "role": rubric.role,
        "standing": line.standing,
        "version": rubric.version,
        "in_force_since": line.since,
        "workflows": rubric.applies_to.workflow,
        "sample_rate": rubric.sample.rate,
        "judges": line.judges,
        "rollup": rubric.rollup,
        "judged": _counts(line.tally),
        "not_evaluable": line.not_evaluable,
        "problems": _problems(line.problems),
    }


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "verdicts": tally.verdicts,
        "counted": tally.count,
        "cost_per_verdict_usd": tally.cost_per_verdict,
        "unpriced": tally.unpriced,
    }


def _version(line: VersionLine) -> dict[str, Any]:
    told = asdict(line)
    told.pop("tally")
    return {**told, "judged": _counts(line.tally)}


def _in_full(known: KnownRubric) -> dict[str, Any]:
    return {
        "id": known.rubric.id,
        "title": known.rubric.title,
        "standing": known.standing,
        "version": known.rubric.version,
        "in_force": known.in_force,
        "rubric": known.rubric.model_dump(mode="json", exclude={"version"}),
        "yaml": known.source,
        "yaml_kept": known.source_kept,
        "judged": _counts(known.line.tally),
        "not_evaluable": known.not_evaluable,
        "problems": _problems(known.broken.problems if known.broken else known.warnings),
    }
