"""What a person sends about an item → answers, and the verdict that they come to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluator.errors import BadInput
from evaluator.model.rubric import Criterion, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.reviewing.review_sheet import Option
from evaluator.scoring import level_passes, score

LONGEST_NOTE = 4_000
"""Characters of a note, and of why an item cannot be judged."""
PERSON = "person"
"""Who decided an answer that a person gave."""

_FORM_KEY = re.compile(r"[\x21-\x7e]{1,100}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Answer:
    """What was said to one criterion."""

    criterion_id: str
    value: str
    """An Option or a level, as SheetOption.value."""


@dataclass(frozen=True)
class ReviewForm:
    """One review as it is sent."""

    item_id: str
    token: str
    """Of the claim it is sent under."""
    form_key: str
    """The same key from the same person is the same review."""
    rubric_version: str
    """The version whose criteria are answered."""
    answers: tuple[Answer, ...] = ()
    verdict: VerdictLabel | None = None
    """None: what the answers come to."""
    note: str = ""
    cannot_judge: str | None = None
    """Why not; excludes answers and verdict."""
    active_ms: int = 0
    shown: str = ""
    """As on the sheet that was answered: what was looked at."""


@dataclass(frozen=True)
class Answered:
    """What a form says."""

    criteria: tuple[CriterionVerdict, ...]
    """In the rubric's order, decided by person or check; empty where the person cannot judge."""
    proposed: VerdictLabel | None
    """What the answers come to by the rubric's own scoring; None where the person cannot judge."""
    verdict: VerdictLabel | None
    """What the person says of the event."""
    score: float | None
    note: str = ""
    cannot_judge: str | None = None


def read_answers(rubric: Rubric, form: ReviewForm, *, by_code: Mapping[str, CriterionVerdict]) -> Answered:
    """What a form says under the rubric; `by_code` are the criteria that code answers for the content, by id.

    These are not asked of people. Raises BadInput, naming every criterion and what is allowed: for a criterion that is
    missing, unknown, answered twice or with what it does not take; for a verdict other than the proposed one without a
    note; for a text that is too long; for answers or a verdict beside cannot_judge.
    """
    _check_key(form.form_key)
    note = _text(form.note, "The note")
    if form.cannot_judge is not None:
        return _cannot_judge(form, note)
    criteria = _criteria(rubric, form.answers, by_code)
    scored = score(rubric.criteria, criteria, rubric.verdict)
    verdict = form.verdict or scored.verdict
    if verdict != scored.verdict and not note:
        raise BadInput(
            f"The answers come to {scored.verdict}; the verdict is {verdict} and says nothing of why.",
            hint="Say why in the note, or take the verdict that the answers come to.",
        )
    return Answered(criteria, scored.verdict, verdict, scored.score, note)


def allowed_values(criterion: Criterion) -> tuple[str, ...]:
    """What a criterion takes as an answer, in order: the levels of its scale, or pass and fail; then what is neither."""
    if criterion.scale is None:
        return tuple(Option)
    return (*(str(level) for level in sorted(criterion.scale)), Option.UNKNOWN, Option.NOT_APPLICABLE)


def storable(text: str) -> str:
    """The text without what PostgreSQL refuses to store: NUL and lone surrogates."""
    return _UNSTORABLE.sub("", text)


def _check_key(key: str) -> None:
    if _FORM_KEY.fullmatch(key) is None:
        raise BadInput(
            "form_key takes 1 to 100 printable ASCII characters without spaces.",
            hint="Make one key with each form, such as a UUID, and send the same again with a retry.",
        )


def _text(text: str, name: str) -> str:
    cleaned = storable(text).strip()
    if len(cleaned) > LONGEST_NOTE:
        raise BadInput(f"{name} has {len(cleaned):,} characters; at most {LONGEST_NOTE:,} are kept.")
    return cleaned


def _cannot_judge(form: ReviewForm, note: str) -> Answered:
    why = _text(form.cannot_judge or "", "Why it cannot be judged")
    if not why:
        raise BadInput("Say why it cannot be judged.")
    if form.answers or form.verdict is not None:
        raise BadInput(
            "cannot_judge came with answers or a verdict.",
            hint="Send one or the other: what can be answered can be judged.",
        )
    return Answered((), None, None, None, note, why)


def _criteria(
    rubric: Rubric, answers: Sequence[Answer], by_code: Mapping[str, CriterionVerdict]
) -> tuple[CriterionVerdict, ...]:
    asked = {each.id: each for each in rubric.criteria if each.id not in by_code}
    given: dict[str, Answer] = {}
    problems = []
    for answer in answers:
        if answer.criterion_id not in asked:
            problems.append(_not_asked(answer.criterion_id, rubric, asked))
        elif answer.criterion_id in given:
            problems.append(f"{answer.criterion_id} is answered twice")
        elif answer.value not in allowed_values(asked[answer.criterion_id]):
            problems.append(f"{answer.criterion_id} takes {_one_of(asked[answer.criterion_id])}")
        else:
            given[answer.criterion_id] = answer
    answered = {answer.criterion_id for answer in answers}
    problems += [
        f"{name} is not answered: it takes {_one_of(criterion)}"
        for name, criterion in asked.items()
        if name not in answered
    ]
    if problems:
        raise BadInput(f"These answers cannot be taken: {'; '.join(problems)}.")
    return tuple(
        _verdict(each, given[each.id].value) if each.id in given else by_code[each.id] for each in rubric.criteria
    )


def _not_asked(name: str, rubric: Rubric, asked: Mapping[str, Criterion]) -> str:
    wanted = ", ".join(asked) or "none"
    if any(each.id == name for each in rubric.criteria):
        return f"{name} is answered by code; asked are: {wanted}"
    return f"the rubric has no criterion {storable(name)[:64]!r}; asked are: {wanted}"


def _one_of(criterion: Criterion) -> str:
    *others, last = allowed_values(criterion)
    return f"{', '.join(others)} or {last}"


def _verdict(criterion: Criterion, value: str) -> CriterionVerdict:
    if criterion.scale is None or value in tuple(Option):
        return CriterionVerdict(id=criterion.id, verdict=CriterionLabel(value), decided_by=PERSON)
    level = int(value)
    label = CriterionLabel.PASS if level_passes(criterion, level) else CriterionLabel.FAIL
    return CriterionVerdict(id=criterion.id, verdict=label, level=level, decided_by=PERSON)
