"""Judging what a backtest is made of: taken over where it is known already, asked for where not, and kept as it comes."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from evaluator.applicability import content_for, run_facts
from evaluator.authoring.backtest_comparison import REUSED
from evaluator.authoring.backtest_plan import Piece, Plan, Unit, pieces_of, prompt_size, slots_of, stronger_piece
from evaluator.authoring.call_limits import Pace, Purse
from evaluator.authoring.heard_verdicts import as_said
from evaluator.batches import FewThreads
from evaluator.deployment import Deployment
from evaluator.judging.endpoint import Endpoint, provider_of, resolve_endpoint
from evaluator.judging.failures import Advice, back_off
from evaluator.judging.judge import JudgeResult, JudgeWork, content_key, judge
from evaluator.judging.llm import close
from evaluator.model.backtest import BacktestVerdict
from evaluator.model.capture import Capture, Fidelity
from evaluator.model.columns import utc_now
from evaluator.model.judgement import NotEvaluable
from evaluator.model.local_judge import LOCAL_PROVIDER
from evaluator.panel import RESTS_ON_CRITICAL, run_verdict
from evaluator.review_reasons import reasons
from evaluator.store import backtests
from evaluator.store.backtests import Advance, Key
from evaluator.store.database import Connection
from evaluator.store.runs import load_captures, load_runs
from evaluator.wording import dollars

log = logging.getLogger(__name__)
UNITS_AT_ONCE = 40
WRITE_SECONDS = 0.5
LOST_IN_A_ROW = 3
"""Judgements that used up their attempts with no call answered in between: the judge is out of reach, not the run odd."""
STAND = {
    NotEvaluable.NO_CONTENT,
    NotEvaluable.REFUSED,
    NotEvaluable.FILTERED,
    NotEvaluable.CUT_OFF,
    NotEvaluable.CONTEXT_TOO_LONG,
    NotEvaluable.UNPARSABLE,
}
"""Reasons that the same question would end with again; a backtest that goes on leaves them as they are."""
UNMEASURED = 1
"""Characters of a prompt over content that changed since the plan was made, until it is measured."""
INTERRUPTED = "It was interrupted."


@dataclass(frozen=True, slots=True)
class Moved:
    """How far a backtest got."""

    done: int
    planned: int
    cost_usd: Decimal
    unpriced_calls: int
    seconds_left: float | None
    """None until a few calls have shown how long they take."""


class Watch(Protocol):
    """Whoever is shown what happens."""

    def moved(self, seen: Moved) -> None:
        """Called after each judgement."""

    def told(self, line: str) -> None:
        """Something went wrong, in words without content."""


def never() -> bool:
    """Nobody asks for an end."""
    return False


def on_a_loop_of_its_own(work: Coroutine[Any, Any, None]) -> None:
    """Run on an event loop that ends with the work."""
    asyncio.run(work)


@dataclass(frozen=True, slots=True)
class Host:
    """Where a backtest judges, and how it is told to end."""

    run: Callable[[Coroutine[Any, Any, None]], None] = on_a_loop_of_its_own
    """Runs it to its end on an event loop."""
    shared: bool = False
    """Whether others judge on that loop: connections stay open for them."""
    ends: Callable[[], bool] = never
    """Asked twice a second; True lets what is being asked finish and stops the rest."""


@dataclass(frozen=True, slots=True)
class LoadedUnit:
    """A unit with all that its judges need."""

    unit: Unit
    work: JudgeWork
    diagnostics: Mapping[str, object]
    reused: Mapping[Key, BacktestVerdict]
    standing: Mapping[tuple[str, int], BacktestVerdict]
    """(judge, repeat) → how this backtest ended with it before, where that stands."""


class Judging:
    """The judgements of one backtest, on one event loop; database work runs in threads."""

    def __init__(
        self,
        deployment: Deployment,
        plan: Plan,
        backtest_id: str,
        *,
        spent: Decimal,
        max_usd: Decimal | None,
        watch: Watch,
        host: Host = Host(),
    ) -> None:
        self.finished: set[tuple[str, str]] = set()
        """(run, version) of all that was asked about it."""
        self.stopped_because: str | None = None
        self._deployment = deployment
        self._plan = plan
        self._id = backtest_id
        self._watch = watch
        self._host = host
        self._purse = Purse(max_usd, spent)
        self._threads = FewThreads()
        self._endpoints: dict[str, Endpoint] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._paces: dict[str, Pace] = {}
        self._asking: dict[Key, asyncio.Future[BacktestVerdict | None]] = {}
        times = Counter(piece.key for unit in plan.units for piece in unit.pieces)
        self._shared = {key for key, number in times.items() if number > 1}
        self._answers: dict[Key, BacktestVerdict] = {}
        """To what several judgements ask alike."""
        self._unwritten: list[BacktestVerdict] = []
        self._advance = Advance()
        self._planned, self._done, self._to_ask, self._asked, self._unpriced = plan.planned, 0, 0, 0, 0
        self._more = 0
        self._lost_in_a_row = 0
        self._began = time.monotonic()

    async def run(self) -> None:
        """Judge until all is done or something stops it; what was judged is written either way."""
        self._stopping = asyncio.Event()
        self._to_ask = sum(piece.prompt_chars > 0 for unit in self._plan.units for piece in unit.pieces)
        asked = {piece.spec.model for unit in self._plan.units for piece in unit.pieces if piece.prompt_chars}
        for model in sorted(asked):
            self._endpoints[model] = await resolve_endpoint(model, self._deployment.settings)
        self._began = time.monotonic()
        try:
            with self._interruptible():
                await self._judge_all()
        finally:
            if not self._host.shared:
                await close()

    def _stop(self, because: str) -> None:
        self.stopped_because = self.stopped_because or because
        self._stopping.set()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl+C lets what is being asked finish, the second leaves it."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupted() -> None:
            if self.stopped_because == INTERRUPTED:
                task.cancel()
                return
            self._stop(INTERRUPTED)
            if self._asking:
                self._watch.told("Stopping: what is being asked may finish; Ctrl+C again leaves it.")

        caught = []
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(
                NotImplementedError, RuntimeError, ValueError
            ):  # not the main thread, or not on this system
                loop.add_signal_handler(number, interrupted)
                caught.append(number)
        try:
            yield
        except asyncio.CancelledError:
            if self.stopped_because is None:
                raise
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

    async def _judge_all(self) -> None:
        settings = self._deployment.settings
        providers = {
            provider_of(piece.spec.model, settings) for unit in self._plan.units for piece in unit.pieces
        } or {LOCAL_PROVIDER}
        workers = sum(slots_of(provider, settings) for provider in providers)
        waiting: asyncio.Queue[LoadedUnit | None] = asyncio.Queue(2 * workers)

        async def produce() -> None:
            units = self._plan.units
            for start in range(0, len(units), UNITS_AT_ONCE):
                if self._stopping.is_set():
                    break
                for loaded in await self._threads.run(self._load, units[start : start + UNITS_AT_ONCE]):
                    await waiting.put(loaded)
            for _ in range(workers):
                await waiting.put(None)

        async def work() -> None:
            while (loaded := await waiting.get()) is not None:
                if not self._stopping.is_set():
                    await self._unit(loaded)

        over = asyncio.Event()
        writing = asyncio.create_task(self._write_on(over))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(produce())
                for _ in range(workers):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            over.set()
            await writing

    def _load(self, units: Sequence[Unit]) -> list[LoadedUnit]:
        run_ids = {unit.run_id for unit in units}
        with self._deployment.database.read() as connection:
            runs = load_runs(connection, run_ids)
            captures = load_captures(connection, run_ids, self._deployment.bodies)
            before = backtests.verdicts_of(connection, self._id, run_ids=run_ids)
        standing: dict[tuple[str, str], dict[tuple[str, int], BacktestVerdict]] = {}
        for row in before:
            if row.reason in STAND:
                standing.setdefault((row.run_id, row.rubric_version), {})[row.judge, row.repeat] = row
        loaded: list[LoadedUnit] = []
        for unit in units:
            run, rubric = runs.get(unit.run_id), self._plan.rubrics[unit.version]
            if run is None:  # put together anew with another since the plan was made
                continue
            content = content_for(rubric, run_facts(run, captures.get(run.run_id, Capture())))
            pieces = self._as_planned(
                unit, pieces_of(rubric, unit.run_id, content_key(content), self._deployment.settings)
            )
            work = JudgeWork(rubric, rubric.judges[0], content, fidelity=Fidelity(run.fidelity))
            kept = standing.get((unit.run_id, unit.version), {})
            loaded.append(LoadedUnit(replace(unit, pieces=pieces), work, run.diagnostics, {}, kept))
        keys = {piece.key for one in loaded for piece in one.unit.pieces}
        with self._deployment.database.read() as connection:
            reused = backtests.judged_before(connection, keys)
        return [replace(one, reused=reused) for one in loaded]

    @staticmethod
    def _as_planned(unit: Unit, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
        """Pieces over the content of now; the lengths of the plan hold where that is what it was."""
        planned = {(piece.judge, piece.repeat): piece for piece in unit.pieces}
        return tuple(
            then if then.key == now.key else replace(then, key=now.key, reused=False, prompt_chars=UNMEASURED)
            for now in pieces
            for then in (planned[now.judge, now.repeat],)
        )

    async def _unit(self, loaded: LoadedUnit) -> None:
        rows = await asyncio.gather(*[self._piece(loaded, piece) for piece in loaded.unit.pieces])
        ended = [row for row in rows if row is not None]
        if len(ended) < len(rows):
            return
        stronger = await self._wanted_above(loaded, ended)
        if stronger is not None:
            self._planned += 1
            self._more += 1
            self._to_ask += 1
            if await self._piece(loaded, stronger) is None:
                return
        self.finished.add((loaded.unit.run_id, loaded.unit.version))

    async def _wanted_above(self, loaded: LoadedUnit, rows: Sequence[BacktestVerdict]) -> Piece | None:
        rubric, unit = loaded.work.rubric, loaded.unit
        given = [as_said(row) for row in rows if row.verdict is not None]
        if rubric.escalate is None or not given:
            return None
        if not reasons(rubric.escalate.when, run_verdict(rubric, given), rubric, loaded.diagnostics):
            return None
        piece = stronger_piece(rubric, unit.run_id, unit.pieces[0].key[0], self._deployment.settings)
        return None if piece is None else await self._sized(loaded, piece)

    async def _sized(self, loaded: LoadedUnit, piece: Piece) -> Piece:
        """The piece with the length of its prompt, for what was not planned to be asked."""
        work = replace(loaded.work, spec=piece.spec, repeat=piece.repeat)
        chars, questions = await prompt_size(work, self._deployment.secret)
        return replace(piece, prompt_chars=chars, questions=questions)

    async def _piece(self, loaded: LoadedUnit, piece: Piece) -> BacktestVerdict | None:
        """How the judgement ended; None where the backtest was stopped before."""
        if piece.prompt_chars == UNMEASURED:
            piece = await self._sized(loaded, piece)
        same = loaded.reused.get(piece.key) or self._answers.get(piece.key) or await self._asked_elsewhere(piece)
        if same is None and piece.escalated:
            same = (await self._threads.run(self._known, piece.key)).get(piece.key)
        if same is not None:
            return self._ended(_taken_over(same, loaded.unit, piece, self._id), piece)
        kept = loaded.standing.get((piece.judge, piece.repeat))
        if kept is not None and kept.content_hash == piece.key[0]:
            return self._ended(kept, piece, write=False)
        answer: asyncio.Future[BacktestVerdict | None] = asyncio.get_running_loop().create_future()
        self._asking[piece.key] = answer
        row: BacktestVerdict | None = None
        try:
            row = await self._judged(loaded, piece)
            if row is not None and row.verdict is not None and piece.key in self._shared:
                self._answers[piece.key] = row
        finally:
            answer.set_result(row if row is not None and row.verdict is not None else None)
            self._asking.pop(piece.key, None)
        return None if row is None else self._ended(row, piece)

    def _known(self, key: Key) -> dict[Key, BacktestVerdict]:
        with self._deployment.database.read() as connection:
            return backtests.judged_before(connection, {key})

    async def _asked_elsewhere(self, piece: Piece) -> BacktestVerdict | None:
        """The answer of an equal judgement of this backtest that is just being asked for, once it is there."""
        while (answer := self._asking.get(piece.key)) is not None:
            if (row := await answer) is not None:
                return row
            await asyncio.sleep(0)
        return None

    async def _judged(self, loaded: LoadedUnit, piece: Piece) -> BacktestVerdict | None:
        settings = self._deployment.settings
        endpoint = await self._endpoint(piece)
        provider = provider_of(piece.spec.model, settings)
        slots = self._slots.setdefault(provider, asyncio.Semaphore(slots_of(provider, settings)))
        pace = self._paces.setdefault(
            provider, Pace(0 if provider == LOCAL_PROVIDER else settings.judge_calls_per_minute)
        )
        attempt = 0
        while True:
            attempt += 1
            async with slots:
                if self._stopping.is_set() or not await self._may_ask(piece, pace):
                    return None
                result = await self._asked_now(loaded, piece, endpoint)
            if result.pause is not None:
                self._stop(result.pause.detail)
                return None
            if result.retry is None or attempt >= settings.judge_attempts:
                return self._row(loaded.unit, piece, endpoint, result)
            self._watch.told(result.retry.detail)
            if await self._waited(result.retry, attempt):
                return None

    async def _endpoint(self, piece: Piece) -> Endpoint:
        model = piece.spec.model
        if (piece.prompt_chars or piece.reused) and model not in self._endpoints:
            self._endpoints[model] = await resolve_endpoint(model, self._deployment.settings)
        return self._endpoints.get(model) or Endpoint(model=model, label=piece.judge)

    async def _may_ask(self, piece: Piece, pace: Pace) -> bool:
        if not piece.prompt_chars:
            return True
        if not await pace.wait(self._stopping):
            return False
        if await self._purse.reserve(self._most_of(piece), self._stopping):
            return True
        if not self._stopping.is_set():
            self._stop(
                f"The next call could exceed --max-usd {self._purse.most}; spent so far: {dollars(self._purse.spent)}."
            )
        return False

    def _most_of(self, piece: Piece) -> Decimal:
        """The most a judgement can cost: a long prompt, the longest reply, and both once more."""
        price = self._plan.prices.get(piece.judge.removesuffix(" (escalated)"))
        return ((price(piece.prompt_chars // 2, piece.spec.max_tokens) if price else None) or Decimal(0)) * 2

    async def _asked_now(self, loaded: LoadedUnit, piece: Piece, endpoint: Endpoint) -> JudgeResult:
        work = replace(loaded.work, spec=piece.spec, repeat=piece.repeat)
        result = JudgeResult()
        try:
            result = await judge(work, endpoint, secret=self._deployment.secret)
        except Exception as error:  # noqa: BLE001 - the worker's edge: it ends visibly, the others go on
            result = JudgeResult(not_evaluable=NotEvaluable.INTERNAL_ERROR, detail=_where(error))
        finally:
            if piece.prompt_chars:
                self._purse.settle(self._most_of(piece), result.cost_usd)
        self._unpriced += result.calls if result.unpriced else 0
        self._advance = Advance(
            self._advance.done,
            self._advance.cost_usd + (result.cost_usd or Decimal(0)),
            self._advance.unpriced_calls + (result.calls if result.unpriced else 0),
        )
        if result.calls or not piece.prompt_chars:
            self._lost_in_a_row = 0
        return result

    async def _waited(self, advice: Advice, attempt: int) -> bool:
        """Wait before the next try; whether the backtest stopped meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), back_off(advice, attempt, random.random))
        return self._stopping.is_set()

    def _row(self, unit: Unit, piece: Piece, endpoint: Endpoint, result: JudgeResult) -> BacktestVerdict:
        reason = result.not_evaluable
        if result.retry is not None:
            reason = NotEvaluable(result.retry.reason)
            self._lost_in_a_row += 1
            self._watch.told(f"Given up on a judgement: {result.retry.detail}")
            if self._lost_in_a_row >= LOST_IN_A_ROW:
                self._stop(result.retry.detail)
        critical = {each.id for each in self._plan.rubrics[unit.version].criteria if each.critical}
        failed = any(each.id in critical and each.verdict == "fail" for each in result.criteria)
        return BacktestVerdict(
            backtest_id=self._id,
            run_id=unit.run_id,
            rubric_version=unit.version,
            judge=piece.judge,
            repeat=piece.repeat,
            event_id=unit.event_id,
            escalated=piece.escalated,
            verdict=result.verdict,
            reason=reason,
            detail=result.detail,
            score=result.score,
            criteria=[each.model_dump(mode="json") for each in result.criteria],
            flags=[*result.flags, *([RESTS_ON_CRITICAL] if failed else [])],
            fingerprint=piece.key[1],
            content_hash=piece.key[0],
            cost_usd=result.cost_usd,
            input_tokens=result.input_tokens,
            output_tokens=result.output_tokens,
            calls=result.calls,
            latency_ms=result.latency_ms,
            created_at=utc_now(),
        )

    def _ended(self, row: BacktestVerdict, piece: Piece, *, write: bool = True) -> BacktestVerdict:
        if write:
            self._unwritten.append(row)
        self._done += 1
        self._asked += piece.prompt_chars > 0
        self._advance = replace(self._advance, done=self._advance.done + 1)
        self._watch.moved(Moved(self._done, self._planned, self._purse.spent, self._unpriced, self._seconds_left()))
        return row

    def _seconds_left(self) -> float | None:
        if self._asked < 3:
            return None if self._to_ask > self._asked else 0.0
        return (time.monotonic() - self._began) / self._asked * max(0, self._to_ask - self._asked)

    async def _write_on(self, over: asyncio.Event) -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), WRITE_SECONDS)
            if self._host.ends():
                self._stop(INTERRUPTED)
            await self._flush()

    async def _flush(self) -> None:
        rows, self._unwritten = self._unwritten, []
        advance, self._advance = self._advance, Advance()
        more, self._more = self._more, 0
        if not rows and advance == Advance() and not more:
            return

        def write(connection: Connection) -> None:
            backtests.add_verdicts(connection, self._id, rows, advance)
            if more:
                backtests.raise_planned(connection, self._id, more)

        await self._threads.run(self._deployment.database.transact, write)


def _taken_over(found: BacktestVerdict, unit: Unit, piece: Piece, backtest_id: str) -> BacktestVerdict:
    """An answer that is there already, for this judgement: it keeps what it cost when it was made, and says so."""
    return found.model_copy(
        update={
            "backtest_id": backtest_id,
            "run_id": unit.run_id,
            "rubric_version": unit.version,
            "judge": piece.judge,
            "repeat": piece.repeat,
            "event_id": unit.event_id,
            "escalated": piece.escalated,
            "flags": [flag for flag in found.flags if flag != REUSED] + [REUSED],
            "created_at": utc_now(),
        }
    )


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    log.error(
        "A judgement of a backtest failed with %s; its message is left out, it may hold content\n%s",
        type(error).__name__,
        "".join(traceback.format_list(frames)),
    )
    return f"{type(error).__name__} in {where}"
