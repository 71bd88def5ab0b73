"""Judging a batch under lease: calls within the provider's slots, results written in groups.

Lives on one event loop; database work runs in threads.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import ParamSpec, TypeVar

from evaluator.applicability import content_for, run_facts
from evaluator.capture.price_table import price_of_call
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError
from evaluator.judging.endpoint import Endpoint, label_of, resolve_endpoint
from evaluator.judging.failures import Advice, back_off
from evaluator.judging.judge import JudgeResult, JudgeWork, fingerprint, judge
from evaluator.model.capture import Capture
from evaluator.model.columns import utc_now
from evaluator.model.judgement import Judgement, NotEvaluable
from evaluator.model.verdict import Verdict, VerdictSource
from evaluator.pipeline import Batch, settle
from evaluator.settlement import RESTS_ON_CRITICAL
from evaluator.store import judgements as queue
from evaluator.store import operations
from evaluator.store.database import Connection
from evaluator.store.judgements import Settlement
from evaluator.store.runs import load_captures, load_runs

P = ParamSpec("P")
T = TypeVar("T")

LINGER_SECONDS = 0.1
"""How long a finished judgement waits for others before it is written: few transactions, little lost to a crash."""
ENOUGH = 40
"""As many need not wait for more."""
MOST_AT_ONCE = 100
SETUP_PAUSE_SECONDS = 60.0
"""How long a judge that cannot be set up (package or weights missing) is left alone."""
FAILS_FOR_ITS_CONTENT = {NotEvaluable.NO_CONTENT, NotEvaluable.REFUSED, NotEvaluable.FILTERED}
"""Reasons that say something of the run, not of the judge: counted, but no failure of the service."""


ContentKey = tuple[str, str, int]
"""Content hash, fingerprint and repeat: equal ones get one answer."""


@dataclass(frozen=True)
class Leased:
    """One leased judgement with all that its judge needs."""

    judgement: Judgement
    work: JudgeWork
    fingerprint: str
    cached: Verdict | None = None

    @property
    def key(self) -> ContentKey:
        return (self.judgement.content_hash, self.fingerprint, self.judgement.repeat)


class BatchRunner:
    """Judges batches in one worker process."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._slots: dict[str, tuple[int, asyncio.Semaphore]] = {}
        self._paused_until: dict[str, float] = {}
        self._tokens: dict[str, int] = {}
        self._threads = FewThreads()
        self._writer = SettlementWriter(deployment, self._threads)
        self._asking: dict[ContentKey, asyncio.Future[Verdict | None]] = {}
        self._ending = False

    async def run(self, batch: Batch) -> int:
        """Judge what the batch's lease still holds; how many were taken on."""
        renewal = asyncio.create_task(self._renew(batch.token))
        self._tokens[batch.token] = self._tokens.get(batch.token, 0) + 1
        try:
            leased = await self._threads.run(self._load, batch)
            slots = self._slots_of(batch)
            await asyncio.gather(*[self._settle(one, slots) for one in leased])
            return len(leased)
        finally:
            self._tokens[batch.token] -= 1
            renewal.cancel()

    def take_no_more(self) -> None:
        """Call no judge any more; what is being asked may finish."""
        self._ending = True

    def release(self) -> None:
        """Give back what this worker still holds."""
        tokens = [token for token, batches in self._tokens.items() if batches]
        self._deployment.database.transact(
            lambda connection: queue.release_all(connection, utc_now(), tokens=tokens), patience_seconds=5
        )

    def _slots_of(self, batch: Batch) -> asyncio.Semaphore:
        size, slots = self._slots.get(batch.provider, (0, asyncio.Semaphore(0)))
        if size != batch.slots:
            slots = asyncio.Semaphore(batch.slots)
            self._slots[batch.provider] = (batch.slots, slots)
        return slots

    async def _renew(self, token: str) -> None:
        hold = self._deployment.settings.lease_seconds

        def extend() -> None:
            until = utc_now() + timedelta(seconds=hold)
            self._deployment.database.transact(lambda connection: queue.renew(connection, token, until))

        while True:
            await asyncio.sleep(hold / 3)
            await self._threads.run(extend)

    def _load(self, batch: Batch) -> list[Leased]:
        """What the lease still holds, each with its content and, where equal content was judged before, its verdict."""
        database = self._deployment.database
        with database.read() as connection:
            held = queue.leased_work(connection, batch.ids, batch.token)
            run_ids = {judgement.run_id for judgement in held}
            runs = load_runs(connection, run_ids)
            captures = load_captures(connection, run_ids, self._deployment.bodies)
        rubrics = self._deployment.rubric_versions({judgement.rubric_version for judgement in held})
        leased = []
        for judgement in held:
            rubric, run = rubrics[judgement.rubric_version], runs[judgement.run_id]
            spec = next(one for one in rubric.judges if one.model == judgement.judge)
            content = content_for(rubric, run_facts(run, captures.get(run.run_id, Capture())))
            work = JudgeWork(rubric, spec, content, judgement.repeat, run.fidelity)
            label = label_of(spec.model, self._deployment.settings)
            leased.append(Leased(judgement, work, fingerprint(rubric, spec, label)))
        return self._with_cached(leased)

    def _with_cached(self, leased: list[Leased]) -> list[Leased]:
        with self._deployment.database.read() as connection:
            cached = queue.cached_verdicts(connection, {one.key for one in leased})
        return [replace(one, cached=cached.get(one.key)) for one in leased] if cached else leased

    async def _settle(self, leased: Leased, slots: asyncio.Semaphore) -> None:
        same = leased.cached or await self._asked_elsewhere(leased)
        if same is not None:
            await self._writer.write(_as_cached(leased, same))
            return
        answer: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()
        self._asking[leased.key] = answer
        try:
            async with slots:
                if self._ending:
                    return
                settlement = await self._judged(leased)
            await self._writer.write(settlement)
            answer.set_result(settlement.verdict)
        finally:
            if not answer.done():
                answer.set_result(None)
            self._asking.pop(leased.key, None)

    async def _asked_elsewhere(self, leased: Leased) -> Verdict | None:
        """The verdict of equal content that this process is just asking for, once it is there."""
        while (answer := self._asking.get(leased.key)) is not None:
            if (verdict := await answer) is not None:
                return verdict
            await asyncio.sleep(0)
        return None

    async def _judged(self, leased: Leased) -> Settlement:
        name = leased.judgement.judge
        if self._paused_until.get(name, 0.0) > time.monotonic():
            return _again(leased, self._paused_until[name] - time.monotonic(), counts=False)
        try:
            endpoint = await resolve_endpoint(name, self._deployment.settings)
        except AdjudgeError as error:
            await self._pause(name, "not_set_up", str(error), SETUP_PAUSE_SECONDS)
            return _again(leased, SETUP_PAUSE_SECONDS, counts=False)
        if leased.work.rubric.budget is not None and not _has_price(endpoint):
            detail = (
                f"{endpoint.label} has no known price, so the budget of rubric {leased.judgement.rubric_id} cannot be "
                "kept: set ADJUDGE_JUDGE_INPUT_USD_PER_MTOK and …OUTPUT…, or take the budget out."
            )
            await self._note(NotEvaluable.UNPRICED, endpoint.label, detail)
            return Settlement(leased.judgement, reason=NotEvaluable.UNPRICED, detail=detail)
        result = await judge(leased.work, endpoint, secret=self._deployment.secret)
        return await self._settlement(leased, endpoint, result)

    async def _settlement(self, leased: Leased, endpoint: Endpoint, result: JudgeResult) -> Settlement:
        if result.verdict is not None:
            if result.unpriced:
                await self._note(
                    "unpriced", endpoint.label, "Its cost is not known: judged, but no cost is counted."
                )
            return _with_verdict(leased, endpoint, result)
        advice = result.pause or result.retry
        if result.pause is not None:
            await self._pause(
                leased.judgement.judge, result.pause.reason, result.pause.detail, result.pause.wait_seconds
            )
            return _again(leased, result.pause.wait_seconds, counts=False, result=result)
        if result.retry is not None and leased.judgement.attempts + 1 < self._deployment.settings.judge_attempts:
            await self._note(result.retry.reason, endpoint.label, result.retry.detail)
            return _again(leased, _wait(result.retry, leased.judgement.attempts), counts=True, result=result)
        reason = result.not_evaluable or (NotEvaluable(advice.reason) if advice else NotEvaluable.PROVIDER_ERROR)
        if reason not in FAILS_FOR_ITS_CONTENT:
            await self._note(reason, endpoint.label, result.detail or "")
        return Settlement(
            leased.judgement, reason=reason, detail=result.detail, cost_usd=result.cost_usd, calls=result.calls
        )

    async def _pause(self, name: str, reason: str, detail: str, seconds: float) -> None:
        if self._paused_until.get(name, 0.0) > time.monotonic():
            return
        self._paused_until[name] = time.monotonic() + seconds
        now = utc_now()

        def act(connection: Connection) -> None:
            queue.pause_judge(
                connection,
                judge=name,
                reason=reason,
                detail=detail,
                now=now,
                until=now + timedelta(seconds=seconds),
            )
            operations.record_failure(connection, stage="judge", kind=reason, subject=name, detail=detail, now=now)

        await self._threads.run(self._deployment.database.transact, act)

    async def _note(self, kind: str, subject: str, detail: str) -> None:
        """Make a failure visible on the status page and command."""
        await self._threads.run(
            self._deployment.database.transact,
            lambda connection: operations.record_failure(
                connection, stage="judge", kind=kind, subject=subject, detail=detail
            ),
        )


