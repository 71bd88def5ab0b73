"""The LLM calls among a run's spans: model, tokens, cost, each call once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from evaluator.capture.captured_text import read_text
from evaluator.capture.span_facts import SpanFacts

Price = Callable[[str, str | None, int | None, int | None, int | None], Decimal | None]
"""US dollars for (model, provider, input, output, cached tokens), None where the model has no price."""

_NOT_A_CALL = frozenset(
    [
        "execute_tool",
        "invoke_agent",
        "create_agent",
        "invoke_workflow",
        "retrieval",
        "workflow",
        "agent",
        "tool",
        "task",
        "chain",
    ]
)
_CALL_KINDS = frozenset(("LLM", "EMBEDDING", "CHAT_MODEL", "GENERATION", "CHAT", "COMPLETION"))
_MODELS = (
    "gen_ai.response.model",
    "ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "embedding.model_name",
    "langfuse.observation.model.name",
    "ai.model.id",
)
_PROVIDERS = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
    "botanu.vendor",
)
_RESPONSE_IDS = ("gen_ai.response.id", "ai.response.id")
_INPUT_TOKENS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
)
_OUTPUT_TOKENS = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
_CACHED_TOKENS = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "botanu.usage.cache_read_tokens",
    "botanu.usage.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
    "ai.usage.cachedInputTokens",
)
_CACHE_WRITE_TOKENS = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "botanu.usage.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_REASONING_TOKENS = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.reasoningTokens",
)
_COSTS = ("llm.cost.total", "gen_ai.usage.cost")
_USAGE_JSON = ("langfuse.observation.usage_details", "mlflow.chat.tokenUsage")


@dataclass(frozen=True)
class LlmCall:
    """One call to a model, though it may have arrived as several spans; what was not said is None, never 0."""

    trace_id: str
    span_ids: tuple[str, ...]
    model: str | None
    requested_model: str | None
    provider: str | None
    operation: str | None
    response_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: Decimal | None
    cost_reported: bool
    """Whether the application said what it cost; else the price table did."""
    start_ns: int
    end_ns: int
    failed: bool


def is_llm_call(span: SpanFacts) -> bool:
    """Whether the span is itself a call to a model, not an agent, a tool or a step around one."""
    attributes = span.attributes
    operation = str(attributes.get("gen_ai.operation.name", "")).lower()
    if operation:
        return operation not in _NOT_A_CALL
    for name in ("openinference.span.kind", "langfuse.observation.type", "llm.request.type", "mlflow.spanType"):
        kind = attributes.get(name)
        if kind:
            return str(kind).strip('"').upper() in _CALL_KINDS
    if attributes.get("traceloop.span.kind") or attributes.get("gen_ai.tool.name"):
        return False
    vercel = attributes.get("ai.operationId")
    if vercel:
        return str(vercel).rpartition(".")[2] in ("doGenerate", "doStream", "doEmbed")
    return any(attributes.get(name) for name in ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name"))


def llm_calls(spans: Iterable[SpanFacts], price: Price) -> tuple[LlmCall, ...]:
    """The calls among the spans of one run in time order; spans with one response id are one call."""
    return tuple(_call(group, price) for group in grouped_calls(spans))


def grouped_calls(spans: Iterable[SpanFacts]) -> list[list[SpanFacts]]:
    """The spans of each call, calls in time order."""
    groups: dict[tuple[str, str], list[SpanFacts]] = {}
    for span in sorted((span for span in spans if is_llm_call(span)), key=lambda span: span.order):
        response_id = _text(span, _RESPONSE_IDS)
        groups.setdefault(("", response_id) if response_id else span.key, []).append(span)
    return list(groups.values())


def _call(spans: Sequence[SpanFacts], price: Price) -> LlmCall:
    parts = [_read(span) for span in spans]
    best = max(parts, key=_known)
    for part in parts:
        missing = {
            name: value for name, value in vars(part).items() if getattr(best, name) is None and value is not None
        }
        best = replace(best, **missing)
    cost, reported = best.cost_usd, best.cost_usd is not None
    for model in (best.model, best.requested_model):
        if cost is None and model is not None:
            cost = price(model, best.provider, best.input_tokens, best.output_tokens, best.cached_tokens)
    return replace(
        best,
        span_ids=tuple(span.span_id for span in spans),
        cost_usd=cost,
        cost_reported=reported,
        start_ns=min(span.start_ns for span in spans),
        end_ns=max(span.end_ns for span in spans),
        failed=all(part.failed for part in parts),
    )


def _known(call: LlmCall) -> int:
    return sum(value is not None for value in vars(call).values())


def _read(span: SpanFacts) -> LlmCall:
    usage = _usage(span)
    model = _text(span, _MODELS)
    requested = _text(span, ("gen_ai.request.model", "llm.model_name", "ai.model.id"))
    provider = _text(span, _PROVIDERS)
    return LlmCall(
        trace_id=span.trace_id,
        span_ids=(span.span_id,),
        model=model,
        requested_model=requested if requested != model else None,
        provider=provider,
        operation=_text(
            span, ("gen_ai.operation.name", "llm.request.type", "ai.operationId", "openinference.span.kind")
        ),
        response_id=_text(span, _RESPONSE_IDS),
        input_tokens=_whole(span, _INPUT_TOKENS, usage.get("input", usage.get("input_tokens"))),
        output_tokens=_whole(span, _OUTPUT_TOKENS, usage.get("output", usage.get("output_tokens"))),
        cached_tokens=_whole(span, _CACHED_TOKENS, usage.get("cache_read_input_tokens")),
        cache_write_tokens=_whole(span, _CACHE_WRITE_TOKENS, usage.get("cache_creation_input_tokens")),
        reasoning_tokens=_whole(span, _REASONING_TOKENS, None),
        cost_usd=_cost(span),
        cost_reported=False,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        failed=span.status_code == 2,
    )


def _text(span: SpanFacts, names: Iterable[str]) -> str | None:
    return next((str(span.attributes[name]) for name in names if span.attributes.get(name)), None)


def _whole(span: SpanFacts, names: Iterable[str], otherwise: Any) -> int | None:
    for value in (*(span.attributes.get(name) for name in names), otherwise):
        number = _decimal(value)
        if number is not None:
            return int(number)
    return None


def _cost(span: SpanFacts) -> Decimal | None:
    details = span.attributes.get("langfuse.observation.cost_details")
    total = _mapping(details).get("total")
    values = (*(span.attributes.get(name) for name in _COSTS), total)
    return next((cost for cost in map(_decimal, values) if cost is not None), None)


def _usage(span: SpanFacts) -> dict[str, Any]:
    return next((found for name in _USAGE_JSON if (found := _mapping(span.attributes.get(name)))), {})


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = read_text(value)[0]
    return value if isinstance(value, dict) else {}


def _decimal(value: Any) -> Decimal | None:
    """A number that can be a count or a price: finite, not negative, of a sane size."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = Decimal(str(value)[:40])
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number < 10**12 else None
