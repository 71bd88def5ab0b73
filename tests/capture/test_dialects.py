"""Content in every dialect that arrives, and which one wins."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.capture.captured_text import read_text
from evaluator.capture.chat_messages import as_input, as_output
from evaluator.capture.dialects import input_of, output_of, retrieval_of
from evaluator.model.capture import Fidelity
from tests.capture.telemetry import log, root, span, the_run

ASKED = {"messages": [{"role": "user", "content": "Where is it?"}]}


def chat(text: str, role: str = "user") -> str:
    """One message as the GenAI conventions write it."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


DIALECTS: list[tuple[str, dict[str, Any], Any, Any]] = [
    (
        "botanu.eval",
        {"botanu.eval.input_content": '"Where is it?"', "botanu.eval.output_content": "Here."},
        "Where is it?",
        "Here.",
    ),
    (
        "langfuse",
        {"langfuse.observation.input": "Where is it?", "langfuse.observation.output": "Here."},
        "Where is it?",
        "Here.",
    ),
    (
        "langfuse",
        {"langfuse.trace.input": "Where is it?", "langfuse.trace.output": '"Here."'},
        "Where is it?",
        "Here.",
    ),
    (
        "gen_ai",
        {"gen_ai.input.messages": chat("Where is it?"), "gen_ai.output.messages": chat("Here.", "assistant")},
        ASKED,
        "Here.",
    ),
    (
        "gen_ai",
        {
            "gen_ai.system_instructions": '[{"type": "text", "content": "Be kind."}]',
            "gen_ai.input.messages": chat("Where is it?"),
            "gen_ai.output.messages": json.dumps(
                [{"role": "assistant", "parts": [{"type": "tool_call", "name": "find", "arguments": {"q": "it"}}]}]
            ),
        },
        {"messages": [{"role": "system", "content": "Be kind."}, *ASKED["messages"]]},
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": "",
                    "parts": [{"type": "tool_call", "name": "find", "arguments": {"q": "it"}}],
                }
            ]
        },
    ),
    ("openinference", {"input.value": "Where is it?", "output.value": "Here."}, "Where is it?", "Here."),
    (
        "openinference",
        {
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "Where is it?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.contents.0.message_content.type": "text",
            "llm.output_messages.0.message.contents.0.message_content.text": "Here.",
        },
        ASKED,
        "Here.",
    ),
    (
        "openinference",
        {
            "input.value": '{"model": "gpt-4o", "messages": []}',
            "input.mime_type": "application/json",
            "llm.input_messages.0.message.content": "Where is it?",
            "output.value": '{"choices": [{"message": {"role": "assistant", "content": "Here."}}]}',
            "output.mime_type": "application/json",
        },
        ASKED,
        "Here.",
    ),
    (
        "traceloop",
        {"traceloop.entity.input": '{"q": "Where is it?"}', "traceloop.entity.output": '"Here."'},
        {"q": "Where is it?"},
        "Here.",
    ),
    (
        "vercel",
        {
            "ai.prompt.messages": '[{"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}]',
            "ai.response.text": "Here.",
        },
        ASKED,
        "Here.",
    ),
    ("vercel", {"ai.prompt": '{"prompt": "Where is it?"}', "ai.response.text": "Here."}, ASKED, "Here."),
    (
        "mlflow",
        {"mlflow.spanInputs": '{"q": "Where is it?"}', "mlflow.spanOutputs": '"Here."'},
        {"q": "Where is it?"},
        "Here.",
    ),
    (
        "pydantic_ai",
        {
            "pydantic_ai.all_messages": json.dumps(
                [
                    {"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]},
                    {"role": "assistant", "parts": [{"type": "text", "content": "Here."}]},
                ]
            )
        },
        ASKED,
        "Here.",
    ),
    ("gen_ai.legacy", {"gen_ai.prompt": "Where is it?", "gen_ai.completion": "Here."}, "Where is it?", "Here."),
    (
        "gen_ai.legacy",
        {
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Where is it?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Here.",
            "gen_ai.completion.0.finish_reason": "stop",
        },
        ASKED,
        "Here.",
    ),
]


@pytest.mark.parametrize(("dialect", "attributes", "given_", "answered"), DIALECTS)
def test_a_dialect_is_read(dialect: str, attributes: dict[str, Any], given_: Any, answered: Any) -> None:
    spoken = span(attributes=attributes)
    found = input_of(spoken), output_of(spoken)
    assert [(side.value, side.dialect, side.fidelity) for side in found] == [
        (given_, dialect, Fidelity.FULL),
        (answered, dialect, Fidelity.FULL),
    ]