class FewThreads:
    """Threads for database work: few, so that each keeps its connection and its dictionaries warm."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(3, "adjudge-judge")

    async def run(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `act` returns or raises, from one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(act, *args, **kwargs))


class SettlementWriter:
    """Writes settlements in groups: what finishes while one transaction runs goes into the next."""

    def __init__(self, deployment: Deployment, threads: FewThreads) -> None:
        self._deployment = deployment
        self._threads = threads
        self._pending: list[tuple[Settlement, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, settlement: Settlement) -> None:
        """Return once the settlement is committed."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((settlement, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._pending:
            for _ in range(10):
                if len(self._pending) < ENOUGH:
                    await asyncio.sleep(LINGER_SECONDS / 10)
            group, self._pending = self._pending[:MOST_AT_ONCE], self._pending[MOST_AT_ONCE:]
            try:
                await self._threads.run(settle, self._deployment, [settlement for settlement, _ in group])
            except Exception as error:  # noqa: BLE001 - the worker's edge: whoever waits gets it
                for _, done in group:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in group:
                    if not done.done():
                        done.set_result(None)


def _has_price(endpoint: Endpoint) -> bool:
    return endpoint.prices is not None or price_of_call(endpoint.model, None, 1000, 1000, 0) is not None


def _wait(advice: Advice, attempts: int) -> float:
    return back_off(advice, attempts + 1, random.random)


