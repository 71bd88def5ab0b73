"""What an LLM call costs by litellm's price table, read as a file: importing litellm takes seconds and 190 MB."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

_FILE = "model_prices_and_context_window_backup.json"
_MODES = frozenset(("chat", "completion", "responses", "embedding", "rerank", "realtime", None))
_PREFIXES = {
    "aws.bedrock": "bedrock",
    "aws_bedrock": "bedrock",
    "az.ai.openai": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure_ai",
    "azure.ai.inference": "azure_ai",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "google": "gemini",
    "google-vertex": "vertex_ai",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "xai",
}
"""Provider names of OpenTelemetry and of SDKs → prefixes in litellm's table."""
_DATED = re.compile(r"(?:-20[0-9]{2}-[01][0-9]-[0-3][0-9]|[-@]20[0-9]{6}|-latest|-v[0-9]+:[0-9]+)$")


class Prices(NamedTuple):
    """US dollars per token; None where the table has none."""

    input: Decimal | None
    output: Decimal | None
    cache_read: Decimal | None


def price_of_call(
    model: str,
    provider: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cached_tokens: int | None = None,
) -> Decimal | None:
    """US dollars of one call; None where the model is unknown or the tokens that it charges for are.

    Cached tokens are counted within the input tokens, as the OpenTelemetry conventions have it.
    """
    prices = prices_of(model, provider)
    if prices is None or (input_tokens is None and output_tokens is None):
        return None
    if (input_tokens is None and prices.input) or (output_tokens is None and prices.output):
        return None
    given, cached = input_tokens or 0, min(cached_tokens or 0, input_tokens or 0)
    cache_read = prices.input if prices.cache_read is None else prices.cache_read
    return (
        (given - cached) * (prices.input or Decimal(0))
        + cached * (cache_read or Decimal(0))
        + (output_tokens or 0) * (prices.output or Decimal(0))
    )


def prices_of(model: str, provider: str | None = None) -> Prices | None:
    """The prices of a model as its provider or its client spells it; None where the table has none."""
    table = _table()
    return next((table[name] for name in _spellings(model, provider) if name in table), None)


def _spellings(model: str, provider: str | None) -> Iterator[str]:
    """Names under which the table may list a model, the most specific first."""
    plain = model.strip().lower()
    said = (provider or "").strip().lower()
    prefix = _PREFIXES.get(said, said.partition(".")[0])
    for name in dict.fromkeys((plain, plain.rpartition("/")[2])):
        for undated in dict.fromkeys((name, _DATED.sub("", name))):
            if prefix:
                yield f"{prefix}/{undated}"
            yield undated


@cache
def _table() -> dict[str, Prices]:
    found = importlib.util.find_spec("litellm")
    folders = found.submodule_search_locations if found else None
    if not folders:
        return {}
    models: dict[str, Any] = orjson.loads((Path(folders[0]) / _FILE).read_bytes())
    return {name.lower(): prices for name, entry in models.items() if (prices := _prices(entry)) is not None}


def _prices(entry: Any) -> Prices | None:
    if not isinstance(entry, dict) or entry.get("mode") not in _MODES:
        return None
    prices = Prices(
        *(
            None if entry.get(name) is None else Decimal(str(entry[name]))
            for name in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
        )
    )
    return None if prices.input is None and prices.output is None else prices
