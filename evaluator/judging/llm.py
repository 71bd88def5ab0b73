"""The one place that calls an LLM: litellm, imported lazily, configured once, without retries of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from evaluator.judging.failures import CallFailed, classify

if TYPE_CHECKING:
    import aiohttp  # 10 MB that a server which does not judge need not hold

_REPLY_NAME = "verdict"
_BAD_REQUEST = 400
_UNPROCESSABLE = 422
"""litellm answers this one with None once it has dropped what it could."""
_PASSES_ON = "openai/"
"""Models whose requests litellm sends on as they are."""
_PER_MILLION = Decimal(1_000_000)


class ReplyMode(StrEnum):
    """How a model is held to the reply's schema, best first."""

    JSON_SCHEMA = "json_schema"
    TOOL_CALL = "tool_call"
    JSON_TEXT = "json_text"


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens."""

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal

    def cost_of(self, input_tokens: int, output_tokens: int) -> Decimal:
        return (input_tokens * self.input_usd_per_mtok + output_tokens * self.output_usd_per_mtok) / _PER_MILLION


@dataclass(frozen=True, slots=True)
class LlmCall:
    """One call: what is asked, of whom, and within which limits."""

    model: str
    """A litellm model name."""
    messages: tuple[dict[str, str], ...]
    schema: dict[str, Any]
    temperature: float
    max_tokens: int
    timeout: float
    """Hard limit in seconds, connection included."""
    seed: int | None = None
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    extra_body: Mapping[str, Any] | None = None
    prices: Prices | None = None
    """None: litellm's price table."""


@dataclass(frozen=True, slots=True)
class LlmReply:
    """What came back."""

    text: str
    finish_reason: str
    refusal: str | None
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    """None where neither settings nor litellm know a price."""
    latency_ms: float
    model: str


async def complete(call: LlmCall) -> LlmReply:
    """The model's reply to the call; whether it fits the schema is for the reader to check.

    The schema goes along as the model takes it: as JSON schema, as a forced tool call, or only in words; where a
    provider turns a way down, the next is tried and remembered. Raises CallFailed with advice.
    """
    litellm = _litellm() if _litellm.cache_info().currsize else await asyncio.to_thread(_litellm)
    if call.prices is not None:
        _make_known(call.model, call.prices)
    known = (call.model, call.api_base)
    mode: ReplyMode | None = _modes.get(known) or _first_mode(litellm, call)
    while mode is not None:
        started = perf_counter()
        try:
            async with asyncio.timeout(call.timeout):
                response = await litellm.acompletion(**_arguments(call, mode))
        except _expected_errors() as error:
            if not _turns_down_schema(error, mode):
                raise CallFailed(classify(error, model=call.model, api_base=call.api_base)) from None
            response = None
        if response is not None:
            _modes[known] = mode
            return _reply(response, call, mode, (perf_counter() - started) * 1000)
        mode = _NEXT.get(mode)
    raise CallFailed(classify("unprocessable", model=call.model))


def limit_connections(most: int) -> None:
    """Sets how many connections to one host are open at most; for sessions opened from now on."""
    global _most_connections
    _most_connections = most


async def close() -> None:
    """Closes this event loop's connections; a later call opens new ones."""
    session = _sessions.pop(asyncio.get_running_loop(), None)
    if session is not None:
        await session.close()
    if _litellm.cache_info().currsize:
        await _stop_litellm()


_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()
_most_connections = 100
_modes: dict[tuple[str, str | None], ReplyMode] = {}
_told: set[str] = set()
_NEXT = {ReplyMode.JSON_SCHEMA: ReplyMode.TOOL_CALL, ReplyMode.TOOL_CALL: ReplyMode.JSON_TEXT}


