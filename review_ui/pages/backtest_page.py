"""GET /rubrics/{id}/backtests/{backtest_id}: two versions side by side on the same runs, and where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from evaluator.authoring.backtest_report import (
    FLIP_ORDER,
    AgreementFigures,
    BacktestReport,
    Figure,
    Flip,
    Side,
    VersionReport,
)
from evaluator.authoring.heard_verdicts import answers_of
from evaluator.authoring.rubric_trial import Trials
from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.backtest import Backtest, BacktestState, BacktestVerdict
from evaluator.model.capture import Capture, Passage
from evaluator.model.columns import utc_now
from evaluator.model.person import PersonRole
from evaluator.model.verdict import CriterionVerdict, VerdictLabel
from evaluator.plain_json import json_bytes
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.backtests import find_backtest, last_written
from evaluator.store.database import Connection
from evaluator.store.rubric_figures import backtest_counts, backtested_runs
from evaluator.store.runs import load_captures
from evaluator.wording import duration
from review_ui.charts import HUE, ICON, VERDICT_ORDER, IntervalMark, Share, interval_mark, shares
from review_ui.guard import SeesPages, may_see_pages
from review_ui.notices import Notice, notice_of, shown_once
from review_ui.pages.rubric_page import REFRESH_SECONDS, unknown
from review_ui.presentation import page
from review_ui.rubric_words import short

router = APIRouter(include_in_schema=False, dependencies=[Depends(may_see_pages)])

FLIPS_A_PAGE = 50
SILENT = timedelta(minutes=10)
"""A backtest that runs and wrote nothing for so long may have lost its process."""
SHOWN_AT_ONCE = 600
"""Characters of captured text that are shown without being asked for."""
SHOWN_AT_MOST = 32 * 1024

KINDS = {
    "lost": ("right before, wrong now", "fail"),
    "gained": ("wrong before, right now", "pass"),
    "both_wrong": ("wrong before and now", "partial"),
    "unlabelled": ("no person has said", "unknown"),
}
"""Kind of flip → words and hue."""

MEASURES = (
    ("agreement", "Same verdict as people"),
    ("sensitivity", "Passed what people passed"),
    ("specificity", "Did not pass what people did not pass"),
)
"""Shares that are drawn, each with its words."""


@dataclass(frozen=True)
class Measure:
    """One share, of the version before and of the one after."""

    name: str
    before: IntervalMark | None
    after: IntervalMark | None


@dataclass(frozen=True)
class Text:
    """Captured text: its beginning, and the rest as far as it is shown."""

    name: str
    start: str
    rest: str
    left_out: int
    """Characters that are not on the page."""
    note: str
    """How it came in, where not whole."""


@dataclass(frozen=True)
class Answered:
    """What one judge said in one repeat."""

    row: BacktestVerdict
    word: str
    hue: str
    icon: str
    criteria: tuple[tuple[CriterionVerdict, str, str], ...]
    """Each with its hue and icon."""


@dataclass(frozen=True)
class FlipSide:
    """What one version said of a run or event."""

    side: Side
    word: str
    hue: str
    icon: str
    answers: tuple[Answered, ...]


@dataclass(frozen=True)
class FlipCard:
    """A run or event of which the versions say different things."""

    flip: Flip
    anchor: str
    kind: str
    hue: str
    before: FlipSide
    after: FlipSide
    human: str
    human_hue: str
    human_icon: str
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class KindTab:
    """One kind of flip to look at, how many there are, and where."""

    words: str
    count: int
    path: str
    chosen: bool


@dataclass(frozen=True)
class Column:
    """One version beside the other: what it is and what it said."""

    name: str
    rubric_id: str
    version: str
    short: str
    verdicts: tuple[Share, ...]
    report: VersionReport | None


@dataclass(frozen=True)
class BacktestPage:
    """What the template shows."""

    backtest: Backtest
    report: BacktestReport | None
    lead: tuple[str, ...]
    columns: tuple[Column, ...]
    undecided: tuple[int, ...]
    measures: tuple[Measure, ...]
    criteria: tuple[Measure, ...]
    beyond_chance: tuple[tuple[str, str, str], ...]
    """Name, before and after of measures that no axis from 0 to 100 can show."""
    tabs: tuple[KindTab, ...]
    cards: tuple[FlipCard, ...]
    first: int
    flips: int
    earlier: str
    later: str
    """Paths of the pages beside this one; empty where there is none."""
    path: str
    estimate: str
    silent_since: datetime | None
    """When it was last heard of, where that is long ago though it is not ended."""
    refreshing: bool
    may_refresh: bool
    stoppable: bool
    """Whether it runs on this server and the visitor may stop it."""
    stopping: bool
    """Whether it was told to stop here."""
    notice: Notice | None


@router.get("/rubrics/{rubric_id}/backtests/{backtest_id}")
def show_backtest(
    request: Request,
    visitor: SeesPages,
    rubric_id: str,
    backtest_id: str,
    kind: Annotated[str, Query(description="Only flips of this kind.")] = "",
    start: Annotated[int, Query(description="The first flip shown, from 1.", ge=1)] = 1,
    run: Annotated[str, Query(description="Begin where this run's flip is.")] = "",
    event: Annotated[str, Query(description="Begin where this event's flip is.")] = "",
    refresh: Annotated[str, Query(description="off: do not load the page again.")] = "on",
) -> Response:
    """One backtest; loads itself again while it runs."""
    deployment: Deployment = request.app.state.deployment
    with deployment.database.read() as connection:
        backtest = find_backtest(connection, backtest_id)
        if backtest is None or backtest.rubric_id != rubric_id:
            missing = NotFound(f"{rubric_id} has no backtest {quoted(backtest_id)}.")
            return unknown("No such backtest", missing, visitor)
        report = report_kept(backtest)
        flips = [flip for flip in report.flips if kind in ("", flip.kind)] if report else []
        first = _first_shown(flips, start, run, event)
        cards = cards_of(connection, deployment, backtest, flips[first - 1 : first - 1 + FLIPS_A_PAGE])
        heard_of = last_written(connection, backtest)
        counts = {} if report else backtest_counts(connection, backtest_id)
    path = f"/rubrics/{rubric_id}/backtests/{quote(backtest_id, safe='')}"
    running = backtest.state == BacktestState.RUNNING
    trials: Trials = request.app.state.trials
    runs_here = trials.running == backtest_id
    context = BacktestPage(
        backtest=backtest,
        report=report,
        lead=lead_of(backtest, report),
        columns=_columns(backtest, report, counts),
        undecided=_undecided(report),
        measures=_measures(report),
        criteria=_criteria(report),
        beyond_chance=_beyond_chance(report),
        tabs=_tabs(report, path, kind),
        cards=cards,
        first=first,
        flips=len(flips),
        earlier=_beside(path, kind, first - FLIPS_A_PAGE, len(flips)) if first > 1 else "",
        later=_beside(path, kind, first + FLIPS_A_PAGE, len(flips)),
        path=path,
        estimate=_estimate(backtest),
        silent_since=heard_of if running and utc_now() - heard_of > SILENT else None,
        refreshing=running and refresh != "off",
        may_refresh=running,
        stoppable=visitor.may(PersonRole.AUTHOR) and runs_here and not trials.stopping,
        stopping=runs_here and trials.stopping,
        notice=notice_of(request),
    )
    headers = {"refresh": str(REFRESH_SECONDS)} if context.refreshing else None
    return shown_once(request, page("backtest.html", context, visitor=visitor, headers=headers))


def report_kept(backtest: Backtest) -> BacktestReport | None:
    """What it found, where it came that far and this release can read it."""
    try:
        return BacktestReport.model_validate(backtest.report) if backtest.report else None
    except ValidationError:
        return None


def lead_of(backtest: Backtest, report: BacktestReport | None) -> tuple[str, ...]:
    """What came of it, a sentence for runs and one for events where these have several."""
    if report is None:
        return () if backtest.state == BacktestState.RUNNING else ("There is no report of it.",)
    if report.baseline is None:
        return ("There was nothing to compare with: the version is shown alone.",)
    found = [one for one in (report.run_difference, report.event_difference) if one is not None]
    if found:
        told = found if report.runs > report.events else found[:1]
        return tuple(f"In agreement with people, {one.level} by {one.level}: {one.words}." for one in told)
    if not (report.labels.runs or report.labels.events):
        return ("No person has judged any of these runs, so nothing tells which version is right.",)
    return ("Nothing that people decided was decided by both versions, so nothing tells which one is right.",)


def _undecided(report: BacktestReport | None) -> tuple[int, ...]:
    """Of each version the runs that a person decided and it did not; nothing where there are none."""
    sides = [side for side in (report.baseline, report.candidate) if side] if report else []
    numbers = tuple(side.run_agreement.undecided if side.run_agreement else 0 for side in sides)
    return numbers if any(numbers) else ()


def _estimate(backtest: Backtest) -> str:
    if backtest.estimated_seconds is None:
        return ""
    return f"about {duration(backtest.estimated_seconds)} in all"


def _columns(
    backtest: Backtest, report: BacktestReport | None, counts: Mapping[str, Mapping[str, int]]
) -> tuple[Column, ...]:
    sides = (
        ("Before", backtest.baseline_version, report.baseline if report else None),
        ("After", backtest.candidate_version, report.candidate if report else None),
    )
    return tuple(
        Column(
            name=name if backtest.baseline_version else "Version",
            rubric_id=(side.rubric_id if side else "") or backtest.rubric_id,
            version=version,
            short=short(version),
            verdicts=shares(
                _by_word(side.run_verdicts) if side else counts.get(version, {}), (*VERDICT_ORDER, "not_evaluable")
            ),
            report=side,
        )
        for name, version, side in sides
        if version
    )


def _by_word(verdicts: Mapping[VerdictLabel, int]) -> dict[str, int]:
    return {label.value: number for label, number in verdicts.items()}


def _measures(report: BacktestReport | None) -> tuple[Measure, ...]:
    """Agreement per run, and per event where events have several."""
    if report is None:
        return ()
    levels = [("", "run_agreement")]
    if report.events != report.runs:
        levels.append((", per event", "event_agreement"))
    found = [
        Measure(words + more, _mark(report.baseline, level, name), _mark(report.candidate, level, name))
        for more, level in levels
        for name, words in MEASURES
    ]
    return tuple(one for one in found if one.before or one.after)


def _mark(side: VersionReport | None, level: str, name: str) -> IntervalMark | None:
    figures: AgreementFigures | None = getattr(side, level, None)
    return _drawn(getattr(figures, name, None))


def _drawn(figure: Figure | None) -> IntervalMark | None:
    return None if figure is None else interval_mark(figure.value, figure.low, figure.high, figure.n)


def _criteria(report: BacktestReport | None) -> tuple[Measure, ...]:
    if report is None:
        return ()
    old = report.baseline.criteria_agreement if report.baseline else {}
    new = report.candidate.criteria_agreement
    return tuple(
        Measure(
            name,
            _drawn(old[name].agreement) if name in old else None,
            _drawn(new[name].agreement) if name in new else None,
        )
        for name in dict.fromkeys((*new, *old))
    )


def _beyond_chance(report: BacktestReport | None) -> tuple[tuple[str, str, str], ...]:
    if report is None:
        return ()
    before, after = (
        (side.run_agreement or side.event_agreement) if side else None
        for side in (report.baseline, report.candidate)
    )
    names = (("kappa", "κ, agreement beyond chance"), ("ac1", "AC1, the same where one verdict prevails"))
    rows = [
        (words, _number(getattr(before, name, None)), _number(getattr(after, name, None))) for name, words in names
    ]
    return tuple(row for row in rows if row[1:] != ("—", "—"))


def _number(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "—"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def _tabs(report: BacktestReport | None, path: str, chosen: str) -> tuple[KindTab, ...]:
    if report is None or not report.flips:
        return ()
    counts = Counter(flip.kind for flip in report.flips)
    every = KindTab("all", len(report.flips), f"{path}#flips", chosen not in KINDS)
    return (
        every,
        *(
            KindTab(KINDS[kind][0], counts[kind], f"{path}?kind={kind}#flips", chosen == kind)
            for kind in FLIP_ORDER
            if counts[kind]
        ),
    )


def _first_shown(flips: Sequence[Flip], start: int, run: str, event: str) -> int:
    """The number of the first flip on the page, from 1; pages begin at fixed places, so that links stay good."""
    wanted = ("run", run) if run else ("event", event)
    names = ((flip.level, flip.run_id or flip.event_id) for flip in flips)
    at = next((number for number, name in enumerate(names, 1) if wanted[1] and name == wanted), start)
    return (min(at, max(len(flips), 1)) - 1) // FLIPS_A_PAGE * FLIPS_A_PAGE + 1


def _beside(path: str, kind: str, first: int, flips: int) -> str:
    if first > flips:
        return ""
    asked = {"start": max(first, 1), **({"kind": kind} if kind in KINDS else {})}
    return f"{path}?{urlencode(asked)}#flips"


def cards_of(
    connection: Connection, deployment: Deployment, backtest: Backtest, flips: Sequence[Flip]
) -> tuple[FlipCard, ...]:
    """The flips with what each judge said and the content they were shown."""
    run_ids = {flip.run_id for flip in flips if flip.run_id is not None}
    said = backtested_runs(connection, backtest.backtest_id, run_ids)
    captures = load_captures(connection, run_ids, deployment.bodies)
    return tuple(_card(flip, backtest, said, captures) for flip in flips)


def _card(
    flip: Flip,
    backtest: Backtest,
    said: Mapping[tuple[str, str], Sequence[BacktestVerdict]],
    captures: Mapping[str, Capture],
) -> FlipCard:
    words, hue = KINDS[flip.kind]
    run_id = flip.run_id or ""
    capture = captures.get(run_id)
    human = str(flip.human or "")
    human_hue = HUE.get(human, "unknown")
    return FlipCard(
        flip=flip,
        anchor=f"{flip.level}-{quote(flip.run_id or flip.event_id, safe='')}",
        kind="nothing tells which is right" if flip.human is VerdictLabel.UNKNOWN else words,
        hue=hue,
        before=_side(flip.baseline, said.get((run_id, backtest.baseline_version), ())),
        after=_side(flip.candidate, said.get((run_id, backtest.candidate_version), ())),
        human=human,
        human_hue=human_hue,
        human_icon=ICON[human_hue],
        texts=texts_of(capture) if capture else (),
    )


def _side(side: Side, rows: Sequence[BacktestVerdict]) -> FlipSide:
    word, hue, icon = _drawn_word(side.verdict)
    return FlipSide(side, word, hue, icon, tuple(_answered(row) for row in rows))


def _answered(row: BacktestVerdict) -> Answered:
    criteria = tuple((one, *_drawn_word(one.verdict)[1:]) for one in answers_of(row))
    return Answered(row, *_drawn_word(row.verdict), criteria)


def _drawn_word(verdict: str | None) -> tuple[str, str, str]:
    """A verdict's word, hue and icon."""
    word = "not evaluable" if verdict is None else str(verdict).replace("_", " ")
    hue = HUE.get(word, "unknown")
    return word, hue, ICON[hue]


def texts_of(capture: Capture) -> tuple[Text, ...]:
    """Input, output and what was retrieved, each as text, as far as a page shows it."""
    parts = (("Input", capture.input), ("Output", capture.output), ("Retrieved", capture.retrieval))
    return tuple(_text(name, passage) for name, passage in parts if passage.value is not None)


def _text(name: str, passage: Passage) -> Text:
    text = _as_text(passage.value)
    note = "" if passage.fidelity == "full" else str(passage.fidelity)
    shown = text[:SHOWN_AT_MOST]
    cut = len(shown) if len(shown) <= SHOWN_AT_ONCE else SHOWN_AT_ONCE
    return Text(name, shown[:cut], shown[cut:], len(text) - len(shown), note)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json_bytes(value, indented=True).decode()
