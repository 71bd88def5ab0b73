"""GET /disagreements: what people said side by side, criterion by criterion, and the verdict that ends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from evaluator.api.problems import status_of
from evaluator.deployment import Deployment
from evaluator.errors import BadInput, ClaimLost, Conflict
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, Review, ReviewItem, ReviewKind, SlotKind
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.reviewing import review_desk
from evaluator.reviewing.reason_chips import value_word
from evaluator.reviewing.review_form import Answer, ReviewForm
from evaluator.reviewing.review_lists import disagreements
from evaluator.reviewing.review_sheet import Chip, Holding, JudgeSaid, ReviewSheet, SheetOption
from evaluator.reviewing.review_submission import submit
from evaluator.reviewing.sheet_reading import sheet_of
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.review_items import acts_of_item
from evaluator.store.reviews import review_by_form
from review_ui.empty_screens import EmptyScreen, Link, none_of
from review_ui.forms import FormHere
from review_ui.guard import needs, same_origin
from review_ui.item_links import ItemLinks
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.page_places import LAST_PAGE, Pager, address, pager
from review_ui.presentation import page
from review_ui.review_words import STATE, Said, answer_said, minutes_left, review_said, said
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

Reviewer = Annotated[Visitor, Depends(needs(PersonRole.REVIEWER))]
Author = Annotated[Visitor, Depends(needs(PersonRole.AUTHOR))]

ANSWER = "answer."
"""What the names of a form's answers begin with; the criterion's id follows."""
_KINDS = {
    ReviewKind.FIRST_PASS: "reviewer",
    ReviewKind.REVISED: "reviewer, revised",
    ReviewKind.SECOND_OPINION: "second opinion",
    ReviewKind.ADJUDICATION: "settled it",
}


@dataclass(frozen=True)
class Column:
    """Somebody whose answers are compared."""

    name: str
    kind: str
    said: Said
    more: str
    authoritative: bool
    answers: Mapping[str, CriterionVerdict]


@dataclass(frozen=True)
class Line:
    """One criterion across all columns."""

    criterion: str
    question: str
    critical: bool
    said: tuple[Said | None, ...]
    differs: bool


@dataclass(frozen=True)
class Question:
    """One criterion in the form."""

    criterion: str
    options: tuple[SheetOption, ...]
    chosen: str
    """What all reviewers said, or what was sent; empty where they differ."""
    agreed: bool


@dataclass(frozen=True)
class Note:
    """What somebody wrote beside their verdict."""

    who: str
    text: str


@dataclass(frozen=True)
class Case:
    """One item that waits for an author."""

    item: ReviewItem
    rubric: str
    state: str
    value: str
    chips: tuple[Chip, ...]
    columns: tuple[Column, ...] = ()
    lines: tuple[Line, ...] = ()
    verdict_differs: bool = False
    notes: tuple[Note, ...] = ()
    escalation: Note | None = None
    standing: str = ""
    held_by: str = ""
    questions: tuple[Question, ...] = ()
    form_key: str = ""
    rubric_version: str = ""
    shown: str = ""
    chosen_verdict: str = ""
    note: str = ""
    problem: str = ""
    opened: bool = False


@dataclass(frozen=True)
class Sent:
    """A form that could not be taken: what it held, and why."""

    item_id: str
    form: Mapping[str, str]
    refused: BadInput | Conflict


@dataclass(frozen=True)
class KindTab:
    """Disagreements or escalations, and how many there are."""

    word: str
    href: str
    count: str
    current: bool


@dataclass(frozen=True)
class DisagreementsPage:
    """What the template shows."""

    headline: str
    summary: str
    told: str
    tabs: tuple[KindTab, ...]
    cases: tuple[Case, ...]
    place: Pager
    empty: EmptyScreen | None
    may_settle: bool


@router.get("/disagreements")
def show_disagreements(
    request: Request,
    visitor: Reviewer,
    state: Annotated[str, Query(description="awaiting_resolution or escalated")] = "",
    item: Annotated[str, Query(description="only this item")] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=LAST_PAGE)] = 1,
) -> Response:
    """What waits for an author; reviewers see theirs alone."""
    deployment: Deployment = request.app.state.deployment
    notice = notice_of(request)
    told = notice.words if notice and not notice.secret else ""
    if item:
        context = _one_case(deployment, visitor, item, told=told)
    else:
        context = _all_cases(deployment, visitor, _state_of(state), number, told=told)
    return shown_once(request, page("disagreements.html", context, visitor=visitor))


@router.post("/disagreements/{item_id}/claim")
def claim_to_settle(request: Request, item_id: str, visitor: Author) -> Response:
    """Hold the item to settle it on its own page; where that cannot be, the reason stands beside it."""
    deployment: Deployment = request.app.state.deployment
    try:
        review_desk.claim_item(deployment, visitor.signed_in, item_id, kind=SlotKind.ADJUDICATION)
    except Conflict as taken:
        return _again(deployment, visitor, Sent(item_id, {}, taken))
    return see_other(request, ItemLinks(item_id).path)


@router.post("/disagreements/{item_id}")
def settle_here(request: Request, item_id: str, form: FormHere, visitor: Author) -> Response:
    """Settle an item with the answers of a form; sent twice, it is settled once."""
    deployment: Deployment = request.app.state.deployment
    person = visitor.signed_in
    with deployment.database.read() as connection:
        taken = review_by_form(connection, person.person_id, form.get("form_key", ""))
    if taken is None:
        try:
            taken = _settle(deployment, person, _form_of(item_id, form))
        except (BadInput, Conflict) as refused:
            return _again(deployment, visitor, Sent(item_id, form, refused))
    told = f"Settled {taken.event_id}: {review_said(taken).word}. Your verdict stands."
    return see_other(request, "/disagreements", Notice(told))


def _settle(deployment: Deployment, person: Person, form: ReviewForm) -> Review:
    """Claim and settle; a claim whose form is refused is given back."""
    claim = review_desk.claim_item(deployment, person, form.item_id, kind=SlotKind.ADJUDICATION)
    try:
        return submit(deployment, person, replace(form, token=claim.token)).review
    except (BadInput, Conflict):
        with suppress(ClaimLost):
            review_desk.release(deployment, person, form.item_id, claim.token)
        raise


def _form_of(item_id: str, form: Mapping[str, str]) -> ReviewForm:
    chosen = form.get("verdict", "")
    if chosen and chosen not in set(VerdictLabel):
        raise BadInput(f"The verdict is {quoted(chosen)}; it takes {', '.join(VerdictLabel)}, or nothing.")
    return ReviewForm(
        item_id=item_id,
        token="",
        form_key=form.get("form_key", ""),
        rubric_version=form.get("rubric_version", ""),
        shown=form.get("shown", ""),
        answers=tuple(
            Answer(name.removeprefix(ANSWER), value)
            for name, value in form.items()
            if name.startswith(ANSWER) and value
        ),
        verdict=VerdictLabel(chosen) if chosen else None,
        note=form.get("note", ""),
    )


def _again(deployment: Deployment, visitor: Visitor, sent: Sent) -> HTMLResponse:
    """The one item again, with what was sent and why it was not taken."""
    context = _one_case(deployment, visitor, sent.item_id, sent=sent)
    return page("disagreements.html", context, visitor=visitor, status=status_of(sent.refused))


def _one_case(
    deployment: Deployment, visitor: Visitor, item_id: str, *, told: str = "", sent: Sent | None = None
) -> DisagreementsPage:
    may_settle = visitor.may(PersonRole.AUTHOR)
    case = _case(deployment, visitor.signed_in, item_id, may_settle=may_settle, sent=sent)
    waits = case.item.state in (ItemState.AWAITING_RESOLUTION, ItemState.ESCALATED)
    return DisagreementsPage(
        headline="Settle" if may_settle else "Disagreement",
        summary="" if waits else "This item does not wait for an author.",
        told=told,
        tabs=(),
        cases=(case,),
        place=Pager(),
        empty=None,
        may_settle=may_settle and waits,
    )


def _all_cases(
    deployment: Deployment, visitor: Visitor, state: ItemState | None, number: int, *, told: str
) -> DisagreementsPage:
    person = visitor.signed_in
    may_settle = person.may(PersonRole.AUTHOR)
    shown = disagreements(deployment, person, state, number=number)
    summary = (
        "An author’s verdict stands above the reviewers’. Until then no verdict of people stands."
        if may_settle
        else "These wait for an author; you reviewed them or passed them on."
    )
    return DisagreementsPage(
        headline="Disagreements",
        summary=summary,
        told=told,
        tabs=tuple(_tabs(deployment, person, state)),
        cases=tuple(_case(deployment, person, one.item.item_id, may_settle=may_settle) for one in shown.rows),
        place=pager("/disagreements", {"state": str(state or "")}, shown),
        empty=None if shown.rows else _empty(state),
        may_settle=may_settle,
    )


def _tabs(deployment: Deployment, person: Person, state: ItemState | None) -> Iterator[KindTab]:
    for each, word in _KINDS_OF_CASES.items():
        count = disagreements(deployment, person, each).count.words
        yield KindTab(word, address("/disagreements", {"state": str(each or "")}), count, each == state)


_KINDS_OF_CASES = {None: "All", ItemState.AWAITING_RESOLUTION: "Disagreements", ItemState.ESCALATED: "Escalated"}


def _empty(state: ItemState | None) -> EmptyScreen:
    screen = none_of("escalated" if state is ItemState.ESCALATED else "disagreements")
    return replace(screen, links=(Link("Back to the queue", "/review"),))


def _case(
    deployment: Deployment, person: Person, item_id: str, *, may_settle: bool, sent: Sent | None = None
) -> Case:
    sheet = sheet_of(deployment, person, item_id)
    case = case_of(sheet, may_settle=may_settle, sent=sent)
    if sheet.hidden or sheet.item.state != ItemState.ESCALATED:
        return case
    with deployment.database.read() as connection:
        acts = acts_of_item(connection, item_id)
    who = next((one.who for one in reversed(acts) if one.act == "escalated"), "A reviewer")
    return replace(case, escalation=Note(who, sheet.item.note)) if sheet.item.note else case


def _state_of(text: str) -> ItemState | None:
    allowed = (ItemState.AWAITING_RESOLUTION, ItemState.ESCALATED)
    if text and text not in allowed:
        raise BadInput(f"state is {quoted(text)}; it takes {' or '.join(allowed)}, or nothing.")
    return ItemState(text) if text else None


def case_of(sheet: ReviewSheet, *, may_settle: bool, sent: Sent | None = None) -> Case:
    """One item as it is compared; without columns where what others said is hidden from the person."""
    item = sheet.item
    columns = _columns(sheet)
    given = sent.form if sent else {}
    case = Case(
        item=item,
        rubric=sheet.rubric.title,
        state=STATE[ItemState(item.state)],
        value=value_word(sheet.value, item.value_currency) if sheet.value is not None else "",
        chips=sheet.chips,
        standing="What others said is hidden from you: you have not answered this item.",
        held_by=_held(sheet.holding),
        problem=str(sent.refused) if sent else "",
    )
    if sheet.reveal is None:
        return case
    return replace(
        case,
        columns=columns,
        lines=tuple(_lines(sheet, columns)),
        verdict_differs=len({column.said.word.split(" ")[0] for column in columns}) > 1,
        notes=tuple(_notes(sheet.reveal.reviews)),
        standing=_standing(sheet),
        questions=tuple(_questions(sheet, given)) if may_settle else (),
        form_key=sheet.form_key,
        rubric_version=sheet.rubric.version,
        shown=sheet.shown,
        chosen_verdict=given.get("verdict", ""),
        note=given.get("note", ""),
        opened=bool(given),
    )


def _columns(sheet: ReviewSheet) -> tuple[Column, ...]:
    if sheet.reveal is None:
        return ()
    people = [
        Column(
            name=one.reviewer,
            kind=_KINDS.get(ReviewKind(one.kind), "reviewer"),
            said=review_said(one),
            more="",
            authoritative=one.kind == ReviewKind.ADJUDICATION,
            answers={each.id: each for each in map(CriterionVerdict.model_validate, one.criteria)},
        )
        for one in sheet.reveal.reviews
        if one.kind in _KINDS
    ]
    first = sheet.runs[0].run.run_id if sheet.runs else ""
    of_judges: dict[str, list[JudgeSaid]] = {}
    for each in sheet.reveal.judges:
        if each.run_id == first and each.verdict is not None:
            of_judges.setdefault(each.judge, []).append(each)
    return (*people, *(_of_judge(name, times) for name, times in of_judges.items()))


def _of_judge(name: str, times: Sequence[JudgeSaid]) -> Column:
    """One judge's column: of several samples, the answer that came most often."""
    verdict, number = Counter(one.verdict for one in times).most_common(1)[0]
    criteria = list(dict.fromkeys(each.id for one in times for each in one.criteria))
    answers = {}
    for criterion in criteria:
        given = [each for one in times for each in one.criteria if each.id == criterion]
        most = Counter(each.verdict for each in given).most_common(1)[0][0]
        answers[criterion] = next(each for each in given if each.verdict == most)
    return Column(
        name=name,
        kind="stronger judge" if any(one.escalated for one in times) else "judge",
        said=said(verdict, times[0].score if len(times) == 1 else None),
        more=f"{number} of {len(times)} times" if len(times) > 1 else "",
        authoritative=False,
        answers=answers,
    )


