"""LLM calls, their tokens and what they cost, in every dialect."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from evaluator.capture.llm_calls import is_llm_call, llm_calls
from evaluator.capture.price_table import price_of_call, prices_of
from tests.capture.telemetry import root, span, the_run

TOKENS: list[dict[str, Any]] = [
    {
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
    },
    {
        "gen_ai.usage.prompt_tokens": 10,
        "gen_ai.usage.completion_tokens": 3,
        "gen_ai.usage.cache_read_input_tokens": 4,
        "gen_ai.usage.cache_creation_input_tokens": 2,
        "gen_ai.usage.reasoning_tokens": 1,
    },
    {
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 3,
        "llm.token_count.prompt_details.cache_read": 4,
        "llm.token_count.prompt_details.cache_write": 2,
        "llm.token_count.completion_details.reasoning": 1,
    },
    {
        "gen_ai.usage.input_tokens": "10",
        "gen_ai.usage.output_tokens": 3.0,
        "botanu.usage.cache_read_tokens": 4,
        "botanu.usage.cache_write_tokens": 2,
        "ai.usage.reasoningTokens": 1,
    },
]


@pytest.mark.parametrize("said", TOKENS)
def test_tokens_are_read(said: dict[str, Any]) -> None:
    (call,) = llm_calls([span(attributes={"gen_ai.request.model": "m", **said})], price_of_call)
    assert (call.input_tokens, call.output_tokens) == (10, 3)
    assert (call.cached_tokens, call.cache_write_tokens, call.reasoning_tokens) == (4, 2, 1)


def test_tokens_in_json_are_read() -> None:
    said = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.usage_details": '{"input": 10, "output": 3}',
    }
    (call,) = llm_calls([span(attributes=said)], price_of_call)
    assert (call.input_tokens, call.output_tokens) == (10, 3)


@pytest.mark.parametrize("nonsense", [None, "", "many", -3, float("nan"), True, {"a": 1}, 10**30])
def test_what_is_missing_or_nonsense_is_none_and_never_0(nonsense: Any) -> None:
    (call,) = llm_calls(
        [span(attributes={"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": nonsense})], price_of_call
    )
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (None, None, None)
    found = the_run(span(attributes={"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": nonsense})).run
    assert (found.input_tokens, found.output_tokens, found.cost_total_usd) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "is_call"),
    [
        ({"gen_ai.operation.name": "chat"}, True),
        ({"gen_ai.operation.name": "embeddings"}, True),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.request.model": "m"}, False),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, False),
        ({"gen_ai.request.model": "m"}, True),
        ({"gen_ai.system": "openai"}, False),
        ({"openinference.span.kind": "LLM"}, True),
        ({"openinference.span.kind": "CHAIN", "llm.model_name": "m"}, False),
        ({"llm.request.type": "chat"}, True),
        ({"traceloop.span.kind": "workflow", "gen_ai.request.model": "m"}, False),
        ({"langfuse.observation.type": "generation"}, True),
        ({"langfuse.observation.type": "span", "gen_ai.request.model": "m"}, False),
        ({"mlflow.spanType": '"CHAT_MODEL"'}, True),
        ({"ai.operationId": "ai.generateText", "ai.model.id": "m", "gen_ai.request.model": "m"}, False),
        ({"ai.operationId": "ai.generateText.doGenerate", "gen_ai.request.model": "m"}, True),
        ({"http.method": "POST"}, False),
    ],
)
def test_a_call_is_told_from_what_surrounds_it(said: dict[str, Any], is_call: bool) -> None:
    assert is_llm_call(span(attributes=said)) is is_call


def test_two_spans_of_one_response_are_one_call_that_knows_what_both_know() -> None:
    said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.response.id": "resp-1"}
    outer = span(
        "outer",
        {**said, "gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 1000},
        run="r",
        at=2,
        until=9,
    )
    inner = span("inner", {**said, "gen_ai.usage.output_tokens": 10}, parent="outer", at=3, until=8)
    found = the_run(root("r", until=20), outer, inner)
    (call,) = found.calls
    assert (call.input_tokens, call.output_tokens, call.provider) == (1000, 10, "openai")
    assert (call.start_ns, call.end_ns) == (2_000_000, 9_000_000)
    assert (found.run.llm_calls, found.run.input_tokens, found.run.cost_total_usd) == (1, 1000, Decimal("0.0026"))


def test_equal_response_ids_in_different_runs_are_different_calls() -> None:
    said = {"gen_ai.operation.name": "chat", "gen_ai.response.id": "resp-1"}
    assert the_run(root("a"), span("x", said, run="a")).run.llm_calls == 1
    assert the_run(root("b"), span("y", said, run="b")).run.llm_calls == 1


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("gpt-4o", None),
        ("openai/gpt-4o", None),
        ("GPT-4o-2024-08-06", "openai"),
        ("gpt-4o-2099-01-31", "openai"),
        ("gpt-4o-latest", None),
    ],
)
def test_a_model_is_priced_however_it_is_spelt(model: str, provider: str | None) -> None:
    assert prices_of(model, provider) == prices_of("gpt-4o")
    assert price_of_call(model, provider, 1000, 100) == Decimal("0.0035")


def test_the_provider_chooses_among_equal_names() -> None:
    assert price_of_call("gemini-2.5-flash", "gcp.gemini", 1_000_000, 0) == Decimal("0.3")
    assert price_of_call("mistral-large-latest", "mistral_ai", 1_000_000, 0) == Decimal("0.5")


def test_cached_tokens_are_part_of_the_input_and_cheaper() -> None:
    assert price_of_call("gpt-4o", "openai", 1000, 0, 400) == Decimal("0.002")
    assert price_of_call("gpt-4o", "openai", 100, 0, 400) == price_of_call("gpt-4o", "openai", 100, 0, 100)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("home-made", (1, 1)), ("", (1, 1)), ("gpt-4o", (None, None)), ("gpt-4o", (5, None)), ("dall-e-3", (1, 1))],
)
def test_what_cannot_be_priced_is_none(model: str, tokens: tuple[int | None, int | None]) -> None:
    assert price_of_call(model, "openai", *tokens) is None


def test_an_embedding_needs_no_output_tokens() -> None:
    assert price_of_call("text-embedding-3-small", "openai", 1_000_000, None) == Decimal("0.02")
