"""The queue as somebody may see it: tabs, pages of rows, and how many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, SlotKind, Stream
from evaluator.review_state import as_waiting, seen_item
from evaluator.reviewing.queue_filter import QueueFilter, knows_reasons, wanted_by
from evaluator.reviewing.review_desk import needs
from evaluator.store import queue_rows
from evaluator.store.database import Connection
from evaluator.store.queue_rows import Holder, QueueTab, Viewpoint
from evaluator.store.review_claims import Wanted
from evaluator.store.review_items import WAITING
from evaluator.store.reviews import answered_by

A_PAGE = 25
MOST_COUNTED = 1000
"""Beyond it, a count says "1,000+": nobody needs to wait for more."""

OPEN_TABS = (QueueTab.FOR_ME, QueueTab.IN_PROGRESS)
"""Tabs of what may still be reviewed blind."""

_DISPUTED = (ItemState.AWAITING_RESOLUTION, ItemState.ESCALATED)


@dataclass(frozen=True)
class ListCount:
    """How many items there are, as far as they were counted."""

    number: int
    or_more: bool = False

    @property
    def words(self) -> str:
        return f"{self.number:,}{'+' if self.or_more else ''}"


@dataclass(frozen=True)
class QueueRow:
    """One item in a list, with nothing that is hidden from whoever reads it."""

    item: ReviewItem
    """With the reasons that may be told; what else would tell is left out of it as well."""
    hidden: bool
    """Whether something is left out."""
    since: datetime
    """Since when it waits; when it was settled, where it is done."""
    overdue: bool
    holder: str
    """The name of who holds it just now, or of the first of several; empty where nobody does."""
    is_mine: bool
    """Whether that is whoever reads it."""
    lease_until: datetime | None

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(self.item.reasons)


@dataclass(frozen=True)
class QueuePage:
    """One page of a list."""

    rows: tuple[QueueRow, ...]
    number: int
    """1 for the first."""
    count: ListCount
    """Of all its pages."""
    more: bool
    """Whether a page follows."""


@dataclass(frozen=True)
class FilterChoices:
    """What a filter can be set to: names of what waits."""

    workflows: tuple[str, ...]
    rubrics: tuple[str, ...]


def list_items(
    deployment: Deployment,
    person: Person,
    tab: QueueTab,
    filters: QueueFilter = QueueFilter(),
    *,
    number: int = 1,
) -> QueuePage:
    """A page of a tab, 25 rows at most, as this person may see it; raises WrongRole."""
    needs(person, PersonRole.VIEWER)
    now = utc_now()
    view, wanted = _view(person, now), _wanted(person, tab, filters, now)
    offset = (number - 1) * A_PAGE
    with deployment.database.read() as connection:
        items = queue_rows.queue_items(connection, tab, view, wanted, limit=A_PAGE + 1, offset=offset)
        count = _counted(queue_rows.count_items(connection, tab, view, wanted, most=MOST_COUNTED + 1))
        rows = _rows(connection, deployment, person, items[:A_PAGE], now)
    return QueuePage(rows, number, count, len(items) > A_PAGE)


def disagreements(
    deployment: Deployment, person: Person, state: ItemState | None = None, *, number: int = 1
) -> QueuePage:
    """A page of what waits for an author (in one state, or both), who waits longest first; raises WrongRole.

    Below author it is what the person reviewed or escalated themselves.
    """
    needs(person, PersonRole.VIEWER)
    now = utc_now()
    view, states = _view(person, now), _states(state)
    offset = (number - 1) * A_PAGE
    with deployment.database.read() as connection:
        items = queue_rows.disputed_items(connection, states, view, limit=A_PAGE + 1, offset=offset)
        count = _counted(queue_rows.count_disputed(connection, states, view, most=MOST_COUNTED + 1))
        rows = _rows(connection, deployment, person, items[:A_PAGE], now)
    return QueuePage(rows, number, count, len(items) > A_PAGE)


def _states(state: ItemState | None) -> Collection[ItemState]:
    return _DISPUTED if state is None else (state,)


def tab_counts(
    deployment: Deployment, person: Person, filters: QueueFilter = QueueFilter()
) -> dict[QueueTab, ListCount]:
    """How many items each tab has for this person, each counted up to 1,000; raises WrongRole."""
    needs(person, PersonRole.VIEWER)
    now = utc_now()
    view = _view(person, now)
    wanted = {tab: _wanted(person, tab, filters, now) for tab in QueueTab}
    with deployment.database.read() as connection:
        return {
            tab: _counted(queue_rows.count_items(connection, tab, view, wanted[tab], most=MOST_COUNTED + 1))
            for tab in QueueTab
        }


def filter_choices(deployment: Deployment) -> FilterChoices:
    """What the filters of the queue offer."""
    with deployment.database.read() as connection:
        return FilterChoices(
            tuple(queue_rows.workflows_waiting(connection)), tuple(queue_rows.rubrics_waiting(connection))
        )


def hides_from(person: Person, item: ReviewItem, *, answered: bool) -> bool:
    """Whether lists leave out for this person what would tell what the judges said of an item.

    Of an open one everybody may still give a blind first pass, authors too. `answered`: they did, in this round.
    """
    if answered or not (item.blind or item.stream == Stream.AUDIT):
        return False
    return item.state == ItemState.OPEN or not knows_reasons(person)


def tells_reasons(person: Person, tab: QueueTab) -> bool:
    """Whether a tab's filter may tell true reasons and streams apart: nobody reviews blind any more what is under it."""
    return tab not in OPEN_TABS and knows_reasons(person)


def _wanted(person: Person, tab: QueueTab, filters: QueueFilter, now: datetime) -> Wanted:
    return wanted_by(filters, now, hidden=not tells_reasons(person, tab))


def _view(person: Person, now: datetime) -> Viewpoint:
    return Viewpoint(person.person_id, now, only_reviewed=not knows_reasons(person))


def _counted(found: int) -> ListCount:
    return ListCount(min(found, MOST_COUNTED), found > MOST_COUNTED)


def _rows(
    connection: Connection, deployment: Deployment, person: Person, items: Iterable[ReviewItem], now: datetime
) -> tuple[QueueRow, ...]:
    listed = list(items)
    holders = queue_rows.holders_of(connection, [item.item_id for item in listed], now)
    answered = answered_by(connection, person.person_id, listed)
    overdue_before = now - timedelta(hours=deployment.settings.review_sla_hours)
    return tuple(
        _row(person, item, holders.get(item.item_id, []), overdue_before, answered=item.item_id in answered)
        for item in listed
    )


def _row(
    person: Person, item: ReviewItem, holders: list[Holder], overdue_before: datetime, *, answered: bool
) -> QueueRow:
    mine = [one for one in holders if one.person_id == person.person_id]
    # who practises on a gold item is not told: it would tell that the item is one
    others = [one for one in holders if one.kind != SlotKind.GOLD]
    held = next(iter([*mine, *others]), None)
    compared = any(one.kind == SlotKind.GOLD for one in mine)
    hidden = compared or hides_from(person, item, answered=answered)
    seen = as_waiting(item) if compared else seen_item(item, hidden=hidden)
    return QueueRow(
        item=seen,
        hidden=hidden,
        since=seen.settled_at or seen.entered_at,
        overdue=item.state in WAITING and item.entered_at < overdue_before,
        holder=held.name if held else "",
        is_mine=bool(mine),
        lease_until=held.lease_until if held else None,
    )
