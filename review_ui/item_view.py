"""One item as its page shows it: what a sheet holds, in the words, order and fields of the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, Review, ReviewKind, SlotKind
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.reviewing.review_form import LONGEST_NOTE
from evaluator.reviewing.review_sheet import JudgeSaid, Mode, ReviewSheet, SheetCriterion, SheetOption
from evaluator.scoring import score
from evaluator.wording import ago
from review_ui.charts import ICON
from review_ui.item_links import ItemLinks
from review_ui.review_words import STATE, Said, answer_said, minutes_left, review_said, said
from review_ui.rubric_words import check_in_words, short

ANSWER_FIELD = "answer."
"""What a criterion's field is called in the form, before its id."""
CANNOT_JUDGE = (
    "the content is cut, missing or garbled",
    "it needs knowledge that I do not have",
    "it is in a language that I do not read",
    "the criteria do not fit this case",
)
GONE = "there is no content"


@dataclass(frozen=True)
class ViewChip:
    word: str
    hue: str = ""
    title: str = ""


@dataclass(frozen=True)
class Banner:
    text: str
    strong: str = ""
    bad: bool = False


@dataclass(frozen=True)
class ShownQuote:
    text: str
    found: bool


@dataclass(frozen=True)
class SaidBy(Said):
    """What somebody answered, and why."""

    who: str = ""
    reasoning: str = ""
    note: str = ""
    quotes: tuple[ShownQuote, ...] = ()
    differs: bool = False
    """From what the person answered."""


@dataclass(frozen=True)
class ShownOption:
    number: int
    """Its key."""
    value: str
    word: str
    level: str
    """Of a scale; empty otherwise."""
    hue: str
    icon: str
    """Of a verdict; empty for what is none."""
    says: str
    """The label it stands for in the score."""
    chosen: bool


@dataclass(frozen=True)
class ShownCriterion:
    criterion_id: str
    question: str
    field: str
    critical: bool
    weight: float
    options: tuple[ShownOption, ...]
    code_word: Said | None
    code_says: str
    code_why: str
    mine: Said | None
    said: tuple[SaidBy, ...]


@dataclass(frozen=True)
class RevealStrip:
    """Everybody's verdict, and whether the judge's is the person's."""

    mine: Said | None
    judge: Said
    score: str
    summary: str
    others: tuple[SaidBy, ...]
    differs: bool
    sentence: str


@dataclass(frozen=True)
class RecordedLine(Said):
    """One of the last reviews, with what undoing it sends."""

    event_id: str
    at: datetime
    path: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Given:
    """What the person had sent or typed, where the page comes again with it."""

    answers: Mapping[str, str] = field(default_factory=dict)
    verdict: str = ""
    note: str = ""
    why: str = ""
    changing: bool = False


@dataclass(frozen=True)
class ItemView:
    """What the template shows of the item."""

    sheet: ReviewSheet
    title: str
    heading: tuple[str, ...]
    chips: tuple[ViewChip, ...]
    banners: tuple[Banner, ...]
    facts: tuple[tuple[str, str], ...]
    criteria: tuple[ShownCriterion, ...]
    reveal: RevealStrip | None
    recorded: tuple[RecordedLine, ...]
    path: str
    previous: str
    following: str
    back: str
    back_word: str
    form_id: str
    form_name: str
    action: str
    submit_word: str
    claim_word: str
    fields: tuple[tuple[str, str], ...]
    token: str
    may_answer: bool
    may_review: bool
    may_escalate: bool
    single: bool
    """One criterion is asked of people: pressing an answer submits."""
    note: str
    own_note: str
    verdict: str
    """What the person picked in the place of what the answers come to; empty where nothing."""
    proposed: str
    """What the answers come to, where no person is asked any; else empty."""
    why: str
    changing: bool
    said: str
    """What a screen reader hears when the item comes."""
    toast: str

    @property
    def asked(self) -> tuple[ShownCriterion, ...]:
        return tuple(one for one in self.criteria if one.options)

    @property
    def verdicts(self) -> tuple[Said, ...]:
        return tuple(map(said, VerdictLabel))

    @property
    def verdict_from(self) -> str:
        """Where the verdict comes from, until a script says it more exactly."""
        if self.single:
            return "follows the answer you press"
        return "as answered" if self.proposed else "as answered, unless you pick one"

    @property
    def cannot_reasons(self) -> tuple[str, ...]:
        return CANNOT_JUDGE

    @property
    def gone(self) -> str:
        return GONE

    @property
    def longest_note(self) -> int:
        return LONGEST_NOTE


