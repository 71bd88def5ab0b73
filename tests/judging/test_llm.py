"""One call through litellm, against a real server on loopback."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from time import perf_counter
from typing import Any, TypeVar

import pytest

from evaluator.capture.price_table import price_of_call
from evaluator.judging.failures import Action, CallFailed, PauseReason
from evaluator.judging.llm import LlmCall, LlmReply, Prices, close, complete, limit_connections
from evaluator.model.judgement import NotEvaluable
from tests.judging.openai_stub import HANG, Stub, Told, openai_stub

SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
Result = TypeVar("Result")


def call_to(stub: Stub, **changes: Any) -> LlmCall:
    call = LlmCall(
        model="openai/stub",
        messages=({"role": "user", "content": "Dear customer"},),
        schema=SCHEMA,
        temperature=0.0,
        max_tokens=100,
        timeout=5,
        api_base=stub.api_base,
        api_key="sk-verysecret",
    )
    return replace(call, **changes)


def with_stub(use: Callable[[Stub], Awaitable[Result]], *answers: Told) -> Result:
    """What `use` returns of a stub that answers as told; closes every connection."""

    async def run() -> Result:
        async with openai_stub(*answers) as stub:
            try:
                return await use(stub)
            finally:
                await close()

    return asyncio.run(run())


def failure_of(told: Told, **changes: Any) -> CallFailed:
    async def fails(stub: Stub) -> CallFailed:
        with pytest.raises(CallFailed) as raised:
            await complete(call_to(stub, **changes))
        return raised.value

    return with_stub(fails, told)


def test_a_reply_brings_text_tokens_and_latency() -> None:
    reply: LlmReply = with_stub(lambda stub: complete(call_to(stub)), Told("{}", wait=0.05))
    assert (reply.text, reply.finish_reason, reply.refusal) == ("{}", "stop", None)
    assert (reply.input_tokens, reply.output_tokens) == (100, 20)
    assert reply.latency_ms >= 50


def test_the_request_carries_schema_limits_and_seed_and_nothing_else() -> None:
    async def requested(stub: Stub) -> dict[str, Any]:
        await complete(call_to(stub, seed=3, extra_body={"cache_prompt": False}))
        return stub.requests[0]

    assert with_stub(requested, Told("{}")) == {
        "model": "stub",
        "messages": [{"role": "user", "content": "Dear customer"}],
        "temperature": 0.0,
        "max_tokens": 100,
        "seed": 3,
        "cache_prompt": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA},
        },
    }


def test_a_model_without_a_known_price_has_no_cost() -> None:
    assert with_stub(lambda stub: complete(call_to(stub)), Told("{}")).cost_usd is None


def test_prices_of_the_settings_are_used() -> None:
    prices = Prices(Decimal("2.5"), Decimal(10))
    reply = with_stub(lambda stub: complete(call_to(stub, prices=prices)), Told("{}"))
    assert reply.cost_usd == Decimal("0.00045")


def test_a_listed_model_is_priced_by_litellms_table() -> None:
    reply = with_stub(lambda stub: complete(call_to(stub, model="openai/gpt-4.1-mini")), Told("{}"))
    assert reply.cost_usd is not None
    assert reply.cost_usd > 0


def test_a_price_told_of_one_endpoint_is_not_charged_for_another_that_replies_under_its_name() -> None:
    async def after_another(stub: Stub) -> LlmReply:
        await complete(call_to(stub, model="openai/stub", prices=Prices(Decimal(250), Decimal(1000))))
        return await complete(call_to(stub, model="openai/gpt-4.1-nano"))

    reply = with_stub(after_another, Told("{}"))
    assert reply.model == "stub"
    listed = price_of_call("gpt-4.1-nano", None, reply.input_tokens, reply.output_tokens)
    assert float(reply.cost_usd or 0) == pytest.approx(float(listed or 0), rel=1e-9)


@pytest.mark.parametrize(
    ("told", "action", "reason"),
    [
        (Told(status=401), Action.PAUSE, PauseReason.KEY_REJECTED),
        (Told(status=402), Action.PAUSE, PauseReason.PAYMENT_REQUIRED),
        (Told(status=403), Action.PAUSE, PauseReason.FORBIDDEN),
        (Told(status=404), Action.PAUSE, PauseReason.MODEL_NOT_FOUND),
        (Told(status=429), Action.RETRY_LATER, NotEvaluable.PROVIDER_ERROR),
        (Told(status=429, error={"code": "insufficient_quota", "message": "You exceeded your current quota"}),
         Action.PAUSE, PauseReason.QUOTA_EXHAUSTED),
        (Told(status=500), Action.RETRY_LATER, NotEvaluable.PROVIDER_ERROR),
        (Told(status=503), Action.RETRY_LATER, NotEvaluable.PROVIDER_ERROR),
        (Told(status=400), Action.GIVE_UP, NotEvaluable.BAD_REQUEST),
        (Told(status=422), Action.GIVE_UP, NotEvaluable.BAD_REQUEST),
        (Told(status=400, error={"message": "the request exceeds the available context size"}),
         Action.GIVE_UP, NotEvaluable.CONTEXT_TOO_LONG),
        (Told(raw="<html>A proxy's page</html>"), Action.RETRY_LATER, NotEvaluable.PROVIDER_ERROR),
        (Told(raw='{"choices": []}'), Action.RETRY_LATER, NotEvaluable.PROVIDER_ERROR),
        (Told(raw="{}"), Action.RETRY_LATER, NotEvaluable.PROVIDER_ERROR),
    ],
)  # fmt: skip
def test_a_failing_provider_is_asked_once_and_comes_back_as_advice(
    told: Told, action: Action, reason: NotEvaluable | PauseReason
) -> None:
    failed = failure_of(replace(told, error={"message": "about the Dear customer", **told.error}))
    assert (failed.advice.action, failed.advice.reason) == (action, reason)
    assert "Dear customer" not in str(failed)
    assert "verysecret" not in str(failed)


def test_nothing_is_retried_behind_our_back() -> None:
    async def asked(stub: Stub) -> int:
        with pytest.raises(CallFailed):
            await complete(call_to(stub))
        return len(stub.requests)

    assert with_stub(asked, Told(status=503)) == 1


def test_retry_after_reaches_the_advice() -> None:
    assert failure_of(Told(status=429, headers={"Retry-After": "7"})).advice.wait_seconds == 7


def test_a_hanging_server_is_left_at_the_hard_limit() -> None:
    with_stub(lambda stub: complete(call_to(stub)), Told("{}"))  # litellm's import is not part of the limit
    started = perf_counter()
    assert failure_of(Told(wait=HANG), timeout=0.3).advice.reason is NotEvaluable.TIMEOUT
    assert perf_counter() - started < 3


def test_a_server_that_is_not_there_is_unreachable() -> None:
    failed = failure_of(Told(), api_base="http://127.0.0.1:9/v1")
    assert failed.advice.reason is NotEvaluable.UNREACHABLE
    assert "is the server running?" in str(failed)


def test_a_provider_that_turns_the_schema_down_is_asked_by_tool_and_then_in_words() -> None:
    async def asked(stub: Stub) -> list[dict[str, Any]]:
        await complete(call_to(stub))
        await complete(call_to(stub))
        return stub.requests

    no_schema = Told(status=400, error={"message": "response_format json_schema is not supported"})
    no_tools = Told(status=400, error={"message": "tools are not supported"})
    by_schema, by_tool, in_words, again = with_stub(asked, no_schema, no_tools, Told("{}"))
    assert "response_format" in by_schema
    assert by_tool["tool_choice"]["function"]["name"] == by_tool["tools"][0]["function"]["name"]
    assert by_tool["tools"][0]["function"]["parameters"] == SCHEMA
    assert "response_format" not in in_words
    assert "tools" not in in_words
    assert again == in_words


def test_the_arguments_of_a_forced_tool_call_are_the_reply() -> None:
    no_schema = Told(status=400, error={"message": "response_format json_schema is not supported"})
    function = {"name": "verdict", "arguments": '{"solves": 1}'}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    by_tool = Told(raw=json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}))
    assert with_stub(lambda stub: complete(call_to(stub)), no_schema, by_tool).text == '{"solves": 1}'


def test_connections_are_reused_and_as_many_as_allowed() -> None:
    limit_connections(4)

    async def many(stub: Stub) -> int:
        for timeout in (5, 6):  # litellm builds a client per timeout; they share the session
            await asyncio.gather(*(complete(call_to(stub, timeout=timeout)) for _ in range(20)))
        return len(stub.peers)

    try:
        assert with_stub(many, Told("{}", wait=0.01)) <= 4
    finally:
        limit_connections(100)


def test_closing_leaves_no_open_session_behind() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(2):  # two event loops, as in two workers of one process
            with_stub(lambda stub: complete(call_to(stub)), Told("{}"))
            gc.collect()


def test_importing_the_judge_does_not_import_litellm() -> None:
    code = "import sys, evaluator.judging.judge; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
