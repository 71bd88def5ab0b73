"""GET /review: what waits for people, who holds what, and what was done; and the ways from there to an item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from evaluator.deployment import Deployment
from evaluator.errors import BadInput
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ReviewItem, Stream
from evaluator.model.verdict import Verdict
from evaluator.review_state import NEUTRAL, POLICY, TELLING
from evaluator.reviewing.hand_picking import MOST_EVENTS, NotPicked, pick_all, picker_of
from evaluator.reviewing.queue_filter import QueueFilter, wanted_by
from evaluator.reviewing.reason_chips import WORDS, chips_of, value_word
from evaluator.reviewing.review_desk import Claim, Empty, begin_batch, next_item
from evaluator.reviewing.review_export import ExportFilter, audited_lines
from evaluator.reviewing.review_lists import (
    OPEN_TABS,
    FilterChoices,
    QueuePage,
    QueueRow,
    filter_choices,
    list_items,
    tab_counts,
    tells_reasons,
)
from evaluator.reviewing.review_sheet import Chip
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.database import Connection
from evaluator.store.queue_rows import QueueTab
from evaluator.store.review_batches import batch_progress, batches_of_person
from evaluator.store.review_claims import Wanted, is_anything_open
from evaluator.store.reviews import reviews_of_items, standing_verdicts
from evaluator.wording import plural
from review_ui.empty_screens import (
    EmptyScreen,
    Holder,
    Link,
    all_claimed,
    filtered_out,
    no_rubric,
    none_of,
    not_allowed,
    nothing_to_do,
)
from review_ui.forms import FormHere
from review_ui.guard import PAGE_HEADERS, needs, same_origin, who_gives_roles
from review_ui.item_links import ItemLinks
from review_ui.notices import Notice, notice_of, see_other, shown_once
from review_ui.page_places import LAST_PAGE, Pager, address, pager
from review_ui.presentation import page
from review_ui.queue_words import AGES, filter_words
from review_ui.review_words import STREAM, Said, minutes_left, said
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

Viewer = Annotated[Visitor, Depends(needs(PersonRole.VIEWER))]
Reviewer = Annotated[Visitor, Depends(needs(PersonRole.REVIEWER))]
Author = Annotated[Visitor, Depends(needs(PersonRole.AUTHOR))]

BATCH_SIZE = 25
STALE = timedelta(hours=12)
"""A batch begun longer ago is not offered to be gone on with."""
_TABS = {
    QueueTab.FOR_ME: "For me",
    QueueTab.IN_PROGRESS: "In progress",
    QueueTab.ESCALATED: "Escalated",
    QueueTab.DISAGREEMENTS: "Disagreements",
    QueueTab.DONE: "Done",
}
_LAST_COLUMN = {
    QueueTab.FOR_ME: "Claimed by",
    QueueTab.IN_PROGRESS: "Claimed by",
    QueueTab.ESCALATED: "Why passed on",
    QueueTab.DISAGREEMENTS: "Being settled by",
    QueueTab.DONE: "Verdict",
}


@dataclass(frozen=True)
class TabLink:
    """One tab, and how many items it has."""

    key: str
    word: str
    href: str
    count: str
    current: bool


@dataclass(frozen=True)
class Choice:
    """One field of the filter form."""

    name: str
    label: str
    any: str
    chosen: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Row:
    """One item as the table shows it."""

    item: ReviewItem
    href: str
    rubric: str
    since: datetime
    overdue: bool
    chips: tuple[Chip, ...]
    value: str
    holder: str
    is_mine: bool
    left: str
    note: str
    said: Said | None
    said_by: str


@dataclass(frozen=True)
class Running:
    """A batch that the person may go on with."""

    batch_id: str
    settled: int
    size: int


@dataclass(frozen=True)
class Picking:
    """The form that adds events by hand, and what became of it."""

    rubrics: tuple[tuple[str, str], ...]
    rubric: str = ""
    events: str = ""
    note: str = ""
    problem: str = ""
    failed: tuple[NotPicked, ...] = ()
    most: int = MOST_EVENTS

    @property
    def opened(self) -> bool:
        return bool(self.problem or self.failed)


@dataclass(frozen=True)
class CounterPart:
    """The tabs alone, as they are fetched again."""

    tabs: tuple[TabLink, ...]
    counters_url: str


@dataclass(frozen=True)
class QueueView:
    """What the template shows."""

    headline: str
    summary: str
    told: str
    tab: str
    tabs: tuple[TabLink, ...]
    counters_url: str
    choices: tuple[Choice, ...]
    filtered: bool
    filter_pairs: tuple[tuple[str, str], ...]
    clear_url: str
    rows: tuple[Row, ...]
    table_name: str
    last_column: str
    place: Pager
    empty: EmptyScreen | None
    may_review: bool
    batch_size: int
    running: Running | None
    latest_batch: str
    picking: Picking | None
    exports: tuple[Link, ...]
    settle_url: str


@dataclass(frozen=True)
class Asked:
    """What a URL of the queue asks for."""

    tab: QueueTab
    filters: QueueFilter
    number: int

    @property
    def query(self) -> dict[str, str]:
        """Without the page."""
        tab = {} if self.tab is QueueTab.FOR_ME else {"tab": str(self.tab)}
        return {**tab, **self.filters.as_dict()}


def asked(query: Mapping[str, str]) -> Asked:
    """What the query asks for; raises BadInput naming field, value and what is allowed."""
    tab, number = query.get("tab") or QueueTab.FOR_ME, query.get("page") or "1"
    if tab not in set(QueueTab):
        raise BadInput(f"tab is {quoted(tab)}; it takes {', '.join(QueueTab)}, or nothing.")
    if not (number.isascii() and number.isdigit()) or not 0 < int(number[:9]) <= LAST_PAGE:
        raise BadInput(f"page is {quoted(number)}; it takes a whole number from 1 to {LAST_PAGE:,}.")
    filters = QueueFilter.from_mapping(query)
    return Asked(QueueTab(tab), filters.neutral if tab in OPEN_TABS else filters, int(number[:9]))


@router.get("/review")
def show_queue(request: Request, visitor: Viewer) -> Response:
    """One tab of the queue, filtered, 25 rows a page."""
    deployment: Deployment = request.app.state.deployment
    notice = notice_of(request)
    told = notice.words if notice and not notice.secret else ""
    view = _view(deployment, visitor.signed_in, asked(request.query_params), told=told)
    return shown_once(request, page("queue.html", view, visitor=visitor))


@router.get("/review/counters")
def show_counters(request: Request, visitor: Reviewer) -> HTMLResponse:
    """The tabs with their counts, to be put in place of those shown."""
    deployment: Deployment = request.app.state.deployment
    wanted = asked(request.query_params)
    part = CounterPart(_tabs(deployment, visitor.signed_in, wanted), _counters_url(wanted))
    return page("queue.html", part, visitor=visitor, block="counters")


@router.post("/review/start")
def start_batch(request: Request, visitor: Reviewer, form: FormHere) -> Response:
    """Set out a batch under the queue's filter and open its first item; the queue says why where there is none."""
    deployment: Deployment = request.app.state.deployment
    person, filters = visitor.signed_in, QueueFilter.from_mapping(form)
    if not list_items(deployment, person, QueueTab.FOR_ME, filters).rows:
        return see_other(request, address("/review", filters.as_dict()))
    batch = begin_batch(deployment, person, filters, _size(form.get("size", "")))
    return _opened(request, next_item(deployment, person, batch_id=batch.batch_id), filters, batch.batch_id)