def view_of(
    sheet: ReviewSheet,
    person: Person,
    links: ItemLinks,
    *,
    now: datetime,
    found: Mapping[str, bool],
    given: Given | None = None,
    toast: str = "",
) -> ItemView:
    """A sheet in the template's words; `found` says of quotes whether they stand in the run that is shown."""
    heading = tuple(_heading(sheet, now))
    token = sheet.holding.token if sheet.holding and sheet.holding.is_mine else ""
    revising = sheet.mode is Mode.REVEALED
    answers = sheet.mode in (Mode.ANSWER, Mode.ADJUDICATE) or (revising and _may_revise(sheet))
    shown = given or _from_mine(sheet)
    asked = [one for one in sheet.criteria if one.options]
    batch = links.batch_id
    return ItemView(
        sheet=sheet,
        title=heading[0] if sheet.place else f"Review: {sheet.rubric.id}",
        heading=heading,
        chips=tuple(_chips(sheet)),
        banners=tuple(_banners(sheet, now)),
        facts=tuple(_facts(sheet)),
        criteria=tuple(_criterion(one, sheet, person, shown, found) for one in sheet.criteria),
        reveal=_reveal(sheet, person),
        recorded=tuple(_recorded(sheet, links)),
        path=links.base,
        previous=_neighbour(sheet, links, before=True),
        following=_neighbour(sheet, links, before=False),
        back=f"/review/batch/{batch}" if batch else "/review",
        back_word="Back to the batch" if batch else "Back to the queue",
        form_id="change-form" if revising else "answer-form",
        form_name="Your answers",
        action=f"{links.base}/revise" if revising else f"{links.base}/verdict",
        submit_word="Save" if revising else "Settle" if sheet.mode is Mode.ADJUDICATE else "Submit",
        claim_word="Claim and settle"
        if person.may(PersonRole.AUTHOR) and _is_to_settle(sheet)
        else "Claim and review",
        fields=tuple(_fields(sheet, token, batch)),
        token=token,
        may_answer=answers and not sheet.purged,  # where code answers all, people still say whether it is right
        may_review=person.may(PersonRole.REVIEWER),
        may_escalate=sheet.mode is Mode.ANSWER,
        single=len(asked) == 1,
        note=shown.note,
        own_note=sheet.mine.note if sheet.mine else "",
        verdict=shown.verdict,
        proposed="" if asked else _proposed(sheet),
        why=shown.why,
        changing=shown.changing,
        said=f"{toast} {'. '.join(heading)}." if toast else f"{'. '.join(heading)}.",
        toast=toast,
    )


def _heading(sheet: ReviewSheet, now: datetime) -> Iterator[str]:
    if sheet.place is not None:
        yield f"Item {sheet.place.number} of {sheet.place.size}"
    elif sheet.mode is Mode.ADJUDICATE:
        yield "To settle"
    yield f"{sheet.item.workflow or 'no workflow'} / {sheet.rubric.id}"
    if sheet.attempts > 1 and sheet.runs:
        yield f"attempt {sheet.runs[0].number} of {sheet.attempts}"
    if sheet.mode is Mode.READ or sheet.item.state == ItemState.DONE:
        yield STATE[ItemState(sheet.item.state)]
    else:
        yield f"waiting {ago(sheet.item.entered_at, now).removesuffix(' ago')}"


def _chips(sheet: ReviewSheet) -> Iterator[ViewChip]:
    for chip in sheet.chips:
        yield ViewChip(chip.word)
    if sheet.decided_by_record:
        yield ViewChip("decided by a system of record")
    if sheet.judge_failed:
        yield ViewChip("judge failed", "fail", sheet.judge_failed)
    if sheet.judged_version:
        yield ViewChip(f"judged with {short(sheet.judged_version)}, shown {short(sheet.rubric.version)}", "partial")
    if sheet.holding is not None and sheet.holding.kind is SlotKind.SECOND_OPINION:
        yield ViewChip("second opinion")


def _banners(sheet: ReviewSheet, now: datetime) -> Iterator[Banner]:
    if sheet.mode is Mode.HELD and sheet.holding is not None:
        left = minutes_left(sheet.holding.lease_until, now)
        yield Banner(
            "You can read it; answering is theirs until the claim runs out.", f"{sheet.holding.name}, {left}."
        )
    if sheet.decided_by_record:
        told = f": {sheet.outcome.final_outcome}" if sheet.outcome is not None else ""
        yield Banner(
            "Your verdict counts for the judge's quality and does not change the outcome.",
            f"A system of record decided this event{told}.",
        )
    if sheet.purged:
        yield Banner("All that can be said is that it cannot be judged.", "There is no content of this event here.")
    if sheet.judge_failed:
        yield Banner(f"The judge came to no verdict: {sheet.judge_failed}.")
    if sheet.judged_version:
        yield Banner(
            f"The rubric has changed: judges read version {short(sheet.judged_version)}, you answer "
            f"version {short(sheet.rubric.version)}."
        )
    if sheet.item.note:
        yield Banner(sheet.item.note, "Said with it:")


