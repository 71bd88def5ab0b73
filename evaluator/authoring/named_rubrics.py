"""Named rubrics: the one rubric an author means by a file, an id, or an id and a version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.rubric import Rubric, RubricVersion
from evaluator.rubric_format.rubric_files import LoadedRubric, is_file, read_loaded
from evaluator.rubric_format.rubric_problems import nearest
from evaluator.store.rubric_versions import last_version, load_versions, versions_of


@dataclass(frozen=True, slots=True)
class NamedRubric:
    """A rubric with its YAML text and where it was found."""

    rubric: Rubric
    source: str
    place: str
    """A path, or id@version for one that is kept in the database."""


def rubric_named(name: str, deployment: Deployment) -> NamedRubric:
    """The rubric that `name` means.

    `name` is a path to a YAML file, an id of the rubrics folder, or `id@version` (the first digits are enough) of
    one that was used before, whatever became of its file. Raises RubricProblems for a file with errors, NotFound
    with the nearest known name where there is none.
    """
    path = Path(name)
    if path.suffix.lower() in (".yaml", ".yml") or is_file(path):
        if not is_file(path):
            raise NotFound(f"There is no file {name}.", hint="Give a rubric file, an id, or id@version.")
        return _from_file(read_loaded(path))
    rubric_id, at, version = name.partition("@")
    if at:
        return _kept(rubric_id, version, deployment)
    loaded = next((one for one in deployment.shelf.loaded if one.rubric.id == rubric_id), None)
    return _from_file(loaded) if loaded is not None else _last_kept(rubric_id, deployment)


def _from_file(loaded: LoadedRubric) -> NamedRubric:
    return NamedRubric(loaded.rubric, loaded.source, str(loaded.path))


def _kept(rubric_id: str, version: str, deployment: Deployment) -> NamedRubric:
    known = _history(rubric_id, deployment)
    fitting = [one for one in known if version and one.version.startswith(version)]
    if len(fitting) == 1:
        return _from_store(fitting[0], deployment)
    said = "no version" if not fitting else "more than one version"
    raise NotFound(
        f"{rubric_id} has {said} that begins with {version!r}.",
        hint=f"`adjudge rubrics versions {rubric_id}` lists them.",
    )


def _last_kept(rubric_id: str, deployment: Deployment) -> NamedRubric:
    """Of a rubric whose file is gone, the version that was in force last."""
    known = _history(rubric_id, deployment)
    with deployment.database.read() as connection:
        last = last_version(connection, rubric_id)
    if last is None:
        raise NotFound(
            f"{rubric_id} was tried on stored runs only and has no file in {deployment.shelf.folder}.",
            hint=f"Name the version: `adjudge rubrics versions {rubric_id}` lists them.",
        )
    return _from_store(next(one for one in known if one.version == last.version), deployment)


def _history(rubric_id: str, deployment: Deployment) -> list[RubricVersion]:
    with deployment.database.read() as connection:
        # no id holds other characters, and what a terminal hands on need not be text that a database takes
        known = versions_of(connection, rubric_id) if rubric_id.isascii() and rubric_id.isprintable() else []
        others = set() if known else {one.rubric_id for one in versions_of(connection)}
    if known:
        return known
    close = nearest(rubric_id, others | {one.id for one in deployment.shelf.rubrics})
    raise NotFound(
        f"No rubric {rubric_id!r} is known here." + (f" Did you mean {close!r}?" if close else ""),
        hint="Give a rubric file, an id, or id@version; `adjudge rubrics versions` lists what is known.",
    )


def _from_store(version: RubricVersion, deployment: Deployment) -> NamedRubric:
    with deployment.database.read() as connection:
        rubric = load_versions(connection, {version.version})[version.version]
    return NamedRubric(rubric, version.source, f"{rubric.id}@{rubric.version}")
