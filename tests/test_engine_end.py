"""A worker that ends while a judge still thinks leaves nobody waiting, and its work due."""

from __future__ import annotations

import threading
import time

import pytest
from pydantic import SecretStr

from evaluator.deployment import Deployment
from evaluator.engine import Engine
from evaluator.model.columns import utc_now
from evaluator.settings import Settings
from evaluator.store.operations import last_failures
from evaluator.store.progress import judging_progress
from tests.panel_stub import panel_of
from tests.test_pipeline import report
from tests.world import add_rubric

pytestmark = pytest.mark.slow


def test_what_is_still_being_judged_is_left_and_due_again(settings: Settings) -> None:
    asked, may_answer = threading.Event(), threading.Event()
    with panel_of(steady=["pass"]) as panel:

        def think(_model: str) -> None:
            asked.set()
            may_answer.wait(60)

        panel.at_call = think
        changed = settings.model_copy(
            update={
                "judge_model": "openai/steady",
                "judge_api_base": panel.address,
                "judge_api_key": SecretStr("none"),
            }
        )
        deployment = Deployment(changed).migrate()
        add_rubric(changed.rubrics_dir)
        before = set(threading.enumerate())
        engine = Engine(deployment)
        engine.start()
        try:
            report(deployment)
            assert asked.wait(30)
        finally:
            engine.stop(patience_seconds=1)
            may_answer.set()
        waiting = _still_waiting(before)
        with deployment.database.read() as connection:
            progress, failures = judging_progress(connection, now=utc_now()), last_failures(connection)
        deployment.close()
    assert waiting == []
    assert (progress.due, progress.leased, progress.done) == (1, 0, 0)
    assert failures == []


def _still_waiting(before: set[threading.Thread]) -> list[str]:
    """Threads that would keep the process from ending."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [
            one.name
            for one in set(threading.enumerate()) - before
            if one.name.startswith("dbos-executor") and _is_judging(one)
        ]
        if not left:
            return []
        time.sleep(0.1)
    return left


def _is_judging(thread: threading.Thread) -> bool:
    import sys

    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "judge_batch":
            return True
        frame = frame.f_back
    return False