def test_each_dialect_wins_over_all_that_come_after_it() -> None:
    order = list(dict.fromkeys(dialect for dialect, *_ in DIALECTS))
    by_dialect = {dialect: attributes for dialect, attributes, _, _ in reversed(DIALECTS)}
    for place, dialect in enumerate(order):
        together = {name: value for later in order[place:] for name, value in by_dialect[later].items()}
        assert input_of(span(attributes=together)).dialect == dialect
        assert output_of(span(attributes=together)).dialect == dialect


@pytest.mark.parametrize("nothing", ["", "[]", "{}", "null", '""', '[{"role": "user", "content": ""}]'])
def test_an_empty_dialect_lets_the_next_one_win(nothing: str) -> None:
    assert input_of(span(attributes={"botanu.eval.input_content": nothing, "input.value": "x"})).value == "x"


def test_without_content_it_is_missing() -> None:
    assert input_of(span(attributes={"gen_ai.request.model": "gpt-4o"})).fidelity is Fidelity.MISSING


def test_log_events_of_the_first_conventions_are_joined() -> None:
    call = span("chat", {"gen_ai.operation.name": "chat"})
    logs = [
        log("gen_ai.choice", {"index": 0, "message": {"content": "Here.", "role": "assistant"}}, of="chat", at=4),
        log("gen_ai.user.message", {"content": "Where is it?"}, of="chat", at=3),
        log("gen_ai.system.message", {"content": "Be kind."}, of="chat", at=2),
        log("gen_ai.user.message", {}, of="chat", at=3),
    ]
    capture = the_run(call, logs=logs).capture
    assert capture.input.value == {"messages": [{"role": "system", "content": "Be kind."}, *ASKED["messages"]]}
    assert capture.output.value == "Here."


def test_span_events_of_early_conventions_are_read() -> None:
    said = [
        ("gen_ai.content.prompt", 1, {"gen_ai.prompt": "Where is it?"}),
        ("gen_ai.content.completion", 2, {"gen_ai.completion": "Here."}),
    ]
    call = span("chat", {"gen_ai.operation.name": "chat"}, events=said)
    assert (input_of(call).value, output_of(call).value) == ("Where is it?", "Here.")


@pytest.mark.parametrize(
    ("text", "value", "fidelity"),
    [
        ("plain", "plain", Fidelity.FULL),
        ('"quoted"', "quoted", Fidelity.FULL),
        ('"\\"quoted twice\\""', "quoted twice", Fidelity.FULL),
        ('"{\\"a\\": 1}"', {"a": 1}, Fidelity.FULL),
        ('"Hello" he said', '"Hello" he said', Fidelity.FULL),
        ("[REDACTED] wrote", "[REDACTED] wrote", Fidelity.FULL),
        ("{name} wrote", "{name} wrote", Fidelity.FULL),
        ('{"a": "xx', {"a": "xx"}, Fidelity.TRUNCATED),
        ('{"a": [1, {"b": tr', {"a": [1, {}]}, Fidelity.TRUNCATED),
        ('{"a": "x\\u00', {"a": "x"}, Fidelity.TRUNCATED),
        ('"cut off', "cut off", Fidelity.TRUNCATED),
        ('{"a": NaN, "b": "\\u0000\\ud800x"}', {"a": None, "b": "x"}, Fidelity.FULL),
        ("<app.Ticket object at 0x7f4acdfea7d0>", "<app.Ticket object at 0x7f4acdfea7d0>", Fidelity.PARTIAL),
        (
            '{"t": ["<a.f.<locals>.T object at 0x1f>"]}',
            {"t": ["<a.f.<locals>.T object at 0x1f>"]},
            Fidelity.PARTIAL,
        ),
        ("it printed <app.T object at 0x1f> twice", "it printed <app.T object at 0x1f> twice", Fidelity.FULL),
    ],
)
def test_a_captured_text_is_read(text: str, value: Any, fidelity: Fidelity) -> None:
    assert read_text(text) == (value, fidelity)


def test_a_text_of_the_clients_length_is_truncated_unless_it_is_whole_json() -> None:
    assert read_text("x" * 4096, cut=True)[1] is Fidelity.TRUNCATED
    assert read_text('{"a": 1}', cut=True)[1] is Fidelity.FULL


objects = st.dictionaries(
    st.text(min_size=1), st.lists(st.text() | st.integers(-(2**53), 2**53) | st.none()), min_size=1
)


@given(objects, st.data())
def test_json_cut_anywhere_never_fails_and_is_never_called_whole(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(2, len(text) - 1))]
    read, fidelity = read_text(cut)
    assert fidelity is Fidelity.TRUNCATED
    assert isinstance(read, (dict, str))


