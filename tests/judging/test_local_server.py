"""The local judge's server, with a model so small that only the plumbing means anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from evaluator.errors import Misconfigured
from evaluator.judging.local_server import LocalServer, running_server
from evaluator.judging.weights import SMOLLM2, pull
from evaluator.settings import Settings

SCHEMA = {
    "type": "object",
    "properties": {"reasoning": {"type": "string", "maxLength": 60}, "verdict": {"enum": ["pass", "fail"]}},
    "required": ["reasoning", "verdict"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def weights() -> Path:
    return pull(Settings().models_dir, model=SMOLLM2)


@pytest.fixture(scope="module")
def server(weights: Path) -> Iterator[LocalServer]:
    with LocalServer(weights, context_tokens=1024) as server:
        yield server


def ask(server: LocalServer, question: str, *, key: str | None = None) -> str:
    """The text of one schema-bound reply."""
    body = {
        "model": server.model_name,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": 120,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}},
    }
    request = urllib.request.Request(
        f"{server.api_base}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {key or server.api_key}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        reply: dict[str, Any] = json.load(answer)
    assert reply["model"] == server.model_name
    return str(reply["choices"][0]["message"]["content"])


@pytest.mark.slow
def test_a_reply_keeps_to_the_schema(server: LocalServer) -> None:
    reply = json.loads(ask(server, "Did the answer help? Question: 2 + 2? Answer: 4."))
    assert reply["verdict"] in {"pass", "fail"}
    assert len(reply["reasoning"]) <= 60


@pytest.mark.slow
def test_the_same_request_gets_the_same_reply_whatever_came_between(server: LocalServer) -> None:
    question = "Did the answer help? Question: where is my parcel? Answer: it is in Leipzig."
    first = ask(server, question)
    ask(server, "Did the answer help? Question: where is my refund? Answer: we value you.")
    assert ask(server, question) == first


@pytest.mark.slow
def test_only_who_has_the_key_is_answered(server: LocalServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, "Hello", key="guessed")
    assert refused.value.code == 401


@pytest.mark.slow
def test_nothing_but_this_machine_can_reach_it(server: LocalServer) -> None:
    assert server.pid is not None
    listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


@pytest.mark.slow
def test_a_prompt_over_the_context_is_refused_as_such(server: LocalServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, "word " * 2000)
    assert refused.value.code == 400
    assert json.load(refused.value)["error"]["type"] == "exceed_context_size_error"


@pytest.mark.slow
def test_a_killed_parent_takes_the_server_along(weights: Path) -> None:
    program = (
        "import time; from pathlib import Path; from evaluator.judging.local_server import LocalServer\n"
        f"print(LocalServer(Path({str(weights)!r})).start().pid, flush=True); time.sleep(100)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert not psutil.wait_procs([child], timeout=10)[1]


@pytest.mark.slow
def test_a_parent_whose_pipe_another_child_holds_takes_it_along_too(weights: Path) -> None:
    program = (
        "import os, time; from pathlib import Path; from evaluator.judging.local_server import LocalServer\n"
        f"server = LocalServer(Path({str(weights)!r})).start()\n"
        "print(server.pid, flush=True) if os.fork() else None; time.sleep(20)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    fork = [one for one in psutil.Process(parent.pid).children() if one.pid != child.pid]
    os.kill(parent.pid, signal.SIGKILL)
    assert not psutil.wait_procs([child], timeout=10)[1]
    assert fork[0].is_running()
    fork[0].kill()
    parent.communicate()


@pytest.mark.slow
def test_a_server_that_died_is_started_again_at_the_next_need(weights: Path) -> None:
    first = running_server(weights)
    assert first.pid is not None
    key = first.api_key
    assert running_server(weights) is first
    os.kill(first.pid, signal.SIGKILL)
    while first.is_running:
        time.sleep(0.01)
    second = running_server(weights)
    assert second.is_running
    assert second.api_key != key
    second.stop()


@pytest.mark.slow
def test_stopping_does_not_wait_for_the_judgement_it_is_at(weights: Path) -> None:
    with LocalServer(weights) as server, ThreadPoolExecutor() as threads:
        judgement = threads.submit(ask, server, "word " * 4000)
        time.sleep(0.5)
        assert not judgement.done()
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 4
        assert isinstance(judgement.exception(timeout=5), OSError)


def test_weights_that_are_none_are_named_in_the_child_s_words(tmp_path: Path) -> None:
    file = tmp_path / "not-a-model.gguf"
    file.write_bytes(b"nonsense" * 100)
    with pytest.raises(Misconfigured, match=r"did not start .*failed to load model"):
        LocalServer(file).start()


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="adjudge models pull"):
        LocalServer(tmp_path / "none.gguf").start()


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(Misconfigured, match=r"pip install 'adjudge\[local\]'"):
        LocalServer(tmp_path / "any.gguf").start()
