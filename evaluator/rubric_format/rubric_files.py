"""Rubric files: YAML text → Rubric, or every problem of the file at its line and column."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluator.model.columns import canonical_json
from evaluator.model.rubric import Combination, Role, Rubric
from evaluator.rubric_format.marked_yaml import MAX_BYTES, Node, place, read_marked, too_large
from evaluator.rubric_format.rubric_fields import field_problems
from evaluator.rubric_format.rubric_problems import COMBINE, RubricProblem, RubricProblems
from evaluator.rubric_format.rubric_rules import rule_problems

__all__ = [
    "LoadedRubric",
    "RubricFolder",
    "RubricProblem",
    "RubricProblems",
    "decoded",
    "files_of",
    "is_file",
    "judged_hash",
    "meaning_of",
    "read_files",
    "read_folder",
    "read_loaded",
    "read_rubric",
    "shared_workflows",
    "text_of",
    "version_of",
]


@dataclass(frozen=True, slots=True)
class LoadedRubric:
    """A rubric, the text it was read from, and where that stands."""

    rubric: Rubric
    source: str
    path: Path
    root: Node = field(repr=False, compare=False)
    """Each value's line and column in the text."""


@dataclass(frozen=True, slots=True)
class RubricFolder:
    """What a folder of rubric files holds: the rubrics that may be used, and what is wrong with the rest."""

    loaded: tuple[LoadedRubric, ...] = ()
    problems: tuple[RubricProblem, ...] = ()


def read_rubric(text: str, *, name: str = "<text>") -> Rubric:
    """The rubric a YAML text describes, its version set.

    Raises RubricProblems with everything that is wrong with it; `name` stands in them as the file's.
    """
    return _read(text, name)[0]


def read_loaded(path: Path) -> LoadedRubric:
    """The rubric of one file with its text; raises RubricProblems, for a file that cannot be read as well."""
    return _loaded(path, partial(text_of, path))


def _loaded(path: Path, read: Callable[[], str]) -> LoadedRubric:
    source = read()
    rubric, root = _read(source, str(path))
    return LoadedRubric(rubric, source, path, root)


def _read(text: str, name: str) -> tuple[Rubric, Node]:
    root, problems = read_marked(text, name)
    if not isinstance(root.value, dict):
        message, allowed = "the file is no rubric", "a mapping with id, title and criteria"
        problem = RubricProblem(name, root.line, root.column, "", message, root.described(), allowed)
        raise RubricProblems([*problems, problem])
    rubric, written = None, root.plain()
    if written.pop("version", root) is not root:
        key = root.entries["version"][0]
        message, allowed = "there is no such key", "nothing: the version follows from the content"
        problems.append(RubricProblem(name, key.line, key.column, "version", message, "'version'", allowed))
    try:
        rubric = Rubric.model_validate_json(canonical_json(written), strict=True)
    except ValidationError as error:
        problems += field_problems(error, root, name)
    problems += rule_problems(root, name)
    if problems or rubric is None:
        raise RubricProblems(_one_per_place(problems))
    return rubric.model_copy(update={"version": version_of(rubric)}), root


def _one_per_place(problems: list[RubricProblem]) -> list[RubricProblem]:
    """The first problem of each field at each place: what a field is comes before what it has to go with."""
    kept: dict[tuple[int, int, str], RubricProblem] = {}
    for problem in problems:
        kept.setdefault((problem.line, problem.column, problem.field), problem)
    return list(kept.values())


def version_of(rubric: Rubric) -> str:
    """The first 16 hex digits of the SHA-256 of what the rubric means: equal meaning, equal version.

    Comments, order of keys, spacing and the spelling of a number do not count; each word does.
    """
    return sha256(canonical_json(meaning_of(rubric))).hexdigest()[:16]


def meaning_of(rubric: Rubric) -> dict[str, Any]:
    """What the version is a hash of, as plain values: rubrics that mean the same have equal ones."""
    meaning: dict[str, Any] = _meaning(rubric.model_dump(exclude={"version"}))
    return meaning


_JUDGED = ("title", "content", "criteria", "verdict")
"""The parts of a rubric that a verdict on a run depends on, besides its judge."""


class _OfVersion:
    """A rubric that is told apart by its version alone, so that what follows from it is worked out once."""

    __slots__ = ("rubric",)

    def __init__(self, rubric: Rubric) -> None:
        self.rubric = rubric

    def __hash__(self) -> int:
        return hash(self.rubric.version)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _OfVersion) and self.rubric.version == other.rubric.version


def judged_hash(rubric: Rubric) -> str:
    """16 hex digits over what a verdict depends on: what is asked, shown, checked and how it is scored.

    Two versions with an equal hash give verdicts that mean the same, whatever they sample, cost or decide.
    """
    return _judged_hash(_OfVersion(rubric)) if rubric.version else _judged_hash.__wrapped__(_OfVersion(rubric))


@lru_cache(maxsize=1024)
def _judged_hash(of: _OfVersion) -> str:
    return sha256(canonical_json(_meaning(of.rubric.model_dump(include=set(_JUDGED))))).hexdigest()[:16]


def _meaning(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _meaning(each) for key, each in value.items()}
        case list() | tuple():
            return [_meaning(each) for each in value]
        case Decimal():
            return _meaning(float(value))
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value


