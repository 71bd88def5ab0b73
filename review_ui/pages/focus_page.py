"""GET /review/{item}: one item, to be read and judged; and what is done with it. Forms work without a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.background import BackgroundTask

from evaluator.accounts.people_directory import set_preferences
from evaluator.accounts.session_book import SessionBook
from evaluator.api.problems import status_of
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, BadInput, ClaimLost, Conflict, Unseen, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ReviewBatch, ReviewKind
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing import review_desk
from evaluator.reviewing.queue_filter import QueueFilter, wanted_by
from evaluator.reviewing.review_desk import Claim, Empty
from evaluator.reviewing.review_form import Answer, ReviewForm
from evaluator.reviewing.review_sheet import Mode
from evaluator.reviewing.review_submission import Submitted, revise, second_opinion, submit_in
from evaluator.reviewing.review_undo import undo
from evaluator.reviewing.sheet_reading import read_sheet, sheet_of
from evaluator.store.database import Connection
from evaluator.store.review_batches import find_batch
from evaluator.store.review_claims import first_in_line
from review_ui.forms import FormHere
from review_ui.guard import PAGE_HEADERS, needs, same_origin
from review_ui.item_links import ItemLinks
from review_ui.item_panes import Panes, panes_of
from review_ui.item_view import ANSWER_FIELD, Given, ItemView, known_verdict, view_of
from review_ui.key_table import BY_ACTION, Key, grouped_keys
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.presentation import page
from review_ui.visitor import Visitor

UNTIMED_MS = 300_000
"""Reviewing time at most, where no script counted it: the server takes no more than what passed since the claim."""

DRAWN_AHEAD = 1
"""Items of each kind of stream: the next one comes from either."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

Reviewer = Annotated[Visitor, Depends(needs(PersonRole.REVIEWER))]
Reader = Annotated[Visitor, Depends(needs(PersonRole.VIEWER))]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Alert:
    """What went wrong, beside the form it is about."""

    title: str
    lines: tuple[str, ...] = ()
    kept: bool = False
    """Whether what was written may be saved as a second opinion."""
    reopens: bool = False
    """Whether the item is to be looked at anew; what was written comes along."""


@dataclass(frozen=True)
class AlertPart:
    """What the fragment shows."""

    alert: Alert
    path: str
    whole_path: str
    """With the batch: where the item is looked at anew; empty where the page shows it anew already."""
    key: Mapping[str, Key]
    shortcuts: bool


@dataclass(frozen=True)
class FocusPage:
    """What the template shows."""

    view: ItemView
    panes: Panes
    path: str
    key: Mapping[str, Key]
    key_groups: tuple[tuple[str, tuple[Key, ...]], ...]
    shortcuts: bool
    alert: Alert | None
    whole_path: str = ""


@dataclass(frozen=True)
class Turn:
    """One request of one person about one item."""

    request: Request
    visitor: Visitor
    item_id: str
    form: Mapping[str, str]

    @property
    def deployment(self) -> Deployment:
        deployment: Deployment = self.request.app.state.deployment
        return deployment

    @property
    def person(self) -> Person:
        return self.visitor.signed_in

    @property
    def batch_id(self) -> str:
        return self.form.get("batch") or self.request.query_params.get("batch", "")

    @property
    def token(self) -> str:
        return self.form.get("token", "")

    @property
    def is_scripted(self) -> bool:
        """Whether review.js asks and puts the answer in place."""
        return "hx-request" in self.request.headers


@router.get("/review/{item_id}")
def show_item(
    request: Request, visitor: Reader, item_id: str, run: str = "", view: str = "", batch: str = ""
) -> Response:
    """The item as it is just now; looking claims nothing."""
    turn = Turn(request, visitor, item_id, {"batch": batch})
    notice = notice_of(request)
    links = ItemLinks(item_id, batch, run, view, request.query_params.get("all", ""))
    answer = _shown(turn, links, toast=notice.words if notice and not notice.secret else "")
    return shown_once(request, answer)