def _size(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) < 9):
        raise BadInput(f"size is {quoted(text)}; it takes a whole number.")
    return int(text) if text else BATCH_SIZE


@router.post("/review/next")
def open_next(request: Request, visitor: Reviewer, form: FormHere) -> Response:
    """Open the best item; without one the end of the batch, or the queue, which says why."""
    deployment: Deployment = request.app.state.deployment
    batch_id = form.get("batch", "")
    filters = QueueFilter() if batch_id else QueueFilter.from_mapping(form)
    found = next_item(deployment, visitor.signed_in, batch_id=batch_id or None, filters=filters)
    return _opened(request, found, filters, batch_id)


def _opened(request: Request, found: Claim | Empty, filters: QueueFilter, batch_id: str) -> Response:
    if isinstance(found, Claim):
        return see_other(request, ItemLinks(found.item_id, found.batch_id or batch_id).path)
    if batch_id:
        return see_other(request, f"/review/batch/{batch_id}?told={found}")
    return see_other(request, address("/review", filters.as_dict()))


@router.post("/review/pick")
def pick_by_hand(request: Request, visitor: Author, form: FormHere) -> Response:
    """Add events by hand; those that failed stay in the form, each with why."""
    deployment: Deployment = request.app.state.deployment
    person = visitor.signed_in
    given = Picking(_rubrics(deployment), form.get("rubric", ""), form.get("events", ""), form.get("note", ""))
    told = ""
    try:
        done = pick_all(deployment, picker_of(person), given.events.splitlines(), given.rubric, given.note)
    except BadInput as refused:
        picking = replace(given, problem=str(refused))
    else:
        told = f"{plural(len(done.items), 'event')} in the queue." if done.items else ""
        if not done.failed:
            return see_other(request, "/review", Notice(told))
        picking = replace(
            given,
            problem=f"{plural(len(done.failed), 'event')} could not be added:",
            failed=done.failed,
            events="\n".join(one.event_id for one in done.failed),
        )
    view = _view(deployment, person, Asked(QueueTab.FOR_ME, QueueFilter(), 1), told=told, picking=picking)
    return page("queue.html", view, visitor=visitor, status=200 if told else 400)


