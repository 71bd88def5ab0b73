"""Backtests: how far each got, its verdicts as they come, and what it may take over from earlier judging."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import fmean, median
from typing import Any

from sqlalchemy import Connection, Table, func, select, update

from evaluator.model.backtest import Backtest, BacktestState, BacktestVerdict
from evaluator.model.run import RunState
from evaluator.model.verdict import Verdict, VerdictSource
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import BacktestRow, BacktestVerdictRow, EventRow, ReviewRow, RunRow, VerdictRow

_backtest, _judged = table_of(BacktestRow), table_of(BacktestVerdictRow)
_verdict, _event, _run = table_of(VerdictRow), table_of(EventRow), table_of(RunRow)
_review = table_of(ReviewRow)

_KEYS_AT_ONCE = 500
"""Content hashes looked up in one query."""

Key = tuple[str, str, int]
"""Content hash, fingerprint and repeat: equal ones get one answer."""


@dataclass(frozen=True, slots=True)
class JudgeHabits:
    """What a judge's past calls were like; None where none of them told."""

    calls: int
    output_tokens: float | None
    """Mean of one call."""
    latency_ms: float | None
    """Median of one call."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What a group of verdicts adds to their backtest."""

    done: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced_calls: int = 0


def start_backtest(connection: Connection, backtest: Backtest) -> None:
    """Begin a backtest, or go on with it: what it cost before and when it first began stay."""
    statement = insert_into(connection, _backtest)
    anew = ("state", "planned", "done", "estimated_usd", "estimated_seconds", "started_by", "ended_at")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["backtest_id"], set_={name: statement.excluded[name] for name in anew}
        ),
        as_row(backtest),
    )


def add_verdicts(
    connection: Connection, backtest_id: str, rows: Sequence[BacktestVerdict], advance: Advance = Advance()
) -> None:
    """Write verdicts over what earlier tries of the same judgements left, and what they add to the backtest."""
    if rows:
        statement = insert_into(connection, _judged)
        keys = {column.name for column in _judged.primary_key.columns}
        fresh = {
            column.name: statement.excluded[column.name] for column in _judged.columns if column.name not in keys
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=sorted(keys), set_=fresh), [as_row(row) for row in rows]
        )
    connection.execute(
        update(_backtest)
        .where(_backtest.c.backtest_id == backtest_id)
        .values(
            done=_backtest.c.done + advance.done,
            cost_usd=func.coalesce(_backtest.c.cost_usd, Decimal(0)) + advance.cost_usd,
            unpriced_calls=_backtest.c.unpriced_calls + advance.unpriced_calls,
        )
    )


def raise_planned(connection: Connection, backtest_id: str, more: int) -> None:
    """Count judgements that turned out to be needed on the way, such as those of a stronger judge."""
    connection.execute(
        update(_backtest).where(_backtest.c.backtest_id == backtest_id).values(planned=_backtest.c.planned + more)
    )


def end_backtest(
    connection: Connection, backtest_id: str, *, state: BacktestState, report: dict[str, Any], at: datetime
) -> None:
    """How a backtest ended, and what it found."""
    connection.execute(
        update(_backtest)
        .where(_backtest.c.backtest_id == backtest_id)
        .values(state=state, report=report, ended_at=at)
    )


def stop_abandoned(connection: Connection, before: datetime) -> None:
    """Mark as stopped what says that it runs though nothing was written since `before`: its process was killed."""
    alive = select(_judged.c.backtest_id).where(_judged.c.created_at >= before)
    connection.execute(
        update(_backtest)
        .where(
            _backtest.c.state == BacktestState.RUNNING,
            _backtest.c.started_at < before,
            _backtest.c.backtest_id.not_in(alive),
        )
        .values(state=BacktestState.STOPPED)
    )


