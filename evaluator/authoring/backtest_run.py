"""Running a backtest: what was judged before is taken over, the rest is judged, and every answer is kept as it comes.

It writes to its own tables only: no judgement, rollup, signal, outcome or budget of the judging that counts changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

from evaluator.authoring.backtest_choice import Choice, Versions
from evaluator.authoring.backtest_comparison import Ran, report_of
from evaluator.authoring.backtest_judging import Host, Judging, Watch
from evaluator.authoring.backtest_plan import Plan
from evaluator.authoring.backtest_report import BacktestReport
from evaluator.authoring.heard_verdicts import ComparedVersion
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, BadInput, Conflict
from evaluator.model.backtest import Backtest, BacktestState
from evaluator.model.columns import utc_now
from evaluator.store import backtests
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection
from evaluator.store.rubric_versions import store_version

ABANDONED = timedelta(minutes=30)


def run_backtest(
    deployment: Deployment,
    versions: Versions,
    choice: Choice,
    plan: Plan,
    *,
    started_by: str,
    watch: Watch,
    max_usd: Decimal | None = None,
    notes: Sequence[str] = (),
    host: Host = Host(),
) -> BacktestReport:
    """Judge what the plan holds, go on where the same backtest stopped, and keep and give the report.

    Stops before `max_usd` (all that this backtest ever cost) is exceeded. Raises BadInput where that cannot be kept
    for want of a price, Conflict where the same backtest is running, Misconfigured where a judge cannot be set up.
    """
    if max_usd is not None and plan.estimate.unpriced:
        raise BadInput(
            f"{', '.join(plan.estimate.unpriced)} has no known price, so --max-usd cannot be kept.",
            hint="Set ADJUDGE_JUDGE_INPUT_USD_PER_MTOK and …OUTPUT…, or leave --max-usd out.",
        )
    backtest_id = plan.fingerprint
    with _only_one(deployment, backtest_id):
        spent = deployment.database.transact(
            lambda connection: _begin(connection, versions, plan, backtest_id, started_by, max_usd)
        )
        judging = Judging(deployment, plan, backtest_id, spent=spent, max_usd=max_usd, watch=watch, host=host)
        state = BacktestState.STOPPED
        try:
            host.run(judging.run())
            state = BacktestState.STOPPED if judging.stopped_because else BacktestState.DONE
        except AdjudgeError as error:
            judging.stopped_because = error.message
            raise
        finally:
            report = _report(deployment, versions, choice, plan, backtest_id, judging, state, notes)
            deployment.database.transact(
                lambda connection: backtests.end_backtest(
                    connection, backtest_id, state=state, report=report.model_dump(mode="json"), at=utc_now()
                )
            )
    return report


@contextmanager
def _only_one(deployment: Deployment, backtest_id: str) -> Iterator[None]:
    from filelock import FileLock, Timeout  # a megabyte that no start needs

    folder = deployment.settings.data_dir / "backtests"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{backtest_id}.lock"
    try:
        # the file stays: where it is taken away, one who opened it before and one who makes it anew both hold a lock
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise Conflict(
            f"This backtest is running already, as {backtest_id}.",
            hint="Wait for it, or stop it with Ctrl+C there.",
        ) from None


def _begin(
    connection: Connection,
    versions: Versions,
    plan: Plan,
    backtest_id: str,
    started_by: str,
    max_usd: Decimal | None,
) -> Decimal:
    """Keep both versions and the backtest, audited; what it has cost so far."""
    now = utc_now()
    backtests.stop_abandoned(connection, now - ABANDONED)
    for named in versions.named:
        store_version(connection, named.rubric, named.source, now, in_force=False)
    baseline = versions.baseline.rubric.version if versions.baseline else ""
    candidate = versions.candidate.rubric
    estimate = plan.estimate
    backtests.start_backtest(
        connection,
        Backtest(
            backtest_id=backtest_id,
            rubric_id=candidate.id,
            baseline_version=baseline,
            candidate_version=candidate.version,
            planned=plan.planned,
            estimated_usd=estimate.usd,
            estimated_seconds=estimate.seconds,
            started_by=started_by,
            started_at=now,
        ),
    )
    detail = {
        "backtest_id": backtest_id,
        "candidate": candidate.version,
        "baseline": baseline or None,
        "judgements": plan.planned,
        "calls": estimate.calls,
        "estimated_usd": None if estimate.usd is None else str(estimate.usd),
        "max_usd": None if max_usd is None else str(max_usd),
    }
    audit(connection, actor=started_by, act="backtest", subject=candidate.id, detail=detail)
    known = backtests.find_backtest(connection, backtest_id)
    return (known.cost_usd if known else None) or Decimal(0)


def _report(
    deployment: Deployment,
    versions: Versions,
    choice: Choice,
    plan: Plan,
    backtest_id: str,
    judging: Judging,
    state: BacktestState,
    notes: Sequence[str],
) -> BacktestReport:
    with deployment.database.read() as connection:
        rows = backtests.verdicts_of(connection, backtest_id)
        known = backtests.find_backtest(connection, backtest_id)
    assert known is not None
    compared = [
        ComparedVersion(
            rubric=plan.rubrics[named.rubric.version],
            place=named.place,
            judges=plan.judges[named.rubric.version] if any(one.ask for one in named.rubric.criteria) else (),
            run_ids=choice.applies_to[named.rubric.version],
            unfinished=frozenset(
                unit.run_id
                for unit in plan.units
                if unit.version == named.rubric.version and (unit.run_id, unit.version) not in judging.finished
            ),
        )
        for named in versions.named
    ]
    ran = Ran(
        backtest_id=backtest_id,
        state=state,
        stopped_because=judging.stopped_because,
        cost_usd=known.cost_usd or Decimal(0),
        unpriced_calls=known.unpriced_calls,
        address=address_of(deployment),
        notes=(*choice.notes, *plan.notes, *notes),
    )
    baseline = compared[0] if versions.baseline is not None else None
    return report_of(ran, baseline, compared[-1], choice.runs, rows, choice.labels)


def address_of(deployment: Deployment) -> str:
    """Where this deployment's pages are found from this machine; empty where the port is not known beforehand."""
    host, port = deployment.settings.host, deployment.settings.port
    if not port:
        return ""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - what is listened on, turned into what can be opened
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
