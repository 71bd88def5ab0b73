"""GET /rubrics: every rubric in a row, what it has judged, and files that are not used as they stand."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from evaluator.api.rubric_catalogue import BrokenFile, Catalogue, RubricLine, Standing, catalogue_of
from evaluator.deployment import Deployment
from evaluator.store.rubric_figures import RECENT
from evaluator.wording import plural
from review_ui.charts import VERDICT_ORDER, Share, shares
from review_ui.guard import SeesPages, may_see_pages
from review_ui.presentation import page
from review_ui.rubric_words import findings, role_in_words, rollup_in_words, runs_in_words, short

router = APIRouter(include_in_schema=False, dependencies=[Depends(may_see_pages)])


@dataclass(frozen=True)
class RubricRow:
    """One rubric as the table shows it."""

    line: RubricLine
    version: str
    runs: str
    role: str
    rollup: str
    verdicts: tuple[Share, ...]
    findings: str
    has_errors: bool


@dataclass(frozen=True)
class RubricsPage:
    """What the template shows."""

    headline: str
    folder: str
    rows: tuple[RubricRow, ...]
    broken: tuple[BrokenFile, ...]
    recent: int


@router.get("/rubrics")
def show_rubrics(request: Request, visitor: SeesPages) -> HTMLResponse:
    """All rubrics at one look; holds no captured content."""
    deployment: Deployment = request.app.state.deployment
    catalogue = catalogue_of(deployment)
    context = RubricsPage(
        headline=headline(catalogue),
        folder=catalogue.folder,
        rows=tuple(_row(line) for line in catalogue.lines),
        broken=catalogue.broken,
        recent=RECENT,
    )
    return page("rubrics.html", context, visitor=visitor)


def headline(catalogue: Catalogue) -> str:
    """How many judge what arrives, and what stands in the way of others."""
    in_force = sum(line.in_force for line in catalogue.lines)
    gone = sum(line.standing is Standing.FILE_GONE for line in catalogue.lines)
    if not catalogue.lines and not catalogue.broken:
        return "No rubric yet"
    parts = [f"{plural(in_force, 'rubric')} in force" if in_force else "No rubric in force"]
    if catalogue.broken:
        parts.append(f"{plural(len(catalogue.broken), 'file')} with errors")
    if gone:
        parts.append(f"{gone} whose file is gone")
    return ", ".join(parts)


def _row(line: RubricLine) -> RubricRow:
    errors = sum(one.severity == "error" for one in line.problems)
    return RubricRow(
        line=line,
        version=short(line.rubric.version),
        runs=runs_in_words(line.rubric),
        role=role_in_words(line.rubric),
        rollup=rollup_in_words(line.rubric),
        verdicts=shares(line.tally.verdicts, VERDICT_ORDER),
        findings=findings(errors, len(line.problems) - errors),
        has_errors=errors > 0,
    )
