"""The tool calls of a run, in every dialect, from spans and from messages, each call once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.capture.redaction import Redactor
from evaluator.capture.run_tools import MOST_CALLS, listed, tools_in_messages, tools_of
from evaluator.capture.span_facts import SpanFacts
from evaluator.capture.tool_call import ToolCall, joined, told_again
from evaluator.model.capture import Capture, Fidelity, Passage
from tests.capture.telemetry import Arrived, log, root, span, the_run, trace_request

REFUND = {"order": "4411", "cents": 3990}
DONE = {"refund": "r-1"}
CALLED = {"name": "refund", "arguments": REFUND, "result": DONE}
TEXT, RESULT = json.dumps(REFUND), json.dumps(DONE)


def tools(*spans: SpanFacts, **place: Any) -> Any:
    return the_run(root("r", at=0, until=99), *spans, **place).capture.tools.value


def tool(name: str = "t", said: Mapping[str, Any] | None = None, **place: Any) -> SpanFacts:
    """A tool span as the GenAI conventions have it."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund", **(said or {})}
    return span(name, attributes, **{"parent": "botanu.run/r", **place})


def llm(name: str, said: Mapping[str, Any], *, at: int, **place: Any) -> SpanFacts:
    return span(name, {"gen_ai.operation.name": "chat", **said}, at=at, **{"parent": "botanu.run/r", **place})


def ai(attribute: str, *messages: Any) -> dict[str, str]:
    return {attribute: json.dumps(messages)}


SPANS: dict[str, tuple[str, dict[str, Any]]] = {
    "gen_ai": (
        "execute_tool refund",
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "refund",
            "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": TEXT,
            "gen_ai.tool.call.result": RESULT,
        },
    ),
    "openinference": (
        "refund",
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "refund",
            "tool.description": "Sends money back.",
            "tool.parameters": json.dumps({"order": {"type": "string"}}),
            "input.value": TEXT,
            "input.mime_type": "application/json",
            "output.value": RESULT,
        },
    ),
    "traceloop": (
        "refund.tool",
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "refund",
            "traceloop.entity.input": TEXT,
            "traceloop.entity.output": RESULT,
        },
    ),
    "langfuse": (
        "refund",
        {
            "langfuse.observation.type": "tool",
            "langfuse.observation.input": TEXT,
            "langfuse.observation.output": RESULT,
        },
    ),
    "vercel": (
        "ai.toolCall",
        {
            "operation.name": "ai.toolCall",
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "refund",
            "ai.toolCall.id": "call_1",
            "ai.toolCall.args": TEXT,
            "ai.toolCall.result": RESULT,
        },
    ),
    "mlflow": (
        "refund",
        {
            "mlflow.spanType": '"TOOL"',
            "mlflow.spanFunctionName": '"refund"',
            "mlflow.spanInputs": TEXT,
            "mlflow.spanOutputs": RESULT,
        },
    ),
    "pydantic_ai": (
        "running tool",
        {
            "gen_ai.tool.name": "refund",
            "gen_ai.tool.call.id": "call_1",
            "tool_arguments": TEXT,
            "tool_response": RESULT,
            "logfire.msg": "running tool: refund",
        },
    ),
}


