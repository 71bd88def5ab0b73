"""A server that answers as several models do: each model as the test says, every call kept."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

ASKED = re.compile(r"^- ([a-z0-9-]+): ", re.MULTILINE)
Answer = str | int | Callable[[dict[str, Any]], str]
"""A word for every criterion that is asked, or what finds it for a request; a number is the status of an error."""


@dataclass
class Panel:
    """Models by name (without provider) and what they answer, call by call; the last answer repeats."""

    address: str
    answers: dict[str, Sequence[Answer]]
    calls: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    lock: Lock = field(default_factory=Lock)
    at_call: Callable[[str], None] = lambda _model: None

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        model = body["model"]
        with self.lock:
            told = self.answers[model]
            found = told[min(len(self.calls[model]), len(told) - 1)]
            self.calls[model].append(body)
        self.at_call(model)
        if isinstance(found, int):
            return found, {"error": {"message": "told to fail"}}
        criteria = ASKED.findall(body["messages"][0]["content"])
        word = found if isinstance(found, str) else found(body)
        said = {name: {"evidence": [], "reasoning": "So.", "verdict": word} for name in criteria}
        return 200, _completion(json.dumps(said))


@contextmanager
def panel_of(**answers: Sequence[Answer]) -> Iterator[Panel]:
    """The server, on a free port of loopback."""
    panel = Panel("", answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = panel.answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    panel.address = f"http://127.0.0.1:{server.server_port}/v1"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield panel
    finally:
        server.shutdown()
        server.server_close()


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460},
    }