def last_written(connection: Connection, backtest: Backtest) -> datetime:
    """When the backtest was last heard of: its newest verdict, else its start."""
    query = select(func.max(_judged.c.created_at)).where(_judged.c.backtest_id == backtest.backtest_id)
    newest: datetime | None = connection.execute(query).scalar()
    return max(newest, backtest.started_at) if newest else backtest.started_at


def find_backtest(connection: Connection, backtest_id: str) -> Backtest | None:
    """The backtest of this id, or None."""
    row = (
        connection.execute(select(_backtest).where(_backtest.c.backtest_id == backtest_id)).mappings().one_or_none()
    )
    return None if row is None else Backtest.model_validate(dict(row))


def backtests_of(connection: Connection, rubric_id: str | None = None, *, limit: int = 50) -> list[Backtest]:
    """Backtests (of one rubric), newest first."""
    query = select(_backtest).order_by(_backtest.c.started_at.desc(), _backtest.c.backtest_id).limit(limit)
    if rubric_id is not None:
        query = query.where(_backtest.c.rubric_id == rubric_id)
    return [Backtest.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def verdicts_of(
    connection: Connection, backtest_id: str, *, run_ids: Collection[str] | None = None
) -> list[BacktestVerdict]:
    """Every verdict of a backtest (on these runs), by run, version, judge and repeat."""
    order = (_judged.c.run_id, _judged.c.rubric_version, _judged.c.judge, _judged.c.repeat)
    query = select(_judged).where(_judged.c.backtest_id == backtest_id).order_by(*order)
    if run_ids is not None:
        query = query.where(_judged.c.run_id.in_(run_ids))
    return [BacktestVerdict.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def judged_before(connection: Connection, keys: Collection[Key]) -> dict[Key, BacktestVerdict]:
    """Verdicts that equal content got under an equal fingerprint, in judging or in any backtest, with what they cost.

    Where several exist, one that was paid for stands before one that was itself taken over.
    """
    wanted, found = set(keys), dict[Key, BacktestVerdict]()
    hashes = sorted({content_hash for content_hash, _, _ in wanted})
    fingerprints = {fingerprint for _, fingerprint, _ in wanted}
    for start in range(0, len(hashes), _KEYS_AT_ONCE):
        some = hashes[start : start + _KEYS_AT_ONCE]
        for table, shape in ((_judged, _of_backtest), (_verdict, _of_judging)):
            for row in _answered(connection, table, some, fingerprints):
                key = (row["content_hash"], row["fingerprint"], row["repeat"])
                if key in wanted and (key not in found or row["calls"] > found[key].calls):
                    found[key] = shape(row)
    return found


def _answered(
    connection: Connection, table: Table, hashes: Sequence[str], fingerprints: Collection[str]
) -> Iterator[Mapping[str, Any]]:
    rows = connection.execute(
        select(table).where(
            table.c.content_hash.in_(hashes), table.c.fingerprint.in_(fingerprints), table.c.verdict.is_not(None)
        )
    )
    for row in rows.mappings():
        yield dict(row)


def _of_backtest(row: Mapping[str, Any]) -> BacktestVerdict:
    return BacktestVerdict.model_validate(row)


def _of_judging(row: Mapping[str, Any]) -> BacktestVerdict:
    return BacktestVerdict.model_validate({"backtest_id": "", **{name: row[name] for name in _SHARED}})


_SHARED = sorted(set(Verdict.model_fields) & set(BacktestVerdict.model_fields))


def human_verdicts(connection: Connection, rubric_ids: Collection[str]) -> list[tuple[Verdict, bool]]:
    """What people say of runs and of whole events under these rubrics as it stands; of each item the latest.

    With each, whether it is a review, which is of the event as a whole and of the run that was shown.
    """
    rows = connection.execute(
        select(_verdict, _review.c.review_id)
        .join(_review, _review.c.review_id == _verdict.c.verdict_id, isouter=True)
        .where(_verdict.c.source == VerdictSource.HUMAN, _verdict.c.stands, _verdict.c.rubric_id.in_(rubric_ids))
        .order_by(_verdict.c.created_at, _verdict.c.verdict_id)
    )
    latest = {(row["event_id"], row["run_id"]): dict(row) for row in rows.mappings()}
    return [(Verdict.model_validate(row), row.pop("review_id") is not None) for row in latest.values()]


def workflows_of_runs(connection: Connection) -> list[str]:
    """Every workflow that any run has."""
    return sorted(connection.execute(select(_run.c.workflow).distinct()).scalars())


def events_with_ready_runs(
    connection: Connection,
    *,
    workflows: Collection[str] | None,
    since: datetime | None,
    limit: int,
    among: Collection[str] | None = None,
) -> list[str]:
    """Ids of events with a run that may be judged, newest activity first.

    Only those of these workflows, with activity since a time, among these events; each left out where it is None.
    """
    ready = select(_run.c.run_id).where(_run.c.event_id == _event.c.event_id, _run.c.state == RunState.READY)
    if workflows is not None:
        ready = ready.where(_run.c.workflow.in_(workflows))
    query = select(_event.c.last_activity_at, _event.c.event_id).where(ready.exists())
    if since is not None:
        query = query.where(_event.c.last_activity_at >= since)
    query = query.order_by(_event.c.last_activity_at.desc(), _event.c.event_id).limit(limit)
    if among is None:
        return [row.event_id for row in connection.execute(query)]
    ids, found = sorted(among), []
    for start in range(0, len(ids), _KEYS_AT_ONCE):
        some = query.where(_event.c.event_id.in_(ids[start : start + _KEYS_AT_ONCE]))
        found += [(row.last_activity_at, row.event_id) for row in connection.execute(some)]
    found.sort(key=lambda pair: pair[1])
    found.sort(key=lambda pair: pair[0], reverse=True)
    return [event_id for _, event_id in found[:limit]]


def events_of_runs(connection: Connection, run_ids: Collection[str]) -> dict[str, str]:
    """Run id → the event it belongs to; unknown runs are left out."""
    ids, found = sorted(run_ids), dict[str, str]()
    for start in range(0, len(ids), _KEYS_AT_ONCE):
        some = ids[start : start + _KEYS_AT_ONCE]
        rows = connection.execute(select(_run.c.run_id, _run.c.event_id).where(_run.c.run_id.in_(some)))
        found.update({row.run_id: row.event_id for row in rows})
    return found


def known_events(connection: Connection, event_ids: Collection[str]) -> set[str]:
    """Those of these events that exist here."""
    ids, found = sorted(event_ids), set[str]()
    for start in range(0, len(ids), _KEYS_AT_ONCE):
        some = ids[start : start + _KEYS_AT_ONCE]
        found |= set(connection.execute(select(_event.c.event_id).where(_event.c.event_id.in_(some))).scalars())
    return found


def habits_of(connection: Connection, judges: Collection[str], *, last: int = 200) -> dict[str, JudgeHabits]:
    """What the last calls of these judges (as labelled) were like; judges that never called are left out."""
    found = {}
    for judge in judges:
        seen = [row for table in (_verdict, _judged) for row in _last_calls(connection, table, judge, last)]
        if seen:
            tokens = [written / calls for calls, written, _ in seen if written]
            waits = [latency / calls for calls, _, latency in seen if latency]
            found[judge] = JudgeHabits(
                calls=sum(calls for calls, _, _ in seen),
                output_tokens=fmean(tokens) if tokens else None,
                latency_ms=median(waits) if waits else None,
            )
    return found


def _last_calls(
    connection: Connection, table: Table, judge: str, last: int
) -> Sequence[tuple[int, int | None, float | None]]:
    rows = connection.execute(
        select(table.c.calls, table.c.output_tokens, table.c.latency_ms)
        .where(table.c.judge == judge, table.c.calls > 0)
        .order_by(table.c.created_at.desc())
        .limit(last)
    )
    return [(row.calls, row.output_tokens, row.latency_ms) for row in rows]