class TestSpans:
    @pytest.mark.parametrize("dialect", SPANS)
    def test_a_tool_span_of_each_dialect_is_a_call(self, dialect: str) -> None:
        name, said = SPANS[dialect]
        found = the_run(root("r", at=0), span(name, said, parent="botanu.run/r")).capture.tools
        assert found.value == [CALLED]
        assert (found.dialect, found.fidelity) == (dialect, Fidelity.FULL)

    @pytest.mark.parametrize("dialect", SPANS)
    def test_a_tool_is_not_what_the_run_was_about(self, dialect: str) -> None:
        name, said = SPANS[dialect]
        capture = the_run(root("r", at=0), span(name, said, parent="botanu.run/r")).capture
        assert capture.fidelity is Fidelity.MISSING

    def test_what_is_not_told_is_left_out(self) -> None:
        assert tools(tool()) == [{"name": "refund"}]
        assert tools(tool(said={"gen_ai.tool.call.arguments": "{}"})) == [{"name": "refund", "arguments": {}}]

    def test_the_name_may_be_only_in_the_spans_name(self) -> None:
        assert tools(
            span("execute_tool refund", {"gen_ai.operation.name": "execute_tool"}, parent="botanu.run/r")
        ) == [{"name": "refund"}]

    def test_calls_stand_in_order_of_time(self) -> None:
        later = tool("b", {"gen_ai.tool.name": "second"}, at=5)
        assert [call["name"] for call in tools(later, tool("a", at=3))] == ["refund", "second"]

    @pytest.mark.parametrize(
        ("said", "place", "error"),
        [
            ({"error.type": "TimeoutError"}, {"status": 2}, "TimeoutError"),
            ({}, {"status": 2}, "failed"),
            (
                {},
                {
                    "status": 2,
                    "events": [("exception", 1, {"exception.type": "Gone", "exception.message": "no order"})],
                },
                "Gone: no order",
            ),
            (
                {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "no order"},
                {},
                "no order",
            ),
            ({"botanu.tool.success": False}, {}, "failed"),
        ],
    )
    def test_a_tool_that_failed_says_how(self, said: dict[str, Any], place: dict[str, Any], error: str) -> None:
        assert tools(tool(said=said, **place)) == [{"name": "refund", "error": error}]

    def test_a_call_told_by_a_framework_and_by_a_client_within_is_one(self) -> None:
        outer = tool("outer", {"gen_ai.tool.call.id": "c1", "gen_ai.tool.call.arguments": TEXT}, at=1, until=9)
        inner = tool("inner", {"gen_ai.tool.call.result": RESULT}, parent="outer", at=2)
        assert tools(outer, inner) == [CALLED]

    def test_the_same_call_again_is_a_call_of_its_own(self) -> None:
        said = {"gen_ai.tool.call.arguments": TEXT}
        assert len(tools(tool("a", said, at=1), tool("b", said, at=3))) == 2

    def test_a_tool_that_calls_itself_with_other_arguments_is_called_twice(self) -> None:
        outer = tool("outer", {"gen_ai.tool.call.arguments": '{"n": 2}'}, at=1, until=9)
        inner = tool("inner", {"gen_ai.tool.call.arguments": '{"n": 1}'}, parent="outer", at=2)
        assert len(tools(outer, inner)) == 2

    def test_what_is_tried_again_under_its_id_counts_once_with_its_last_end(self) -> None:
        said = {"gen_ai.tool.call.id": "c1", "gen_ai.tool.call.arguments": TEXT}
        first = tool("a", said, at=1, status=2)
        second = tool("b", {**said, "gen_ai.tool.call.result": RESULT}, at=3)
        assert tools(first, second) == [CALLED]

    def test_an_id_used_for_another_call_is_another_call(self) -> None:
        one = {"gen_ai.tool.call.id": "call_0", "gen_ai.tool.call.arguments": '{"q": 1}'}
        other = {"gen_ai.tool.call.id": "call_0", "gen_ai.tool.call.arguments": '{"q": 2}'}
        assert [call["arguments"] for call in tools(tool("a", one), tool("b", other, at=3))] == [{"q": 1}, {"q": 2}]

    def test_a_cut_result_makes_the_list_truncated(self) -> None:
        said = {"gen_ai.tool.call.result": "x" * 20}
        found = the_run(root("r", at=0), tool(said=said, cut=["gen_ai.tool.call.result"])).capture.tools
        assert found.fidelity is Fidelity.TRUNCATED


