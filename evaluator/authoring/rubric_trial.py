"""Trials: an author's text of a rubric on the last events, beside the version in force; begun on a page, run behind it."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from evaluator.authoring.backtest_choice import Choice, Versions, choose, versions_beside
from evaluator.authoring.backtest_judging import Host, Moved
from evaluator.authoring.backtest_plan import Plan, plan_of
from evaluator.authoring.backtest_run import run_backtest
from evaluator.authoring.human_labels import LabelFile
from evaluator.authoring.named_rubrics import NamedRubric
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, BadInput, Conflict, NotFound
from evaluator.rubric_format.rubric_files import LoadedRubric, read_files
from evaluator.rubric_format.rubric_problems import RubricProblem, RubricProblems, quoted
from evaluator.rubric_format.rubric_warnings import rubric_warnings
from evaluator.store import operations

log = logging.getLogger(__name__)

LAST = 20
"""Events that a trial judges."""
STAGE = "backtest"


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial before it begins."""

    versions: Versions
    choice: Choice
    plan: Plan
    warnings: tuple[RubricProblem, ...]
    """Of the text; it may be tried all the same."""

    @property
    def backtest_id(self) -> str:
        return self.plan.fingerprint


def trial_of(deployment: Deployment, rubric_id: str, text: str, *, last: int = LAST) -> Trial:
    """What trying a text of this rubric means and takes; nothing is called.

    Raises RubricProblems for a text with errors, BadInput where it is another rubric's, NotFound where no stored run fits.
    """
    loaded = rubric_in(rubric_id, text)
    versions = versions_beside(deployment, NamedRubric(loaded.rubric, text, "the text tried"))
    rubrics = [one.rubric for one in versions.named]
    choice = choose(deployment, rubrics, LabelFile(), last=last)
    if not choice.runs:
        raise NotFound(
            "No stored run fits: ready, with content, and one that the rubric applies to.",
            hint="The status page shows what is stored.",
        )
    warnings = tuple(rubric_warnings(loaded.root, loaded.rubric, str(loaded.path)))
    return Trial(versions, choice, plan_of(deployment, rubrics, choice), warnings)


def rubric_in(rubric_id: str, text: str) -> LoadedRubric:
    """The rubric a text holds; raises RubricProblems for one with errors, BadInput where it is another rubric's."""
    read = read_files([(Path(f"{rubric_id}.yaml"), lambda: text)])
    if not read.loaded:
        raise RubricProblems(list(read.problems))
    found = read.loaded[0].rubric.id
    if found != rubric_id:
        raise BadInput(f"This text is the rubric {quoted(found)}, and here {rubric_id} is tried.")
    return read.loaded[0]


class _Quiet:
    """Nobody watches: the page reads how far it is from the database."""

    def moved(self, seen: Moved) -> None:
        """Written already."""

    def told(self, line: str) -> None:
        """The report says what became of it."""


class Trials:
    """The trial that runs in this process, one at a time, in a thread of its own."""

    def __init__(self, deployment: Deployment, host: Callable[[], Host] = Host) -> None:
        self._deployment = deployment
        self._host = host
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._backtest_id = ""
        self._rubric_id = ""

    @property
    def rubric_id(self) -> str:
        """The rubric of the trial that was begun here last; empty where none was."""
        return self._rubric_id

    @property
    def running(self) -> str:
        """The id of the backtest that runs here; empty where none does."""
        return self._backtest_id if self._thread is not None and self._thread.is_alive() else ""

    @property
    def stopping(self) -> bool:
        """Whether the one that runs was told to stop and waits for what is being asked."""
        return bool(self.running) and self._ending.is_set()

    def start(self, trial: Trial, *, started_by: str) -> str:
        """Begin, or go on where the same trial stopped; the backtest's id, once it is kept.

        Raises Conflict where another one runs here, and what keeps it from beginning.
        """
        with self._turn:
            if self.running:
                raise Conflict("Another trial is running on this server.", hint="Try again when it is done.")
            begun: SimpleQueue[Exception | None] = SimpleQueue()
            self._backtest_id = trial.backtest_id
            self._rubric_id = trial.versions.candidate.rubric.id
            self._ending.clear()
            self._thread = threading.Thread(
                target=self._run, args=(trial, started_by, begun), name="adjudge-trial", daemon=True
            )
            self._thread.start()
            failure = begun.get()
        if failure is not None:
            raise failure
        return trial.backtest_id

    def stop(self, backtest_id: str, *, patience_seconds: float = 0.0) -> bool:
        """Let what is being asked finish and leave the rest; False where this backtest does not run here."""
        if not backtest_id or self.running != backtest_id:
            return False
        self._ending.set()
        if self._thread is not None:
            self._thread.join(patience_seconds)
        return True

    def _run(self, trial: Trial, started_by: str, begun: SimpleQueue[Exception | None]) -> None:
        try:
            host = self._host()

            def judge_there(work: Coroutine[Any, Any, None]) -> None:
                begun.put(None)
                host.run(work)

            run_backtest(
                self._deployment,
                trial.versions,
                trial.choice,
                trial.plan,
                started_by=started_by,
                watch=_Quiet(),
                host=Host(judge_there, host.shared, self._ending.is_set),
            )
        except AdjudgeError as error:  # once it has begun, its report says so
            begun.put(error)
        except Exception as error:  # noqa: BLE001 - the thread's edge: shown on the status page
            begun.put(error)
            self._note(trial, error)

    def _note(self, trial: Trial, error: Exception) -> None:
        """Make it visible: where it happened, never its text, which may hold content."""
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error(
            "A trial failed with %s; its message is left out, it may hold content\n%s", type(error).__name__, frames
        )
        self._deployment.database.transact(
            lambda connection: operations.record_failure(
                connection,
                stage=STAGE,
                kind="trial",
                subject=trial.versions.candidate.rubric.id,
                detail=f"{type(error).__name__}; the server's log has the rest",
            )
        )
