"""The whole way: capture → sample → judge → verdict → rollup → resolve → feed. One function per stage.

Each stage is one transaction, safe to repeat: what arrives late, twice or out of order loses and
doubles nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from evaluator import dispatch
from evaluator.capture.assembly import AssembledRun, assemble
from evaluator.capture.otlp import LogBatch, SpanBatch
from evaluator.capture.price_table import price_of_call
from evaluator.capture.span_facts import chunk_spans, log_facts
from evaluator.deployment import Deployment
from evaluator.enrolment import enrol_events
from evaluator.errors import Conflict
from evaluator.escalation import escalate
from evaluator.model.columns import utc_now
from evaluator.model.local_judge import LOCAL_PROVIDER
from evaluator.model.outcome import Outcome, Signal
from evaluator.model.run import ClosedBy, Run, RunState
from evaluator.settlement import resolve_events, roll_up_events
from evaluator.store import judgements as queue
from evaluator.store import operations, outcomes, runs, spans
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection, is_away
from evaluator.store.judgements import Settlement
from evaluator.store.rubric_versions import last_version, load_versions
from evaluator.store.spans import Arrived
from evaluator.wording import dollars

TRACES_AT_ONCE = 40
WORKER_SILENCE = timedelta(seconds=15)
"""A worker that has said nothing for this long does not count as alive."""
QUIET = timedelta(seconds=0.5)
"""How long nothing must have come to a trace before its runs are put together."""
PATIENCE = timedelta(seconds=10)
"""A trace that never goes quiet is put together as far as it has come after this long."""
POSTPONED_FOR = timedelta(hours=1)
"""A trace that cannot be put together is tried again after this long, or when something more comes to it."""
MOST_LEASES = 50
"""Workers that may be lost over one judgement before it is given up."""
HELD_BACK_AT_ONCE = 1000
"""Judgements that one transaction takes off the queue for a spent budget; the rest follow with the next ticks."""


# capture: OTLP → spans, stored before the sender is told so


def capture_spans(deployment: Deployment, batch: SpanBatch) -> None:
    """Store a request's spans; committed when this returns."""
    for chunk in batch.chunks:
        chunk["body"] = deployment.bodies.place(chunk["body"])
    deployment.database.transact(
        lambda connection: spans.store_spans(
            connection, chunks=batch.chunks, arrivals=batch.arrivals, now_us=time.time_ns() // 1000
        ),
        patience_seconds=10,
    )


def capture_logs(deployment: Deployment, batch: LogBatch) -> None:
    """Store a request's log records that belong to spans; committed when this returns."""
    for log in batch.logs:
        log["body"] = deployment.bodies.place(log["body"])
    deployment.database.transact(
        lambda connection: spans.store_spans(
            connection, logs=batch.logs, arrivals=batch.arrivals, now_us=time.time_ns() // 1000
        ),
        patience_seconds=10,
    )


# capture: spans → runs


def assemble_runs(
    deployment: Deployment, *, event_id: str | None = None, limit: int = TRACES_AT_ONCE, quiet: timedelta = QUIET
) -> int:
    """Assemble runs from traces that something new came to, and enrol those that are ready; how many traces.

    Waits until nothing came to a trace for a moment: a client sends a run in several requests. With
    `event_id`, at once and only what belongs to that event: a reader never sees less than was acknowledged.
    Runs are put together outside the write transaction; what changed meanwhile is left for the next time. A
    trace that cannot be put together is shown as a failure and tried again later; it holds up no other.
    """
    with deployment.database.read() as connection:
        if event_id is None:
            now_us = time.time_ns() // 1000
            traces = spans.quiet_traces(
                connection,
                limit=limit,
                before_us=now_us - quiet // timedelta(microseconds=1),
                waiting_since_us=now_us - PATIENCE // timedelta(microseconds=1),
            )
        else:
            traces = spans.dirty_traces_of(connection, event_id, limit=limit)
    return _assemble_traces(deployment, traces)