OPENAI = (
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "refund", "arguments": TEXT}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": RESULT},
)
RESPONSES = (
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "refund", "arguments": TEXT},
    {"type": "function_call_output", "call_id": "c1", "output": RESULT},
)
GENAI = (
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "refund", "arguments": REFUND}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": DONE}]},
)
GENAI_OLDER = (GENAI[0], {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": RESULT}]})
ANTHROPIC = (
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "refund", "input": REFUND}]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": RESULT}]}],
    },
)
BEDROCK = (
    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "refund", "input": REFUND}}]},
    {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": RESULT}]}}]},
)
GEMINI = (
    {"role": "model", "parts": [{"functionCall": {"name": "refund", "args": REFUND}}]},
    {"role": "user", "parts": [{"functionResponse": {"name": "refund", "response": DONE}}]},
)
LANGCHAIN = (
    {
        "type": "ai",
        "content": "",
        "tool_calls": [{"name": "refund", "args": REFUND, "id": "c1", "type": "tool_call"}],
    },
    {"type": "tool", "tool_call_id": "c1", "name": "refund", "content": RESULT},
)
VERCEL = (
    {
        "role": "assistant",
        "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "refund", "input": REFUND}],
    },
    {
        "role": "tool",
        "content": [
            {
                "type": "tool-result",
                "toolCallId": "c1",
                "toolName": "refund",
                "output": {"type": "json", "value": DONE},
            }
        ],
    },
)
LEGACY = (
    {"role": "assistant", "content": None, "function_call": {"name": "refund", "arguments": TEXT}},
    {"role": "function", "name": "refund", "content": RESULT},
)
SHAPES = {
    "openai": OPENAI,
    "openai responses": RESPONSES,
    "gen_ai": GENAI,
    "gen_ai older": GENAI_OLDER,
    "anthropic": ANTHROPIC,
    "bedrock": BEDROCK,
    "gemini": GEMINI,
    "langchain": LANGCHAIN,
    "vercel": VERCEL,
    "openai legacy": LEGACY,
}
ASKED = {"role": "user", "content": "My money back, please."}
ANSWERED = {"role": "assistant", "content": "It is on its way."}


