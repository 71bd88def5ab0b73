"""The newest runs, on both stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from evaluator.deployment import Deployment
from evaluator.model.capture import Capture
from evaluator.model.run import Run, RunState
from evaluator.store.recent_runs import ready_runs, workflows_seen
from evaluator.store.runs import store_runs

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def store(deployment: Deployment, count: int, **changes: Any) -> None:
    """Runs that arrived a second apart, but each third one together with the one before."""
    runs = [
        Run(
            run_id=f"run-{number:03}",
            event_id=f"event-{number}",
            started_at=NOON,
            last_arrival_at=NOON + timedelta(seconds=number - (number % 3 == 0)),
            **{"workflow": "Support", "state": RunState.READY, **changes},
        )
        for number in range(1, count + 1)
    ]
    deployment.database.transact(
        lambda connection: store_runs(connection, [(run, Capture()) for run in runs], deployment.bodies)
    )


def test_each_ready_run_comes_once_and_the_newest_first(deployment: Deployment) -> None:
    store(deployment, 120)
    with deployment.database.read() as connection:
        pages = list(ready_runs(connection, most=1000))
    ids = [run.run_id for page in pages for run in page]
    assert ids == [f"run-{number:03}" for number in range(120, 0, -1)]
    assert [len(page) for page in pages] == [50, 50, 20]


def test_no_more_pages_are_read_than_asked_for(deployment: Deployment) -> None:
    store(deployment, 120)
    with deployment.database.read() as connection:
        assert sum(len(page) for page in ready_runs(connection, most=100)) == 100


def test_open_runs_are_left_out(deployment: Deployment) -> None:
    store(deployment, 3, state=RunState.OPEN)
    with deployment.database.read() as connection:
        assert list(ready_runs(connection, most=100)) == []


def test_the_most_frequent_workflow_is_named_first(deployment: Deployment) -> None:
    store(deployment, 5, workflow="Returns")
    store(deployment, 2, workflow="Support")
    with deployment.database.read() as connection:
        assert workflows_seen(connection) == ["Returns", "Support"]
