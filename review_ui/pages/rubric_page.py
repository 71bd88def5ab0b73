"""GET /rubrics/{id}: one rubric as it stands: its text, what it judged, what people say, its versions and its cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from evaluator.api.rubric_catalogue import KnownRubric, VersionLine, judges_of, known_rubric, text_of_file
from evaluator.authoring.named_rubrics import NamedRubric
from evaluator.authoring.prompt_preview import Preview, preview_run
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, NotFound
from evaluator.judging.prompt import question_of
from evaluator.model.backtest import Backtest, BacktestState
from evaluator.model.columns import utc_now
from evaluator.model.judgement import NotEvaluable
from evaluator.model.rubric import Criterion, Rubric
from evaluator.model.verdict import CriterionLabel, VerdictLabel
from evaluator.plain_json import json_bytes
from evaluator.rubric_format.rubric_problems import RubricProblem
from evaluator.situation import IN_WORDS, Waiting
from evaluator.statistics.agreement import Agreement, Pair, agreement
from evaluator.store.backtests import backtests_of
from evaluator.store.rubric_figures import (
    RECENT,
    RecentVerdict,
    human_verdicts,
    recent_verdicts,
    spend_by_day,
)
from evaluator.wording import noun
from review_ui.charts import CRITERION_ORDER, VERDICT_ORDER, DayBar, Share, day_bars, shares
from review_ui.guard import SeesPages, may_see_pages
from review_ui.presentation import page
from review_ui.rubric_words import BACKTEST, in_a_line, short, standing_of_criterion
from review_ui.visitor import Visitor

DAYS = 14
LAST_BACKTESTS = 10
REFRESH_SECONDS = 10
"""While a backtest runs."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(may_see_pages)])


@dataclass(frozen=True)
class SourceLine:
    """One line of the YAML text and what is wrong with it."""

    number: int
    text: str
    problems: tuple[RubricProblem, ...] = ()


@dataclass(frozen=True)
class CriterionCard:
    """A criterion as judges read it, and how they answered it."""

    criterion: Criterion
    question: str
    value: str
    """What a code check compares with; empty where it needs nothing."""
    marks: tuple[str, ...]
    answers: tuple[Share, ...]
    people: str
    """How often judges said what people say; empty where no person has said anything."""


@dataclass(frozen=True)
class VersionRow:
    """One version as the list shows it."""

    line: VersionLine
    short: str
    verdicts: tuple[Share, ...]
    shown: bool


@dataclass(frozen=True)
class BacktestRow:
    """One backtest as the list shows it."""

    backtest: Backtest
    baseline: str
    candidate: str
    state: str
    share: float
    """Done of planned, in percent."""


@dataclass(frozen=True)
class PromptShown:
    """The exact prompt for one run, or why there is none to show."""

    preview: Preview | None
    run: str
    """The run that was asked for; empty where the page chose one."""
    missing: str
    asked: str
    """Criteria that a judge is asked, by name."""


@dataclass(frozen=True)
class RubricPage:
    """What the template shows."""

    known: KnownRubric
    short: str
    line: str
    is_old: bool
    lines: tuple[SourceLine, ...]
    of_file: bool
    """Whether the text is the file's as it stands, which is not in force."""
    verdicts: tuple[Share, ...]
    cards: tuple[CriterionCard, ...]
    compared: int
    """Runs that a person and a judge said something of."""
    versions: tuple[VersionRow, ...]
    not_evaluable: tuple[Waiting, ...]
    days: tuple[DayBar, ...]
    spent: Decimal
    spent_unpriced: int
    prompt: PromptShown
    backtests: tuple[BacktestRow, ...]
    refreshing: bool
    may_refresh: bool
    recent: int


@dataclass(frozen=True)
class UnknownPage:
    """What is not there, and what to do."""

    title: str
    message: str


@router.get("/rubrics/{rubric_id}")
def show_rubric(
    request: Request,
    visitor: SeesPages,
    rubric_id: str,
    version: Annotated[str | None, Query(description="Another version, by its first digits.")] = None,
    run: Annotated[str, Query(description="The run whose prompt is shown.")] = "",
    refresh: Annotated[str, Query(description="off: do not load the page again.")] = "on",
) -> HTMLResponse:
    """One version of a rubric, the one in force unless another is asked for."""
    deployment: Deployment = request.app.state.deployment
    try:
        known = known_rubric(deployment, rubric_id, version or None)
    except NotFound as missing:
        return unknown("No such rubric", missing, visitor)
    context = context_of(deployment, known, asked=bool(version), run=run.strip(), refresh=refresh)
    headers = {"refresh": str(REFRESH_SECONDS)} if context.refreshing else None
    return page("rubric.html", context, visitor=visitor, headers=headers)


def unknown(title: str, missing: NotFound, visitor: Visitor | None = None) -> HTMLResponse:
    """The page for what is not there, as 404."""
    return page("not_there.html", UnknownPage(title, missing.message), visitor=visitor, status=404)