def _assemble_traces(deployment: Deployment, traces: Sequence[str]) -> int:
    if not traces:
        return 0
    try:
        _assemble_together(deployment, traces)
    except Exception as error:  # whatever is odd about one trace must not stop the others
        if is_away(error):
            raise
        if len(traces) > 1:
            return sum(_assemble_traces(deployment, [trace]) for trace in traces)
        _postpone(deployment, traces, error)
        return 0
    return len(traces)


def _postpone(deployment: Deployment, traces: Sequence[str], error: Exception) -> None:
    detail = f"A trace could not be put together ({type(error).__name__}); tried again in an hour."

    def act(connection: Connection) -> None:
        again = utc_now() + POSTPONED_FOR
        spans.postpone(connection, traces, until_us=int(again.timestamp() * 1_000_000))
        operations.record_failure(connection, stage="assemble", kind="trace", detail=detail)

    deployment.database.transact(act)


def _assemble_together(deployment: Deployment, traces: Sequence[str]) -> None:
    with deployment.database.read() as connection:
        arrived = spans.load_traces(connection, traces, deployment.bodies)
    now = utc_now()
    assembled = assemble(
        chunk_spans(arrived.chunks),
        [log_facts(row) for row in arrived.logs],
        now=now,
        price=price_of_call,
    )
    deployment.database.transact(lambda connection: _write_runs(connection, deployment, arrived, assembled, now))


def _write_runs(
    connection: Connection,
    deployment: Deployment,
    arrived: Arrived,
    assembled: Sequence[AssembledRun],
    now: datetime,
) -> None:
    deployment.database.lock_for_all(connection, "assemble")
    changed = spans.changed_since(connection, arrived.arrivals)
    still = [one for one in assembled if not any(trace_id in changed for trace_id, _ in one.span_keys)]
    arrivals = [row for row in arrived.arrivals if row.trace_id not in changed]
    runs.hold_events(connection, [one.run for one in still])
    _retire(connection, {row.trace_id for row in arrivals} - {one.run.run_id for one in assembled}, now)
    store_runs(connection, deployment, still, now)
    spans.mark_assembled(connection, arrivals)


def _retire(connection: Connection, run_ids: set[str], now: datetime) -> None:
    """Take back runs that stood for a trace until a root said whose spans they were."""
    stale = runs.load_runs(connection, run_ids)
    if not stale:
        return
    runs.delete_runs(connection, stale.keys())
    _take_out(connection, stale, now)


def _take_out(connection: Connection, gone: Mapping[str, Run], now: datetime) -> None:
    """Take runs that are no longer of these events out of what their events rest on."""
    events = runs.lock_events(connection, {run.event_id for run in gone.values()})
    queue.forget_runs(connection, gone.keys(), now)
    if outcomes.current_rollups(connection, events.keys()):
        roll_up_events(connection, events, {}, now)
    runs.delete_empty_events(connection, events.keys())


def store_runs(
    connection: Connection, deployment: Deployment, assembled: Sequence[AssembledRun], now: datetime
) -> None:
    """Write runs as they now are and enrol the events of those that are ready and changed."""
    runs.hold_events(connection, [one.run for one in assembled])
    known = runs.load_runs(connection, [one.run.run_id for one in assembled])
    changed = [
        (_as_closed(one.run, known.get(one.run.run_id)), one.capture)
        for one in assembled
        if _differs(one.run, known.get(one.run.run_id))
    ]
    runs.store_runs(connection, changed, deployment.bodies)
    moved = {
        run.run_id: known[run.run_id]
        for run, _ in changed
        if run.run_id in known and known[run.run_id].event_id != run.event_id
    }
    if moved:
        _take_out(connection, moved, now)
    ready = {run.event_id for run, _ in changed if run.state == RunState.READY}
    enrol_events(connection, deployment, ready, now)


def _as_closed(run: Run, before: Run | None) -> Run:
    """A run that idled out stays ready when a late child comes; its root may still come."""
    if run.state == RunState.OPEN and before is not None and before.state == RunState.READY:
        run.state, run.closed_by = RunState.READY, ClosedBy.IDLE_TIMEOUT
    return run


_NOT_FACTS = {"last_arrival_at", "assembled_at", "state", "closed_by"}