@router.get("/review/export.csv")
def export_csv(request: Request, visitor: Author) -> StreamingResponse:
    """Every verdict of people under the filter, as CSV."""
    return _export(request, visitor, "csv")


@router.get("/review/export.jsonl")
def export_jsonl(request: Request, visitor: Author) -> StreamingResponse:
    """The same as JSON lines."""
    return _export(request, visitor, "jsonl")


def _export(request: Request, visitor: Visitor, form: str) -> StreamingResponse:
    deployment: Deployment = request.app.state.deployment
    filters = QueueFilter.from_mapping(request.query_params)
    of_items = wanted_by(filters, utc_now(), hidden=False)
    # by the stream that a review was given in: an item that is opened again may be of another
    person = visitor.signed_in
    wanted = ExportFilter(streams=of_items.streams, of_items=replace(of_items, streams=()), reader=person.person_id)
    lines = audited_lines(deployment, wanted, form, actor=person.login)
    media = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl"
    name = f"reviews-{utc_now():%Y-%m-%d}.{form}"
    headers = {**PAGE_HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type=media, headers=headers)


def _view(
    deployment: Deployment, person: Person, wanted: Asked, *, told: str = "", picking: Picking | None = None
) -> QueueView:
    if not person.may(PersonRole.REVIEWER):
        empty = not_allowed(person, who_gives_roles(deployment))
        return _blank(wanted, empty)
    is_author = person.may(PersonRole.AUTHOR)
    shown = list_items(deployment, person, wanted.tab, wanted.filters, number=wanted.number)
    titles = _titles(deployment)
    tabs = _tabs(deployment, person, wanted)
    with deployment.database.read() as connection:
        running, latest = _batches(connection, person)
        answers = _verdicts(connection, person, shown) if wanted.tab is QueueTab.DONE else {}
    return QueueView(
        headline="Review",
        summary=_summary(shown, wanted),
        told=told,
        tab=wanted.tab,
        tabs=tabs,
        counters_url=_counters_url(wanted),
        choices=tuple(
            _choices(filter_choices(deployment), wanted.filters, titles, tells=tells_reasons(person, wanted.tab))
        ),
        filtered=wanted.filters.restricts,
        filter_pairs=tuple(wanted.filters.as_dict().items()),
        clear_url=_tab_url(wanted.tab, QueueFilter()),
        rows=tuple(
            _row(one, titles, answers, knows_verdicts=is_author and wanted.tab is QueueTab.DONE)
            for one in shown.rows
        ),
        table_name=f"{_TABS[wanted.tab]}: items",
        last_column=_LAST_COLUMN[wanted.tab],
        place=pager("/review", wanted.query, shown),
        empty=None if shown.rows else _empty(deployment, person, wanted, titles, tabs),
        may_review=True,
        batch_size=BATCH_SIZE,
        running=running,
        latest_batch=latest,
        picking=(picking or Picking(_rubrics(deployment))) if is_author and titles else None,
        exports=_exports(wanted) if is_author and wanted.tab is QueueTab.DONE else (),
        settle_url=_settle_url(wanted.tab) if shown.rows else "",
    )