def context_of(deployment: Deployment, known: KnownRubric, *, asked: bool, run: str, refresh: str) -> RubricPage:
    """All of one rubric's page; `asked`: the reader named this version."""
    rubric, now = known.rubric, utc_now()
    with deployment.database.read() as connection:
        said = recent_verdicts(connection, rubric.version)
        people = human_verdicts(connection, rubric.id, {one.run_id for one in said})
        spend = spend_by_day(connection, rubric.id, now, days=DAYS)
        backtests = backtests_of(connection, rubric.id, limit=LAST_BACKTESTS)
    running = any(one.state == BacktestState.RUNNING for one in backtests)
    of_file = known.broken is not None and not asked
    text = text_of_file(known.broken.path) if known.broken and of_file else known.source
    reasons = sorted(known.not_evaluable.items(), key=lambda pair: (-pair[1], pair[0]))
    return RubricPage(
        known=known,
        short=short(rubric.version),
        line=in_a_line(rubric, judges_of(rubric, deployment)),
        is_old=known.in_force is not None and rubric.version != known.in_force,
        lines=numbered(text, known.broken.problems if known.broken and of_file else known.warnings),
        of_file=of_file,
        verdicts=shares(known.line.tally.verdicts, VERDICT_ORDER),
        cards=cards_of(rubric, said, people),
        compared=len(people),
        versions=tuple(_version_row(one, rubric.version) for one in known.versions),
        not_evaluable=tuple(Waiting(n, why.replace("_", " "), IN_WORDS[NotEvaluable(why)]) for why, n in reasons),
        days=day_bars(
            [(date.fromisoformat(one.day), one.settled_usd, one.calls, one.unpriced_calls) for one in spend]
        ),
        spent=sum((one.settled_usd for one in spend), Decimal(0)),
        spent_unpriced=sum(one.unpriced_calls for one in spend),
        prompt=prompt_for(deployment, known, run, said[0].run_id if said else None),
        backtests=tuple(_backtest_row(one) for one in backtests),
        refreshing=running and refresh != "off",
        may_refresh=running,
        recent=RECENT,
    )


def prompt_for(deployment: Deployment, known: KnownRubric, run: str, last_judged: str | None) -> PromptShown:
    """The prompt for the run asked for, else for the last that was judged, else for the newest it applies to."""
    named = NamedRubric(known.rubric, known.source, f"{known.rubric.id}@{known.rubric.version}")
    for run_id in dict.fromkeys((run,) if run else (last_judged, None)):
        try:
            preview = preview_run(named, deployment, run_id=run_id)
        except NotFound as problem:
            missing = problem.message
        except AdjudgeError as problem:
            return PromptShown(None, run, str(problem), "")
        else:
            return PromptShown(preview, run, "", ", ".join(preview.asked))
    return PromptShown(None, run, missing, "")


def numbered(text: str, problems: Sequence[RubricProblem]) -> tuple[SourceLine, ...]:
    """The text line by line, problems at theirs; those of a line that is not there stand at the last."""
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    at: dict[int, list[RubricProblem]] = defaultdict(list)
    for one in problems:
        at[min(max(one.line, 1), len(lines))].append(one)
    return tuple(SourceLine(number, line, tuple(at[number])) for number, line in enumerate(lines, 1))


def cards_of(
    rubric: Rubric, said: Sequence[RecentVerdict], people: Mapping[str, RecentVerdict]
) -> tuple[CriterionCard, ...]:
    """Each criterion with the judges' answers and how they stand to people's."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for verdict in said:
        for one in verdict.criteria:
            answers[str(one.get("id"))][str(one.get("verdict"))] += 1
    return tuple(
        CriterionCard(
            criterion=criterion,
            question=question_of(criterion, rubric.content) if criterion.ask else "",
            value=_as_text(criterion.value),
            marks=standing_of_criterion(criterion),
            answers=shares(answers[criterion.id], CRITERION_ORDER),
            people=agreement_in_words(agreement(pairs_of(criterion.id, said, people))),
        )
        for criterion in rubric.criteria
    )


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json_bytes(value, indented=True).decode()


def pairs_of(criterion_id: str, said: Sequence[RecentVerdict], people: Mapping[str, RecentVerdict]) -> list[Pair]:
    """What a person and the judges said of a criterion, run by run; where judges differ, what most of them said."""
    judged: dict[str, Counter[VerdictLabel | None]] = defaultdict(Counter)
    for verdict in said:
        if verdict.run_id in people:
            judged[verdict.run_id][_answer(verdict, criterion_id)] += 1
    return [
        Pair(people[run_id].event_id, human, _most(labels))
        for run_id, labels in judged.items()
        if (human := _answer(people[run_id], criterion_id)) is not None
    ]


def _most(labels: Counter[VerdictLabel | None]) -> VerdictLabel | None:
    (first, most), *others = labels.most_common()
    return None if others and others[0][1] == most else first


def _answer(verdict: RecentVerdict, criterion_id: str) -> VerdictLabel | None:
    """Pass or fail; None where neither was said."""
    label = next((one.get("verdict") for one in verdict.criteria if one.get("id") == criterion_id), None)
    return VerdictLabel(label) if label in (CriterionLabel.PASS, CriterionLabel.FAIL) else None


def agreement_in_words(found: Agreement) -> str:
    """`The same as people on 18 of 20 runs (90 %; 95 % interval 70 to 97 %)`; empty where nothing was compared."""
    share = found.agreement
    if share.value is None:
        return ""
    same = round(share.value * found.n)
    told = f"The same as people on {same:,} of {found.n:,} {noun(found.n, 'run')} ({100 * share.value:.0f} %"
    if share.low is None or share.high is None:
        return f"{told}; too few events for an interval)"
    return f"{told}; 95 % interval {share.low * 100:.0f} to {share.high * 100:.0f} %)"


def _version_row(line: VersionLine, shown: str) -> VersionRow:
    return VersionRow(line, short(line.version), shares(line.tally.verdicts, VERDICT_ORDER), line.version == shown)


def _backtest_row(backtest: Backtest) -> BacktestRow:
    return BacktestRow(
        backtest=backtest,
        baseline=short(backtest.baseline_version),
        candidate=short(backtest.candidate_version),
        state=BACKTEST[BacktestState(backtest.state)],
        share=progress_of(backtest),
    )


def progress_of(backtest: Backtest) -> float:
    """How much of a backtest is done, in percent."""
    return round(100 * min(backtest.done / backtest.planned, 1.0), 1) if backtest.planned else 0.0
