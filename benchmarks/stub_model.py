"""A server that speaks OpenAI's chat protocol, waits, and answers any schema: the load for speed and crash tests.

`python -m benchmarks.stub_model --port 0 --delay-ms 50` prints its address as one JSON line. GET /stats tells
calls in all, calls per item (an item is the first `item-…` in the prompt), open calls and connections.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ITEM = re.compile(r"item-[0-9a-z]+")


@dataclass
class Tally:
    """What the stub has seen."""

    calls: int = 0
    open_calls: int = 0
    most_open_calls: int = 0
    items: Counter[str] = field(default_factory=Counter)
    most_connections: int = 0


def reply_for(schema: dict[str, Any]) -> Any:
    """The smallest value that fits a JSON schema of objects, arrays, strings and enums; the first word of an enum."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: reply_for(part) for name, part in schema.get("properties", {}).items()}
    return [] if kind == "array" else "as asked" if kind == "string" else 1


def make_app(delay_seconds: float, connections: Callable[[], int]) -> web.Application:
    """The stub as an aiohttp application; `connections` tells how many are open."""
    tally = Tally()

    async def complete(request: web.Request) -> web.Response:
        body = await request.json()
        found = ITEM.search(body["messages"][-1]["content"])
        tally.calls += 1
        tally.open_calls += 1
        tally.most_open_calls = max(tally.most_open_calls, tally.open_calls)
        tally.items[found[0] if found else ""] += 1
        tally.most_connections = max(tally.most_connections, connections())
        try:
            await asyncio.sleep(delay_seconds)
        finally:
            tally.open_calls -= 1
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        return web.json_response(_completion(json.dumps(reply_for(schema)), body["model"]))

    async def stats(_request: web.Request) -> web.Response:
        return web.json_response(
            {
                "calls": tally.calls,
                "items": len(tally.items),
                "open_calls": tally.open_calls,
                "most_open_calls": tally.most_open_calls,
                "repeated_calls": tally.calls - len(tally.items),
                "most_connections": tally.most_connections,
            }
        )

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/stats", stats)
    return app


def _completion(text: str, model: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460},
    }


async def serve(port: int, delay_seconds: float) -> None:
    """Answer on loopback until cancelled."""
    runner: web.AppRunner

    def connections() -> int:
        return len(runner.server.connections) if runner.server is not None else 0

    runner = web.AppRunner(make_app(delay_seconds, connections), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    bound = runner.addresses[0][1]
    print(json.dumps({"api_base": f"http://127.0.0.1:{bound}/v1", "port": bound}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=50)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.delay_ms / 1000))