@router.post("/review/shortcuts")
def switch_shortcuts(request: Request, visitor: Reader, form: FormHere) -> Response:
    """Switch keys on or off, and back to the item."""
    deployment: Deployment = request.app.state.deployment
    person = visitor.signed_in
    likes = person.likes.model_copy(update={"shortcuts": form.get("shortcuts") == "on"})
    deployment.database.transact(
        lambda connection: set_preferences(connection, person, name=person.name, likes=likes)
    )
    sessions: SessionBook = request.app.state.sessions
    sessions.forget()
    item_id = form.get("back", "").removeprefix("/review/").partition("?")[0]
    return see_other(request, ItemLinks(item_id, form.get("batch", "")).path if item_id else "/review")


@router.post("/review/{item_id}/claim")
def claim(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Hold the item to review or settle it."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        try:
            claimed = review_desk.claim_item(turn.deployment, turn.person, item_id, batch_id=turn.batch_id or None)
        except Conflict as taken:
            return _stay(turn, taken.message)
        return _came(turn, claimed)

    return _tried(turn, act)


@router.post("/review/{item_id}/next")
def go_on(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """The next item in line."""
    turn = Turn(request, visitor, item_id, form)
    return _tried(turn, lambda: _next(turn))


@router.post("/review/{item_id}/verdict")
def take_verdict(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Keep the answers; where nothing is to be compared, the next item is claimed in the same transaction."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        sent = _review_form(turn)
        taken, following = turn.deployment.database.transact(lambda connection: _submit(connection, turn, sent))
        toast = _recorded_words(taken)
        return _came(turn, following, toast=toast) if following is not None else _stay(turn, toast)

    return _tried(turn, act)


def _submit(connection: Connection, turn: Turn, sent: ReviewForm) -> tuple[Submitted, Claim | Empty | None]:
    now = utc_now()
    taken = submit_in(connection, turn.deployment, turn.person, sent, now)
    if not _goes_on(connection, turn, taken, now):
        return taken, None
    return taken, _claim_next(connection, turn, now)


def _goes_on(connection: Connection, turn: Turn, taken: Submitted, now: datetime) -> bool:
    """Whether there is nothing to compare: the judge agrees or said nothing, and no known verdict differs."""
    review = taken.review
    if not turn.person.likes.auto_advance or review.kind == ReviewKind.ADJUDICATION or review.agrees is False:
        return False
    if review.kind != ReviewKind.GOLD:
        return True
    sheet = read_sheet(connection, turn.deployment, turn.person, turn.item_id, now=now)
    return known_verdict(sheet, turn.person) in (None, review.verdict)


def _claim_next(connection: Connection, turn: Turn, now: datetime) -> Claim | Empty:
    batch = _own_batch(connection, turn)
    filters = QueueFilter.from_mapping(batch.filters) if batch else QueueFilter()
    return review_desk.claim_next(connection, turn.deployment, turn.person, now, batch=batch, filters=filters)


def _own_batch(connection: Connection, turn: Turn) -> ReviewBatch | None:
    batch = find_batch(connection, turn.batch_id) if turn.batch_id else None
    return batch if batch is not None and batch.person_id == turn.person.person_id else None


@router.post("/review/{item_id}/revise")
def take_revision(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Put other answers in the place of the person's first."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        taken = revise(turn.deployment, turn.person, _review_form(turn))
        return _next(turn, toast=f"Changed: {_word(taken)}.")

    return _tried(turn, act)


@router.post("/review/{item_id}/second-opinion")
def take_second_opinion(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Keep what was written although the claim was lost."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        taken = second_opinion(turn.deployment, turn.person, _review_form(turn))
        return _stay(turn, f"Recorded as a second opinion: {_word(taken)}.")

    return _tried(turn, act)


@router.post("/review/{item_id}/skip")
def skip(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Leave the item to others."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        review_desk.skip(turn.deployment, turn.person, item_id, turn.token, form.get("note", ""))
        return _next(turn, toast="Skipped; it is offered to others.")

    return _tried(turn, act)


@router.post("/review/{item_id}/escalate")
def escalate(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Pass the item on to an author, with a reason."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        review_desk.escalate(turn.deployment, turn.person, item_id, turn.token, form.get("why", ""))
        return _next(turn, toast="Escalated to an author.")

    return _tried(turn, act)


@router.post("/review/{item_id}/release")
def release(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Give the claim back, and to the queue."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        review_desk.release(turn.deployment, turn.person, item_id, turn.token)
        return _elsewhere(turn, _end_of(turn), "Released; it is offered to others.")

    return _tried(turn, act)


@router.post("/review/{item_id}/renew")
def renew(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Keep the claim while its holder is at work: 204, or 409 with why not, as text."""
    turn = Turn(request, visitor, item_id, form)
    try:
        review_desk.renew(turn.deployment, turn.person, item_id, turn.token)
    except ClaimLost as lost:
        return Response(
            str(lost), HTTPStatus.CONFLICT, headers=PAGE_HEADERS, media_type="text/plain; charset=utf-8"
        )
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=PAGE_HEADERS)


@router.post("/review/{item_id}/undo")
def take_back(request: Request, visitor: Reviewer, item_id: str, form: FormHere) -> Response:
    """Take one of the person's reviews back; they hold its item again."""
    turn = Turn(request, visitor, item_id, form)

    def act() -> Response:
        claimed = undo(turn.deployment, turn.person, form.get("review_id", ""))
        return _came(turn, claimed, toast="Taken back; the item is yours again.")

    return _tried(turn, act)


def _next(turn: Turn, toast: str = "") -> Response:
    following = turn.deployment.database.transact(lambda connection: _claim_next(connection, turn, utc_now()))
    return _came(turn, following, toast=toast)


def _came(turn: Turn, following: Claim | Empty, *, toast: str = "") -> Response:
    """The claimed item; where there is none, the end of the batch or the queue, which says why."""
    if isinstance(following, Empty):
        return _elsewhere(turn, _end_of(turn), toast)
    links = ItemLinks(following.item_id, following.batch_id or turn.batch_id)
    if not turn.is_scripted:
        return _elsewhere(turn, links.path, toast)
    there = Turn(turn.request, turn.visitor, following.item_id, {"batch": links.batch_id})
    return _shown(there, links, toast=toast, pushed=True)


def _stay(turn: Turn, toast: str) -> Response:
    links = ItemLinks(turn.item_id, turn.batch_id)
    return _shown(turn, links, toast=toast) if turn.is_scripted else _elsewhere(turn, links.path, toast)


def _end_of(turn: Turn) -> str:
    with turn.deployment.database.read() as connection:
        batch = _own_batch(connection, turn)
    return f"/review/batch/{batch.batch_id}" if batch else "/review"


def _elsewhere(turn: Turn, path: str, toast: str = "") -> Response:
    """To another page; a script goes there by itself."""
    answer = see_other(turn.request, path, Notice(toast) if toast else None)
    if turn.is_scripted:
        answer.status_code = HTTPStatus.OK
        answer.headers["hx-redirect"] = path
        del answer.headers["location"]
    return answer


def _shown(
    turn: Turn,
    links: ItemLinks,
    *,
    toast: str = "",
    pushed: bool = False,
    alert: Alert | None = None,
    given: Given | None = None,
    status: int = HTTPStatus.OK,
) -> Response:
    """The item's page, or for a script the item alone."""
    now = utc_now()
    sheet = sheet_of(turn.deployment, turn.person, turn.item_id, now=now, batch_id=links.batch_id or None)
    panes = panes_of(turn.deployment, sheet, links, view=links.view, run_id=links.run_id, whole=links.whole)
    context = FocusPage(
        view=view_of(sheet, turn.person, links, now=now, found=panes.found, given=given, toast=toast),
        panes=panes,
        path=links.base,
        key=BY_ACTION,
        key_groups=grouped_keys(),
        shortcuts=turn.person.likes.shortcuts,
        alert=alert,
    )
    headers = {"hx-push-url": links.path} if pushed and turn.is_scripted else {}
    template = "focus_fragment.html" if turn.is_scripted else "focus.html"
    answer = page(template, context, visitor=turn.visitor, headers=headers, status=status)
    if sheet.mode is Mode.ANSWER:
        answer.background = BackgroundTask(_draw_ahead, turn.deployment, turn.person, links.batch_id)
    return answer


def _draw_ahead(deployment: Deployment, person: Person, batch_id: str) -> None:
    """Render what likely comes next while this item is read: drawing 32 KB of markdown takes longer than all the rest."""
    now = utc_now()
    with deployment.database.read() as connection:
        batch = find_batch(connection, batch_id) if batch_id else None
        filters = QueueFilter.from_mapping(batch.filters) if batch else QueueFilter()
        wanted = wanted_by(filters, now, hidden=True)
        coming = first_in_line(connection, person.person_id, wanted, now=now, most=DRAWN_AHEAD)
    for item_id in coming:
        with suppress(AdjudgeError):  # whoever is given the item is told; this was a guess
            panes_of(deployment, sheet_of(deployment, person, item_id, now=now), ItemLinks(item_id))


def _tried(turn: Turn, act: Callable[[], Response]) -> Response:
    """What comes of it; what is refused is said beside the form, with all that was written still in it."""
    try:
        return act()
    except (BadInput, Conflict, WrongRole) as refused:
        alert = _alert_of(refused)
        status = status_of(refused)
    if turn.is_scripted:
        links = ItemLinks(turn.item_id, turn.batch_id)
        part = AlertPart(alert, links.base, links.path, BY_ACTION, turn.person.likes.shortcuts)
        return page("focus_alert.html", part, visitor=turn.visitor, status=status)
    return _shown(turn, ItemLinks(turn.item_id, turn.batch_id), alert=alert, given=_given(turn.form), status=status)


def _alert_of(refused: AdjudgeError) -> Alert:
    lines = tuple(line for line in (refused.message, refused.hint) if line)
    if isinstance(refused, ClaimLost):
        return Alert("Not stored: this item is no longer yours.", lines, kept=True)
    return Alert("Not stored yet.", lines, reopens=isinstance(refused, Unseen))


def _given(form: Mapping[str, str]) -> Given:
    answers = {answer.criterion_id: answer.value for answer in _answers(form)}
    return Given(answers, form.get("verdict", ""), form.get("note", ""), form.get("why", ""), changing=True)


def _review_form(turn: Turn) -> ReviewForm:
    form = turn.form
    cannot = form.get("cannot_judge") or None
    return ReviewForm(
        item_id=turn.item_id,
        token=turn.token,
        form_key=form.get("form_key", ""),
        rubric_version=form.get("rubric_version", ""),
        answers=() if cannot else _answers(form),
        verdict=None if cannot else _verdict(form.get("verdict", "")),
        note=form.get("note", ""),
        cannot_judge=cannot,
        active_ms=_active_ms(form.get("active_ms", "")),
        shown=form.get("shown", ""),
    )


def _answers(form: Mapping[str, str]) -> tuple[Answer, ...]:
    return tuple(
        Answer(name.removeprefix(ANSWER_FIELD), value)
        for name, value in form.items()
        if name.startswith(ANSWER_FIELD)
    )


def _verdict(text: str) -> VerdictLabel | None:
    if not text:
        return None
    try:
        return VerdictLabel(text)
    except ValueError:
        raise BadInput(f"A verdict is {', '.join(VerdictLabel)} or left as answered.") from None


def _active_ms(text: str) -> int:
    return min(int(text), 86_400_000) if text.isascii() and text.isdigit() and len(text) < 12 else UNTIMED_MS


def _word(taken: Submitted) -> str:
    return str(taken.review.verdict or "cannot judge")


def _recorded_words(taken: Submitted) -> str:
    told = {True: " The judge agrees.", False: "", None: ""}[taken.review.agrees]
    settled = "Settled" if taken.review.kind == ReviewKind.ADJUDICATION else "Recorded"
    return f"{settled}: {_word(taken)}.{told}"
