"""Spans become runs, whatever came late, twice or out of order."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.capture.span_facts import LogFacts, SpanFacts
from evaluator.model.run import ClosedBy, ExecutionStatus, RunState
from tests.capture.telemetry import TRACE, log, root, runs, span, the_run

OTHER_TRACE = "1" * 32
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


def spans_by_run(*spans: SpanFacts) -> dict[str, set[str]]:
    """Run id → names of its spans."""
    names = {facts.key: facts.name for facts in spans}
    return {found.run.run_id: {names[key] for key in found.span_keys} for found in runs(*spans)}


class TestGrouping:
    def test_a_child_belongs_to_the_nearest_ancestor_that_names_a_run(self) -> None:
        outer, inner = root("outer", until=20), root("inner", parent="botanu.run/outer", at=3, until=9)
        step = span("step", parent="botanu.run/inner", at=4)
        call = span("call", parent="step", at=5)
        assert spans_by_run(call, step, inner, outer) == {
            "outer": {"botanu.run/outer"},
            "inner": {"botanu.run/inner", "step", "call"},
        }

    def test_a_span_s_own_run_goes_before_its_parents(self) -> None:
        outer = root("outer", until=20)
        assert spans_by_run(outer, span("call", run="inner", parent="botanu.run/outer"))["inner"] == {"call"}

    def test_a_root_may_have_a_parent_which_stays_outside(self) -> None:
        server = span("POST /chat", until=30)
        middleware = span("db", parent="POST /chat", at=2)
        assert spans_by_run(server, root("r", parent="POST /chat", at=3, until=20), middleware) == {
            "r": {"botanu.run/r", "db"}
        }

    def test_in_a_trace_of_several_runs_time_tells_which_run_a_stray_span_is_of(self) -> None:
        outer, inner = root("outer", until=20), root("inner", parent="botanu.run/outer", at=5, until=10)
        found = spans_by_run(outer, inner, span("during", at=6), span("after", at=12), span("outside", at=40))
        assert found == {"outer": {"botanu.run/outer", "after"}, "inner": {"botanu.run/inner", "during"}}

    def test_a_run_may_span_traces(self) -> None:
        here = root("r", until=20)
        there = span("worker", run="r", trace=OTHER_TRACE, at=3)
        child = span("call", parent="worker", trace=OTHER_TRACE, at=4)
        found = the_run(here, there, child)
        assert (found.run.span_count, found.run.trace_id) == (3, TRACE)

    def test_parents_in_a_circle_end(self) -> None:
        assert runs(span("a", parent="b"), span("b", parent="a")) == []
        assert spans_by_run(root("r"), span("a", parent="b"), span("b", parent="a"))["r"] == {
            "botanu.run/r",
            "a",
            "b",
        }

    def test_a_root_without_a_run_id_is_a_run_of_its_own(self) -> None:
        found = the_run(span("botanu.run/Support", {"botanu.event_id": "e"}))
        assert (found.run.event_id, found.run.workflow, found.run.state) == ("e", "Support", RunState.READY)


class TestWithoutBotanu:
    def test_a_trace_in_which_an_llm_is_at_work_is_a_run(self) -> None:
        top = span("agent", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}, until=9)
        call = span("chat", {**CALL, "gen_ai.conversation.id": "c-1"}, parent="agent", at=2)
        found = the_run(call, top).run
        assert (found.run_id, found.event_id, found.workflow) == (TRACE, "c-1", "helper")
        assert (found.state, found.closed_by) == (RunState.READY, ClosedBy.ROOT)

    def test_it_is_open_until_its_top_span_arrives(self) -> None:
        found = the_run(span("chat", CALL, parent="agent")).run
        assert (found.state, found.closed_by, found.execution_status) == (
            RunState.OPEN,
            None,
            ExecutionStatus.UNKNOWN,
        )

    def test_without_a_name_the_event_is_the_trace_and_the_workflow_the_service(self) -> None:
        found = the_run(span("chat", CALL)).run
        assert (found.event_id, found.workflow) == (TRACE, "svc")

    def test_session_goes_before_conversation_and_a_workflow_before_an_agent(self) -> None:
        said = {**CALL, "session.id": "s", "gen_ai.conversation.id": "c", "traceloop.workflow.name": "w"}
        found = the_run(span("chat", {**said, "gen_ai.agent.name": "a"})).run
        assert (found.event_id, found.workflow) == ("s", "w")

    def test_a_trace_without_any_llm_is_no_run(self) -> None:
        assert runs(span("GET /", {"http.method": "GET"}), span("db", parent="GET /")) == []

    def test_once_a_root_arrives_the_trace_is_that_run(self) -> None:
        call = span("chat", CALL, parent="botanu.run/r", at=2)
        assert [found.run.run_id for found in runs(call)] == [TRACE]
        assert spans_by_run(call, root("r", until=9)) == {"r": {"botanu.run/r", "chat"}}


class TestExecution:
    @pytest.mark.parametrize(
        ("status", "events", "attributes", "expected"),
        [
            (1, [("botanu.run.completed", 5, {"status": "success"})], {}, ExecutionStatus.SUCCESS),
            (0, [], {}, ExecutionStatus.SUCCESS),
            (2, [], {}, ExecutionStatus.FAILED),
            (1, [("botanu.run.completed", 5, {"status": "failure"})], {}, ExecutionStatus.FAILED),
            (
                2,
                [("botanu.run.completed", 5, {"status": "failure"})],
                {"botanu.run.cancelled": True},
                ExecutionStatus.CANCELLED,
            ),
            (0, [("botanu.run.cancelled", 5, {})], {}, ExecutionStatus.CANCELLED),
        ],
    )
    def test_the_root_tells_how_it_ended(
        self, status: int, events: Any, attributes: dict[str, Any], expected: ExecutionStatus
    ) -> None:
        assert the_run(root("r", attributes, status=status, events=events)).run.execution_status is expected

    def test_the_completion_names_the_error_before_the_exception_does(self) -> None:
        events = [
            ("exception", 3, {"exception.type": "KeyError"}),
            ("botanu.run.completed", 4, {"status": "failure", "error_class": "ValueError"}),
        ]
        assert the_run(root("r", events=events, status=2)).run.error_type == "ValueError"
        assert the_run(root("r", events=events[:1], status=2)).run.error_type == "KeyError"

    def test_times_are_the_roots(self) -> None:
        found = the_run(span("early", run="r", at=1), root("r", at=5, until=9)).run
        assert found.started_at == datetime(1970, 1, 1, 0, 0, 0, 5000, tzinfo=UTC)
        assert found.duration_ms == 4

    def test_odd_times_do_no_harm(self) -> None:
        found = the_run(root("r", at=9, until=2)).run
        assert found.duration_ms is None
        assert the_run(span("chat", CALL, at=0, until=0)).run.started_at.year == 1970
        assert the_run(span("chat", CALL, at=2**63 // 1_000_000)).run.started_at.year == 2262


class TestWhatTheAppSays:
    def test_the_last_write_wins_whatever_span_it_landed_on(self) -> None:
        def emitted(at: int) -> list[tuple[str, int, dict[str, Any]]]:
            return [("botanu.outcome_emitted", at, {"value_type": "t"})]

        whole = root(
            "r", {"botanu.outcome.reason": "root", "botanu.outcome.confidence": 0.5}, until=20, events=emitted(4)
        )
        step = span("step", {"botanu.outcome.reason": "step"}, run="r", at=5, events=emitted(6))
        assert the_run(whole, step).run.diagnostics == {"reason": "step", "confidence": 0.5}

    def test_the_text_none_is_no_error_type(self) -> None:
        found = the_run(root("r", {"botanu.outcome.error_type": "None", "botanu.outcome.metadata.k": "v"}))
        assert found.run.diagnostics == {"metadata": {"k": "v"}}

    def test_a_claimed_outcome_is_shown_and_decides_nothing(self) -> None:
        events = [("botanu.outcome_emitted", 3, {"status": "failed"})]
        found = the_run(root("r", {"botanu.outcome.status": "success"}, until=9, events=events, status=1)).run
        assert [(claim["status"], claim["via"]) for claim in found.diagnostics["claimed"]] == [
            ("failed", "span_event"),
            ("success", "attribute"),
        ]
        assert found.execution_status is ExecutionStatus.SUCCESS

    def test_correlations_come_from_all_spans(self) -> None:
        step = span("step", {"botanu.correlation.zendesk_ticket_id": "T-1"}, run="r", at=3)
        found = the_run(root("r", {"botanu.correlation.order": 7}, until=9), step).run
        assert found.correlations == {"zendesk_ticket_id": "T-1", "order": 7}

    def test_evaluations_come_from_logs_span_events_and_attributes_once(self) -> None:
        said = {
            "gen_ai.evaluation.name": "tone",
            "gen_ai.evaluation.score.value": 0.9,
            "gen_ai.evaluation.score.label": "kind",
        }
        inferred = {"evaluations.0.evaluation.name": "grounded", "evaluations.0.evaluation.label": "yes"}
        whole = root("r", inferred, until=9, events=[("gen_ai.evaluation.result", 4, said)])
        found = the_run(whole, logs=[log("gen_ai.evaluation.result", None, said, of="botanu.run/r")]).run
        assert found.evaluations == [
            {"name": "grounded", "score": None, "label": "yes", "explanation": None},
            {"name": "tone", "score": 0.9, "label": "kind", "explanation": None},
        ]

    def test_ids_are_text_even_where_clients_send_numbers(self) -> None:
        found = the_run(root("r", {"botanu.event_id": 4711, "botanu.customer_id": 7.0, "botanu.attempt": 2})).run
        assert (found.event_id, found.customer_id, found.attempt) == ("4711", "7", 2)


class TestOurOwnJudges:
    def test_their_traces_are_dropped(self) -> None:
        assert runs(span("chat", {**CALL, "adjudge.judge": "j"}), span("POST", parent="chat")) == []
        assert runs(span("chat", CALL, resource={"adjudge.judge": True})) == []

    def test_a_judge_call_inside_another_trace_takes_only_itself_along(self) -> None:
        call = span("chat", CALL, parent="top", at=2)
        judge = span("judge", {**CALL, "adjudge.judge": "j"}, parent="top", at=3)
        found = the_run(span("top", until=9), call, judge, span("POST", parent="judge", at=4))
        assert (found.run.span_count, found.run.llm_calls) == (2, 1)


class TestCost:
    def test_a_run_without_calls_costs_nothing(self) -> None:
        assert the_run(root("r")).run.cost_total_usd == 0

    def test_one_unpriced_call_leaves_the_cost_unknown(self) -> None:
        tokens = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1}
        priced = span("a", {**CALL, **tokens}, run="r", at=2)
        unpriced = span("b", {**CALL, **tokens, "gen_ai.request.model": "home-made"}, run="r", at=3)
        found = the_run(root("r", until=9), priced, unpriced).run
        assert (found.cost_total_usd, found.unpriced_calls, found.llm_calls) == (None, 1, 2)
        assert the_run(root("r", until=9), priced).run.cost_total_usd == Decimal("0.000035")

    def test_the_reported_cost_goes_before_the_table(self) -> None:
        call = span("a", {**CALL, "gen_ai.usage.cost": 0.25, "gen_ai.usage.input_tokens": 1}, run="r")
        assert the_run(root("r", until=9), call).run.cost_total_usd == Decimal("0.25")


names = ["outer", "inner", None]
made_spans = st.builds(
    lambda name, parent, run, at, length, is_root, trace: (root if is_root and run else span)(
        *((run,) if is_root and run else (name,)),
        **({} if is_root and run else {"run": run, "attributes": CALL}),
        parent=parent,
        at=at,
        until=at + length,
        trace=trace,
    ),
    st.sampled_from("abcdef"),
    st.sampled_from([*"abcdef", "botanu.run/outer", "botanu.run/inner", None]),
    st.sampled_from(names),
    st.integers(0, 30),
    st.integers(0, 20),
    st.booleans(),
    st.sampled_from([TRACE, OTHER_TRACE]),
)
made_logs = st.builds(
    lambda of, at, text: log("gen_ai.user.message", {"content": text}, of=of, at=at),
    st.sampled_from("abcdef"),
    st.integers(0, 40),
    st.sampled_from(["hi", "ho"]),
)


def distinct(spans: list[SpanFacts]) -> list[SpanFacts]:
    """Each span id once, as the database holds it."""
    return list({facts.key: facts for facts in spans}.values())


@given(st.lists(made_spans, max_size=10), st.lists(made_logs, max_size=4), st.data())
def test_order_and_duplicates_change_nothing(
    spans: list[SpanFacts], logs: list[LogFacts], data: st.DataObject
) -> None:
    spans = distinct(spans)
    expected = runs(*spans, logs=logs)
    shuffled = data.draw(st.permutations(spans)) + data.draw(
        st.lists(st.sampled_from(spans), max_size=4) if spans else st.just([])
    )
    assert runs(*shuffled, logs=data.draw(st.permutations(logs)) + logs) == expected


@given(st.lists(made_spans, max_size=10))
def test_each_span_is_in_at_most_one_run_and_none_is_invented(spans: list[SpanFacts]) -> None:
    keys = [key for found in runs(*spans) for key in found.span_keys]
    assert len(keys) == len(set(keys))
    assert set(keys) <= {facts.key for facts in spans}


@given(st.lists(made_spans, max_size=8))
def test_spans_that_name_a_run_are_in_it(spans: list[SpanFacts]) -> None:
    spans = distinct(spans)
    found = {found.run.run_id: set(found.span_keys) for found in runs(*spans)}
    assert all(facts.key in found[facts.run_id] for facts in spans if facts.run_id)


def test_a_long_chain_and_many_roots_stay_fast() -> None:
    chain = [span(f"s{n}", parent=f"s{n - 1}" if n else None, at=n + 1) for n in range(3000)]
    roots = [root(f"r{n}", parent=f"s{n}", at=n + 1, until=9000) for n in range(0, 3000, 3)]
    assert len(runs(*chain, *roots)) == 1000
