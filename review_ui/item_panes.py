"""What one item's content is shown as: panes of what was asked and answered, raw, by step, or against attempt 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from markupsafe import Markup

from evaluator.deployment import Deployment
from evaluator.model.capture import Fidelity
from evaluator.reviewing.review_sheet import ContentPart, JudgeSaid, ReviewSheet, SheetRun
from evaluator.rubric_format.placeholders import answer_name
from evaluator.wording import duration, plural
from review_ui.item_links import ItemLinks
from review_ui.rendering.content import FOLDED_AT, Mark, Rendered, difference, raw, rendered
from review_ui.rendering.json_view import written
from review_ui.rendering.run_steps import shown_steps, steps_of

NOTHING = Markup('<p class="quiet">nothing was captured</p>')
MOST_STEPS = 200
LONG = 8_000
"""Characters from which laying content out is what one waits for."""


class View(StrEnum):
    """How content is shown."""

    RENDERED = "rendered"
    RAW = "raw"
    STEPS = "steps"
    DIFFERENCE = "diff"


@dataclass(frozen=True)
class Tab:
    view: View
    word: str
    path: str
    current: bool
    action: str
    """In the table of keys; empty for none."""


@dataclass(frozen=True)
class Attempt:
    number: int
    path: str
    current: bool
    decides: bool


@dataclass(frozen=True)
class ShownPart:
    """One named piece of content as HTML."""

    name: str
    html: Markup
    size: str
    note: str
    all_path: str
    """Where all of it is shown; empty where it is."""
    is_long: bool


@dataclass(frozen=True)
class ReportedCall:
    """One tool call of a run that was reported without spans."""

    name: str
    error: bool
    sides: tuple[tuple[str, Markup], ...]
    """What went in and what came out, each with its name."""


@dataclass(frozen=True)
class Pane:
    pane_id: str
    title: str
    parts: tuple[ShownPart, ...] = ()
    steps: tuple[ReportedCall, ...] = ()
    html: Markup | str = ""
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Panes:
    """Everything beside the rail."""

    tabs: tuple[Tab, ...]
    attempts: tuple[Attempt, ...]
    panes: tuple[Pane, ...]
    marks: bool
    """Whether a judge's quote is marked in them."""
    found: Mapping[str, bool]
    """Quote → whether it stands in the run that is shown; nothing of other runs' quotes."""


FIDELITY = {
    Fidelity.TRUNCATED: "cut before it came here",
    Fidelity.PARTIAL: "only part of it came",
}
"""What is said of content that is there; where none is, that is said in its place."""


def panes_of(
    deployment: Deployment,
    sheet: ReviewSheet,
    links: ItemLinks,
    *,
    view: str = "",
    run_id: str = "",
    whole: str = "",
) -> Panes:
    """The panes of a sheet; what is asked for and is not there is shown as if nothing had been asked for.

    `whole` names the piece of content that is shown unfolded.
    """
    run = next((one for one in sheet.runs if one.run.run_id == run_id), sheet.runs[0] if sheet.runs else None)
    if run is None or not run.shown:
        gone = Pane("pane-gone", "Content", note=_why_gone(sheet, run))
        return Panes((), _attempts(sheet, run, links), (gone,), marks=False, found={})
    first = next((one for one in sheet.runs if one.number == 1), None)
    views = [View.RENDERED, View.RAW, View.STEPS]
    if first is not None and first is not run and first.shown:
        views.append(View.DIFFERENCE)
    chosen = View(view) if view in views else View.RENDERED
    here = links.shown(run_id=run.run.run_id if run is not sheet.runs[0] else "")
    tabs = _tabs(views, chosen, here)
    attempts = _attempts(sheet, run, links)
    if chosen is View.STEPS:
        return Panes(tabs, attempts, (_steps(deployment, run),), marks=False, found={})
    if chosen is View.DIFFERENCE and first is not None:
        return Panes(tabs, attempts, _differences(first, run, here, whole), marks=False, found={})
    panes, found = _content(sheet, run, here.shown(view=chosen), whole, is_raw=chosen is View.RAW)
    return Panes(tabs, attempts, panes, marks=any(found.values()), found=found)


def _why_gone(sheet: ReviewSheet, run: SheetRun | None) -> str:
    if sheet.purged:
        return "Nothing of this event was captured, or it is gone."
    if run is None:
        return "No run of this event has arrived yet."
    return "Nothing of this attempt's content was captured, or it is gone."


def _tabs(views: Sequence[View], chosen: View, links: ItemLinks) -> tuple[Tab, ...]:
    words = {
        View.RENDERED: "Rendered",
        View.RAW: "Raw",
        View.STEPS: "Steps",
        View.DIFFERENCE: "Diff to attempt 1",
    }
    toggled = View.RAW if chosen is View.RENDERED else View.RENDERED
    action = {toggled: "rendered_raw"}
    if chosen is not View.DIFFERENCE:
        action[View.DIFFERENCE] = "difference"
    return tuple(
        Tab(one, words[one], links.shown(view=one).path, one is chosen, action.get(one, "")) for one in views
    )


def _attempts(sheet: ReviewSheet, shown: SheetRun | None, links: ItemLinks) -> tuple[Attempt, ...]:
    ordered = sorted(sheet.runs, key=lambda one: one.number)
    return tuple(
        Attempt(one.number, links.shown(run_id=one.run.run_id).path, one is shown, one.decides) for one in ordered
    )


