"""The newest runs: what an author looks at while writing a rubric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Connection, and_, or_, select

from evaluator.model.run import Run, RunState
from evaluator.store.database import table_of
from evaluator.store.tables import RunRow

_run = table_of(RunRow)

_PAGE = 50
_RECENT = 2000


def ready_runs(connection: Connection, *, most: int) -> Iterator[list[Run]]:
    """Ready runs in pages, the newest first, until there are no more or `most` were given."""
    newest_first = (_run.c.last_arrival_at.desc(), _run.c.run_id.desc())
    statement = select(_run).where(_run.c.state == RunState.READY).order_by(*newest_first).limit(_PAGE)
    last: Run | None = None
    for _ in range(0, most, _PAGE):
        page = statement
        if last is not None:
            at, run_id = _run.c.last_arrival_at, _run.c.run_id
            page = statement.where(
                or_(at < last.last_arrival_at, and_(at == last.last_arrival_at, run_id < last.run_id))
            )
        rows = connection.execute(page).mappings().all()
        if not rows:
            return
        runs = [Run.model_validate(dict(row)) for row in rows]
        yield runs
        last = runs[-1]


def workflows_seen(connection: Connection) -> list[str]:
    """Workflows of the newest 2,000 runs, the most frequent first."""
    newest = select(_run.c.workflow).order_by(_run.c.last_arrival_at.desc()).limit(_RECENT)
    return [name for name, _ in Counter(connection.execute(newest).scalars()).most_common() if name]
