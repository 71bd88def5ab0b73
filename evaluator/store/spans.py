"""Spans and logs as they arrived, and what of them waits to be assembled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, case, or_, select, tuple_, update

from evaluator.model.span import SpanLog
from evaluator.store.bodies import Bodies
from evaluator.store.database import insert_into, table_of
from evaluator.store.tables import ArrivalRow, SpanChunkRow, SpanLogRow

_chunk, _log, _arrival = table_of(SpanChunkRow), table_of(SpanLogRow), table_of(ArrivalRow)

ArrivalKey = tuple[str, str, str]
"""trace_id, run_id, event_id; the latter two empty where the spans do not say."""


@dataclass(frozen=True)
class Arrived:
    """Everything stored of some traces, and the arrivals it answers."""

    chunks: Sequence[bytes]
    """Bodies of span chunks, those of a trace in the order in which they came."""
    logs: Sequence[SpanLog]
    arrivals: Sequence[Row[Any]]


def store_spans(
    connection: Connection,
    *,
    chunks: Sequence[dict[str, Any]] = (),
    logs: Sequence[dict[str, Any]] = (),
    arrivals: Iterable[ArrivalKey],
    now_us: int,
) -> None:
    """Insert what came in; what is there already stays as it is, so a second delivery changes nothing."""
    stamped = [{**chunk, "received_us": now_us} for chunk in chunks]
    for table, rows in ((_chunk, stamped), (_log, list(logs))):
        if rows:
            connection.execute(insert_into(connection, table).on_conflict_do_nothing(), rows)
    touched = [
        {
            "trace_id": trace,
            "run_id": run,
            "event_id": event,
            "dirty": True,
            "version": 0,
            "dirty_since_us": now_us,
            "last_arrival_us": now_us,
        }
        for trace, run, event in sorted(arrivals)
    ]
    if touched:
        statement = insert_into(connection, _arrival)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["trace_id", "run_id", "event_id"],
                set_={
                    "dirty": True,
                    "version": _arrival.c.version + 1,
                    "dirty_since_us": case(
                        (_arrival.c.dirty, _arrival.c.dirty_since_us), else_=statement.excluded.dirty_since_us
                    ),
                    "last_arrival_us": statement.excluded.last_arrival_us,
                },
            ),
            touched,
        )


def quiet_traces(connection: Connection, *, limit: int, before_us: int, waiting_since_us: int) -> list[str]:
    """Traces with spans that no run shows yet, oldest first: those nothing came to lately, or that wait too long."""
    query = (
        select(_arrival.c.trace_id)
        .where(
            _arrival.c.dirty,
            or_(_arrival.c.last_arrival_us < before_us, _arrival.c.dirty_since_us < waiting_since_us),
        )
        .order_by(_arrival.c.last_arrival_us)
        .limit(limit)
    )
    return list(dict.fromkeys(connection.execute(query).scalars()))


def postpone(connection: Connection, traces: Sequence[str], *, until_us: int) -> None:
    """Leave what waits of these traces alone until a time, or until something more comes to them."""
    connection.execute(
        update(_arrival)
        .where(_arrival.c.dirty, _arrival.c.trace_id.in_(traces))
        .values(last_arrival_us=until_us, dirty_since_us=until_us)
    )


def dirty_traces_of(connection: Connection, event_id: str, *, limit: int) -> list[str]:
    """Traces of one event with spans that no run shows yet."""
    of_event = select(_arrival.c.trace_id).where(_arrival.c.event_id == event_id)
    query = select(_arrival.c.trace_id).where(
        _arrival.c.dirty, or_(_arrival.c.trace_id == event_id, _arrival.c.trace_id.in_(of_event))
    )
    return list(dict.fromkeys(connection.execute(query.limit(limit)).scalars()))


def load_traces(
    connection: Connection, trace_ids: Sequence[str], bodies: Bodies, *, max_traces: int = 500
) -> Arrived:
    """All that is stored of these traces and of every trace that shares a run with them; bodies as packed."""
    arrivals = _related_arrivals(connection, set(trace_ids), max_traces)
    traces = {row.trace_id for row in arrivals} | set(trace_ids)
    chunks = connection.execute(
        select(_chunk.c.body)
        .where(_chunk.c.trace_id.in_(traces))
        .order_by(_chunk.c.trace_id, _chunk.c.received_us, _chunk.c.digest)
    ).scalars()
    logs = connection.execute(select(_log).where(_log.c.trace_id.in_(traces))).mappings()
    return Arrived(
        [bodies.fetch(body) for body in chunks],
        [SpanLog.model_construct(**{**row, "body": bodies.fetch(row["body"])}) for row in logs],
        arrivals,
    )


def _related_arrivals(connection: Connection, traces: set[str], max_traces: int) -> Sequence[Row[Any]]:
    rows = connection.execute(select(_arrival).where(_arrival.c.trace_id.in_(traces))).all()
    while True:
        runs = {row.run_id for row in rows} - {""}
        known = {row.trace_id for row in rows}
        wider = connection.execute(
            select(_arrival).where(or_(_arrival.c.run_id.in_(runs), _arrival.c.trace_id.in_(known)))
        ).all()
        if len(wider) == len(rows) or len({row.trace_id for row in wider}) > max_traces:
            return wider
        rows = wider


def changed_since(connection: Connection, arrivals: Sequence[Row[Any]]) -> set[str]:
    """Of the traces behind these arrivals, those that something came to since they were read."""
    seen = {(row.trace_id, row.run_id, row.event_id): row.version for row in arrivals}
    traces = {row.trace_id for row in arrivals}
    runs = {row.run_id for row in arrivals} - {""}
    now = connection.execute(
        select(_arrival).where(or_(_arrival.c.trace_id.in_(traces), _arrival.c.run_id.in_(runs)))
    ).all()
    fresh = [row for row in now if seen.get((row.trace_id, row.run_id, row.event_id)) != row.version]
    of_fresh_runs = {row.run_id for row in fresh} - {""}
    return {row.trace_id for row in fresh} | {row.trace_id for row in now if row.run_id in of_fresh_runs}


def mark_assembled(connection: Connection, arrivals: Sequence[Row[Any]]) -> None:
    """Take arrivals off the list, except those that something joined since they were read."""
    by_version: dict[int, list[ArrivalKey]] = {}
    for row in arrivals:
        if row.dirty:
            by_version.setdefault(row.version, []).append((row.trace_id, row.run_id, row.event_id))
    for version, keys in by_version.items():
        connection.execute(
            update(_arrival)
            .where(
                tuple_(_arrival.c.trace_id, _arrival.c.run_id, _arrival.c.event_id).in_(keys),
                _arrival.c.version == version,
            )
            .values(dirty=False)
        )