def _differs(run: Run, before: Run | None) -> bool:
    if before is None or (run.state == RunState.READY and before.closed_by != run.closed_by):
        return True
    return any(getattr(run, name) != getattr(before, name) for name in Run.model_fields if name not in _NOT_FACTS)


def close_idle_runs(deployment: Deployment, now: datetime) -> int:
    """Make ready the runs whose root never came; how many."""

    def act(connection: Connection) -> int:
        before = now - timedelta(seconds=deployment.settings.idle_timeout_seconds)
        closed = runs.close_idle_runs(connection, before=before, limit=500)
        enrol_events(connection, deployment, {run.event_id for run in closed}, now)
        return len(closed)

    return deployment.database.transact(act)


# capture: runs reported whole


def report_runs(deployment: Deployment, reported: Sequence[AssembledRun]) -> None:
    """Store runs that came as JSON and enrol them; committed when this returns."""
    now = utc_now()
    deployment.database.transact(lambda connection: store_runs(connection, deployment, reported, now))


# judge: due judgements → batches under lease


@dataclass(frozen=True)
class Batch:
    """Judgements handed to one worker under one lease."""

    ids: tuple[str, ...]
    token: str
    provider: str
    slots: int
    """Calls to the provider that one worker may have open at once."""


def hand_out(deployment: Deployment, now: datetime) -> list[Batch]:
    """Lease what may be judged now, within concurrency, rate and budgets; fair between rubrics."""
    return deployment.database.transact(lambda connection: _hand_out(connection, deployment, now))


