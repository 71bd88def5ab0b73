"""What the operator sees: counts per stage, what waits and why, failures, workers, spend."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, func, select

from evaluator.model.columns import utc_now
from evaluator.model.judgement import JudgementState
from evaluator.model.operation import Failure, JudgePause, Spend, WorkerBeat
from evaluator.model.verdict import VerdictSource
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import (
    ArrivalRow,
    EventRow,
    FailureRow,
    JudgementRow,
    JudgePauseRow,
    OutcomeRow,
    RollupRow,
    RunRow,
    SampleRow,
    SpanChunkRow,
    SpendRow,
    VerdictRow,
    WorkerBeatRow,
)

_event, _run, _arrival = table_of(EventRow), table_of(RunRow), table_of(ArrivalRow)
_chunk = table_of(SpanChunkRow)
_judgement, _verdict, _sample = table_of(JudgementRow), table_of(VerdictRow), table_of(SampleRow)
_outcome, _failure, _pause = table_of(OutcomeRow), table_of(FailureRow), table_of(JudgePauseRow)
_beat, _spend, _rollup = table_of(WorkerBeatRow), table_of(SpendRow), table_of(RollupRow)


@dataclass(frozen=True)
class Overview:
    """Counts per stage and what stands in the way, at one moment."""

    spans: int = 0
    """As received: one that clients sent again in another grouping counts again."""
    traces_waiting: int = 0
    events: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    """State → runs."""
    fidelity: dict[str, int] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    """taken, not_taken."""
    judgements: dict[str, int] = field(default_factory=dict)
    """State → judgements."""
    not_evaluable: dict[str, int] = field(default_factory=dict)
    """Reason → judgements."""
    retrying: int = 0
    """Due judgements that have failed at least once."""
    verdicts: dict[str, int] = field(default_factory=dict)
    """Verdict → what judges said, never people."""
    rollups: dict[str, int] = field(default_factory=dict)
    """Verdict → rollups in force."""
    outcomes: dict[str, int] = field(default_factory=dict)
    decided_by: dict[str, int] = field(default_factory=dict)
    pauses: list[JudgePause] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    workers: list[WorkerBeat] = field(default_factory=list)
    spend_today: list[Spend] = field(default_factory=list)


def overview(connection: Connection, *, now: datetime, worker_seen_after: datetime) -> Overview:
    """Everything the status page and command show."""

    def counts(column, *where) -> dict[str, int]:  # type: ignore[no-untyped-def]
        return {
            str(key): n
            for key, n in connection.execute(select(column, func.count()).where(*where).group_by(column))
        }

    def count(table, *where) -> int:  # type: ignore[no-untyped-def]
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())

    taken = counts(_sample.c.taken)
    return Overview(
        spans=int(connection.execute(select(func.coalesce(func.sum(_chunk.c.spans), 0))).scalar_one()),
        traces_waiting=count(_arrival, _arrival.c.dirty),
        events=count(_event),
        runs=counts(_run.c.state),
        fidelity=counts(_run.c.fidelity),
        samples={"taken": taken.get("True", 0), "not_taken": taken.get("False", 0)},
        judgements=counts(_judgement.c.state),
        not_evaluable=counts(_judgement.c.reason, _judgement.c.state == JudgementState.NOT_EVALUABLE),
        retrying=count(_judgement, _judgement.c.state == JudgementState.DUE, _judgement.c.attempts > 0),
        verdicts=counts(_verdict.c.verdict, _verdict.c.source == VerdictSource.JUDGE),
        rollups=counts(_rollup.c.verdict, _rollup.c.current),
        outcomes=counts(_outcome.c.final_outcome, _outcome.c.current),
        decided_by=counts(_outcome.c.decided_by, _outcome.c.current),
        pauses=[
            JudgePause.model_validate(dict(row))
            for row in connection.execute(select(_pause).where(_pause.c.until > now)).mappings()
        ],
        failures=last_failures(connection),
        workers=[
            WorkerBeat.model_validate(dict(row))
            for row in connection.execute(select(_beat).where(_beat.c.seen_at > worker_seen_after)).mappings()
        ],
        spend_today=[
            Spend.model_validate(dict(row))
            for row in connection.execute(select(_spend).where(_spend.c.day == f"{now:%Y-%m-%d}")).mappings()
        ],
    )


def record_failure(
    connection: Connection,
    *,
    stage: str,
    kind: str,
    subject: str = "",
    detail: str = "",
    now: datetime | None = None,
) -> None:
    """Note that something went wrong, or that it went wrong once more; never with captured content."""
    at = now or utc_now()
    statement = insert_into(connection, _failure)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["stage", "kind", "subject"],
            set_={
                "detail": statement.excluded.detail,
                "last_at": statement.excluded.last_at,
                "count": _failure.c["count"] + 1,
            },
        ),
        as_row(Failure(stage=stage, kind=kind, subject=subject, detail=detail[:500], first_at=at, last_at=at)),
    )


def clear_failures(connection: Connection, *, stage: str, kind: str | None = None) -> None:
    """Forget failures that are mended."""
    statement = _failure.delete().where(_failure.c.stage == stage)
    connection.execute(statement if kind is None else statement.where(_failure.c.kind == kind))


def last_failures(connection: Connection, *, limit: int = 20) -> list[Failure]:
    """What went wrong last, newest first."""
    rows = connection.execute(select(_failure).order_by(_failure.c.last_at.desc()).limit(limit)).mappings()
    return [Failure.model_validate(dict(row)) for row in rows]


def beat(connection: Connection, worker: str, now: datetime) -> None:
    """Say that a worker is alive."""
    statement = insert_into(connection, _beat).on_conflict_do_update(
        index_elements=["worker"], set_={"seen_at": now}
    )
    connection.execute(statement, as_row(WorkerBeat(worker=worker, started_at=now, seen_at=now)))


def live_workers(connection: Connection, *, seen_after: datetime) -> int:
    """How many workers have said so lately."""
    return int(connection.execute(select(func.count()).where(_beat.c.seen_at > seen_after)).scalar_one())


def forget_workers(connection: Connection, *, seen_before: datetime) -> None:
    """Drop workers that are long gone."""
    connection.execute(_beat.delete().where(_beat.c.seen_at < seen_before))


def judging_spend(connection: Connection, event_ids: list[str]) -> Decimal:
    """What judging these events cost in US dollars; never part of the product's cost."""
    costs = connection.execute(select(_verdict.c.cost_usd).where(_verdict.c.event_id.in_(event_ids))).scalars()
    return sum((cost for cost in costs if cost is not None), Decimal(0))
