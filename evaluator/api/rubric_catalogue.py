"""What is known of each rubric: its file, the version in force, its history, and what it has judged so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from evaluator.authoring.named_rubrics import NamedRubric
from evaluator.authoring.rubric_difference import changes
from evaluator.authoring.rubric_history import yaml_of
from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.rubric import Rubric
from evaluator.rubric_format.marked_yaml import MAX_BYTES
from evaluator.rubric_format.rubric_files import LoadedRubric
from evaluator.rubric_format.rubric_problems import RubricProblem, nearest, quoted
from evaluator.rubric_format.rubric_warnings import rubric_warnings
from evaluator.situation import judge_label
from evaluator.store.rubric_figures import (
    KeptVersion,
    Tally,
    kept_versions,
    not_evaluable_by_rubric,
    tally_of,
    tally_of_rubric,
)
from evaluator.store.rubric_versions import last_in_force, last_version, versions_of

MOST_VERSIONS = 30
"""Versions whose verdicts are counted one by one."""


class Standing(StrEnum):
    """Whether a rubric judges what arrives."""

    IN_FORCE = "in_force"
    FILE_BROKEN = "file_broken"
    """Its file has errors; the last valid version, where the server has read one, stays in force."""
    FILE_GONE = "file_gone"
    """It judges nothing more; what it judged stays readable."""


@dataclass(frozen=True)
class RubricLine:
    """A rubric as the list shows it."""

    rubric: Rubric
    standing: Standing
    judges: tuple[str, ...]
    """As people read them."""
    since: datetime | None
    """When this version came into force; None before it judged anything."""
    tally: Tally
    not_evaluable: int
    problems: tuple[RubricProblem, ...] = ()
    """Of its file as it stands now, warnings too."""
    in_force: bool = True
    """Whether a version of it judges what arrives."""


@dataclass(frozen=True)
class BrokenFile:
    """A file that is not used as it stands."""

    path: str
    problems: tuple[RubricProblem, ...]

    @property
    def name(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class Catalogue:
    """Every rubric, those in force first, and the files that are not used as they stand."""

    folder: str
    lines: tuple[RubricLine, ...] = ()
    broken: tuple[BrokenFile, ...] = ()


@dataclass(frozen=True)
class VersionLine:
    """One version of a rubric and what it has judged."""

    version: str
    in_force_since: datetime | None
    first_used_at: datetime | None
    """None where the file holds it and nothing was judged by it yet."""
    in_file: bool
    """Whether it is what the file says now."""
    changed: tuple[str, ...] = ()
    """What it changed of the next older one that is listed, such as `criteria.tone.ask changed`."""
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class KnownRubric:
    """One version of a rubric, with its text and its place in the rubric's history."""

    rubric: Rubric
    source: str
    """The YAML text; written anew from the meaning where the text was not kept."""
    source_kept: bool
    standing: Standing
    in_force: str | None
    """The version that judges what arrives now."""
    versions: tuple[VersionLine, ...]
    """Newest first."""
    more_versions: int = 0
    """Older ones that are not listed."""
    broken: BrokenFile | None = None
    warnings: tuple[RubricProblem, ...] = ()
    """Of the file's text, where that is valid and the one shown."""
    not_evaluable: dict[str, int] = field(default_factory=dict)
    """Reason → judgements, of all versions."""

    @property
    def line(self) -> VersionLine:
        """This version's own line."""
        return next(one for one in self.versions if one.version == self.rubric.version)


def catalogue_of(deployment: Deployment) -> Catalogue:
    """Look at the folder and at what was judged, a bounded number of verdicts per rubric."""
    shelf = deployment.shelf
    loaded = {one.rubric.id: one for one in shelf.loaded}
    broken = broken_files(shelf.problems)
    with deployment.database.read() as connection:
        history = _history(kept_versions(connection))
        not_evaluable = not_evaluable_by_rubric(connection)
        current = {rubric_id: one.rubric for rubric_id, one in loaded.items()}
        for rubric_id in history.keys() - loaded.keys():
            if (last := last_version(connection, rubric_id)) is not None:
                current[rubric_id] = last
        lines = [
            RubricLine(
                rubric=rubric,
                standing=_standing(rubric_id, loaded.get(rubric_id), broken),
                judges=judges_of(rubric, deployment),
                since=_since(rubric.version, history.get(rubric_id, ())),
                tally=tally_of_rubric(connection, [one.version for one in history.get(rubric_id, ())]),
                not_evaluable=sum(not_evaluable.get(rubric_id, {}).values()),
                problems=problems_of(rubric_id, loaded.get(rubric_id), broken),
                in_force=rubric_id in loaded,
            )
            for rubric_id, rubric in current.items()
        ]
    lines.sort(key=lambda line: (line.standing is Standing.FILE_GONE, line.rubric.id))
    return Catalogue(str(shelf.folder), tuple(lines), tuple(broken))


