"""What the store keeps of backtests, on both stores."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from evaluator.deployment import Deployment
from evaluator.model.backtest import Backtest, BacktestState, BacktestVerdict
from evaluator.model.columns import utc_now
from evaluator.model.verdict import VerdictLabel
from evaluator.store import backtests
from evaluator.store.backtests import Advance, JudgeHabits


def begin(deployment: Deployment, name: str = "bt", *, minutes_ago: float = 0) -> None:
    started = utc_now() - timedelta(minutes=minutes_ago)
    backtest = Backtest(
        backtest_id=name, rubric_id="r", baseline_version="a", candidate_version="b", planned=2, started_at=started
    )
    deployment.database.transact(lambda connection: backtests.start_backtest(connection, backtest))


def verdict(name: str = "bt", run_id: str = "r1", **changes: object) -> BacktestVerdict:
    return BacktestVerdict.model_validate(
        {
            "backtest_id": name,
            "run_id": run_id,
            "rubric_version": "b",
            "judge": "m",
            "event_id": "e",
            "verdict": VerdictLabel.PASS,
            "fingerprint": "f",
            "content_hash": f"h-{run_id}",
            "calls": 1,
            "output_tokens": 60,
            "latency_ms": 200.0,
            **changes,
        }
    )


def keep(deployment: Deployment, *rows: BacktestVerdict, **advance: object) -> None:
    step = Advance(**{"done": len(rows), **advance})  # type: ignore[arg-type]
    deployment.database.transact(
        lambda connection: backtests.add_verdicts(connection, rows[0].backtest_id, rows, step)
    )


def found(deployment: Deployment, name: str = "bt") -> Backtest:
    with deployment.database.read() as connection:
        backtest = backtests.find_backtest(connection, name)
    assert backtest is not None
    return backtest


def test_a_backtest_that_goes_on_keeps_what_it_cost(deployment: Deployment) -> None:
    begin(deployment)
    keep(deployment, verdict(), cost_usd=Decimal("0.0123456789"), unpriced_calls=1)
    keep(deployment, verdict(run_id="r2"), cost_usd=Decimal(1))
    seen = found(deployment)
    assert (seen.done, seen.cost_usd, seen.unpriced_calls) == (2, Decimal("1.0123456789"), 1)
    began = seen.started_at
    begin(deployment)
    seen = found(deployment)
    assert (seen.done, seen.cost_usd, seen.started_at) == (0, Decimal("1.0123456789"), began)


def test_a_later_try_replaces_the_earlier(deployment: Deployment) -> None:
    begin(deployment)
    keep(deployment, verdict(verdict=None, reason="timeout"))
    keep(deployment, verdict())
    with deployment.database.read() as connection:
        [row] = backtests.verdicts_of(connection, "bt", run_ids={"r1", "r2"})
    assert (row.verdict, row.reason) == (VerdictLabel.PASS, None)


def test_a_backtest_nobody_writes_to_any_more_counts_as_stopped(deployment: Deployment) -> None:
    begin(deployment, "dead", minutes_ago=90)
    begin(deployment, "slow", minutes_ago=90)
    begin(deployment, "young", minutes_ago=1)
    keep(deployment, verdict("dead", created_at=utc_now() - timedelta(minutes=80)))
    keep(deployment, verdict("slow"))
    deployment.database.transact(
        lambda connection: backtests.stop_abandoned(connection, utc_now() - timedelta(minutes=30))
    )
    states = [found(deployment, name).state for name in ("dead", "slow", "young")]
    assert states == [BacktestState.STOPPED, BacktestState.RUNNING, BacktestState.RUNNING]


def test_only_answers_are_taken_over_the_one_that_was_paid_for_first(deployment: Deployment) -> None:
    begin(deployment)
    begin(deployment, "other")
    keep(deployment, verdict(verdict=None, reason="timeout"), verdict(run_id="r2", calls=0))
    keep(deployment, verdict("other", run_id="r2", calls=2))
    with deployment.database.read() as connection:
        known = backtests.judged_before(connection, {("h-r1", "f", 0), ("h-r2", "f", 0), ("h-r2", "g", 0)})
    assert {key: row.calls for key, row in known.items()} == {("h-r2", "f", 0): 2}


def test_habits_are_those_of_a_call(deployment: Deployment) -> None:
    begin(deployment)
    slow = verdict(run_id="r2", calls=2, output_tokens=200, latency_ms=1000.0)
    keep(deployment, verdict(), slow, verdict(run_id="r3", calls=0, output_tokens=0, latency_ms=0.0))
    with deployment.database.read() as connection:
        habits = backtests.habits_of(connection, {"m", "never"})
    assert habits == {"m": JudgeHabits(calls=3, output_tokens=80.0, latency_ms=350.0)}