class TestMessages:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_call_in_each_shape_has_its_result(self, shape: str) -> None:
        call, result = SHAPES[shape]
        first = llm("first", {**ai("gen_ai.input.messages", ASKED), **ai("gen_ai.output.messages", call)}, at=1)
        then = ai("gen_ai.input.messages", ASKED, call, result)
        second = llm("second", {**then, **ai("gen_ai.output.messages", ANSWERED)}, at=3)
        assert tools(first, second) == [CALLED]

    @pytest.mark.parametrize(
        "attribute",
        [
            "gen_ai.input.messages",
            "langfuse.observation.input",
            "input.value",
            "traceloop.entity.input",
            "ai.prompt.messages",
            "mlflow.spanInputs",
            "pydantic_ai.all_messages",
            "all_messages_events",
            "gen_ai.prompt",
        ],
    )
    def test_messages_are_read_in_each_attribute_that_has_them(self, attribute: str) -> None:
        assert tools(llm("l", ai(attribute, ASKED, *OPENAI), at=1)) == [CALLED]

    def test_a_messages_field_within_is_found(self) -> None:
        said = {"input.value": json.dumps({"model": "gpt", "messages": [ASKED, *OPENAI]})}
        assert tools(llm("l", said, at=1)) == [CALLED]

    def test_a_chat_completion_is_read(self) -> None:
        said = {"output.value": json.dumps({"choices": [{"index": 0, "message": OPENAI[0]}]})}
        assert tools(llm("l", said, at=1)) == [{"name": "refund", "arguments": REFUND}]

    def test_openinference_messages_are_read(self) -> None:
        said = {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "My money back",
            "llm.input_messages.1.message.role": "assistant",
            "llm.input_messages.1.message.tool_calls.0.tool_call.id": "c1",
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "refund",
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments": TEXT,
            "llm.input_messages.2.message.role": "tool",
            "llm.input_messages.2.message.tool_call_id": "c1",
            "llm.input_messages.2.message.content": RESULT,
        }
        assert tools(span("l", said, parent="botanu.run/r")) == [CALLED]

    def test_openllmetry_messages_are_read(self) -> None:
        said = {
            "llm.request.type": "chat",
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "My money back",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "refund",
            "gen_ai.completion.0.tool_calls.0.arguments": TEXT,
        }
        assert tools(span("l", said, parent="botanu.run/r")) == [{"name": "refund", "arguments": REFUND}]

    def test_the_calls_of_a_vercel_answer_are_read(self) -> None:
        call = {"toolCallType": "function", "toolCallId": "c1", "toolName": "refund", "args": TEXT}
        said = {"ai.operationId": "ai.generateText.doGenerate", **ai("ai.response.toolCalls", call)}
        assert tools(span("l", said, parent="botanu.run/r")) == [{"name": "refund", "arguments": REFUND}]

    def test_messages_that_come_as_log_records_are_read(self) -> None:
        chat = llm("l", {}, at=1)
        asked = log("gen_ai.choice", {"index": 0, "message": OPENAI[0]}, of="l", at=2)
        answered = log("gen_ai.tool.message", {"id": "c1", "content": RESULT}, of="m", at=3)
        assert tools(chat, llm("m", {}, at=3), logs=[asked, answered]) == [CALLED]

    def test_messages_in_the_details_event_are_read(self) -> None:
        details = log(
            "gen_ai.client.inference.operation.details",
            None,
            {"gen_ai.input.messages": [ASKED, *GENAI]},
            of="l",
        )
        assert tools(llm("l", {}, at=1), logs=[details]) == [CALLED]

    def test_what_an_earlier_turn_called_is_not_of_this_run(self) -> None:
        said = {
            **ai("gen_ai.input.messages", ASKED, *OPENAI, ANSWERED, ASKED),
            **ai("gen_ai.output.messages", ANSWERED),
        }
        assert tools(llm("l", said, at=1)) is None

    @pytest.mark.parametrize("shape", SHAPES)
    def test_nor_in_any_other_shape(self, shape: str) -> None:
        assert tools(llm("l", ai("gen_ai.input.messages", ASKED, *SHAPES[shape], ANSWERED, ASKED), at=1)) is None

    @pytest.mark.parametrize(
        "result",
        [
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True}],
            },
            {"type": "tool", "tool_call_id": "c1", "content": "no", "status": "error"},
            {
                "role": "tool",
                "content": [
                    {"type": "tool-result", "toolCallId": "c1", "output": {"type": "error-text", "value": "no"}}
                ],
            },
        ],
    )
    def test_a_result_that_is_an_error_is_one(self, result: dict[str, Any]) -> None:
        found = tools(llm("l", ai("gen_ai.input.messages", ASKED, OPENAI[0], result), at=1))
        assert found == [{"name": "refund", "arguments": REFUND, "error": "no"}]

    def test_a_definition_of_a_tool_is_no_call(self) -> None:
        definition = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}
        said = {"input.value": json.dumps({"messages": [ASKED], "tools": [definition], "tool_choice": "auto"})}
        assert tools(llm("l", said, at=1)) is None

    def test_what_a_user_writes_is_no_call(self) -> None:
        said = ai("gen_ai.input.messages", {"role": "user", "content": json.dumps(OPENAI[0])})
        assert tools(llm("l", said, at=1)) is None

    def test_nesting_without_end_is_survived(self) -> None:
        deep = '{"tool_calls": [' * 500 + "]}" * 500
        assert tools(llm("l", {"gen_ai.output.messages": deep}, at=1)) is None