def _lines(sheet: ReviewSheet, columns: Sequence[Column]) -> Iterator[Line]:
    for criterion in sheet.criteria:
        answers = [column.answers.get(criterion.criterion_id) for column in columns]
        yield Line(
            criterion=criterion.criterion_id,
            question=criterion.question,
            critical=criterion.critical,
            said=tuple(answer_said(one, sheet.rubric) if one else None for one in answers),
            differs=len({_compared(one) for one in answers if one is not None}) > 1,
        )


def _compared(answer: CriterionVerdict) -> tuple[CriterionLabel, int | None]:
    """Means of several samples are compared by their nearest level."""
    return answer.verdict, None if answer.level is None else round(answer.level)


def _notes(reviews: Sequence[Review]) -> Iterator[Note]:
    for one in reviews:
        text = "\n".join(filter(None, (one.cannot_judge, one.note)))
        if text:
            yield Note(one.reviewer, text)


def _standing(sheet: ReviewSheet) -> str:
    """Whose verdict counts just now."""
    assert sheet.reveal is not None
    if sheet.decided_by_record:
        return "A system of record decided the event's outcome; the verdict here counts for judge quality."
    if sheet.reveal.verdict is None:
        return "No verdict counts until this is settled: judges came to none."
    if sheet.reveal.verdict == VerdictLabel.UNKNOWN:
        return "No verdict counts until this is settled: the judges could not tell."
    score = "" if sheet.reveal.score is None else f" ({sheet.reveal.score:.2f})"
    return f"Until this is settled no person’s verdict stands; the judges’ {sheet.reveal.verdict}{score} counts."


def _held(holding: Holding | None) -> str:
    if holding is None or holding.kind != SlotKind.ADJUDICATION:
        return ""
    left = minutes_left(holding.lease_until, utc_now())
    return f"You are settling it, {left}." if holding.is_mine else f"{holding.name} is settling it, {left}."


def _questions(sheet: ReviewSheet, given: Mapping[str, str]) -> Iterator[Question]:
    reviews = [
        {each.id: value_of(each) for each in map(CriterionVerdict.model_validate, one.criteria)}
        for one in (sheet.reveal.reviews if sheet.reveal else ())
        if one.kind in _KINDS and one.criteria
    ]
    for criterion in sheet.criteria:
        if not criterion.options:
            continue
        values = {one.get(criterion.criterion_id, "") for one in reviews}
        agreed = len(values) == 1
        prefilled = "".join(values) if agreed else ""
        yield Question(
            criterion=criterion.criterion_id,
            options=criterion.options,
            chosen=given.get(ANSWER + criterion.criterion_id, "") if given else prefilled,
            agreed=agreed or not reviews,
        )


def value_of(answer: CriterionVerdict) -> str:
    """An answer as a form sends it."""
    return str(answer.verdict) if answer.level is None else f"{answer.level:g}"
