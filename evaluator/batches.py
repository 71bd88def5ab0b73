"""Judging a batch under lease: calls within the provider's slots, results written in groups.

Lives on one event loop; database work runs in threads.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
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
from evaluator.model.rubric import JudgeSpec, Rubric
from evaluator.model.verdict import Verdict, VerdictSource
from evaluator.panel import RESTS_ON_CRITICAL
from evaluator.pipeline import Batch, settle
from evaluator.store import judgements as queue
from evaluator.store import operations
from evaluator.store.database import Connection, is_away
from evaluator.store.judgements import Settlement
from evaluator.store.runs import load_captures, load_runs

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LINGER_SECONDS = 0.1
"""How long a finished judgement waits for others before it is written: few transactions, little lost to a crash."""
ENOUGH = 40
"""As many need not wait for more."""
MOST_AT_ONCE = 100
SETUP_PAUSE_SECONDS = 60.0
"""How long a judge that cannot be set up (package or weights missing) is left alone."""
PATIENCE_SECONDS = 300.0
"""As long as a verdict waits for the database: a note beside it must not lose it sooner."""
STUMBLE_PAUSE_SECONDS = 10.0
"""How long a judgement that an unforeseen error stopped waits before its second try; doubled with each."""
FAILS_FOR_ITS_CONTENT = {NotEvaluable.NO_CONTENT, NotEvaluable.REFUSED, NotEvaluable.FILTERED}
"""Reasons that say something of the run, not of the judge: counted, but no failure of the service."""


ContentKey = tuple[str, str, int]
"""Content hash, fingerprint and repeat: equal ones get one answer."""


@dataclass(frozen=True)
class Pause:
    """A judge that is left alone: what was handed out before it began is put back, unasked."""

    began: datetime
    until: float
    """On this process's monotonic clock."""


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
        self._pauses: dict[str, Pause] = {}
        self._tokens: set[str] = set()
        self._threads = FewThreads()
        self._writer = SettlementWriter(deployment, self._threads)
        self._asking: dict[ContentKey, asyncio.Future[Verdict | None]] = {}
        self._ending = False

    async def run(self, batch: Batch) -> int:
        """Judge what the batch's lease still holds; how many were taken on."""
        renewal = asyncio.create_task(self._renew(batch.token))
        self._tokens.add(batch.token)
        try:
            leased = await self._threads.run(self._load, batch)
            slots = self._slots_of(batch)
            # all end before the first error goes on: the lease is renewed no longer than this waits
            ends = await asyncio.gather(
                *[self._settle_or_say(one, slots) for one in leased], return_exceptions=True
            )
            for end in ends:
                if isinstance(end, BaseException):
                    raise end
            return len(leased)
        finally:
            if not self._ending:  # what is left unasked then is given back by `release`
                self._tokens.discard(batch.token)
            renewal.cancel()

    def take_no_more(self) -> None:
        """Call no judge any more; what is being asked may finish."""
        self._ending = True

    def release(self) -> None:
        """Give back what this worker still holds."""
        self._deployment.database.transact(
            lambda connection: queue.release_all(connection, utc_now(), tokens=self._tokens), patience_seconds=5
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
            try:
                await self._threads.run(extend)
            except Exception:  # noqa: BLE001 - a renewal that fails must not end the renewing
                log.warning("A lease could not be renewed; tried again")

    def _load(self, batch: Batch) -> list[Leased]:
        """What the lease still holds, each with its content and, where equal content was judged before, its verdict."""
        until = utc_now() + timedelta(seconds=self._deployment.settings.lease_seconds)
        held = self._deployment.database.transact(
            lambda connection: queue.take_up(connection, batch.ids, batch.token, until)
        )
        return self._with_cached(self._prepared(held))

    def _prepared(self, held: Sequence[Judgement]) -> list[Leased]:
        """Each with its work; one that cannot be prepared ends visibly and the others go on."""
        try:
            return self._with_work(held)
        except Exception as error:  # the worker's edge
            if is_away(error):
                raise
            if len(held) == 1:
                self._stumble(held[0], error)
                return []
        return [leased for judgement in held for leased in self._prepared([judgement])]

    def _with_work(self, held: Sequence[Judgement]) -> list[Leased]:
        run_ids = {judgement.run_id for judgement in held}
        with self._deployment.database.read() as connection:
            runs = load_runs(connection, run_ids)
            captures = load_captures(connection, run_ids, self._deployment.bodies)
        rubrics = self._deployment.rubric_versions({judgement.rubric_version for judgement in held})
        leased = []
        for judgement in held:
            rubric, run = rubrics[judgement.rubric_version], runs[judgement.run_id]
            spec = _spec_of(judgement, rubric)
            content = content_for(rubric, run_facts(run, captures.get(run.run_id, Capture())))
            work = JudgeWork(rubric, spec, content, judgement.repeat, run.fidelity)
            label = label_of(spec.model, self._deployment.settings)
            leased.append(Leased(judgement, work, fingerprint(rubric, spec, label)))
        return leased

    def _stumble(self, judgement: Judgement, error: Exception) -> None:
        """End or put back a judgement that an unforeseen error stopped; it is shown, never its text."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
        detail = f"{type(error).__name__} in {where}; the server's log has the rest"
        log.error(
            "A judgement failed with %s; its message is left out, it may hold content\n%s",
            type(error).__name__,
            "".join(traceback.format_list(frames)),
        )
        self._deployment.database.transact(
            lambda connection: operations.record_failure(
                connection, stage="judge", kind=NotEvaluable.INTERNAL_ERROR, subject=judgement.judge, detail=detail
            )
        )
        if judgement.attempts + 1 < self._deployment.settings.judge_attempts:
            wait = timedelta(seconds=STUMBLE_PAUSE_SECONDS * 2**judgement.attempts)
            settlement = Settlement(judgement, retry_at=utc_now() + wait, detail=detail)
        else:
            settlement = Settlement(judgement, reason=NotEvaluable.INTERNAL_ERROR, detail=detail)
        settle(self._deployment, [settlement])

    def _with_cached(self, leased: list[Leased]) -> list[Leased]:
        with self._deployment.database.read() as connection:
            cached = queue.cached_verdicts(connection, {one.key for one in leased})
        return [replace(one, cached=cached.get(one.key)) for one in leased] if cached else leased

    async def _settle_or_say(self, leased: Leased, slots: asyncio.Semaphore) -> None:
        try:
            await self._settle(leased, slots)
        except Exception as error:  # the worker's edge: it ends visibly, the others go on
            if is_away(error):
                raise
            await self._threads.run(self._stumble, leased.judgement, error)

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
        if (pause := self._pause_over(leased)) is not None:
            return _again(leased, pause.until - time.monotonic(), counts=False)
        try:
            endpoint = await resolve_endpoint(name, self._deployment.settings)
        except AdjudgeError as error:
            await self._pause(leased, "not_set_up", str(error), SETUP_PAUSE_SECONDS)
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
            await self._pause(leased, result.pause.reason, result.pause.detail, result.pause.wait_seconds)
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

    def _pause_over(self, leased: Leased) -> Pause | None:
        """The pause that this judgement was handed out before; what comes after it was lifted is asked again."""
        pause, handed_out = self._pauses.get(leased.judgement.judge), leased.judgement.leased_at
        if pause is None or pause.until <= time.monotonic():
            return None
        return pause if handed_out is None or handed_out <= pause.began else None

    async def _pause(self, leased: Leased, reason: str, detail: str, seconds: float) -> None:
        if self._pause_over(leased) is not None:
            return
        name, now = leased.judgement.judge, utc_now()
        self._pauses[name] = Pause(now, time.monotonic() + seconds)

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

        await self._threads.run(self._deployment.database.transact, act, patience_seconds=PATIENCE_SECONDS)

    async def _note(self, kind: str, subject: str, detail: str) -> None:
        """Make a failure visible on the status page and command."""
        await self._threads.run(
            self._deployment.database.transact,
            lambda connection: operations.record_failure(
                connection, stage="judge", kind=kind, subject=subject, detail=detail
            ),
            patience_seconds=PATIENCE_SECONDS,
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
            await self._write_group(group)

    async def _write_group(self, group: Sequence[tuple[Settlement, asyncio.Future[None]]]) -> None:
        try:
            await self._threads.run(settle, self._deployment, [settlement for settlement, _ in group])
        except Exception as error:  # noqa: BLE001 - the worker's edge: whoever waits gets it
            if len(group) > 1 and not is_away(error):
                for one in group:  # one of them cannot be written; the others can
                    await self._write_group([one])
                return
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in group:
                if not done.done():
                    done.set_result(None)


def _spec_of(judgement: Judgement, rubric: Rubric) -> JudgeSpec:
    """How the rubric asks this judgement's judge; an escalated one is asked as the stronger judge is."""
    stronger = rubric.stronger_judge
    if judgement.escalated and stronger is not None:
        return stronger
    return next(one for one in rubric.judges if one.model == judgement.judge)


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
            # another version, or rubric, that asks the same of the same content
            "rubric_id": leased.judgement.rubric_id,
            "rubric_version": leased.judgement.rubric_version,
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