def known_rubric(deployment: Deployment, rubric_id: str, version: str | None = None) -> KnownRubric:
    """A rubric as it is in force, or one of its versions by its first digits; raises NotFound with the nearest id."""
    loaded = next((one for one in deployment.shelf.loaded if one.rubric.id == rubric_id), None)
    broken = broken_files(deployment.shelf.problems)
    with deployment.database.read() as connection:
        kept = kept_versions(connection, rubric_id)
        if loaded is None and not kept:
            raise _unknown(rubric_id, {one.rubric_id for one in kept_versions(connection)}, deployment)
        lines = _version_lines(kept, loaded, last_in_force(connection, rubric_id))
        wanted = _wanted(rubric_id, version, lines, loaded)
        shown = tuple(
            replace(one, tally=tally_of(connection, one.version)) if one.first_used_at else one
            for one in _listed(lines, wanted)
        )
        not_evaluable = not_evaluable_by_rubric(connection, rubric_id).get(rubric_id, {})
    named = _named(deployment, rubric_id, wanted, loaded)
    is_file = loaded is not None and loaded.rubric.version == wanted
    return KnownRubric(
        rubric=named.rubric,
        source=yaml_of(named),
        source_kept=bool(named.source),
        standing=_standing(rubric_id, loaded, broken),
        in_force=loaded.rubric.version if loaded else None,
        versions=_compared(deployment, shown, loaded),
        more_versions=len(lines) - len(shown),
        broken=_file_of(rubric_id, loaded, broken),
        warnings=tuple(rubric_warnings(loaded.root, loaded.rubric, str(loaded.path))) if loaded and is_file else (),
        not_evaluable=not_evaluable,
    )


def judges_of(rubric: Rubric, deployment: Deployment) -> tuple[str, ...]:
    """The rubric's judges as people read them, each once."""
    return tuple(dict.fromkeys(judge_label(spec.model, deployment.settings) for spec in rubric.judges))


def broken_files(problems: Iterable[RubricProblem]) -> list[BrokenFile]:
    """Problems by file, in order of file and place."""
    by_file: dict[str, list[RubricProblem]] = {}
    for problem in problems:
        by_file.setdefault(problem.file, []).append(problem)
    return [
        BrokenFile(path, tuple(sorted(found, key=lambda one: (one.line, one.column))))
        for path, found in sorted(by_file.items())
    ]


def text_of_file(path: str) -> str:
    """What a rubric file says now, as far as it can be read; longer files are cut."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _unknown(rubric_id: str, others: Collection[str], deployment: Deployment) -> NotFound:
    close = nearest(rubric_id, {*others, *(one.id for one in deployment.shelf.rubrics)})
    return NotFound(
        f"No rubric {quoted(rubric_id)} is known here." + (f" Did you mean {close!r}?" if close else ""),
        hint="GET /v1/rubrics lists them.",
    )


def _history(kept: Sequence[KeptVersion]) -> dict[str, list[KeptVersion]]:
    """Rubric id → its versions, the one in force last first: verdicts under it are the newest."""
    by_rubric: dict[str, list[KeptVersion]] = {}
    for one in sorted(kept, key=_last_in_force, reverse=True):
        by_rubric.setdefault(one.rubric_id, []).append(one)
    return by_rubric


def _last_in_force(one: KeptVersion) -> tuple[bool, datetime, str]:
    return (one.in_force_since is not None, one.in_force_since or one.first_used_at, one.version)


def _since(version: str, kept: Sequence[KeptVersion]) -> datetime | None:
    return next((one.in_force_since for one in kept if one.version == version), None)


def _file_of(rubric_id: str, loaded: LoadedRubric | None, broken: Sequence[BrokenFile]) -> BrokenFile | None:
    """The rubric's own file where it has problems; one that was never read is known by its name only."""
    if loaded is not None:
        return next((one for one in broken if one.path == str(loaded.path)), None)
    return next((one for one in broken if Path(one.path).stem == rubric_id), None)


