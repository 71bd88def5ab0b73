"""Batches under lease: what one judgement, one worker or one clock does wrong harms no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

from evaluator import dispatch, pipeline
from evaluator.batches import BatchRunner
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.judgement import Judgement, JudgementState
from evaluator.pipeline import Batch
from evaluator.settings import Settings
from evaluator.store import judgements as queue
from evaluator.store import operations, outcomes
from tests.test_pipeline import asking, count, failures, judge_all, report, states
from tests.world import CHECKED_RUBRIC, add_rubric


@pytest.fixture
def links(deployment: Deployment) -> Deployment:
    """A deployment whose outcome rubric asks code for a link."""
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    return deployment


@contextmanager
def model_that(answers: Callable[[], tuple[int, str]]) -> Iterator[str]:
    """An OpenAI-compatible server that replies with a status and a text; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status, said = answers()
            message = {"role": "assistant", "content": said}
            body = {
                "id": "x",
                "object": "chat.completion",
                "created": 0,
                "model": "stub",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
            data = json.dumps(body if status == 200 else {"error": {"message": said}}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def passing(reasoning: str = "Yes.") -> str:
    return json.dumps({"answers": {"evidence": [], "reasoning": reasoning, "verdict": "pass"}})


def run_batches(runner: BatchRunner, batches: list[Batch]) -> None:
    async def run() -> None:
        await asyncio.gather(*[runner.run(batch) for batch in batches])

    asyncio.run(run())


def judgement_of(deployment: Deployment, event_id: str = "ticket-1") -> Judgement:
    with deployment.database.read() as connection:
        [found] = queue.judgements_of_events(connection, [event_id])
    return found


def execute(deployment: Deployment, statement: str) -> None:
    deployment.database.transact(lambda connection: connection.execute(text(statement)))


def test_a_judgement_that_cannot_be_prepared_ends_visibly_and_stops_no_other(links: Deployment) -> None:
    report(links, event_id="ticket-1", run_id="broken")
    report(links, event_id="ticket-2", run_id="whole")
    execute(links, "UPDATE capture SET body = '@lost' WHERE run_id = 'broken'")
    judge_all(links)
    assert states(links, "ticket-2") == [JudgementState.DONE]
    assert states(links, "ticket-1") == [JudgementState.DUE], "it is tried again"
    assert failures(links)[0].kind == "internal_error"
    for later in range(1, links.settings.judge_attempts):
        judge_all(links, utc_now() + timedelta(hours=later))
    ended = judgement_of(links)
    assert (ended.state, ended.reason) == (JudgementState.NOT_EVALUABLE, "internal_error")


def test_a_reply_no_database_takes_keeps_no_verdict_from_being_written(
    deployment: Deployment, tmp_path: Path
) -> None:
    with model_that(lambda: (200, passing("odd \x00 text"))) as address:
        other = asking(deployment, tmp_path, judge_api_base=address)
        for number in range(3):
            report(other, event_id=f"ticket-{number}", run_id=f"run-{number}", input=f"item-{number}")
        judge_all(other)
        assert count(other, "verdict") == 3
        other.close()


def test_one_settlement_that_cannot_be_written_holds_up_no_other(links: Deployment) -> None:
    for number in range(3):
        report(links, event_id=f"ticket-{number}", run_id=f"run-{number}")
    refuse_verdicts_of(links, "run-1")
    judge_all(links)
    assert [states(links, f"ticket-{number}") for number in range(3)] == [
        [JudgementState.DONE],
        [JudgementState.DUE],
        [JudgementState.DONE],
    ]
    assert failures(links)[0].kind == "internal_error"


def refuse_verdicts_of(deployment: Deployment, run_id: str) -> None:
    """Have the database itself turn one row away."""
    if deployment.database.is_sqlite:
        execute(
            deployment,
            f"CREATE TRIGGER refuse BEFORE INSERT ON verdict WHEN NEW.run_id = '{run_id}' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
    else:
        execute(deployment, f"ALTER TABLE verdict ADD CONSTRAINT refuse CHECK (run_id <> '{run_id}')")


def test_two_that_hand_out_at_once_give_no_more_than_there_is_room_for(links: Deployment) -> None:
    small = Deployment(Settings(**{**links.settings.model_dump(), "judge_concurrency": 1}))
    for number in range(60):
        report(small, event_id=f"ticket-{number}", run_id=f"run-{number}")
    with ThreadPoolExecutor(4) as threads:
        handed_out = list(threads.map(lambda _: pipeline.hand_out(small, utc_now()), range(4)))
    ids = [one for batches in handed_out for batch in batches for one in batch.ids]
    assert len(ids) == dispatch.HANDED_OUT_PER_SLOT
    small.close()


def test_a_worker_that_ends_gives_back_only_its_own_and_all_it_did_not_judge(links: Deployment) -> None:
    for number in range(2 * dispatch.BATCH_SIZE):
        report(links, event_id=f"ticket-{number}", run_id=f"run-{number}", output=f"https://x.example/{number}")
    mine, others = pipeline.hand_out(links, utc_now())
    ending, going_on = BatchRunner(links), BatchRunner(links)
    ending.take_no_more()
    run_batches(ending, [mine])
    ending.release()
    assert count(links, "judgement WHERE state = 'due'") == dispatch.BATCH_SIZE, "at once, not when the lease ends"
    run_batches(going_on, [others])
    assert count(links, "verdict") == dispatch.BATCH_SIZE, "what another holds stays with it"


def test_a_batch_taken_up_late_has_its_whole_lease_before_it(links: Deployment) -> None:
    report(links)
    [batch] = pipeline.hand_out(links, utc_now())
    links.database.transact(
        lambda connection: queue.renew(connection, batch.token, utc_now() + timedelta(seconds=1))
    )
    BatchRunner(links)._load(batch)
    lease_until = judgement_of(links).lease_until
    assert lease_until is not None
    assert lease_until > utc_now() + timedelta(seconds=links.settings.lease_seconds / 2)


def test_a_batch_nobody_takes_up_is_handed_out_again_without_end(links: Deployment) -> None:
    report(links)
    now = utc_now()
    for _ in range(pipeline.MOST_LEASES + 2):
        assert len(pipeline.hand_out(links, now)) == 1
        now += timedelta(seconds=links.settings.lease_seconds + 1)
    assert judgement_of(links).state == JudgementState.LEASED


def test_a_judgement_that_worker_after_worker_is_lost_over_is_given_up(links: Deployment) -> None:
    report(links)
    now = utc_now()
    for _ in range(pipeline.MOST_LEASES):
        [batch] = pipeline.hand_out(links, now)
        BatchRunner(links)._load(batch)
        now += timedelta(days=1)
    assert pipeline.hand_out(links, now) == []
    assert judgement_of(links).reason == "worker_lost"


def test_what_is_handed_out_after_a_pause_was_lifted_is_asked_again(deployment: Deployment, tmp_path: Path) -> None:
    replies = iter([(401, "wrong key"), *[(200, passing())] * 5])
    with model_that(lambda: next(replies)) as address:
        other = asking(deployment, tmp_path, judge_api_base=address)
        report(other)
        runner = BatchRunner(other)
        run_batches(runner, pipeline.hand_out(other, utc_now()))
        assert states(other) == [JudgementState.DUE]
        assert pipeline.hand_out(other, utc_now() + timedelta(seconds=1)) == [], "the judge is paused"
        other.database.transact(queue.resume_judges)
        later = judgement_of(other).due_at + timedelta(seconds=1)
        run_batches(runner, pipeline.hand_out(other, later))
        assert states(other) == [JudgementState.DONE]
        other.close()


def test_what_a_call_cost_counts_also_where_its_content_changed_meanwhile(
    deployment: Deployment, tmp_path: Path
) -> None:
    prices = {"judge_input_usd_per_mtok": 1_000_000.0, "judge_output_usd_per_mtok": 0.0}

    def change_and_pass() -> tuple[int, str]:
        report(other, run_id="r1", output="something else")
        return 200, passing()

    with model_that(change_and_pass) as address:
        other = asking(deployment, tmp_path, judge_api_base=address, **prices)
        report(other, run_id="r1")
        run_batches(BatchRunner(other), pipeline.hand_out(other, utc_now()))
        assert states(other) == [JudgementState.DUE, JudgementState.SUPERSEDED]
        assert spent(other, utc_now()) == 1
        other.close()


def spent(deployment: Deployment, now: datetime) -> float:
    with deployment.database.read() as connection:
        seen = operations.overview(connection, now=now, worker_seen_after=now)
    return float(sum(day.settled_usd for day in seen.spend_today))


def test_a_verdict_taken_over_from_another_version_stands_under_the_version_that_asked(links: Deployment) -> None:
    report(links, event_id="ticket-1", run_id="r1")
    judge_all(links)
    rarer = CHECKED_RUBRIC + "sample: {{rate: 0.99}}\n"
    add_rubric(links.settings.rubrics_dir, rubric_id="links", text=rarer)
    links.shelf._looked_at = 0.0
    report(links, event_id="ticket-2", run_id="r2")
    judge_all(links)
    with links.database.read() as connection:
        [(judgement, verdict)] = outcomes.verdicts_of_event(connection, "ticket-2")
    assert judgement is not None
    assert "cached" in verdict.flags
    assert (verdict.rubric_id, verdict.rubric_version) == (judgement.rubric_id, judgement.rubric_version)
    assert judgement.rubric_version != judgement_of(links).rubric_version
