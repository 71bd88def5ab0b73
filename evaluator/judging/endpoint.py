"""An endpoint: where a judge's model is reached, and at what price."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from decimal import Decimal

from evaluator.judging.llm import Prices, limit_connections
from evaluator.model.local_judge import LOCAL_JUDGE, LOCAL_PROVIDER
from evaluator.settings import Settings

DEFAULT = "default"
"""The model name a rubric gives for the server's judge."""

_FREE = Prices(Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model, ready to be called."""

    model: str
    """A litellm model name."""
    label: str
    """The model as people read it and as fingerprints carry it."""
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    prices: Prices | None = None
    """None: litellm's price table."""
    local: bool = False
    """Whether it is the small model on this machine."""


async def resolve_endpoint(model: str, settings: Settings) -> Endpoint:
    """The endpoint a rubric's model name stands for under the given settings.

    The local judge's server is started at first need, which may take seconds; raises Misconfigured where its
    package or weights are missing.
    """
    name = model_named(model, settings)
    if name is None:
        return await asyncio.to_thread(_local_endpoint, settings)
    limit_connections(settings.judge_concurrency)
    if name != settings.judge_model:
        return Endpoint(model=name, label=name)
    api_base = settings.judge_api_base or None
    return Endpoint(
        model=name if "/" in name or api_base is None else f"openai/{name}",
        label=name,
        api_base=api_base,
        api_key=settings.judge_api_key.get_secret_value() or _key_for(api_base),
        prices=_prices(settings),
    )


def model_named(model: str, settings: Settings) -> str | None:
    """The litellm name behind a rubric's model name; None for the local judge.

    Raises Misconfigured where a server is set without the name of a model on it.
    """
    if model != DEFAULT:
        return model
    return settings.default_judge or None


def provider_of(model: str, settings: Settings) -> str:
    """What limits are counted by: the model name's part before the first slash, or the local judge."""
    name = model_named(model, settings)
    return LOCAL_PROVIDER if name is None else name.split("/", 1)[0]


def label_of(model: str, settings: Settings) -> str:
    """The label the endpoint of a rubric's model name has, without reaching for it."""
    return model_named(model, settings) or LOCAL_JUDGE


def _local_endpoint(settings: Settings) -> Endpoint:
    from evaluator.judging.local_server import running_server
    from evaluator.judging.weights import find_weights

    server = running_server(find_weights(settings.models_dir))
    return Endpoint(
        model=f"openai/{server.model_name}",
        label=LOCAL_JUDGE,
        api_base=server.api_base,
        api_key=server.api_key,
        prices=_FREE,
        local=True,
    )


def _key_for(api_base: str | None) -> str | None:
    """A stand-in for servers that want no key: the client library insists on one."""
    return None if api_base is None or "OPENAI_API_KEY" in os.environ else "none"


def _prices(settings: Settings) -> Prices | None:
    given = (settings.judge_input_usd_per_mtok, settings.judge_output_usd_per_mtok)
    if given == (None, None):
        return None
    return Prices(Decimal(str(given[0] or 0)), Decimal(str(given[1] or 0)))
