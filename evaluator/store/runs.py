"""Events, runs and their captures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select, update

from evaluator.model.capture import Capture
from evaluator.model.event import Event
from evaluator.model.run import ClosedBy, Run, RunState
from evaluator.store.bodies import Bodies
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.packing import pack
from evaluator.store.tables import CaptureRow, EventRow, ReviewItemRow, RollupRow, RunRow, SignalRow

_event, _run, _capture = table_of(EventRow), table_of(RunRow), table_of(CaptureRow)
_signal, _rollup, _item = table_of(SignalRow), table_of(RollupRow), table_of(ReviewItemRow)


def load_runs(connection: Connection, run_ids: Collection[str]) -> dict[str, Run]:
    """Runs by id; unknown ids are left out."""
    rows = connection.execute(select(_run).where(_run.c.run_id.in_(run_ids))).mappings()
    return {row["run_id"]: Run.model_validate(dict(row)) for row in rows}


def runs_of_events(connection: Connection, event_ids: Collection[str]) -> dict[str, list[Run]]:
    """Event id → its runs in order of their start."""
    rows = connection.execute(
        select(_run).where(_run.c.event_id.in_(event_ids)).order_by(_run.c.started_at, _run.c.run_id)
    ).mappings()
    runs: dict[str, list[Run]] = {event_id: [] for event_id in event_ids}
    for row in rows:
        runs[row["event_id"]].append(Run.model_validate(dict(row)))
    return runs


def load_captures(connection: Connection, run_ids: Collection[str], bodies: Bodies) -> dict[str, Capture]:
    """Captures by run id; a run without content has none."""
    rows = connection.execute(select(_capture).where(_capture.c.run_id.in_(run_ids))).all()
    return {row.run_id: Capture.model_validate(bodies.open(row.body)) for row in rows}


def load_event(connection: Connection, event_id: str) -> Event | None:
    """The event of this id, or None."""
    row = connection.execute(select(_event).where(_event.c.event_id == event_id)).mappings().one_or_none()
    return None if row is None else Event.model_validate(dict(row))


def store_runs(connection: Connection, runs: Sequence[tuple[Run, Capture]], bodies: Bodies) -> None:
    """Write runs and captures over what was known of them, and their events."""
    if not runs:
        return
    touch_events(connection, [run for run, _ in runs])
    statement = insert_into(connection, _run)
    columns = {column.name: statement.excluded[column.name] for column in _run.columns if column.name != "run_id"}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["run_id"], set_=columns),
        [as_row(run) for run, _ in sorted(runs, key=lambda pair: pair[0].run_id)],
    )
    statement = insert_into(connection, _capture)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["run_id"], set_={"body": statement.excluded.body}),
        [
            {
                "run_id": run.run_id,
                "body": bodies.place(pack(capture.model_dump(mode="json", exclude_defaults=True))),
            }
            for run, capture in sorted(runs, key=lambda pair: pair[0].run_id)
        ],
    )


def touch_events(connection: Connection, runs: Iterable[Run]) -> None:
    """Make or refresh the events of these runs: the root of the event names its workflow."""
    events: dict[str, dict[str, object]] = {}
    for run in runs:
        events[run.event_id] = {
            "event_id": run.event_id,
            "workflow": run.workflow,
            "customer_id": run.customer_id,
            "environment": run.environment,
            "first_seen_at": run.last_arrival_at,
            "last_activity_at": run.last_arrival_at,
        }
    statement = insert_into(connection, _event)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["event_id"],
            set_={
                "workflow": statement.excluded.workflow,
                "customer_id": func.coalesce(statement.excluded.customer_id, _event.c.customer_id),
                "environment": func.coalesce(statement.excluded.environment, _event.c.environment),
                "last_activity_at": statement.excluded.last_activity_at,
            },
        ),
        [events[event_id] for event_id in sorted(events)],
    )


def hold_events(connection: Connection, runs: Iterable[Run]) -> None:
    """Make the events of these runs where they are new, and hold their rows until the transaction ends."""
    events = {run.event_id: run for run in runs}
    if not events:
        return
    connection.execute(
        insert_into(connection, _event).on_conflict_do_nothing(),
        [
            as_row(
                Event(
                    event_id=event_id,
                    workflow=run.workflow,
                    first_seen_at=run.last_arrival_at,
                    last_activity_at=run.last_arrival_at,
                )
            )
            for event_id, run in sorted(events.items())
        ],
    )
    lock_events(connection, events)


def ensure_event(connection: Connection, event_id: str, now: datetime) -> None:
    """Make an event that only a signal speaks of; its workflow comes with its first run."""
    statement = insert_into(connection, _event).on_conflict_do_update(
        index_elements=["event_id"], set_={"last_activity_at": now}
    )
    connection.execute(statement, as_row(Event(event_id=event_id, first_seen_at=now, last_activity_at=now)))


def lock_events(connection: Connection, event_ids: Collection[str]) -> dict[str, str]:
    """Hold these events' rows until the transaction ends; event id → workflow."""
    rows = connection.execute(
        select(_event.c.event_id, _event.c.workflow)
        .where(_event.c.event_id.in_(event_ids))
        .order_by(_event.c.event_id)
        .with_for_update()
    )
    return {row.event_id: row.workflow for row in rows}


def close_idle_runs(connection: Connection, *, before: datetime, limit: int) -> list[Run]:
    """Make ready the open runs to which nothing came since `before`, their events held; the runs as they then are."""
    idle = and_(_run.c.state == RunState.OPEN, _run.c.last_arrival_at < before)
    found = connection.execute(
        select(_run.c.run_id, _run.c.event_id).where(idle).order_by(_run.c.last_arrival_at).limit(limit)
    ).all()
    if not found:
        return []
    lock_events(connection, {row.event_id for row in found})
    closed = connection.execute(
        update(_run)
        .where(_run.c.run_id.in_([row.run_id for row in found]), idle)
        .values(state=RunState.READY, closed_by=ClosedBy.IDLE_TIMEOUT)
        .returning(_run.c.run_id)
    ).scalars()
    return list(load_runs(connection, list(closed)).values())


def delete_runs(connection: Connection, run_ids: Collection[str]) -> None:
    """Forget runs that turned out to be parts of others; their spans stay."""
    connection.execute(_capture.delete().where(_capture.c.run_id.in_(run_ids)))
    connection.execute(_run.delete().where(_run.c.run_id.in_(run_ids)))


def delete_empty_events(connection: Connection, event_ids: Collection[str]) -> None:
    """Forget those of these events that no run, signal, rollup or review item speaks of."""
    spoken_of = [
        select(table.c.event_id).where(table.c.event_id == _event.c.event_id).exists()
        for table in (_run, _signal, _rollup, _item)
    ]
    connection.execute(_event.delete().where(_event.c.event_id.in_(event_ids), ~or_(*spoken_of)))
