"""The worker sends notifications beside judging, and says at its start what is set wrongly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from evaluator.deployment import Deployment
from evaluator.engine import Engine
from evaluator.errors import Misconfigured
from evaluator.model.columns import utc_now
from evaluator.run_import import import_lines
from evaluator.settings import Settings
from evaluator.store.progress import judging_progress
from tests.notifications.receivers import SECRET, item_waits, web_server
from tests.world import CHECKED_RUBRIC, add_rubric, reported_run


@pytest.fixture(params=["sqlite"])
def database_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """One store is enough: rounds are tried on both, this is about the thread."""
    file = tmp_path / "data" / "adjudge.db"
    file.parent.mkdir()
    file.write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{file}"


def until(condition: Callable[[], object], patience: float = 30.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_receiver_that_hangs_holds_up_no_judging(settings: Settings, tmp_path: Path) -> None:
    runs = tmp_path / "runs.jsonl"
    runs.write_text(json.dumps(reported_run()))
    hangs = threading.Event()
    with web_server(204, wait=hangs) as server:
        changed = settings.model_copy(
            update={
                "review_webhook_url": server.url,
                "review_webhook_secret": SecretStr(SECRET),
                "webhook_allow_private": True,
            }
        )
        deployment = Deployment(changed).migrate()
        add_rubric(changed.rubrics_dir, text=CHECKED_RUBRIC)
        item_waits(deployment, hours=30, now=utc_now())
        engine = Engine(deployment)
        engine.start()
        try:
            until(lambda: server.got)
            import_lines(deployment, str(runs))
            until(lambda: _judged(deployment) == 1)
        finally:
            hangs.set()
            engine.stop()
            deployment.close()
    assert len(server.got) == 1


def _judged(deployment: Deployment) -> int:
    with deployment.database.read() as connection:
        return judging_progress(connection, now=utc_now()).done


def test_a_worker_does_not_begin_with_a_webhook_that_cannot_be_signed(deployment: Deployment) -> None:
    half_set = deployment.settings.model_copy(update={"review_webhook_url": "https://hooks.example/x"})
    with pytest.raises(Misconfigured, match="ADJUDGE_REVIEW_WEBHOOK_SECRET"):
        Engine(Deployment(half_set))