@cache
def _litellm() -> Any:
    """litellm, told to fetch nothing at import, to report to nobody and to leave retries to us."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # in development it reads a .env file of the folder
    # said of litellm's own types, at its first call; nothing here can act on it
    warnings.filterwarnings("ignore", message=r"Item '.*' on TypedDict class .* using the `ReadOnly` qualifier")
    import litellm

    litellm.suppress_debug_info = True
    litellm.drop_params = True
    litellm.num_retries = 0
    for name in ("callbacks", "success_callback", "failure_callback", "input_callback", "service_callback"):
        getattr(litellm, name).clear()
    for name in ("_async_success_callback", "_async_failure_callback", "_async_input_callback"):
        getattr(litellm, name).clear()
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        # its messages quote prompts and replies; what failed reaches us as an exception
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # what is loaded stays; collecting garbage need not look through all of it again and again during calls
    gc.collect()
    gc.freeze()
    return litellm


@cache
def _make_known(model: str, prices: Prices) -> None:
    """Tell litellm of a model that its table does not hold: it looks for unknown ones at length, at every call."""
    if model in _litellm().model_cost or model.split("/", 1)[-1] in _litellm().model_cost:
        return
    entry = {
        "input_cost_per_token": float(prices.input_usd_per_mtok / _PER_MILLION),
        "output_cost_per_token": float(prices.output_usd_per_mtok / _PER_MILLION),
        "litellm_provider": model.split("/", 1)[0],
        "mode": "chat",
    }
    _litellm().register_model({model: entry})
    _told.add(model)


async def _stop_litellm() -> None:
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    # begun anew, it lets go of the tasks of an event loop that has ended, which nobody could stop
    GLOBAL_LOGGING_WORKER.start()
    await GLOBAL_LOGGING_WORKER.stop()
    await close_litellm_async_clients()  # type: ignore[no-untyped-call]


@cache
def _expected_errors() -> tuple[type[Exception], ...]:
    import aiohttp
    import httpx
    import openai
    from litellm import exceptions

    own = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, Exception)]
    return (openai.OpenAIError, httpx.HTTPError, aiohttp.ClientError, OSError, *own)


def _session() -> aiohttp.ClientSession:
    """One session per event loop, shared by every provider and every client litellm builds."""
    import aiohttp

    loop = asyncio.get_running_loop()
    session = _sessions.get(loop)
    if session is None or session.closed:
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=_most_connections, keepalive_timeout=60)
        session = _sessions[loop] = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    return session


def _first_mode(litellm: Any, call: LlmCall) -> ReplyMode:
    # servers with an address of their own are OpenAI-compatible; most take a schema, and those that do not say so
    if call.api_base or litellm.supports_response_schema(call.model):
        return ReplyMode.JSON_SCHEMA
    return ReplyMode.TOOL_CALL if litellm.supports_function_calling(call.model) else ReplyMode.JSON_TEXT


def _arguments(call: LlmCall, mode: ReplyMode) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": call.model,
        "messages": list(call.messages),
        "temperature": call.temperature,
        "max_tokens": call.max_tokens,
        "timeout": call.timeout,
        "num_retries": 0,
        "max_retries": 0,
        "shared_session": _session(),
    }
    held, body = _schema_arguments(call.schema, mode), dict(call.extra_body or {})
    if mode is ReplyMode.JSON_SCHEMA and call.model.startswith(_PASSES_ON):
        # as part of the body it reaches the server alike, and nobody copies the schema on the way
        body |= held
    else:
        arguments |= held
    optional = {
        "seed": call.seed,
        "api_base": call.api_base,
        "api_key": call.api_key,
        "extra_body": body or None,
    }
    arguments.update({name: value for name, value in optional.items() if value is not None})
    return arguments


def _schema_arguments(schema: dict[str, Any], mode: ReplyMode) -> dict[str, Any]:
    if mode is ReplyMode.JSON_SCHEMA:
        wanted = {"name": _REPLY_NAME, "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}
    if mode is ReplyMode.TOOL_CALL:
        function = {"name": _REPLY_NAME, "description": "Give the verdict.", "parameters": schema}
        choice = {"type": "function", "function": {"name": _REPLY_NAME}}
        # litellm looks through tools for MCP servers, with a package that is not installed here
        return {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": choice,
            "_skip_mcp_handler": True,
        }
    return {}


def _turns_down_schema(error: Exception, mode: ReplyMode) -> bool:
    if getattr(error, "status_code", None) == _UNPROCESSABLE:
        return True
    if mode not in _NEXT or getattr(error, "status_code", None) != _BAD_REQUEST:
        return False
    message = str(error).lower()
    words = ("response_format", "json_schema", "schema") if mode is ReplyMode.JSON_SCHEMA else ("tool", "function")
    return any(word in message for word in words)


def _reply(response: Any, call: LlmCall, mode: ReplyMode, latency_ms: float) -> LlmReply:
    if not response.choices:
        raise CallFailed(classify("no_choices", model=call.model))
    choice = response.choices[0]
    message, usage = choice.message, getattr(response, "usage", None)
    text = message.content or ""
    if mode is ReplyMode.TOOL_CALL and message.tool_calls:
        text = message.tool_calls[0].function.arguments or ""
    input_tokens = getattr(usage, "prompt_tokens", None) or 0
    output_tokens = getattr(usage, "completion_tokens", None) or 0
    return LlmReply(
        text=text,
        finish_reason=choice.finish_reason or "",
        refusal=_refusal(message),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=_cost(call, response, input_tokens, output_tokens),
        latency_ms=latency_ms,
        model=str(response.model or call.model),
    )


def _refusal(message: Any) -> str | None:
    given = getattr(message, "refusal", None) or (getattr(message, "provider_specific_fields", None) or {}).get(
        "refusal"
    )
    return str(given) if given else None


def _cost(call: LlmCall, response: Any, input_tokens: int, output_tokens: int) -> Decimal | None:
    if call.prices is not None:
        return call.prices.cost_of(input_tokens, output_tokens)
    # what was told of a model is true of one endpoint, not of the same name elsewhere
    if call.model in _told:
        return None
    replied = str(response.model)
    if {replied, f"{call.model.split('/', 1)[0]}/{replied}"} & _told:  # litellm would take the price of that
        return _cost_by_name(call.model, input_tokens, output_tokens)
    return _listed_cost(response)


def _cost_by_name(model: str, input_tokens: int, output_tokens: int) -> Decimal | None:
    litellm = _litellm()
    if not {model, model.split("/", 1)[-1]} & litellm.model_cost.keys():
        return None
    costs = litellm.cost_per_token(model=model, prompt_tokens=input_tokens, completion_tokens=output_tokens)
    return sum((Decimal(str(cost)) for cost in costs), Decimal(0))


def _listed_cost(response: Any) -> Decimal | None:
    cost = response._hidden_params.get("response_cost")
    return None if cost is None else Decimal(str(cost))