def _blank(wanted: Asked, empty: EmptyScreen) -> QueueView:
    """The page of who may not review: nothing of the queue is in it."""
    return QueueView(
        headline="Review",
        summary="",
        told="",
        tab=wanted.tab,
        tabs=(),
        counters_url="",
        choices=(),
        filtered=False,
        filter_pairs=(),
        clear_url="",
        rows=(),
        table_name="",
        last_column="",
        place=Pager(),
        empty=empty,
        may_review=False,
        batch_size=BATCH_SIZE,
        running=None,
        latest_batch="",
        picking=None,
        exports=(),
        settle_url="",
    )


def _summary(shown: QueuePage, wanted: Asked) -> str:
    """How long the first in line waits, on the first page of what waits."""
    if wanted.tab is not QueueTab.FOR_ME or not shown.rows:
        return ""
    overdue = sum(one.overdue for one in shown.rows)
    return f"{overdue} of the first {len(shown.rows)} overdue" if overdue and wanted.number == 1 else ""


def _titles(deployment: Deployment) -> dict[str, str]:
    return {one.id: one.title for one in deployment.shelf.rubrics}


def _rubrics(deployment: Deployment) -> tuple[tuple[str, str], ...]:
    """Rubrics in force by id, as a form offers them."""
    return tuple((rubric_id, f"{title} ({rubric_id})") for rubric_id, title in sorted(_titles(deployment).items()))


def _tabs(deployment: Deployment, person: Person, wanted: Asked) -> tuple[TabLink, ...]:
    counts = tab_counts(deployment, person, wanted.filters)
    return tuple(
        TabLink(tab, word, _tab_url(tab, wanted.filters), counts[tab].words, tab is wanted.tab)
        for tab, word in _TABS.items()
    )


def _tab_url(tab: QueueTab, filters: QueueFilter) -> str:
    return address("/review", Asked(tab, filters.neutral if tab in OPEN_TABS else filters, 1).query)


def _counters_url(wanted: Asked) -> str:
    return address("/review/counters", {"tab": str(wanted.tab), **wanted.filters.as_dict()})


def _settle_url(tab: QueueTab) -> str:
    states = {QueueTab.ESCALATED: "escalated", QueueTab.DISAGREEMENTS: "awaiting_resolution"}
    return f"/disagreements?state={states[tab]}" if tab in states else ""


def _exports(wanted: Asked) -> tuple[Link, ...]:
    query = wanted.filters.as_dict()
    return (
        Link("CSV", address("/review/export.csv", query)),
        Link("JSON lines", address("/review/export.jsonl", query)),
    )


def _choices(
    offered: FilterChoices, filters: QueueFilter, titles: Mapping[str, str], *, tells: bool
) -> Iterator[Choice]:
    """The fields of the filter; what is chosen is among the options even where nothing waits of it."""
    workflows = sorted({*offered.workflows, *filter(None, [filters.workflow])})
    rubrics = sorted({*offered.rubrics, *filter(None, [filters.rubric])})
    hours = str(filters.older_than_hours or "")
    ages = dict([*AGES, *([(hours, f"over {hours} hours")] if hours and hours not in dict(AGES) else [])])
    reasons = (*TELLING, *NEUTRAL) if tells else (POLICY, *NEUTRAL)
    chosen_reason = filters.reason if tells else filters.neutral.reason
    yield Choice("workflow", "Workflow", "All", filters.workflow, tuple((one, one) for one in workflows))
    yield Choice("rubric", "Rubric", "All", filters.rubric, tuple((one, titles.get(one, one)) for one in rubrics))
    yield Choice("older_than_hours", "Waiting", "Any time", hours, tuple(ages.items()))
    yield Choice("reason", "Why here", "Any reason", chosen_reason, tuple((one, WORDS[one]) for one in reasons))
    if tells:
        yield Choice("stream", "Stream", "All", filters.stream, tuple((one, STREAM[one]) for one in Stream))


def _batches(connection: Connection, person: Person) -> tuple[Running | None, str]:
    """The batch to go on with, where the last one is not over; and the last one."""
    last = next(iter(batches_of_person(connection, person.person_id, limit=1)), None)
    if last is None:
        return None, ""
    progress = batch_progress(connection, last)
    is_over = progress.is_over or last.ended_at is not None or last.started_at < utc_now() - STALE
    running = None if is_over or not progress.settled else Running(last.batch_id, progress.settled, last.size)
    return running, last.batch_id