def _again(leased: Leased, seconds: float, *, counts: bool, result: JudgeResult | None = None) -> Settlement:
    return Settlement(
        leased.judgement,
        retry_at=utc_now() + timedelta(seconds=seconds),
        detail=result.detail if result is not None else None,
        failed_call=counts,
        cost_usd=result.cost_usd if result is not None else None,
        calls=result.calls if result is not None else 0,
    )


def _with_verdict(leased: Leased, endpoint: Endpoint, result: JudgeResult) -> Settlement:
    assert result.verdict is not None
    critical = {criterion.id for criterion in leased.work.rubric.criteria if criterion.critical}
    failed = any(one.id in critical and one.verdict == "fail" for one in result.criteria)
    verdict = Verdict(
        verdict_id=f"v{leased.judgement.judgement_id}",
        judgement_id=leased.judgement.judgement_id,
        event_id=leased.judgement.event_id,
        run_id=leased.judgement.run_id,
        rubric_id=leased.judgement.rubric_id,
        rubric_version=leased.judgement.rubric_version,
        source=VerdictSource.JUDGE,
        verdict=result.verdict,
        score=result.score,
        criteria=[one.model_dump(mode="json") for one in result.criteria],
        summary=result.summary,
        flags=[*result.flags, *([RESTS_ON_CRITICAL] if failed else [])],
        judge=endpoint.label,
        fingerprint=leased.fingerprint,
        content_hash=leased.judgement.content_hash,
        repeat=leased.judgement.repeat,
        cost_usd=result.cost_usd,
        input_tokens=result.input_tokens,
        output_tokens=result.output_tokens,
        calls=result.calls,
        latency_ms=result.latency_ms,
        created_at=utc_now(),
    )
    return Settlement(leased.judgement, verdict=verdict, cost_usd=result.cost_usd, calls=result.calls)


def _as_cached(leased: Leased, found: Verdict) -> Settlement:
    """The verdict equal content got before, for this judgement: no call, no cost."""
    verdict = found.model_copy(
        update={
            "verdict_id": f"v{leased.judgement.judgement_id}",
            "judgement_id": leased.judgement.judgement_id,
            "event_id": leased.judgement.event_id,
            "run_id": leased.judgement.run_id,
            "flags": [flag for flag in found.flags if flag != "cached"] + ["cached"],
            "cost_usd": Decimal(0),
            "input_tokens": 0,
            "output_tokens": 0,
            "calls": 0,
            "latency_ms": 0.0,
            "created_at": utc_now(),
        }
    )
    return Settlement(leased.judgement, verdict=verdict)