def read_folder(folder: Path) -> RubricFolder:
    """Every *.yaml and *.yml of a folder, without its subfolders, in order of name.

    A broken file never hides the others. Of two files with the same id, or of two outcome rubrics for the same
    workflow that do not both say how their outcomes combine, the first stands and the second is a problem.
    """
    if not folder.is_dir():
        message = (
            "there is no such folder; `adjudge rubrics new` makes it with a first rubric, or set ADJUDGE_RUBRICS_DIR to "
            "the folder of rubric files"
        )
        return RubricFolder(problems=(RubricProblem(str(folder), 1, 1, "", message),))
    try:
        files = files_of(folder)
    except OSError as error:
        message = f"the folder cannot be read: {error.strerror or 'no reason given'}"
        return RubricFolder(problems=(RubricProblem(str(folder), 1, 1, "", message),))
    return read_files((path, partial(text_of, path)) for path in files)


def files_of(folder: Path) -> list[Path]:
    """The rubric files of a folder, without its subfolders, in order of name."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in (".yaml", ".yml")
        and not path.name.startswith(".")
        and (path.is_file() or _is_dead_link(path))
    ]


def _is_dead_link(path: Path) -> bool:
    """Whether this links to what is not there; such a file is told, for somebody meant it to be read."""
    return path.is_symlink() and not path.exists()


def read_files(files: Iterable[tuple[Path, Callable[[], str]]]) -> RubricFolder:
    """Rubrics by their files, each with a function that gives its text or raises RubricProblems."""
    loaded: list[LoadedRubric] = []
    problems: list[RubricProblem] = []
    for path, read in files:
        try:
            one = _loaded(path, read)
        except RubricProblems as error:
            problems += error.problems
            continue
        clashes = list(_clashes(one, loaded))
        problems += clashes
        if not clashes:
            loaded.append(one)
    return RubricFolder(tuple(loaded), tuple(problems))


def is_file(name: str | Path) -> bool:
    """Whether a file has this name; no file has one that is overlong or holds a null character."""
    return os.path.isfile(name)  # noqa: PTH113 - of such names pathlib raises


def text_of(path: Path) -> str:
    """The text of a rubric file; raises RubricProblems where it cannot be read, is too large or is not UTF-8."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RubricProblems([too_large(size, str(path))])
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)  # it may have grown since
    except OSError as error:
        problem = RubricProblem(
            str(path), 1, 1, "", f"the file cannot be read: {error.strerror or 'no reason given'}"
        )
        raise RubricProblems([problem]) from None
    return decoded(raw, str(path))


def decoded(raw: bytes, file: str) -> str:
    """The text of a file; raises RubricProblems where it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        line, column = place(before, len(before))
        found = f"byte 0x{raw[error.start]:02X}"
        problem = RubricProblem(file, line, column, "", "the file is not text in UTF-8", found, "UTF-8")
        raise RubricProblems([problem]) from None


def _clashes(one: LoadedRubric, loaded: Iterable[LoadedRubric]) -> Iterator[RubricProblem]:
    """Why a rubric cannot stand beside those that stand already."""
    rubric, root, file = one.rubric, one.root, str(one.path)
    node = root["id"] or root
    deciding: list[LoadedRubric] = []
    for other in loaded:
        if other.rubric.id == rubric.id:
            message = f"{other.path} has this id already; this file is not used"
            yield RubricProblem(file, node.line, node.column, "id", message, f"'{rubric.id}'", "an id of its own")
        elif rubric.role is Role.OUTCOME and other.rubric.role is Role.OUTCOME and shared_workflows(one, other):
            deciding.append(other)
    if any(rubric.combine is None or other.rubric.combine is not rubric.combine for other in deciding):
        at = root["combine"] or root["role"] or node
        key = "combine" if root["combine"] else "role"
        found = f"combine: {rubric.combine}" if rubric.combine else "no combine:"
        allowed = _WAYS_OUT.format(_combine_wanted(rubric.combine, deciding))
        message = f"{_who_decides(one, deciding)}; this file is not used"
        yield RubricProblem(file, at.line, at.column, key, message, found, allowed, about=COMBINE)


_WAYS_OUT = "{}, other workflows under applies_to, or role: quality"


def _who_decides(one: LoadedRubric, deciding: Sequence[LoadedRubric]) -> str:
    """Whose outcome it is already, and how each of them says it is combined."""
    workflows = dict.fromkeys(name for other in deciding for name in shared_workflows(one, other))
    told = []
    for other in deciding:
        combine = other.rubric.combine
        told.append(f"{other.path} ({f'combine: {combine}' if combine else 'no combine:'})")
    decide = "decides" if len(told) == 1 else "decide"
    return f"{' and '.join(told)} {decide} the outcome of {', '.join(workflows)} already"


def _combine_wanted(ours: Combination | None, deciding: Sequence[LoadedRubric]) -> str:
    theirs = {other.rubric.combine for other in deciding}
    everywhere = "both files" if len(deciding) == 1 else f"all {len(deciding) + 1} files"
    if len(theirs) == 1 and None not in theirs:
        return f"combine: {next(iter(theirs))} here as well"
    return f"combine: {ours} in {everywhere}" if ours else f"combine: worst or combine: best in {everywhere}"


def shared_workflows(one: LoadedRubric, other: LoadedRubric) -> list[str]:
    """The workflows both rubrics are for; without any named, a rubric is for every one."""
    ours, theirs = one.rubric.applies_to.workflow, other.rubric.applies_to.workflow
    if not ours or not theirs:
        return list(ours or theirs) or ["every workflow"]
    folded = {name.casefold() for name in theirs}
    return [name for name in ours if name.casefold() in folded]