@given(objects)
def test_whole_json_is_whole(value: Any) -> None:
    assert read_text(json.dumps(value)) == (json.loads(json.dumps(value).replace("\\u0000", "")), Fidelity.FULL)


def test_parts_that_are_not_text_pass_through() -> None:
    parts = [
        {"type": "text", "content": "a"},
        {"type": "reasoning", "content": "hm"},
        {"type": "text", "content": "b"},
    ]
    assert as_input([{"role": "user", "parts": parts}]) == {
        "messages": [{"role": "user", "content": "a\nb", "parts": [{"type": "reasoning", "content": "hm"}]}]
    }


def test_several_answers_stay_messages() -> None:
    two = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert as_output(two) == {"messages": two}


def test_a_value_that_is_no_chat_stays_as_it_is() -> None:
    assert as_input({"question": "x", "role": "admin"}) == {"question": "x", "role": "admin"}
    assert as_output([{"role": "admin"}, 3]) == [{"role": "admin"}, 3]


class TestRetrieval:
    def test_documents_come_in_order_of_time_and_number(self) -> None:
        second = span("b", {"retrieval.documents.0.document.content": "third"}, at=2)
        first = span(
            "a",
            {
                "retrieval.documents.1.document.content": "second",
                "retrieval.documents.0.document.content": "first",
                "retrieval.documents.0.document.id": "d1",
            },
        )
        assert the_run(second, first).capture.retrieval.value == [
            {"id": "d1", "content": "first"},
            "second",
            "third",
        ]

    def test_botanu_wins_and_lists_are_joined(self) -> None:
        said = {
            "botanu.eval.retrieval_content": '["a", {"text": "b"}]',
            "retrieval.documents.0.document.content": "x",
        }
        found = retrieval_of([span("q", said), span("r", {"botanu.eval.retrieval_content": "c"})])
        assert (found.value, found.dialect) == (["a", {"text": "b"}, "c"], "botanu.eval")

    @pytest.mark.parametrize("tool", ["search_kb", "web_search", "kb.query", "retrieve_docs"])
    def test_results_of_retrieval_tools_count(self, tool: str) -> None:
        said = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "gen_ai.tool.call.result": "found",
        }
        assert retrieval_of([span(attributes=said)]).value == ["found"]

    def test_results_of_other_tools_do_not(self) -> None:
        said = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "send_email",
            "gen_ai.tool.call.result": "ok",
        }
        assert retrieval_of([span(attributes=said)]).fidelity is Fidelity.MISSING


class TestRun:
    def test_the_roots_own_content_wins_over_its_calls(self) -> None:
        call = span("chat", {"gen_ai.request.model": "m", "botanu.eval.input_content": "inner"}, run="r", at=2)
        whole = root("r", {"botanu.eval.input_content": "outer"}, until=9)
        assert the_run(whole, call).capture.input.value == "outer"

    def test_without_it_the_first_calls_input_and_the_last_calls_output_are_the_runs(self) -> None:
        def call(name: str, at: int) -> Any:
            said = {"gen_ai.request.model": "m", "input.value": f"in {name}", "output.value": f"out {name}"}
            return span(name, said, run="r", at=at)

        capture = the_run(root("r", until=9), call("second", 4), call("first", 2), call("third", 6)).capture
        assert (capture.input.value, capture.output.value) == ("in first", "out third")
        assert capture.fidelity is Fidelity.FULL

    def test_content_that_stands_in_for_an_unsampled_side_is_partial(self) -> None:
        first = span("first", {"gen_ai.request.model": "m", "output.value": "half"}, run="r", at=2)
        second = span("second", {"gen_ai.request.model": "m", "input.value": "other half"}, run="r", at=4)
        capture = the_run(root("r", until=9), first, second).capture
        assert (capture.input.value, capture.output.value) == ("other half", "half")
        assert (capture.input.fidelity, capture.output.fidelity) == (Fidelity.PARTIAL, Fidelity.PARTIAL)

    def test_a_langfuse_trace_counts_wherever_it_lies(self) -> None:
        call = span("chat", {"gen_ai.request.model": "m", "input.value": "inner"}, parent="top", at=2)
        carrier = span("step", {"langfuse.trace.input": "outer"}, parent="top", at=3)
        assert the_run(span("top", until=9), call, carrier).capture.input.value == "outer"

    def test_an_agent_span_is_read_where_no_call_has_content(self) -> None:
        agent = span(
            "agent", {"gen_ai.operation.name": "invoke_agent", "input.value": "q", "output.value": "a"}, run="r"
        )
        capture = the_run(root("r", until=9), agent).capture
        assert (capture.input.value, capture.output.value) == ("q", "a")
