"""A small server on loopback that speaks OpenAI's protocol and answers what a test tells it to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HANG = 3600.0


@dataclass
class Told:
    """One answer of the stub: a reply's text, or a status with a body."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    wait: float = 0.0
    raw: str | None = None


@dataclass
class Stub:
    """What the server is told to answer, in order (the last answer repeats), and what it was asked."""

    answers: list[Told]
    api_base: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    peers: set[Any] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(await request.json())
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        told = self.answers[min(len(self.requests), len(self.answers)) - 1]
        await asyncio.sleep(told.wait)
        if told.raw is not None:
            return web.Response(text=told.raw, status=told.status, content_type="application/json")
        if told.status != 200:
            return web.json_response({"error": told.error}, status=told.status, headers=told.headers)
        return web.json_response(_completion(told))


@asynccontextmanager
async def openai_stub(*answers: Told) -> AsyncIterator[Stub]:
    """The server, running on a free port."""
    stub = Stub(list(answers))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", stub.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.api_base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield stub
    finally:
        await runner.cleanup()


def _completion(told: Told) -> dict[str, Any]:
    message = {"role": "assistant", "content": told.text, "refusal": told.refusal}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "stub",
        "choices": [{"index": 0, "message": message, "finish_reason": told.finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def graded(**verdicts: str) -> str:
    """A good reply: each criterion with its verdict, without evidence."""
    return json.dumps(
        {name: {"evidence": [], "reasoning": "So.", "verdict": each} for name, each in verdicts.items()}
    )


@contextmanager
def openai_stub_aside(*answers: Told) -> Iterator[Stub]:
    """The server, running in a thread of its own: for what brings its own event loop along."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = openai_stub(*answers)
    stub = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
    try:
        yield stub
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