def _facts(sheet: ReviewSheet) -> Iterator[tuple[str, str]]:
    yield "Event", sheet.event.event_id
    if sheet.runs:
        yield "Run", sheet.runs[0].run.run_id
    yield "Item", sheet.item.item_id
    yield "Rubric", f"{sheet.rubric.id} {short(sheet.rubric.version)}"
    if sheet.runs:
        yield "Started", f"{sheet.runs[0].run.started_at:%Y-%m-%d %H:%M:%S} UTC"
    yield "In the queue", f"{sheet.item.entered_at:%Y-%m-%d %H:%M:%S} UTC"
    if sheet.event.environment:
        yield "Environment", sheet.event.environment


def _proposed(sheet: ReviewSheet) -> str:
    answers = [
        CriterionVerdict(
            id=one.criterion_id,
            verdict=CriterionLabel.NOT_APPLICABLE if one.not_applicable else one.by_code or CriterionLabel.UNKNOWN,
        )
        for one in sheet.criteria
    ]
    return str(score(sheet.rubric.criteria, answers, sheet.rubric.verdict).verdict)


def _is_to_settle(sheet: ReviewSheet) -> bool:
    return sheet.item.state in (ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION)


def _may_revise(sheet: ReviewSheet) -> bool:
    """Gold answers are compared as they were given, and what authors settled is settled anew."""
    mine = sheet.mine
    return mine is not None and mine.kind in (ReviewKind.FIRST_PASS, ReviewKind.REVISED, ReviewKind.SECOND_OPINION)


def _from_mine(sheet: ReviewSheet) -> Given:
    if sheet.mine is None or sheet.mode is not Mode.REVEALED:
        return Given()
    answers = {one.id: _value_of(one) for one in map(CriterionVerdict.model_validate, sheet.mine.criteria)}
    overridden = sheet.mine.verdict if sheet.mine.verdict != sheet.mine.proposed else None
    return Given(answers=answers, verdict=overridden or "", note=sheet.mine.note)


def _value_of(answer: CriterionVerdict) -> str:
    return str(answer.verdict) if answer.level is None else f"{answer.level:g}"


def _fields(sheet: ReviewSheet, token: str, batch: str) -> Iterator[tuple[str, str]]:
    yield "token", token
    yield "form_key", sheet.form_key
    yield "rubric_version", sheet.rubric.version
    yield "shown", sheet.shown
    yield "active_ms", ""
    if batch:
        yield "batch", batch


def _neighbour(sheet: ReviewSheet, links: ItemLinks, *, before: bool) -> str:
    if sheet.place is None:
        return ""
    item_id = sheet.place.previous if before else sheet.place.following
    return ItemLinks(item_id, links.batch_id).path if item_id else ""


def _recorded(sheet: ReviewSheet, links: ItemLinks) -> Iterator[RecordedLine]:
    for one in sheet.recorded:
        shown = said(one.word) if one.word in tuple(VerdictLabel) else review_said_word(one.word)
        fields = (("review_id", one.review_id), *((("batch", links.batch_id),) if links.batch_id else ()))
        at = ItemLinks(one.item_id)
        yield RecordedLine(
            shown.word, shown.hue, shown.icon, event_id=one.event_id, at=one.at, path=at.base, fields=fields
        )


def review_said_word(word: str) -> Said:
    """A review without a verdict, as lists show it."""
    return Said(word, "unknown", said(None).icon)


def _criterion(
    one: SheetCriterion, sheet: ReviewSheet, person: Person, given: Given, found: Mapping[str, bool]
) -> ShownCriterion:
    code = None
    if not one.options:
        code = said("not_applicable" if one.not_applicable else one.by_code or "not_checked")
    mine = _answer_in(sheet.mine, one.criterion_id)
    return ShownCriterion(
        criterion_id=one.criterion_id,
        question=one.question or _checked(one, sheet),
        field=ANSWER_FIELD + one.criterion_id,
        critical=one.critical,
        weight=one.weight,
        options=tuple(_options(one, given.answers.get(one.criterion_id, ""))),
        code_word=code,
        code_says=str("not_applicable" if one.not_applicable else one.by_code or "unknown"),
        code_why="left out for this content" if one.not_applicable else "found by code" if one.by_code else "",
        mine=answer_said(mine, sheet.rubric) if mine and sheet.reveal and one.options else None,
        said=tuple(_said_of_criterion(one.criterion_id, sheet, person, mine, found)) if one.options else (),
    )


def _checked(one: SheetCriterion, sheet: ReviewSheet) -> str:
    criterion = next(each for each in sheet.rubric.criteria if each.id == one.criterion_id)
    return f"{one.criterion_id.replace('-', ' ')}: {check_in_words(criterion)}"