class TestOneCallToldTwice:
    def test_by_its_span_and_by_messages_it_counts_once(self) -> None:
        first = llm("first", ai("gen_ai.output.messages", GENAI[0]), at=1)
        executed = tool("t", {"gen_ai.tool.call.id": "c1"}, at=3)
        second = llm("second", ai("gen_ai.input.messages", ASKED, *GENAI), at=5)
        found = the_run(root("r", at=0), first, executed, second).capture.tools
        assert (found.value, found.dialect, found.span_id) == ([CALLED], "gen_ai", executed.span_id)

    def test_by_a_span_that_wraps_its_arguments_and_has_no_id_it_counts_once(self) -> None:
        wrapped = {"gen_ai.tool.call.arguments": json.dumps({"args": [], "kwargs": REFUND})}
        first = llm("first", ai("gen_ai.output.messages", GENAI[0]), at=1)
        assert len(tools(first, tool("t", wrapped, at=3))) == 1

    def test_a_call_that_no_span_executed_stands_beside_those_that_were(self) -> None:
        other = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c2", "name": "mail"}]}
        first = llm("first", ai("gen_ai.output.messages", GENAI[0], other), at=1)
        found = tools(first, tool("t", {"gen_ai.tool.call.id": "c1"}, at=3))
        assert sorted(call["name"] for call in found) == ["mail", "refund"]

    def test_a_span_around_the_calls_repeats_them(self) -> None:
        agent = span(
            "agent", {"gen_ai.operation.name": "invoke_agent", **ai("pydantic_ai.all_messages", ASKED, *GEMINI)}
        )
        first = llm("first", ai("gen_ai.output.messages", GEMINI[0]), at=2)
        assert tools(agent, first) == [CALLED]

    def test_two_spans_of_one_answer_repeat_it(self) -> None:
        said = {"gen_ai.response.id": "r1", **ai("gen_ai.output.messages", GEMINI[0])}
        assert len(tools(llm("a", said, at=1), llm("b", said, at=1))) == 1

    def test_asking_for_the_same_again_is_a_second_call(self) -> None:
        said = ai("gen_ai.output.messages", GEMINI[0])
        history = ai("gen_ai.input.messages", ASKED, *GEMINI, *GEMINI)
        spans = (llm("a", said, at=1), llm("b", said, at=3), llm("c", history, at=5))
        assert tools(*spans) == [CALLED, CALLED]


NAMES = st.sampled_from(["look", "send"])
ARGUMENTS: st.SearchStrategy[Any] = st.one_of(st.none(), st.integers(0, 2), st.just({}))
CALLS = st.lists(st.builds(ToolCall, name=NAMES, arguments=ARGUMENTS), max_size=6)


def with_ids(calls: list[ToolCall]) -> list[ToolCall]:
    return [ToolCall(call.name, f"c{place}", call.arguments, at_ns=place) for place, call in enumerate(calls)]


class TestRules:
    @given(CALLS)
    def test_telling_again_adds_nothing(self, calls: list[ToolCall]) -> None:
        assert told_again(calls, calls) == calls

    @given(CALLS, st.integers(0, 6))
    def test_a_longer_history_adds_what_is_new(self, calls: list[ToolCall], known: int) -> None:
        numbered = with_ids(calls)
        assert told_again(numbered[:known], numbered) == numbered

    @given(CALLS, st.randoms(use_true_random=False))
    def test_in_whatever_order_executed_calls_are_told(self, calls: list[ToolCall], random: Any) -> None:
        numbered = with_ids(calls)
        told = random.sample(numbered, len(numbered))
        assert listed(joined(numbered, told)) == listed(numbered)

    @given(CALLS, CALLS)
    def test_no_executed_call_is_lost(self, executed: list[ToolCall], asked_for: list[ToolCall]) -> None:
        found = joined(executed, asked_for)
        assert [call.name for call in found[: len(executed)]] == [call.name for call in executed]
        assert len(found) <= len(executed) + len(asked_for)

    @given(st.permutations(range(5)))
    def test_spans_may_come_in_any_order(self, order: list[int]) -> None:
        spans = [
            root("r", at=0),
            llm("a", ai("gen_ai.output.messages", OPENAI[0]), at=1),
            tool("t", {"gen_ai.tool.call.id": "c1"}, at=3),
            llm("b", ai("gen_ai.input.messages", ASKED, *OPENAI), at=5),
            tool("u", {"gen_ai.tool.name": "mail"}, at=7),
        ]
        assert the_run(*(spans[place] for place in order)).capture.tools.value == [CALLED, {"name": "mail"}]


