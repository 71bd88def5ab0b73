"""The whole way on both stores, judged by code or by a real server that answers as a model does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text

from benchmarks.load import StubModel, stub_model
from evaluator import pipeline
from evaluator.batches import BatchRunner
from evaluator.capture.otlp import Limits, decode_traces
from evaluator.capture.redaction import Redactor
from evaluator.capture.reported_runs import ReportedRun, run_from_report
from evaluator.deployment import Deployment
from evaluator.errors import Conflict
from evaluator.model.columns import utc_now
from evaluator.model.judgement import JudgementState
from evaluator.model.operation import Failure
from evaluator.model.outcome import DecidedBy, FinalOutcome, Outcome, Signal, SignalSource
from evaluator.model.rollup import Rollup
from evaluator.model.run import ClosedBy, Run, RunState
from evaluator.model.verdict import VerdictLabel
from evaluator.settings import Settings
from evaluator.settlement import roll_up_events, signal_id
from evaluator.store import judgements as queue
from evaluator.store import operations, outcomes, runs
from tests.world import CHECKED_RUBRIC, RUBRIC, add_rubric, reported_run, trace_request

LINK, NO_LINK = "See https://shop.example/track/9", "We value your feedback."


def send(deployment: Deployment, request: ExportTraceServiceRequest) -> None:
    data = request.SerializeToString()
    pipeline.capture_spans(deployment, decode_traces(data, "application/x-protobuf", Redactor(), Limits()))


def report(deployment: Deployment, **changes: Any) -> None:
    run = run_from_report(ReportedRun.model_validate(reported_run(**changes)), Redactor(), utc_now())
    pipeline.report_runs(deployment, [run])


def assemble_all(deployment: Deployment) -> None:
    while pipeline.assemble_runs(deployment, quiet=timedelta(0)):
        pass


def judge_all(deployment: Deployment, now: datetime | None = None) -> None:
    """Hand out and judge until nothing is due."""

    async def run() -> None:
        runner = BatchRunner(deployment)
        while batches := pipeline.hand_out(deployment, now or utc_now()):
            await asyncio.gather(*[runner.run(batch) for batch in batches])

    asyncio.run(run())


def outcome(deployment: Deployment, event_id: str = "ticket-1") -> Outcome | None:
    with deployment.database.read() as connection:
        return outcomes.current_outcomes(connection, [event_id]).get(event_id)


def rollup(deployment: Deployment, event_id: str = "ticket-1", rubric: str = "links") -> Rollup:
    with deployment.database.read() as connection:
        return outcomes.current_rollups(connection, [event_id])[event_id, rubric]


def runs_of(deployment: Deployment, event_id: str = "ticket-1") -> list[Run]:
    with deployment.database.read() as connection:
        return runs.runs_of_events(connection, [event_id])[event_id]


def states(deployment: Deployment, event_id: str = "ticket-1") -> list[str]:
    with deployment.database.read() as connection:
        return sorted(one.state for one in queue.judgements_of_events(connection, [event_id]))


def count(deployment: Deployment, table: str) -> int:
    with deployment.database.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.fixture
def links(deployment: Deployment) -> Deployment:
    """A deployment whose outcome rubric asks code for a link."""
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    return deployment


def test_spans_become_an_outcome(links: Deployment) -> None:
    send(links, trace_request())
    assemble_all(links)
    judge_all(links)
    decided = outcome(links)
    assert decided is not None
    assert (decided.final_outcome, decided.decided_by) == (FinalOutcome.SUCCESS, DecidedBy.JUDGE)
    assert rollup(links).coverage == 1


def test_children_before_their_root_wait_for_it(links: Deployment) -> None:
    send(links, trace_request(run_id="r1", root=False))
    assemble_all(links)
    assert [run.state for run in runs_of(links)] == [RunState.OPEN]
    assert states(links) == []
    send(links, trace_request(run_id="r1", children=0))
    assemble_all(links)
    assert [(run.state, run.span_count) for run in runs_of(links)] == [(RunState.READY, 2)]
    assert states(links) == [JudgementState.DUE]


def test_a_trace_that_never_goes_quiet_is_put_together_all_the_same(
    links: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(links, trace_request(run_id="r1", root=False))
    send(links, trace_request(run_id="r1", children=0))
    assert pipeline.assemble_runs(links, quiet=timedelta(hours=1)) == 0
    monkeypatch.setattr(pipeline, "PATIENCE", timedelta(0))
    assert pipeline.assemble_runs(links, quiet=timedelta(hours=1)) == 1
    assert [run.state for run in runs_of(links)] == [RunState.READY]


def test_a_run_whose_root_never_comes_is_closed_when_idle(links: Deployment) -> None:
    send(links, trace_request(run_id="r1", root=False))
    assemble_all(links)
    assert pipeline.close_idle_runs(links, utc_now()) == 0
    later = utc_now() + timedelta(seconds=links.settings.idle_timeout_seconds + 1)
    assert pipeline.close_idle_runs(links, later) == 1
    assert runs_of(links)[0].closed_by == ClosedBy.IDLE_TIMEOUT
    judge_all(links, later)
    assert rollup(links).not_evaluable == {"no_content": 1}
    assert outcome(links) is None, "a run without content says nothing"


def test_a_second_delivery_changes_nothing(links: Deployment) -> None:
    request = trace_request(run_id="r1", children=3)
    send(links, request)
    assemble_all(links)
    judge_all(links)
    tables = (
        "span_chunk",
        "run",
        "capture",
        "sample",
        "judgement",
        "verdict",
        "rollup",
        "signal",
        "outcome",
    )
    before = {table: count(links, table) for table in tables}
    send(links, request)
    assemble_all(links)
    judge_all(links)
    assert {table: count(links, table) for table in tables} == before


def test_late_content_supersedes_the_old_judgement_and_is_judged_again(links: Deployment) -> None:
    send(links, trace_request(run_id="r1", root=False))
    assemble_all(links)
    later = utc_now() + timedelta(seconds=links.settings.idle_timeout_seconds + 1)
    pipeline.close_idle_runs(links, later)
    judge_all(links, later)
    assert states(links) == [JudgementState.NOT_EVALUABLE]
    send(links, trace_request(run_id="r1", children=0))
    assemble_all(links)
    judge_all(links, later)
    assert states(links) == [JudgementState.DONE, JudgementState.SUPERSEDED]
    decided = outcome(links)
    assert decided is not None
    assert decided.final_outcome == FinalOutcome.SUCCESS
    assert rollup(links).revision == 3, "not evaluable, waiting again, judged"


def test_a_retry_is_a_new_run_and_the_last_one_decides(links: Deployment) -> None:
    report(links, run_id="first", output=NO_LINK, started_at="2026-01-01T10:00:00Z")
    judge_all(links)
    assert outcome(links).final_outcome == FinalOutcome.FAILED  # type: ignore[union-attr]
    report(links, run_id="second", output=LINK, started_at="2026-01-01T10:05:00Z")
    assert outcome(links).final_outcome == FinalOutcome.PENDING  # type: ignore[union-attr]
    judge_all(links)
    decided = outcome(links)
    assert decided is not None
    assert (decided.final_outcome, decided.revision) == (FinalOutcome.SUCCESS, 3)
    assert rollup(links).deciding_run_id == "second"


def test_the_last_run_is_the_one_that_started_last_also_where_that_becomes_known_late(links: Deployment) -> None:
    report(links, run_id="first", output=NO_LINK, started_at="2026-01-01T10:00:00Z")
    report(links, run_id="second", output=LINK, started_at="2026-01-01T10:05:00Z")
    judge_all(links)
    report(links, run_id="first", output=NO_LINK, started_at="2026-01-01T10:10:00Z")
    judge_all(links)
    assert rollup(links).deciding_run_id == "first"
    assert outcome(links).final_outcome == FinalOutcome.FAILED  # type: ignore[union-attr]


def test_an_earlier_run_that_arrives_late_overturns_nothing(links: Deployment) -> None:
    report(links, run_id="second", output=LINK, started_at="2026-01-01T10:05:00Z")
    judge_all(links)
    report(links, run_id="first", output=NO_LINK, started_at="2026-01-01T10:00:00Z")
    judge_all(links)
    assert outcome(links).final_outcome == FinalOutcome.SUCCESS  # type: ignore[union-attr]


def test_an_always_rule_takes_in_every_run_of_the_event(deployment: Deployment) -> None:
    rule = CHECKED_RUBRIC + 'sample: {{rate: 0, always: ["diagnostics.confidence < `0.5`"]}}\n'
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=rule)
    report(deployment, run_id="sure", diagnostics={"confidence": 0.9})
    report(deployment, event_id="ticket-2", run_id="other", diagnostics={"confidence": 0.9})
    assert states(deployment) == []
    report(deployment, run_id="unsure", diagnostics={"confidence": 0.2})
    with deployment.database.read() as connection:
        samples = queue.samples_of_events(connection, ["ticket-1", "ticket-2"])
    assert {one.run_id: (one.taken, one.reason, one.probability) for one in samples} == {
        "sure": (True, "always", 1.0),
        "unsure": (True, "always", 1.0),
        "other": (False, "rate", 0.0),
    }
    assert states(deployment) == [JudgementState.DUE] * 2


def test_runs_keep_the_rubric_version_they_were_enrolled_under(links: Deployment) -> None:
    report(links, run_id="old")
    path = links.settings.rubrics_dir / "links.yaml"
    path.write_text(path.read_text().replace("name a link", "hold a link"))
    links.shelf._looked_at = 0.0
    report(links, run_id="new")
    report(links, run_id="old", output=LINK + " and more")
    with links.database.read() as connection:
        found = queue.judgements_of_events(connection, ["ticket-1"])
    versions = {(one.run_id, str(one.state)): one.rubric_version for one in found}
    assert versions["old", "superseded"] != versions["new", "due"]
    assert versions["old", "due"] == versions["new", "due"], "changed content is judged by the version in force"


def test_a_trace_run_is_taken_back_once_its_root_names_the_run(links: Deployment) -> None:
    request = trace_request(run_id="r1", root=False)
    child = request.resource_spans[0].scope_spans[0].spans[0]
    del child.attributes[:]
    child.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
    send(links, request)
    assemble_all(links)
    provisional = child.trace_id.hex()
    assert [run.run_id for run in runs_of(links, provisional)] == [provisional]
    send(links, trace_request(run_id="r1", children=0))
    assemble_all(links)
    assert runs_of(links, provisional) == []
    assert [(run.run_id, run.span_count) for run in runs_of(links)] == [("r1", 2)]
    assert count(links, "event") == 1


def test_a_signal_outranks_the_judge_and_is_taken_once(links: Deployment) -> None:
    report(links, output=NO_LINK)
    judge_all(links)
    solved = zendesk(FinalOutcome.SUCCESS, "audit-1")
    decided = pipeline.report_signal(links, solved, actor="tests")
    assert decided is not None
    assert (decided.final_outcome, decided.decided_by, decided.revision) == (FinalOutcome.SUCCESS, DecidedBy.SOR, 2)
    again = pipeline.report_signal(links, zendesk(FinalOutcome.SUCCESS, "audit-1"), actor="tests")
    assert again is not None
    assert again.revision == 2
    with pytest.raises(Conflict, match="reported with other content"):
        pipeline.report_signal(links, zendesk(FinalOutcome.FAILED, "audit-1"), actor="tests")
    reopened = pipeline.report_signal(links, zendesk(FinalOutcome.PENDING, "audit-2", minute=5), actor="tests")
    assert reopened is not None
    assert (reopened.final_outcome, reopened.decided_by) == (FinalOutcome.FAILED, DecidedBy.JUDGE)
    assert count(links, "audit_entry") == 2


def zendesk(said: FinalOutcome, reference: str, minute: int = 0) -> Signal:
    return Signal(
        signal_id=signal_id(SignalSource.SOR, "zendesk", reference),
        event_id="ticket-1",
        source=SignalSource.SOR,
        outcome=said,
        origin="zendesk",
        reference=reference,
        occurred_at=datetime(2026, 1, 1, 12, minute, tzinfo=UTC),
    )


def test_a_signal_for_an_event_nobody_has_seen_is_kept_and_joined(links: Deployment) -> None:
    pipeline.report_signal(links, zendesk(FinalOutcome.SUCCESS, "early"), actor="tests")
    report(links, output=NO_LINK)
    judge_all(links)
    decided = outcome(links)
    assert decided is not None
    assert decided.decided_by == DecidedBy.SOR
    assert rollup(links).verdict == VerdictLabel.FAIL


def test_rollups_and_outcomes_rebuilt_from_their_rows_equal_what_is_stored(links: Deployment) -> None:
    for number in range(6):
        answer = LINK if number % 3 else NO_LINK
        report(links, event_id=f"ticket-{number // 2}", run_id=f"run-{number}", output=answer)
    judge_all(links)
    before = count(links, "rollup"), count(links, "outcome"), count(links, "signal")
    events = {f"ticket-{number}" for number in range(3)}
    links.database.transact(
        lambda connection: roll_up_events(connection, runs.lock_events(connection, events), {}, utc_now())
    )
    assert (count(links, "rollup"), count(links, "outcome"), count(links, "signal")) == before


def test_a_verdict_from_a_worker_whose_clock_is_behind_counts_all_the_same(links: Deployment) -> None:
    report(links, run_id="first", output=NO_LINK, started_at="2026-01-01T10:00:00Z")
    judge_all(links)
    ahead = "UPDATE signal SET occurred_at = occurred_at + 60000000, recorded_at = recorded_at + 60000000"
    links.database.transact(lambda connection: connection.execute(text(ahead)))
    report(links, run_id="second", output=LINK, started_at="2026-01-01T10:05:00Z")
    judge_all(links)
    assert outcome(links).final_outcome == FinalOutcome.SUCCESS  # type: ignore[union-attr]


def edit(deployment: Deployment, before: str, after: str) -> None:
    path = deployment.settings.rubrics_dir / "links.yaml"
    path.write_text(path.read_text().replace(before, after))
    deployment.shelf._looked_at = 0.0


def test_content_that_changes_under_a_clock_that_is_behind_is_judged_again(links: Deployment) -> None:
    report(links, run_id="r1", output=NO_LINK)
    judge_all(links)
    ahead = "UPDATE sample SET decided_at = decided_at + 60000000"
    links.database.transact(lambda connection: connection.execute(text(ahead)))
    edit(links, "name a link", "hold a link")
    report(links, run_id="r1", output=LINK)
    judge_all(links)
    assert rollup(links).verdict == VerdictLabel.PASS


def test_a_run_its_rubric_no_longer_applies_to_counts_under_none_of_its_versions(links: Deployment) -> None:
    report(links, run_id="r1", output=NO_LINK)
    judge_all(links)
    edit(links, "name a link", "hold a link")
    report(links, run_id="r1", output=LINK)
    judge_all(links)
    report(links, run_id="r1", output=LINK, workflow="Sales")
    assert rollup(links).runs == 0
    assert outcome(links).final_outcome == FinalOutcome.PENDING  # type: ignore[union-attr]


def test_a_run_that_turns_out_to_be_of_another_event_is_judged_there(links: Deployment) -> None:
    report(links, run_id="r1", event_id="guessed")
    judge_all(links)
    assert outcome(links, "guessed") is not None
    report(links, run_id="r1", event_id="ticket-1")
    judge_all(links)
    assert rollup(links, "guessed").runs == 0
    assert outcome(links, "guessed").final_outcome == FinalOutcome.PENDING  # type: ignore[union-attr]
    assert outcome(links).final_outcome == FinalOutcome.SUCCESS  # type: ignore[union-attr]
    assert rollup(links).runs == 1


def test_a_run_that_idles_out_waits_for_what_is_just_written_of_its_event(links: Deployment) -> None:
    """What is decided of all runs of an event is decided by one transaction after the other."""
    if links.database.is_sqlite:
        pytest.skip("SQLite has one write transaction at a time")
    send(links, trace_request(run_id="idle", root=False))
    assemble_all(links)
    later = utc_now() + timedelta(seconds=links.settings.idle_timeout_seconds + 1)
    with ThreadPoolExecutor(1) as other:
        with links.database.write() as connection:
            runs.lock_events(connection, ["ticket-1"])
            closing = other.submit(pipeline.close_idle_runs, links, later)
            with pytest.raises(TimeoutError):
                closing.result(timeout=0.5)
        assert closing.result(timeout=10) == 1


def test_a_judgement_that_comes_into_force_again_has_all_its_attempts(links: Deployment) -> None:
    report(links, run_id="r1", output=LINK)
    spent = "UPDATE judgement SET state = 'not_evaluable', reason = 'timeout', attempts = 6, settled_at = 1"
    links.database.transact(lambda connection: connection.execute(text(spent)))
    report(links, run_id="r1", output=NO_LINK)
    report(links, run_id="r1", output=LINK)
    with links.database.read() as connection:
        found = queue.judgements_of_events(connection, ["ticket-1"])
    [due] = [one for one in found if one.state == JudgementState.DUE]
    assert (due.reason, due.attempts, due.settled_at) == (None, 0, None)


def test_judges_are_shown_content_in_one_order_whatever_the_store(deployment: Deployment) -> None:
    content = "content: {{question: input, sources: retrieval, ad: input, reply: output}}"
    rubric = RUBRIC.replace("content: {{question: input, answer: output}}", content)
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=rubric)
    report(deployment)
    [batch] = pipeline.hand_out(deployment, utc_now())
    [leased] = BatchRunner(deployment)._load(batch)
    assert list(leased.work.content) == list(deployment.shelf.rubrics[0].content)


def test_a_trace_that_cannot_be_put_together_holds_up_no_other(links: Deployment) -> None:
    send(links, trace_request(event_id="ticket-1", run_id="r1"))
    broken = "UPDATE span_chunk SET body = '@lost'"
    links.database.transact(lambda connection: connection.execute(text(broken)))
    send(links, trace_request(event_id="ticket-2", run_id="r2"))
    assemble_all(links)
    assert [run.run_id for run in runs_of(links, "ticket-2")] == ["r2"]
    assert failures(links)[0].stage == "assemble"
    assert count(links, "arrival WHERE dirty") == 1, "it is not forgotten"


@pytest.fixture
def model() -> Iterator[StubModel]:
    with stub_model(delay_ms=1) as running:
        yield running


def asking(deployment: Deployment, folder: Path, **changes: Any) -> Deployment:
    """The same deployment with other settings, its rubric asking a model."""
    settings = deployment.settings.model_copy(update={"judge_model": "openai/stub", **changes})
    add_rubric(settings.rubrics_dir, rubric_id="links", text=RUBRIC + changes.pop("more", ""))
    return Deployment(Settings(**settings.model_dump()))


def test_equal_content_is_asked_once(deployment: Deployment, model: StubModel, tmp_path: Path) -> None:
    other = asking(deployment, tmp_path, judge_api_base=model.api_base)
    for number in range(5):
        report(other, run_id=f"run-{number}")
    judge_all(other)
    report(other, event_id="ticket-2", run_id="later")
    judge_all(other)
    assert model.stats()["calls"] == 1
    assert count(other, "verdict") == 6
    with other.database.read() as connection:
        spend = operations.overview(connection, now=utc_now(), worker_seen_after=utc_now()).spend_today
    assert [one.calls for one in spend] == [1]
    other.close()


def priced(deployment: Deployment, tmp_path: Path, model: StubModel, *, usd_per_day: float) -> Deployment:
    """A deployment whose judge costs 0.40 dollars a call, under a rubric with this budget."""
    return asking(
        deployment,
        tmp_path,
        judge_api_base=model.api_base,
        more=f"budget: {{{{usd_per_day: {usd_per_day}}}}}\n",
        judge_input_usd_per_mtok=1000.0,
        judge_output_usd_per_mtok=0.0,
    )


def test_a_budget_holds_back_and_the_next_day_takes_up(
    deployment: Deployment, model: StubModel, tmp_path: Path
) -> None:
    other = priced(deployment, tmp_path, model, usd_per_day=1)
    for number in range(6):
        report(other, event_id=f"ticket-{number}", run_id=f"run-{number}", input=f"item-{number}")
    judge_all(other)
    assert model.stats()["calls"] == 2
    held = [states(other, f"ticket-{number}") for number in range(6)]
    assert held.count([JudgementState.NOT_EVALUABLE]) == 4
    event = f"ticket-{held.index([JudgementState.NOT_EVALUABLE])}"
    assert rollup(other, event).not_evaluable == {"budget": 1}
    assert rollup(other, event).probability == 1.0
    judge_all(other, utc_now() + timedelta(days=1))
    assert model.stats()["calls"] > 2
    other.close()


def test_a_budget_that_no_day_is_enough_for_is_shown_as_a_failure(
    deployment: Deployment, model: StubModel, tmp_path: Path
) -> None:
    other = priced(deployment, tmp_path, model, usd_per_day=0.1)
    for number in range(2):
        report(other, event_id=f"ticket-{number}", run_id=f"run-{number}", input=f"item-{number}")
    judge_all(other)
    judge_all(other, utc_now() + timedelta(days=1))
    assert model.stats()["calls"] == 1  # what one costs is known only once one was judged
    with other.database.read() as connection:
        told = [(one.kind, one.subject, one.detail) for one in operations.last_failures(connection)]
    assert told == [
        (
            "budget_too_small",
            "links",
            "One judgement costs about $0.4000, more than the $0.1000 a day of the rubric's budget: "
            "raise budget.usd_per_day, or take a cheaper judge.",
        )
    ]
    other.close()


def test_a_budget_stands_while_its_rubric_file_is_away(
    deployment: Deployment, model: StubModel, tmp_path: Path
) -> None:
    other = priced(deployment, tmp_path, model, usd_per_day=1)
    for number in range(6):
        report(other, event_id=f"ticket-{number}", run_id=f"run-{number}", input=f"item-{number}")
    (other.settings.rubrics_dir / "links.yaml").unlink()
    other.shelf._looked_at = 0.0
    judge_all(other)
    assert model.stats()["calls"] == 2
    other.close()


def test_a_spent_budget_takes_no_more_off_the_queue_at_once_than_a_transaction_bears(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "HELD_BACK_AT_ONCE", 2)
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=RUBRIC + "budget: {{usd_per_day: 1}}\n")
    for number in range(3):
        report(deployment, event_id=f"ticket-{number}", run_id=f"run-{number}")
    day = f"{utc_now():%Y-%m-%d}"
    columns = "rubric_id, day, settled_usd, unpriced_calls, calls"
    spent = f"INSERT INTO spend ({columns}) VALUES ('links', '{day}', 10000000000, 0, 1)"
    deployment.database.transact(lambda connection: connection.execute(text(spent)))
    for held_back in (2, 3):
        assert pipeline.hand_out(deployment, utc_now()) == []
        assert count(deployment, "judgement WHERE reason = 'budget'") == held_back


def test_a_budget_that_cannot_be_kept_is_said_and_no_call_is_made(
    deployment: Deployment, model: StubModel, tmp_path: Path
) -> None:
    other = asking(deployment, tmp_path, judge_api_base=model.api_base, more="budget: {{usd_per_day: 1}}\n")
    report(other)
    judge_all(other)
    assert model.stats()["calls"] == 0
    assert rollup(other).not_evaluable == {"unpriced": 1}
    assert "no known price" in failures(other)[0].detail
    other.close()


def test_an_unpriced_model_judges_and_its_cost_is_unknown_never_nothing(
    deployment: Deployment, model: StubModel, tmp_path: Path
) -> None:
    other = asking(deployment, tmp_path, judge_api_base=model.api_base)
    report(other)
    judge_all(other)
    with other.database.read() as connection:
        [(_, verdict)] = outcomes.verdicts_of_event(connection, "ticket-1")
    assert verdict.cost_usd is None
    assert "unpriced" in verdict.flags
    assert failures(other)[0].kind == "unpriced"
    other.close()


def test_a_model_that_cannot_be_reached_leaves_a_reason_and_no_score(
    deployment: Deployment, tmp_path: Path
) -> None:
    other = asking(deployment, tmp_path, judge_api_base="http://127.0.0.1:9", judge_attempts=2)
    report(other)
    judge_all(other)
    assert states(other) == [JudgementState.DUE], "it is tried again"
    assert "127.0.0.1:9" in failures(other)[0].detail
    judge_all(other, utc_now() + timedelta(hours=1))
    assert rollup(other).not_evaluable == {"unreachable": 1}
    assert rollup(other).score is None
    assert outcome(other) is None
    assert count(other, "verdict") == 0
    other.close()


def failures(deployment: Deployment) -> list[Failure]:
    with deployment.database.read() as connection:
        return operations.last_failures(connection)
