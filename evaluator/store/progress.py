"""How far judging is: what is done, what is on the way, what waits for something else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from evaluator.model.judgement import JudgementState
from evaluator.store.database import table_of
from evaluator.store.tables import ArrivalRow, JudgementRow, JudgePauseRow, RunRow

_judgement, _pause = table_of(JudgementRow), table_of(JudgePauseRow)
_arrival, _run = table_of(ArrivalRow), table_of(RunRow)


@dataclass(frozen=True)
class Progress:
    """Judgements by where they stand, and what has yet to become one."""

    done: int = 0
    not_evaluable: int = 0
    leased: int = 0
    due: int = 0
    """Waiting for a worker, or for the next attempt."""
    paused: int = 0
    """Waiting for a judge that is paused: nothing happens to these by itself soon."""
    traces: int = 0
    """Arrived, not yet assembled into runs."""
    open_runs: int = 0
    """Waiting for their root span, or for the idle timeout."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why not evaluable → judgements."""
    resumes_at: datetime | None = None
    """When the first pause ends; None where no judge is paused."""

    @property
    def on_the_way(self) -> int:
        """What a worker still has to do without anybody's help."""
        return self.leased + self.due + self.traces

    @property
    def ended(self) -> int:
        """Judgements that need no more work."""
        return self.done + self.not_evaluable

    @property
    def known(self) -> int:
        """All judgements in force."""
        return self.ended + self.leased + self.due + self.paused


def judging_progress(connection: Connection, *, now: datetime, event_id: str | None = None) -> Progress:
    """Where judging stands, of one event where named."""
    pauses = {
        row.judge: row.until
        for row in connection.execute(select(_pause.c.judge, _pause.c.until))
        if row.until > now
    }
    kinds = (_judgement.c.state, _judgement.c.judge, _judgement.c.reason)
    query = select(*kinds, func.count()).group_by(*kinds)
    traces = select(func.count(_arrival.c.trace_id.distinct())).where(_arrival.c.dirty)
    open_runs = select(func.count()).where(_run.c.state == "open")
    if event_id is not None:
        query = query.where(_judgement.c.event_id == event_id)
        traces = traces.where(_arrival.c.event_id == event_id)
        open_runs = open_runs.where(_run.c.event_id == event_id)
    counts = dict.fromkeys(("done", "not_evaluable", "leased", "due", "paused"), 0)
    reasons: Counter[str] = Counter()
    for state, judge, reason, number in connection.execute(query):
        standing = "paused" if state == JudgementState.DUE and judge in pauses else str(state)
        if standing in counts:
            counts[standing] += number
        if state == JudgementState.NOT_EVALUABLE:
            reasons[str(reason)] += number
    return Progress(
        **counts,
        traces=connection.execute(traces).scalar_one(),
        open_runs=connection.execute(open_runs).scalar_one(),
        reasons=dict(reasons),
        resumes_at=min(pauses.values(), default=None),
    )
