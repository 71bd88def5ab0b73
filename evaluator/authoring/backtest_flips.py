"""Where two versions say different things of a run or an event, and why in a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from evaluator.authoring.backtest_report import FLIP_ORDER, Flip, FlipKind, Level, Side
from evaluator.authoring.heard_verdicts import (
    ComparedRun,
    Heard,
    HeardEvent,
    HeardRun,
    answers_of,
    both_ended,
    standing_rows,
)
from evaluator.authoring.human_labels import HumanLabel
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionLabel, VerdictLabel
from evaluator.panel import RunVerdict

_LONGEST_REASON = 160


def flips_of(
    old: Heard, new: Heard, runs: Sequence[ComparedRun], human: Mapping[str, HumanLabel], page: str
) -> list[Flip]:
    """Runs, and events of several runs, of which the versions differ: what matters first, then as the runs come.

    `page` is the address of the backtest's page, empty where there is none.
    """
    found: list[Flip] = []
    several = {event_id for event_id, number in Counter(run.event_id for run in runs).items() if number > 1}
    told: set[str] = set()
    for run in runs:
        if run.event_id in several and run.event_id not in told:
            told.add(run.event_id)
            found += _event_flip(run.event_id, old, new, page)
        found += _run_flip(run, old, new, human.get(run.run_id), page)
    return sorted(found, key=lambda flip: FLIP_ORDER.index(flip.kind))


def _run_flip(run: ComparedRun, old: Heard, new: Heard, label: HumanLabel | None, page: str) -> list[Flip]:
    if not both_ended(old, new, run.run_id):
        return []
    before, after = old.runs[run.run_id], new.runs[run.run_id]
    if before.standing.verdict == after.standing.verdict:
        return []
    human = label.verdict if label is not None else None
    return [
        Flip(
            level="run",
            kind=_kind(human, before.standing.verdict, after.standing.verdict),
            event_id=run.event_id,
            run_id=run.run_id,
            baseline=_side(before, old.version.rubric),
            candidate=_side(after, new.version.rubric),
            human=human,
            link=_link(page, "run", run.run_id),
        )
    ]


def _event_flip(event_id: str, old: Heard, new: Heard, page: str) -> list[Flip]:
    before, after = old.events.get(event_id), new.events.get(event_id)
    if before is None or after is None or not (before.ended and after.ended) or before.verdict == after.verdict:
        return []
    return [
        Flip(
            level="event",
            kind=_kind(after.human, before.verdict, after.verdict),
            event_id=event_id,
            run_id=None,
            baseline=_event_side(before, old.version.rubric),
            candidate=_event_side(after, new.version.rubric),
            human=after.human,
            link=_link(page, "event", event_id),
        )
    ]


def _link(page: str, level: Level, name: str) -> str:
    """The flip on the page: the query finds the part of the list it stands in, the fragment its place there."""
    return f"{page}?{urlencode([(level, name)])}#{level}-{quote(name, safe='')}" if page else ""


def _kind(human: VerdictLabel | None, before: VerdictLabel | None, after: VerdictLabel | None) -> FlipKind:
    if human is None or human is VerdictLabel.UNKNOWN:
        return "unlabelled"
    if human == before:
        return "lost"
    return "gained" if human == after else "both_wrong"


def _event_side(event: HeardEvent, rubric: Rubric) -> Side:
    return Side(verdict=event.verdict, score=event.score, reason=f"its runs by {rubric.rollup}")


def _side(said: HeardRun, rubric: Rubric) -> Side:
    if said.verdict is None:
        return Side(verdict=None, score=None, reason=f"not evaluable: {said.standing.reason}".replace("_", " "))
    return Side(verdict=said.verdict.verdict, score=said.verdict.score, reason=_why(said, said.verdict, rubric))


def _why(said: HeardRun, verdict: RunVerdict, rubric: Rubric) -> str:
    """The answer that decided, with the judge's words where there are any."""
    rows = standing_rows(said)
    row = next((row for row in rows if row.verdict == verdict.verdict), rows[0])
    critical = {criterion.id for criterion in rubric.criteria if criterion.critical}
    order = {
        VerdictLabel.PASS: (CriterionLabel.PASS,),
        VerdictLabel.UNKNOWN: (CriterionLabel.UNKNOWN, CriterionLabel.FAIL),
    }.get(verdict.verdict, (CriterionLabel.FAIL, CriterionLabel.UNKNOWN))
    answers = sorted(answers_of(row), key=lambda each: each.id not in critical)
    deciding = next((each for label in order for each in answers if each.verdict is label), None)
    if deciding is None:
        return ""
    words = " ".join((deciding.reasoning or deciding.note or "").split())
    said_so = f"{deciding.id} {deciding.verdict.replace('_', ' ')}"
    return _short(f"{said_so}: {words}" if words else said_so)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1].rstrip() + "…"
