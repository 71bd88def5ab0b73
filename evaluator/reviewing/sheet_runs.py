"""The attempts of an event as a person sees them: what judges were shown of each, the deciding one first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from evaluator.applicability import content_for, run_facts
from evaluator.model.capture import Capture, Fidelity
from evaluator.model.review import ReviewItem
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run
from evaluator.review_state import mark_of
from evaluator.reviewing.review_sheet import ContentPart, SheetRun
from evaluator.rubric_format.expressions import names_in
from evaluator.rubric_format.placeholders import answer_name

MOST_RUNS = 20
"""Attempts whose content a sheet holds; the deciding one is among them."""

_WORST_FIRST = (Fidelity.MISSING, Fidelity.PARTIAL, Fidelity.TRUNCATED, Fidelity.FULL)


def chosen_runs(item: ReviewItem, runs: Sequence[Run]) -> list[tuple[int, Run]]:
    """The runs a sheet shows with their numbers from 1: the deciding one, then the others, newest first.

    `runs` are in order of their start. Where no run decides, the newest comes first.
    """
    numbered = list(enumerate(runs, 1))
    if not numbered:
        return []
    first = next((one for one in numbered if one[1].run_id == item.deciding_run_id), numbered[-1])
    return [first, *(one for one in reversed(numbered) if one is not first)][:MOST_RUNS]


def shown_mark(chosen: Sequence[tuple[int, Run]]) -> str:
    """What a sheet shows first, in short; empty without any run."""
    if not chosen:
        return ""
    return mark_of(chosen[0][1])


def sheet_runs(
    rubric: Rubric, chosen: Sequence[tuple[int, Run]], captures: Mapping[str, Capture], *, hidden: bool
) -> tuple[SheetRun, ...]:
    """The chosen runs with what judges were shown of them; scores that other tools gave are left out while hidden."""
    return tuple(
        _sheet_run(rubric, number, run, captures.get(run.run_id), decides=place == 0, hidden=hidden)
        for place, (number, run) in enumerate(chosen)
    )


def _sheet_run(
    rubric: Rubric, number: int, run: Run, capture: Capture | None, *, decides: bool, hidden: bool
) -> SheetRun:
    present = capture if capture is not None and capture.fidelity is not Fidelity.MISSING else None
    shown: tuple[ContentPart, ...] = ()
    if present is not None:
        content = content_for(rubric, run_facts(run, present))
        shown = tuple(
            ContentPart(name, content[name], _fidelity(rubric.content[name], present))
            for name in _as_the_judge_reads(content)
        )
    shown_run = run.model_copy(update={"evaluations": []}) if hidden else run
    return SheetRun(shown_run, number, decides, shown, present)


def _as_the_judge_reads(names: Mapping[str, object]) -> list[str]:
    """The names of the content, the answer last."""
    if not names:
        return []
    answer = answer_name(names.keys())
    return [*(name for name in names if name != answer), answer]


def _fidelity(expression: str, capture: Capture) -> Fidelity:
    """The worst of the captured sides that a mapping looks at; full where it looks at none."""
    sides = [
        passage.fidelity
        for name, passage in (
            ("input", capture.input),
            ("output", capture.output),
            ("retrieval", capture.retrieval),
            ("tools", capture.tools),
        )
        if name in _names(expression)
    ]
    return next((each for each in _WORST_FIRST if each in sides), Fidelity.FULL)


@lru_cache(maxsize=1024)
def _names(expression: str) -> frozenset[str]:
    return frozenset(names_in(expression))
