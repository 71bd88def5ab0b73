"""Servers under measurement: started as a user starts them, on a free loopback port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    ready_seconds: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rss_mib(self) -> float:
        """Resident memory of the process and its children."""
        mine = psutil.Process(self.process.pid)
        return float(sum(one.memory_info().rss for one in [mine, *mine.children(recursive=True)]) / 2**20)

    @property
    def cpu_seconds(self) -> float:
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)


@contextmanager
def served(
    command: list[str], port: int, ready: str, variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The command's server once `ready` answers 200; killed at the end."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], env={**os.environ, **(variables or {})})
    try:
        while not _answers(f"http://127.0.0.1:{port}{ready}"):
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise RuntimeError(f"{' '.join(command)} did not start")
            time.sleep(0.01)
        yield Server(process, port, time.perf_counter() - began)
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def adjudge(port: int, *more: str) -> list[str]:
    """The service's own command."""
    return ["-m", "review_ui.server", "serve", "--port", str(port), *more]
