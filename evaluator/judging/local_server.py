"""The local judge's server: llama.cpp with an OpenAI-compatible API, in a child process of its own.

The child listens on 127.0.0.1 and wants a key that is new at each start. It ends when its parent does, however that
ends. It answers whatever it is sent, an empty list of messages with nonsense: callers validate what they send.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import secrets
import select
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from evaluator.errors import Misconfigured

if TYPE_CHECKING:
    import xllamacpp

CONTEXT_TOKENS = 8192
"""Prompt and reply together; the server refuses a longer prompt with status 400."""

_READY_WITHIN = 300.0
"""Seconds: a cold disk and a busy machine, not a limit anyone should meet."""


class LocalServer:
    """A llama.cpp server for one file of weights, and the child process it runs in.

    It judges one request at a time and keeps nothing between requests, so that a reply does not depend on what
    was asked before. Use it as a context manager, or `start` and `stop` it.
    """

    def __init__(self, weights: Path, *, context_tokens: int = CONTEXT_TOKENS) -> None:
        self.weights = weights
        self._context_tokens = context_tokens
        self._child: subprocess.Popen[str] | None = None
        self._ready = _Ready("", "")

    @property
    def model_name(self) -> str:
        """The model's name in requests and replies."""
        return self.weights.stem.lower()

    @property
    def api_base(self) -> str:
        """Such as http://127.0.0.1:41234/v1; empty before the start."""
        return self._ready.api_base

    @property
    def api_key(self) -> str:
        """What `Authorization: Bearer` must carry; empty before the start."""
        return self._ready.api_key

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._child.pid if self._child is not None else None

    def start(self) -> Self:
        """Load the weights and listen; raises Misconfigured with the child's last words where that fails."""
        if self.is_running:
            return self
        self.stop()
        _require_xllamacpp()
        if not self.weights.is_file():
            raise Misconfigured(f"There are no weights at {self.weights}.", hint="Run `adjudge models pull`.")
        command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "evaluator.judging.local_server"]
        command += ["--weights", str(self.weights), "--name", self.model_name]
        command += ["--port", "0", "--context-tokens", str(self._context_tokens)]
        # a session of its own: Ctrl-C in a terminal must not end the judge before its parent has finished
        self._child = subprocess.Popen(  # noqa: S603 - no shell, and this module as the program
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._ready = _first_line(self._child)
        return self

    def stop(self) -> None:
        """End the child; nothing happens where there is none."""
        child, self._child = self._child, None
        if child is not None:
            _end(child)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


_servers: dict[Path, LocalServer] = {}
_starting = threading.Lock()


def running_server(weights: Path) -> LocalServer:
    """This process's server for the weights, started at first need and again where it died.

    Any thread may ask; the others wait while one starts it. Raises Misconfigured where it cannot start.
    """
    path = weights.resolve()
    with _starting:
        server = _servers.setdefault(path, LocalServer(path))
        return server.start()


@dataclass(frozen=True, slots=True)
class _Ready:
    api_base: str
    api_key: str


def _require_xllamacpp() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise Misconfigured(
            "The local judge needs the package xllamacpp, which is not installed.",
            hint="Run `pip install 'adjudge[local]'`, or set ADJUDGE_JUDGE_MODEL to another judge.",
        )


def _first_line(child: subprocess.Popen[str]) -> _Ready:
    """What the child says when it is ready; ends it and raises Misconfigured where it says nothing."""
    assert child.stdout is not None
    assert child.stderr is not None
    last_words: deque[str] = deque(maxlen=8)
    # read for as long as the child lives, or a full pipe would stop it; after the start nobody looks at it
    listener = threading.Thread(target=_listen, args=(child.stderr, last_words), daemon=True)
    listener.start()
    deadline = threading.Timer(_READY_WITHIN, child.kill)
    deadline.start()
    line = child.stdout.readline()
    deadline.cancel()
    try:
        said = json.loads(line)
        return _Ready(api_base=f"{said['address']}/v1", api_key=said["api_key"])
    except (ValueError, KeyError, TypeError):
        _end(child)
        listener.join(timeout=5)
    words = " | ".join(word.strip() for word in last_words if word.strip()) or "nothing"
    raise Misconfigured(
        f"The local judge's server did not start (exit status {child.returncode}). It said: {words}"
    )


def _listen(stream: IO[str], last_words: deque[str]) -> None:
    with stream:
        last_words.extend(stream)


def _end(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


def main() -> None:
    """The child: serve until stdin closes or the parent is gone, then end at once."""
    parent = os.getppid()
    options = _options()
    # llama.cpp's threads otherwise spin while they wait for each other: side by side on two cores with a load of
    # eight that was 0.5 to 1 tokens a second instead of 5 to 10; on a quiet machine spinning is the faster.
    # Read when the library is loaded, hence set before the import.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # the line for the parent is the only thing on stdout
    to_parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    key = secrets.token_urlsafe(32)
    try:
        # the server lives as long as this name does
        server = _serve(options, key)
    except (ImportError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps({"address": server.listening_address, "api_key": key}), file=to_parent, flush=True)
    _wait_for_the_end(parent)
    os._exit(0)  # the server's own end would wait for the judgement it is at


def _serve(options: argparse.Namespace, key: str) -> xllamacpp.Server:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(options.weights)
    params.model_alias = {options.name}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.api_keys = [key]
    params.cors_origins = ""
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    params.n_ctx = options.context_tokens
    params.n_parallel = 1
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _cores()
    return xllamacpp.Server(params)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluator.judging.local_server", description=main.__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--name", default="local", help="the model's name in replies")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--context-tokens", type=int, default=CONTEXT_TOKENS)
    return parser.parse_args()


def _cores() -> int:
    """How many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _wait_for_the_end(parent: int) -> None:
    """Return when stdin closes or the parent is gone.

    A killed parent closes stdin, unless another child of its that was forked holds the pipe as well.
    """
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], 2.0)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return


if __name__ == "__main__":
    main()