def problems_of(
    rubric_id: str, loaded: LoadedRubric | None, broken: Sequence[BrokenFile]
) -> tuple[RubricProblem, ...]:
    """Errors of the rubric's file as it stands, else what is valid there and hardly meant so."""
    file = _file_of(rubric_id, loaded, broken)
    if file is not None:
        return file.problems
    return tuple(rubric_warnings(loaded.root, loaded.rubric, str(loaded.path))) if loaded else ()


def _standing(rubric_id: str, loaded: LoadedRubric | None, broken: Sequence[BrokenFile]) -> Standing:
    if _file_of(rubric_id, loaded, broken) is not None:
        return Standing.FILE_BROKEN
    return Standing.IN_FORCE if loaded is not None else Standing.FILE_GONE


def _version_lines(
    kept: Sequence[KeptVersion], loaded: LoadedRubric | None, since: Mapping[str, datetime]
) -> list[VersionLine]:
    """The one in force first, then the last in force, then by first use."""
    in_file = loaded.rubric.version if loaded else None
    lines = [
        VersionLine(one.version, since.get(one.version), one.first_used_at, in_file=one.version == in_file)
        for one in kept
    ]
    lines.sort(key=_newest, reverse=True)
    if in_file is not None and not any(one.in_file for one in lines):
        lines.insert(0, VersionLine(in_file, None, None, in_file=True))
    return lines


def _newest(line: VersionLine) -> tuple[bool, float]:
    at = line.in_force_since or line.first_used_at
    return line.in_file, at.timestamp() if at else 0.0


def _compared(
    deployment: Deployment, lines: Sequence[VersionLine], loaded: LoadedRubric | None
) -> tuple[VersionLine, ...]:
    """Each line with what it changed of the one below it."""
    rubrics = deployment.rubric_versions({line.version for line in lines})
    if loaded is not None:
        rubrics[loaded.rubric.version] = loaded.rubric
    compared = [
        replace(
            line,
            changed=tuple(
                f"{one.field} {one.kind}" for one in changes(rubrics[older.version], rubrics[line.version])
            ),
        )
        for line, older in pairwise(lines)
        if line.version in rubrics and older.version in rubrics
    ]
    return (*compared, *lines[-1:])


def _listed(lines: Sequence[VersionLine], wanted: str) -> list[VersionLine]:
    """The newest versions, and the wanted one wherever it stands."""
    rest = [one for one in lines[MOST_VERSIONS:] if one.version == wanted]
    return [*lines[:MOST_VERSIONS], *rest]


def _wanted(rubric_id: str, version: str | None, lines: Sequence[VersionLine], loaded: LoadedRubric | None) -> str:
    if version is None:
        if loaded is not None:
            return loaded.rubric.version
        return next((one.version for one in lines if one.in_force_since is not None), lines[0].version)
    fitting = [one.version for one in lines if version and one.version.startswith(version)]
    if len(fitting) == 1:
        return fitting[0]
    said = "no version" if not fitting else "more than one version"
    raise NotFound(
        f"{rubric_id} has {said} that begins with {quoted(version)}.",
        hint=f"GET /v1/rubrics/{rubric_id}/versions lists them.",
    )


def _named(deployment: Deployment, rubric_id: str, version: str, loaded: LoadedRubric | None) -> NamedRubric:
    if loaded is not None and loaded.rubric.version == version:
        return NamedRubric(loaded.rubric, loaded.source, str(loaded.path))
    with deployment.database.read() as connection:
        kept = next(one for one in versions_of(connection, rubric_id) if one.version == version)
    rubric = deployment.rubric_versions({version})[version]
    return NamedRubric(rubric, kept.source, f"{rubric_id}@{version}")