def test_a_list_is_bounded_and_says_so() -> None:
    found = listed(ToolCall("look", at_ns=place) for place in range(MOST_CALLS + 1))
    assert (len(found.value), found.fidelity) == (MOST_CALLS, Fidelity.TRUNCATED)


def test_long_histories_are_read_in_time() -> None:
    history = [message for place in range(200) for message in _numbered(place)]
    spans = [
        llm(f"l{place}", ai("gen_ai.input.messages", ASKED, *history[: 2 * place]), at=place)
        for place in range(200)
    ]
    assert len(tools(*spans)) == 199


def _numbered(place: int) -> list[dict[str, Any]]:
    call = {"type": "tool_call", "id": f"c{place}", "name": "look", "arguments": {"n": place}}
    result = {"type": "tool_call_response", "id": f"c{place}", "response": place}
    return [{"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [result]}]


def test_a_run_without_tools_has_none_and_keeps_its_hash() -> None:
    capture = the_run(root("r", {"botanu.eval.input_content": "a tool, you say?"})).capture
    assert capture.tools == Passage()
    assert Capture(input=Passage(value="q")).content_hash == (
        "cadc2005abc34ab516bb8134a8e35dadb144b19f77e398c65390107142b41fcd"
    )


def test_tools_are_part_of_the_hash() -> None:
    with_tools = Capture(tools=Passage(value=[CALLED]))
    assert with_tools.content_hash != Capture().content_hash


def test_a_capture_from_before_there_were_tools_loads() -> None:
    kept = {"input": {"value": "q", "fidelity": "full"}, "output": {}, "retrieval": {}, "redactions": {}}
    assert Capture.model_validate(kept).tools == Passage()


@pytest.mark.parametrize("dialect", SPANS)
def test_what_tools_were_given_and_gave_is_redacted_and_counted(dialect: str) -> None:
    said = SPANS[dialect][1]
    mail = {
        key: value.replace("4411", "ann@shop.example").replace("r-1", "bo@shop.example")
        for key, value in said.items()
    }
    arrived = Arrived(Redactor())
    arrived.traces(trace_request({"gen_ai.operation.name": "chat"}, mail))
    (found,) = arrived.runs()
    (call,) = found.capture.tools.value
    assert call["arguments"]["order"] == call["result"]["refund"] == "[REDACTED:email]"
    assert found.capture.redactions["email"] >= 2


def test_messages_of_a_reported_run_are_read() -> None:
    assert tools_in_messages({"messages": [ASKED, *OPENAI]}, "Done.").value == [CALLED]
    assert tools_in_messages("text", None) == Passage()


@pytest.mark.parametrize("told_by", ["answers", "tools within tools", "tools under one id"])
def test_a_run_of_thousands_of_calls_is_put_together_in_seconds(told_by: str) -> None:
    def one(number: int) -> SpanFacts:
        arguments = {"number": number}
        if told_by == "answers":
            call = {"type": "tool_call", "id": f"c{number}", "name": "refund", "arguments": arguments}
            return llm(
                f"s{number}", ai("gen_ai.output.messages", {"role": "assistant", "parts": [call]}), at=number
            )
        said = {"gen_ai.tool.call.arguments": json.dumps(arguments)}
        if told_by == "tools within tools":
            return tool(f"s{number}", said, at=number, parent=f"s{number - 1}")
        return tool(f"s{number}", {**said, "gen_ai.tool.call.id": "call_0"}, at=number)

    spans = [one(number) for number in range(8000)]
    began = perf_counter()
    found = tools_of(spans, {})
    assert perf_counter() - began < 10
    assert [call["arguments"]["number"] for call in found.value] == list(range(MOST_CALLS))
    assert found.fidelity is Fidelity.TRUNCATED