def _content(
    sheet: ReviewSheet, run: SheetRun, links: ItemLinks, whole: str, *, is_raw: bool
) -> tuple[tuple[Pane, ...], dict[str, bool]]:
    """What was asked on the left, the answer on the right; quotes are looked for in the answer first."""
    answer = answer_name([part.name for part in run.shown])
    marks = _marks(sheet.reveal.judges if sheet.reveal else (), run)
    parts: dict[str, ShownPart] = {}
    found = dict.fromkeys((mark.text for mark in marks), False)
    for number, part in enumerate(sorted(run.shown, key=lambda one: one.name != answer), 1):
        if part.value is None:
            parts[part.name] = _missing(part)
            continue
        wanted = [mark for mark in marks if not found[mark.text]]
        limit = None if whole == part.name else FOLDED_AT
        drawn = (raw if is_raw else rendered)(part.value, marks=wanted, limit=limit, anchors=f"evidence-{number}")
        found |= {mark.text: True for mark, is_there in zip(wanted, drawn.found, strict=True) if is_there}
        parts[part.name] = _part(part, drawn, links)
    left = tuple(parts[part.name] for part in run.shown if part.name != answer)
    right = Pane("pane-answer", "What came out", (parts[answer],))
    return ((Pane("pane-asked", "What went in", left), right) if left else (right,)), found


def _marks(judges: Iterable[JudgeSaid], run: SheetRun) -> list[Mark]:
    by_text: dict[str, Mark] = {}
    for judge in judges:
        if judge.run_id == run.run.run_id:
            for answer in judge.criteria:
                for quote in answer.evidence:
                    by_text.setdefault(quote.text, Mark(quote.text, f"{judge.judge}, for {answer.id}"))
    return list(by_text.values())


def _part(part: ContentPart, drawn: Rendered, links: ItemLinks) -> ShownPart:
    path = links.shown(whole=part.name).path if drawn.folded else ""
    return ShownPart(
        part.name,
        drawn.html,
        size_of(drawn.characters),
        FIDELITY.get(part.fidelity, ""),
        path,
        drawn.characters >= LONG,
    )


def _missing(part: ContentPart) -> ShownPart:
    return ShownPart(part.name, NOTHING, "", "", "", is_long=False)


def size_of(characters: int) -> str:
    """`812 characters`, then `412 KB`."""
    return plural(characters, "character") if characters < 2_000 else f"{round(characters / 1000):,} KB"


def _differences(first: SheetRun, run: SheetRun, links: ItemLinks, whole: str) -> tuple[Pane, ...]:
    before = {part.name: part.value for part in first.shown if part.value is not None}
    parts = tuple(
        _part(part, _difference(before.get(part.name, ""), part, whole), links.shown(view=View.DIFFERENCE))
        if part.name in before or part.value is not None
        else _missing(part)
        for part in run.shown
    )
    return (Pane("pane-difference", f"Attempt 1 against attempt {run.number}", parts),)


def _difference(before: Any, part: ContentPart, whole: str) -> Rendered:
    """The changes, as long as the content that it came to."""
    after = "" if part.value is None else part.value
    drawn = difference(before, after, limit=None if whole == part.name else FOLDED_AT)
    return replace(drawn, characters=len(written(after)))


def _steps(deployment: Deployment, run: SheetRun) -> Pane:
    """Its spans, else the tool calls it was reported with."""
    facts = tuple(_run_facts(run))
    spans = steps_of(deployment, run.run)
    if spans:
        return Pane("pane-steps", "Steps", html=shown_steps(spans), facts=facts)
    calls = run.capture.tools.value if run.capture is not None else None
    steps = tuple(_step(one) for one in calls[:MOST_STEPS]) if isinstance(calls, list) else ()
    note = "" if steps else "This attempt was reported without spans and without tool calls."
    if isinstance(calls, list) and len(calls) > MOST_STEPS:
        note = f"The first {MOST_STEPS} of {len(calls):,} tool calls."
    return Pane("pane-steps", "Steps", steps=steps, facts=facts, note=note)


def _step(call: Any) -> ReportedCall:
    if not isinstance(call, Mapping):
        return ReportedCall("tool call", error=False, sides=(("Call", rendered(call).html),))
    named = (("Arguments", "arguments"), ("Result", "result"), ("Error", "error"))
    sides = tuple((word, rendered(call[name]).html) for word, name in named if call.get(name) is not None)
    return ReportedCall(str(call.get("name") or "tool call"), call.get("error") is not None, sides)


def _run_facts(run: SheetRun) -> Iterator[tuple[str, str]]:
    of = run.run
    yield "Ended", of.execution_status.replace("_", " ") + (f": {of.error_type}" if of.error_type else "")
    if of.duration_ms is not None:
        yield "Took", duration(of.duration_ms / 1000) if of.duration_ms >= 1000 else f"{of.duration_ms:.0f} ms"
    if of.llm_calls:
        yield "LLM calls", f"{of.llm_calls:,}"
    if of.models:
        yield "Models", ", ".join(of.models)
    if of.input_tokens is not None or of.output_tokens is not None:
        yield "Tokens", f"{of.input_tokens or 0:,} in, {of.output_tokens or 0:,} out"
