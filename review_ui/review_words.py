"""What is said in reviews, in the words, hues and icons pages use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluator.model.person import PersonRole
from evaluator.model.review import ItemState, Review, Stream
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.wording import noun
from review_ui.charts import HUE, ICON

STATE = {
    ItemState.OPEN: "waits for review",
    ItemState.ESCALATED: "passed on to an author",
    ItemState.AWAITING_RESOLUTION: "its reviewers disagree",
    ItemState.DONE: "done",
    ItemState.WITHDRAWN: "withdrawn",
}
STREAM = {
    Stream.AUDIT: "audit: drawn at random",
    Stream.TARGETED: "targeted: sent by policy",
    Stream.PICKED: "picked by hand",
}
ROLE = {
    PersonRole.VIEWER: "viewer",
    PersonRole.REVIEWER: "reviewer",
    PersonRole.AUTHOR: "author",
    PersonRole.ADMIN: "admin",
}


@dataclass(frozen=True)
class Said:
    """An answer or a verdict as it is shown: a word, one of the four hues, its icon."""

    word: str
    hue: str
    icon: str


def said(label: VerdictLabel | CriterionLabel | str | None, score: float | None = None) -> Said:
    """A verdict or an answer; with a score, that beside the word. None: nothing was said."""
    if label is None:
        return Said("no verdict", "unknown", ICON["unknown"])
    hue = HUE.get(label, "unknown")
    word = str(label).replace("_", " ")
    return Said(word if score is None else f"{word} {score:.2f}".replace("0.", "."), hue, ICON[hue])


def review_said(review: Review) -> Said:
    """What a person's review says."""
    if review.cannot_judge is not None:
        return Said("cannot judge", "unknown", ICON["unknown"])
    return said(review.verdict)


def answer_said(answer: CriterionVerdict, rubric: Rubric | None = None) -> Said:
    """An answer to a criterion: its level and anchor where it has a scale, else pass, fail, unknown, not applicable."""
    shown = said(answer.verdict)
    if answer.level is None:
        return shown
    level = f"{answer.level:g}"
    scale = next((one.scale for one in rubric.criteria if one.id == answer.id), None) if rubric else None
    anchor = scale.get(int(answer.level)) if scale and float(answer.level).is_integer() else None
    return Said(f"{level} {anchor}" if anchor else level, shown.hue, shown.icon)


def minutes_left(until: datetime, now: datetime) -> str:
    """`4 min left`, `less than a minute left`."""
    minutes = int((until - now).total_seconds()) // 60
    return f"{minutes} min left" if minutes > 0 else "less than a minute left"


def time_spent(milliseconds: float) -> str:
    """`42 s`, `3 min 5 s`, `1 h 12 min`."""
    seconds = round(milliseconds / 1000)
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    minutes, rest = divmod(seconds, 60)
    return (f"{minutes} min {rest} s" if rest else f"{minutes} min") if minutes else f"{rest} s"


def listed(words: Sequence[str]) -> str:
    """`Ada`, `Ada and Ben`, `Ada, Ben and Eve`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def items(number: int) -> str:
    """`1 item`, `2,000 items`."""
    return f"{number:,} {noun(number, 'item')}"