def _verdicts(connection: Connection, person: Person, shown: QueuePage) -> dict[str, Verdict]:
    """Item id → the verdict of people that stands; below author only of items the person answered in this round."""
    standing = standing_verdicts(connection, {one.item.event_id for one in shown.rows})
    found = {
        one.item.item_id: standing[key]
        for one in shown.rows
        if (key := (one.item.event_id, one.item.rubric_id)) in standing
    }
    if person.may(PersonRole.AUTHOR):
        return found
    reviews = reviews_of_items(connection, list(found))
    rounds = {one.item.item_id: one.item.round for one in shown.rows}
    return {
        item_id: verdict
        for item_id, verdict in found.items()
        if any(
            one.person_id == person.person_id and one.round == rounds[item_id] for one in reviews.get(item_id, ())
        )
    }


def _row(row: QueueRow, titles: Mapping[str, str], answers: Mapping[str, Verdict], *, knows_verdicts: bool) -> Row:
    item = row.item
    answer = answers.get(item.item_id)
    return Row(
        item=item,
        href=ItemLinks(item.item_id).path,
        rubric=titles.get(item.rubric_id, item.rubric_id),
        since=row.since,
        overdue=row.overdue,
        chips=chips_of(item, hidden=row.hidden),
        value=value_word(item.value_amount, item.value_currency) if item.value_amount is not None else "",
        holder=row.holder,
        is_mine=row.is_mine,
        left=minutes_left(row.lease_until, utc_now()) if row.lease_until else "",
        note=item.note,
        said=said(answer.verdict) if answer else said(None) if knows_verdicts else None,
        said_by=answer.judge if answer else "",
    )


def _empty(
    deployment: Deployment, person: Person, wanted: Asked, titles: Mapping[str, str], tabs: Sequence[TabLink]
) -> EmptyScreen:
    """Why the tab has nothing to show, and what to do about it."""
    if wanted.number > 1:
        return _past_the_end(address("/review", wanted.query))
    if wanted.tab is not QueueTab.FOR_ME:
        if wanted.filters.restricts:
            left = list_items(deployment, person, wanted.tab).count.words
            return filtered_out(filter_words(wanted.filters, titles), _tab_url(wanted.tab, QueueFilter()), left)
        return none_of(wanted.tab)
    held = _held_by_others(deployment, person, wanted, tabs)
    if held:
        return _all_claimed(held)
    is_author = person.may(PersonRole.AUTHOR)
    if wanted.filters.restricts:
        left = list_items(deployment, person, QueueTab.FOR_ME).count.words
        if left != "0":
            return filtered_out(filter_words(wanted.filters, titles), "/review", left)
    if not titles:
        return no_rubric(
            str(deployment.settings.rubrics_dir), is_author=is_author, is_admin=person.may(PersonRole.ADMIN)
        )
    with deployment.database.read() as connection:
        open_to_others = is_anything_open(connection, Wanted())
    own = "What is still open you have reviewed or skipped yourself: it is for others." if open_to_others else ""
    policies = [rubric.review for rubric in deployment.shelf.rubrics]
    asked_for = open_to_others or any(each.send or each.audit_rate for each in policies)
    return nothing_to_do(is_author=is_author, waiting_elsewhere=own, asks_for_people=asked_for)


def _held_by_others(
    deployment: Deployment, person: Person, wanted: Asked, tabs: Sequence[TabLink]
) -> list[QueueRow]:
    if not any(one.key == QueueTab.IN_PROGRESS and one.count != "0" for one in tabs):
        return []
    rows = list_items(deployment, person, QueueTab.IN_PROGRESS, wanted.filters).rows
    return [one for one in rows if one.lease_until is not None and not one.is_mine]


def _past_the_end(first: str) -> EmptyScreen:
    return EmptyScreen(
        Empty.FILTERED_OUT, "This page is past the end", ("The list is shorter now.",), (Link("First page", first),)
    )


def _all_claimed(held: Sequence[QueueRow]) -> EmptyScreen:
    """Who holds what is left, the first lease to end first."""
    now = utc_now()
    ends = sorted((one.lease_until, one.holder) for one in held if one.lease_until is not None)
    first: dict[str, datetime] = {}
    number: dict[str, int] = {}
    for until, name in ends:
        first.setdefault(name, until)
        number[name] = number.get(name, 0) + 1
    holders = [
        Holder(name, f"{plural(number[name], 'item')}, {minutes_left(until, now)}") for name, until in first.items()
    ]
    return all_claimed(holders, f"The first lease ends in {minutes_left(ends[0][0], now).removesuffix(' left')}.")
