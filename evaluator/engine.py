"""The engine: ticks once a second fleet-wide, hands batches to workers, has them judged.

DBOS dispatches and no more; the truth is in our own tables, so whatever a crash leaves behind is
healed by leases that run out. Three verbs: every_tick, enqueue, handle.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import secrets
import socket
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig
from dbos import DBOSPortableJSONSerializer as PortableJson

from evaluator import pipeline
from evaluator.batches import BatchRunner
from evaluator.deployment import Deployment
from evaluator.dispatch import BATCH_SIZE
from evaluator.errors import Misconfigured
from evaluator.judging.llm import close
from evaluator.model.columns import utc_now
from evaluator.notifications.delivery_round import channels_of, notify
from evaluator.pipeline import Batch
from evaluator.store import judgements as queue
from evaluator.store import operations
from evaluator.store.database import open_engine

T = TypeVar("T")

log = logging.getLogger(__name__)

APPLICATION_VERSION = "1"
"""Pinned: DBOS would hash the source, and work queued before a deploy would never be taken up."""
QUEUE = "judge"
TICK = "* * * * * *"
ASSEMBLY_SECONDS = 0.6
"""How long one tick may assemble runs before it hands out judgements."""
POLL_SECONDS = 0.5
BEAT_SECONDS = 5.0
FINISHED_KEPT = timedelta(minutes=2)
STALLED_KEPT = timedelta(hours=1)
PURGE_SECONDS = 60.0
NOTIFY_SECONDS = 60.0
CANCELLING_SECONDS = 2.0
"""How long judging that is cancelled at the end may take to notice."""
PURGED_AT_ONCE = 2000
PURGED_AT_MOST = 10_000

_ours: Engine | None = None
"""DBOS is one to a process, and so is the engine; workflows find it here."""


class Engine:
    """A worker: started in the service's own process or alone, any number on PostgreSQL, one on SQLite."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._channels = channels_of(deployment.settings)
        self._runner = BatchRunner(deployment)
        self._judging = JudgingLoop()
        self._ending = threading.Event()
        self._ticking = threading.Lock()
        self._lock_file: int | None = None
        self._purge_at = time.monotonic() + PURGE_SECONDS
        self._notify_at = 0.0
        self._notifying: threading.Thread | None = None

    def start(self) -> None:
        """Begin to tick and to judge; returns at once."""
        global _ours
        database = self.deployment.database
        if database.is_sqlite:
            self._be_the_only_worker()
        _ours = self
        _quiet()
        DBOS(config=self._config())
        DBOS.launch()
        concurrency = self.deployment.settings.judge_concurrency
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=max(16, 3 * -(-concurrency // BATCH_SIZE)),
            polling_interval_sec=POLL_SECONDS,
            on_conflict="always_update",
        )
        DBOS.apply_schedules([{"schedule_name": "tick", "workflow_fn": tick, "schedule": TICK}])
        threading.Thread(target=self._beat, name="adjudge-beat", daemon=True).start()

    def _config(self) -> DBOSConfig:
        database = self.deployment.database
        return {
            "name": "adjudge",
            "system_database_url": database.url,
            "system_database_engine": open_engine(database.url, pool_size=20, driver_begins=True),
            "application_version": APPLICATION_VERSION,
            "executor_id": self.worker,
            "serializer": PortableJson(),
            "enable_otlp": False,
            "log_level": "ERROR",
            "scheduler_polling_interval_sec": 1.0,
        }

    def stop(self, *, patience_seconds: int = 20) -> None:
        """End in order: what is being judged may finish, the rest is due again at once."""
        global _ours
        self._ending.set()
        self._runner.take_no_more()
        DBOS.destroy(workflow_completion_timeout_sec=patience_seconds)
        self._runner.release()
        self._judging.stop()
        if self._notifying is not None:
            self._notifying.join(2)  # what it leaves is sent by whoever starts next
        _ours = None
        if self._lock_file is not None:
            os.close(self._lock_file)

    def tick(self) -> None:
        """Assemble what arrived, close what went idle, hand out what is due."""
        if self._ending.is_set() or not self._ticking.acquire(blocking=False):
            return
        try:
            now = utc_now()
            self._stage("assemble", self._assemble)
            self._stage("close_idle_runs", lambda: pipeline.close_idle_runs(self.deployment, utc_now()))
            # outside the tick's workflow: each call would be kept as a step of it, a tick needs no memory
            contextvars.Context().run(self._dispatch, pipeline.hand_out(self.deployment, utc_now()))
            if time.monotonic() > self._purge_at:
                self._purge_at = time.monotonic() + PURGE_SECONDS
                contextvars.Context().run(self._purge, now)
            self._begin_to_notify()
        finally:
            self._ticking.release()

    def _stage(self, kind: str, act: Callable[[], object]) -> None:
        """One stage of a tick; an error in it is shown and the stages after it go on."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - what cannot be assembled must not stop all judging
            self.note_failure(kind, error)

    def _assemble(self) -> None:
        deadline = time.monotonic() + ASSEMBLY_SECONDS
        while pipeline.assemble_runs(self.deployment) and time.monotonic() < deadline:
            pass

    def _dispatch(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            DBOS.enqueue_workflow(QUEUE, judge_batch, list(batch.ids), batch.token, batch.provider, batch.slots)

    def _begin_to_notify(self) -> None:
        """Start a round of notifications, at most one at a time, in a thread: a slow receiver holds up no judging."""
        busy = self._notifying is not None and self._notifying.is_alive()
        if not self._channels or busy or time.monotonic() < self._notify_at:
            return
        self._notify_at = time.monotonic() + NOTIFY_SECONDS
        self._notifying = threading.Thread(target=self._notify, name="adjudge-notify", daemon=True)
        self._notifying.start()

    def _notify(self) -> None:
        self._stage("notify", lambda: notify(self.deployment, self._channels, ends=self._ending.is_set))

    def handle(self, batch: Batch) -> int:
        """Judge one batch; returns when its last judgement is written."""
        return self._judging.run(self._runner.run(batch))

    def judge_beside(self, work: Coroutine[Any, Any, T]) -> T:
        """Run judging that is no batch's on the loop all judges are called on; its result, once it is there."""
        return self._judging.run(work)

    def note_failure(self, kind: str, error: BaseException) -> None:
        """Make an error that no stage expected visible: where it happened, never its text."""
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error(
            "%s failed with %s; its message is left out, it may hold content\n%s",
            kind,
            type(error).__name__,
            frames,
        )
        detail = f"{type(error).__name__}; the server's log has the rest"
        self.deployment.database.transact(
            lambda connection: operations.record_failure(connection, stage="engine", kind=kind, detail=detail)
        )

    def _beat(self) -> None:
        while not self._ending.is_set():
            try:
                self.deployment.database.transact(
                    lambda connection: operations.beat(connection, self.worker, utc_now()), patience_seconds=600
                )
            except Exception:  # a beat that fails must not end the beating
                log.exception("The worker's sign of life could not be written")
            self._ending.wait(BEAT_SECONDS)

    def _be_the_only_worker(self) -> None:
        """Hold the data folder's worker lock; what an earlier worker held is due again at once."""
        import fcntl

        path = self.deployment.settings.data_dir / "worker.lock"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misconfigured(
                f"Another worker already judges from {self.deployment.settings.data_dir}; SQLite takes one.",
                hint="Stop it, or set ADJUDGE_DATABASE_URL to PostgreSQL for several workers.",
            ) from error
        self.deployment.database.transact(lambda connection: queue.release_all(connection, utc_now()))

    def _purge(self, now: datetime) -> None:
        """Drop the engine's rows of finished work, and of work whose worker is gone."""
        ended, stalled = ["SUCCESS", "ERROR", "CANCELLED"], ["PENDING", "ENQUEUED"]
        for statuses, kept in ((ended, FINISHED_KEPT), (stalled, STALLED_KEPT)):
            for _ in range(PURGED_AT_MOST // PURGED_AT_ONCE):
                old = DBOS.list_workflows(
                    status=statuses,
                    end_time=(now - kept).astimezone(UTC).isoformat(),
                    limit=PURGED_AT_ONCE,
                    load_input=False,
                    load_output=False,
                )
                if old:
                    DBOS.delete_workflows([workflow.workflow_id for workflow in old])
                if len(old) < PURGED_AT_ONCE:
                    break
        self.deployment.database.transact(
            lambda connection: operations.forget_workers(connection, seen_before=now - timedelta(days=1))
        )


class JudgingLoop:
    """The event loop all judges are called on, in a thread of its own.

    DBOS's loop would do, but hands blocking calls to as many threads as there are calls; a few are faster.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(4, "adjudge-judging"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="adjudge-judging", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop, wait for the result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Leave what is still being judged, close connections and end: whoever waits for it is let go."""
        self.run(_cancel_the_rest())
        self.run(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=CANCELLING_SECONDS)


@DBOS.workflow(name="tick")
def tick(_scheduled: datetime, _context: Any) -> None:
    """One tick; an error in it is shown and the next tick tries again."""
    if _ours is None:
        return
    try:
        _ours.tick()
    except Exception as error:  # noqa: BLE001 - the worker's edge: shown, then tried again
        _ours.note_failure("tick", error)


@DBOS.workflow(name="judge_batch")
def judge_batch(ids: list[str], token: str, provider: str, slots: int) -> int:
    """One batch; what an error leaves under lease is due again when the lease runs out."""
    if _ours is None:
        return 0
    try:
        return _ours.handle(Batch(tuple(ids), token, provider, slots))
    except CancelledError:  # the worker ends; what it held is due again
        return 0
    except Exception as error:  # noqa: BLE001 - the worker's edge: shown, then tried again
        _ours.note_failure("judge_batch", error)
        return 0


def _quiet() -> None:
    for name in ("dbos", "apscheduler"):
        logging.getLogger(name).setLevel(logging.ERROR)
