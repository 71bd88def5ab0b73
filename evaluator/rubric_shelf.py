"""The rubrics in force: read from their folder, and read again when a file there changes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from evaluator.model.rubric import Rubric
from evaluator.rubric_format.rubric_files import LoadedRubric, RubricProblem, files_of, read_folder

_LOOK_AGAIN_SECONDS = 1.0


class RubricShelf:
    """The valid rubrics of a folder and the problems of the others; an edit needs no restart.

    A file that becomes invalid keeps its last valid version in force: a typing error must not stop judging.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._stamp: tuple[tuple[str, int, int], ...] | None = None
        self._looked_at = 0.0
        self._loaded: tuple[LoadedRubric, ...] = ()
        self._problems: tuple[RubricProblem, ...] = ()

    @property
    def rubrics(self) -> tuple[Rubric, ...]:
        """Every rubric in force."""
        self._refresh()
        return tuple(one.rubric for one in self._loaded)

    @property
    def loaded(self) -> tuple[LoadedRubric, ...]:
        """Every rubric in force with its text and file."""
        self._refresh()
        return self._loaded

    @property
    def problems(self) -> tuple[RubricProblem, ...]:
        """What is wrong with files of the folder."""
        self._refresh()
        return self._problems

    def source_of(self, version: str) -> str:
        """The YAML text a version was read from; empty where it is no longer there."""
        return next((one.source for one in self._loaded if one.rubric.version == version), "")

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() - self._looked_at < _LOOK_AGAIN_SECONDS:
                return
            stamp = self._read_stamp()
            if stamp != self._stamp:
                self._reload()
                self._stamp = stamp
            self._looked_at = time.monotonic()

    def _read_stamp(self) -> tuple[tuple[str, int, int], ...]:
        stamp: list[tuple[str, int, int]] = []
        with suppress(OSError):  # no folder, or none that may be looked into: read_folder says so
            for path in files_of(self.folder):
                with suppress(OSError):  # gone since the folder was listed
                    stat = path.stat()
                    stamp.append((path.name, stat.st_mtime_ns, stat.st_size))
        return tuple(stamp)

    def _reload(self) -> None:
        folder = read_folder(self.folder)
        broken = {Path(problem.file).name for problem in folder.problems}
        ids = {one.rubric.id for one in folder.loaded}
        kept = [one for one in self._loaded if one.path.name in broken and one.rubric.id not in ids]
        self._loaded = (*folder.loaded, *kept)
        self._problems = folder.problems
