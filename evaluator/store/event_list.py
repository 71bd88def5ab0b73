"""Events in a list, newest activity first: outcome, runs, coverage, cost, and the spend on judging beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, and_, func, or_, select

from evaluator.economics import EventCost, cost_of_event
from evaluator.model.event import Event
from evaluator.model.outcome import FinalOutcome, Outcome
from evaluator.model.rollup import Rollup
from evaluator.model.verdict import VerdictSource
from evaluator.store.database import table_of
from evaluator.store.outcomes import current_outcomes, current_rollups
from evaluator.store.reviews import ReviewCost, review_cost_of
from evaluator.store.tables import EventRow, OutcomeRow, RunRow, VerdictRow

_event, _outcome = table_of(EventRow), table_of(OutcomeRow)
_run, _verdict = table_of(RunRow), table_of(VerdictRow)

Place = tuple[datetime, str]
"""Where a page ended: last activity and id of its last event."""


@dataclass(frozen=True)
class EventLine:
    """One event as a table shows it."""

    event: Event
    outcome: Outcome | None
    """None where the event never had evidence: pending."""
    runs: int
    rollups: tuple[Rollup, ...]
    cost: EventCost
    judging_usd: Decimal
    """What judging it cost; never part of `cost`."""
    judging_unpriced: int
    """Verdicts whose judge has no known price."""
    reviewing: ReviewCost
    """What people's reviews of it cost; never part of `cost` either."""

    @property
    def coverage(self) -> tuple[int, int] | None:
        """(judged runs, runs taken for judging) of the rollup that covers least; None where nothing was taken."""
        taken = [(one.judged, one.runs) for one in self.rollups if one.runs]
        return min(taken, key=lambda pair: pair[0] / pair[1], default=None)


def newest_events(connection: Connection, limit: int) -> list[str]:
    """Ids of the events with most recent activity, newest first."""
    newest = select(_event.c.event_id).order_by(_event.c.last_activity_at.desc(), _event.c.event_id).limit(limit)
    return list(connection.execute(newest).scalars())


def list_events(
    connection: Connection,
    *,
    limit: int,
    after: Place | None = None,
    workflow: str | None = None,
    outcome: FinalOutcome | None = None,
) -> list[EventLine]:
    """Events with most recent activity first, from behind a place in the list."""
    query = select(_event)
    if after is not None:
        at, event_id = after
        same_moment = and_(_event.c.last_activity_at == at, _event.c.event_id > event_id)
        query = query.where(or_(_event.c.last_activity_at < at, same_moment))
    if workflow is not None:
        query = query.where(_event.c.workflow == workflow)
    if outcome is not None:
        current = and_(_outcome.c.event_id == _event.c.event_id, _outcome.c.current)
        found = func.coalesce(_outcome.c.final_outcome, FinalOutcome.PENDING)
        query = query.join(_outcome, current, isouter=True).where(found == outcome)
    rows = connection.execute(
        query.order_by(_event.c.last_activity_at.desc(), _event.c.event_id).limit(limit)
    ).mappings()
    return _lines(connection, [Event.model_validate({**row}) for row in rows])


def _lines(connection: Connection, events: Sequence[Event]) -> list[EventLine]:
    event_ids = [event.event_id for event in events]
    outcomes = current_outcomes(connection, event_ids)
    costs: dict[str, list[Decimal | None]] = {event_id: [] for event_id in event_ids}
    for row in connection.execute(
        select(_run.c.event_id, _run.c.cost_total_usd).where(_run.c.event_id.in_(event_ids))
    ):
        costs[row.event_id].append(row.cost_total_usd)
    rollups: dict[str, list[Rollup]] = {event_id: [] for event_id in event_ids}
    for (event_id, _), rollup in sorted(current_rollups(connection, event_ids).items()):
        rollups[event_id].append(rollup)
    spend = judging_spend_of(connection, event_ids)
    reviewing = review_cost_of(connection, event_ids)
    return [
        EventLine(
            event=event,
            outcome=outcomes.get(event.event_id),
            runs=len(costs[event.event_id]),
            rollups=tuple(rollups[event.event_id]),
            cost=cost_of_event(costs[event.event_id]),
            judging_usd=spend.get(event.event_id, (Decimal(0), 0))[0],
            judging_unpriced=spend.get(event.event_id, (Decimal(0), 0))[1],
            reviewing=reviewing.get(event.event_id, ReviewCost()),
        )
        for event in events
    ]


def judging_spend_of(connection: Connection, event_ids: Sequence[str]) -> dict[str, tuple[Decimal, int]]:
    """Event id → (US dollars that judging it cost, verdicts without a known price)."""
    spend: dict[str, tuple[Decimal, int]] = {}
    for row in connection.execute(
        select(_verdict.c.event_id, _verdict.c.cost_usd).where(
            _verdict.c.event_id.in_(event_ids), _verdict.c.source == VerdictSource.JUDGE
        )
    ):
        usd, unpriced = spend.get(row.event_id, (Decimal(0), 0))
        missing = row.cost_usd is None
        spend[row.event_id] = (usd if missing else usd + row.cost_usd, unpriced + missing)
    return spend