def _hand_out(connection: Connection, deployment: Deployment, now: datetime) -> list[Batch]:
    settings = deployment.settings
    # two at once would each see the whole room, rate and budget
    deployment.database.lock_for_all(connection, "hand out")
    queue.take_up_held_back(connection, now)
    unsettled = queue.expire_leases(connection, now, most_leases=MOST_LEASES)
    loads = queue.provider_loads(connection, now)
    workers = max(1, operations.live_workers(connection, seen_after=now - WORKER_SILENCE))
    batches: list[Batch] = []
    for provider, waiting in queue.waiting_by_provider(connection, now).items():
        concurrency = concurrency_of(provider, deployment)
        room = dispatch.allowance(
            loads.get(provider, dispatch.ProviderLoad()),
            concurrency=concurrency,
            calls_per_minute=settings.judge_calls_per_minute,
        )
        slots = max(1, concurrency // workers)
        for rubric_id, share in dispatch.fair_shares(waiting, room).items():
            leased, held_back = _lease_share(connection, deployment, provider, rubric_id, share, now)
            unsettled += held_back
            batches += [Batch(tuple(ids), token, provider, slots) for token, ids in leased]
    if unsettled:
        workflows = runs.lock_events(connection, set(unsettled))
        versions = load_versions(connection, queue.versions_judged(connection, workflows))
        escalate(connection, workflows, versions, settings, now)
        roll_up_events(connection, workflows, versions, now)
    return batches


def concurrency_of(provider: str, deployment: Deployment) -> int:
    """Calls to a provider at a time, all workers together; the local server has one slot."""
    return 1 if provider == LOCAL_PROVIDER else deployment.settings.judge_concurrency


def _lease_share(
    connection: Connection,
    deployment: Deployment,
    provider: str,
    rubric_id: str,
    share: int,
    now: datetime,
) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Lease one rubric's share as far as its budget for the day pays; also the events whose work it holds back."""
    rubric = next((one for one in deployment.shelf.rubrics if one.id == rubric_id), None)
    if rubric is None:  # its file is gone or cannot be read: what is queued is still bound by its budget
        rubric = last_version(connection, rubric_id)
    budget = rubric.budget if rubric is not None else None
    if budget is not None:
        spent = queue.spent_today(connection, rubric_id, now)
        estimate = queue.cost_estimate(connection, rubric_id)
        leased = queue.leased_of_rubric(connection, rubric_id)
        if not leased and dispatch.is_exhausted(budget=budget.usd_per_day, spent=spent, estimate=estimate):
            why = _why_held_back(connection, rubric_id, budget.usd_per_day, estimate)
            return [], queue.hold_back(connection, rubric_id, now, detail=why, limit=HELD_BACK_AT_ONCE)
        share = dispatch.affordable(
            budget=budget.usd_per_day, spent=spent, leased=leased, estimate=estimate, wanted=share
        )
    if not share:
        return [], []
    leased_now = queue.lease(
        connection,
        provider=provider,
        rubric_id=rubric_id,
        limit=share,
        batch_size=dispatch.BATCH_SIZE,
        now=now,
        until=now + timedelta(seconds=deployment.settings.lease_seconds),
        at_random=budget is not None,
    )
    return leased_now, []


def _why_held_back(connection: Connection, rubric_id: str, budget: Decimal, estimate: Decimal | None) -> str:
    """What is told of work that the day's budget cannot pay; a budget that no day can be enough is a failure to show."""
    if estimate is None or estimate <= budget:
        return "The rubric's budget for the day is spent; taken up at random the next UTC day."
    why = (
        f"One judgement costs about {dollars(estimate)}, more than the {dollars(budget)} a day of the rubric's budget: "
        "raise budget.usd_per_day, or take a cheaper judge."
    )
    operations.record_failure(connection, stage="judge", kind="budget_too_small", subject=rubric_id, detail=why)
    return why


# judge → verdict → rollup → resolve: one transaction


def settle(deployment: Deployment, settlements: Sequence[Settlement]) -> None:
    """Write how judgements ended, with what follows: the stronger judge's turn, rollups, signals and outcomes."""
    events = sorted({one.judgement.event_id for one in settlements})
    judged_under = deployment.rubric_versions({one.judgement.rubric_version for one in settlements})
    rubrics = deployment.versions_read

    def act(connection: Connection) -> None:
        now = utc_now()
        workflows = runs.lock_events(connection, events)
        written = queue.settle(connection, settlements, now)
        ended = {one.judgement.event_id for one in written if one.retry_at is None}
        if ended:
            escalate(connection, ended, judged_under, deployment.settings, now)
            roll_up_events(connection, {event: workflows[event] for event in ended}, rubrics, now)

    deployment.database.transact(act, patience_seconds=300)


# resolve: a system of record speaks


def report_signal(deployment: Deployment, signal: Signal, *, actor: str, dated: bool = True) -> Outcome | None:
    """Take a signal in and resolve its event again; the outcome then in force.

    `dated` says that the reporter named the time; one that this server filled in is no difference. The same origin and reference with the same content is the same signal: nothing changes. With other
    content it is a Conflict: what was reported is amended only by a new signal.
    """

    def act(connection: Connection) -> Outcome | None:
        now = utc_now()
        before = outcomes.find_signal(connection, signal.signal_id)
        if before is not None and _reported(before, dated) != _reported(signal, dated):
            raise Conflict(
                f"Signal {signal.reference!r} from {signal.origin!r} was reported with other content on "
                f"{before.recorded_at:%Y-%m-%d %H:%M:%S} UTC.",
                hint="Report a new signal with its own reference; the newest decides.",
            )
        if before is None:
            runs.ensure_event(connection, signal.event_id, now)
            signal.recorded_at = now
            outcomes.append_signals(connection, [signal])
            audit(
                connection,
                actor=actor,
                act="report_signal",
                subject=signal.event_id,
                detail={"signal_id": signal.signal_id, "outcome": signal.outcome, "origin": signal.origin},
            )
            known = outcomes.signals_of_events(connection, [signal.event_id])
            resolve_events(connection, runs.lock_events(connection, [signal.event_id]), known, now)
        return outcomes.current_outcomes(connection, [signal.event_id]).get(signal.event_id)

    return deployment.database.transact(act, patience_seconds=10)


_REPORTED = ("event_id", "outcome", "outcome_type", "value_amount", "value_currency", "reason", "occurred_at")


def _reported(signal: Signal, dated: bool) -> tuple[object, ...]:
    return tuple(getattr(signal, name) for name in _REPORTED if dated or name != "occurred_at")