def _options(criterion: SheetCriterion, chosen: str) -> Iterator[ShownOption]:
    for number, option in enumerate(criterion.options, 1):
        is_level = option.value.lstrip("-").isdigit()
        yield ShownOption(
            number=number,
            value=option.value,
            word=option.word,
            level=option.value if is_level else "",
            hue=option.hue,
            icon=ICON[option.hue] if is_level or option.hue != "unknown" else "",
            says=_says(option, is_level=is_level),
            chosen=option.value == chosen,
        )


def _says(option: SheetOption, *, is_level: bool) -> str:
    """What an option counts as in the score; a level is its hue, pass or fail."""
    return option.hue if is_level else option.value


def _answer_in(review: Review | None, criterion_id: str) -> CriterionVerdict | None:
    answers = map(CriterionVerdict.model_validate, review.criteria if review else ())
    return next((one for one in answers if one.id == criterion_id), None)


def _said_of_criterion(
    criterion_id: str,
    sheet: ReviewSheet,
    person: Person,
    mine: CriterionVerdict | None,
    found: Mapping[str, bool],
) -> Iterator[SaidBy]:
    if sheet.reveal is None:
        return
    for judge in _judges_of_first(sheet):
        for answer in judge.criteria:
            if answer.id == criterion_id:
                yield _said_by(judge.judge, answer, sheet, mine, found)
    for review in sheet.reveal.reviews:
        answered = _answer_in(review, criterion_id)
        if answered is not None and review.person_id != person.person_id:
            yield _said_by(review.reviewer, answered, sheet, mine, found)


def _judges_of_first(sheet: ReviewSheet) -> list[JudgeSaid]:
    """Who judged the attempt that decides; each judge once, however often it was asked."""
    first = sheet.runs[0].run.run_id if sheet.runs else ""
    judges = [one for one in (sheet.reveal.judges if sheet.reveal else ()) if one.run_id == first]
    return list({one.judge: one for one in reversed(judges)}.values())[::-1]


def _said_by(
    who: str, answer: CriterionVerdict, sheet: ReviewSheet, mine: CriterionVerdict | None, found: Mapping[str, bool]
) -> SaidBy:
    shown = answer_said(answer, sheet.rubric)
    return SaidBy(
        shown.word,
        shown.hue,
        shown.icon,
        who=who,
        reasoning=answer.reasoning,
        note=answer.note or "",
        quotes=tuple(ShownQuote(one.text, found.get(one.text, one.found)) for one in answer.evidence),
        differs=mine is not None and mine.verdict != answer.verdict,
    )


def _reveal(sheet: ReviewSheet, person: Person) -> RevealStrip | None:
    reveal = sheet.reveal
    if reveal is None:
        return None
    mine = sheet.mine
    known = known_verdict(sheet, person)
    differs = known is not None and mine is not None and mine.verdict != known
    if mine is None or mine.kind != ReviewKind.GOLD:
        differs = bool(mine and mine.agrees is False)
    others = tuple(
        SaidBy(*_words(review_said(one)), who=one.reviewer, note=one.note or one.cannot_judge or "")
        for one in reveal.reviews
        if one.person_id != person.person_id
    )
    judges = _judges_of_first(sheet)
    return RevealStrip(
        mine=review_said(mine) if mine else None,
        judge=said(reveal.verdict),
        score="" if reveal.score is None else f"{reveal.score:.2f}".replace("0.", ".", 1),
        summary=judges[-1].summary if judges else "",
        others=others,
        differs=differs,
        sentence=_sentence(mine, differs=differs, known=known),
    )


def known_verdict(sheet: ReviewSheet, person: Person) -> VerdictLabel | None:
    """What people settled on before, for an answer that is compared with it; None elsewhere."""
    if sheet.reveal is None or sheet.mine is None or sheet.mine.kind != ReviewKind.GOLD:
        return None
    others = [one for one in sheet.reveal.reviews if one.person_id != person.person_id and one.verdict is not None]
    settled = [one for one in others if one.kind == ReviewKind.ADJUDICATION] or others
    return settled[-1].verdict if settled else None


def _words(shown: Said) -> tuple[str, str, str]:
    return shown.word, shown.hue, shown.icon


def _sentence(mine: Review | None, *, differs: bool, known: VerdictLabel | None) -> str:
    if mine is None:
        return ""
    if known is not None:
        told = f"The verdict of this item was known: {known}."
        return f"{told} {'Yours is another.' if differs else 'You found it too.'} Only you see this."
    if mine.agrees is None:
        return "There is nothing to compare."
    return "You and the judge differ." if differs else "You and the judge agree."
