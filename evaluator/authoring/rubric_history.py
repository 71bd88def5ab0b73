"""A rubric's history: its versions, when each was in force, how much was judged under it and how well people agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import yaml

from evaluator.authoring.named_rubrics import NamedRubric, rubric_named
from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.model.rubric import Rubric, RubricVersion
from evaluator.model.verdict import CriterionVerdict, Verdict
from evaluator.panel import Said, run_verdict
from evaluator.rubric_format.rubric_files import LoadedRubric
from evaluator.rubric_format.rubric_problems import nearest
from evaluator.statistics.agreement import Estimate, Pair, agreement
from evaluator.store.database import Connection
from evaluator.store.rubric_versions import (
    human_verdicts_of,
    judge_verdicts_of,
    last_in_force,
    load_versions,
    verdict_counts,
    versions_of,
)


class Standing(StrEnum):
    """What a version is to what arrives now."""

    IN_FORCE = "in force"
    WAS_IN_FORCE = "was in force"
    ONLY_TRIED = "only tried"
    """On stored runs, in a backtest; it decided nothing."""


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version as a list shows it."""

    version: str
    title: str
    standing: Standing
    in_force_since: datetime | None
    """None where it was never in force, or judged nothing yet."""
    first_used_at: datetime | None
    verdicts: int
    """Given by judges."""
    agreement: Estimate | None = None
    """With what people said of the same runs; None where they said nothing."""


@dataclass(frozen=True, slots=True)
class RubricLine:
    """One rubric as a list shows it."""

    rubric_id: str
    title: str
    version: str
    """In force; of a rubric without a file, the last."""
    file: str
    """Where it stands; empty where its file is gone."""
    broken: bool
    """Whether its file has errors, so that this version may not be what the file says."""
    versions: int
    verdicts: int


def known_rubrics(deployment: Deployment) -> list[RubricLine]:
    """Every rubric that has a file or a history, in order of id."""
    loaded = {one.rubric.id: one for one in deployment.shelf.loaded}
    with deployment.database.read() as connection:
        kept: dict[str, list[RubricVersion]] = defaultdict(list)
        for one in versions_of(connection):
            kept[one.rubric_id].append(one)
        counts = verdict_counts(connection)
    return [
        _rubric_line(rubric_id, loaded.get(rubric_id), kept[rubric_id], counts, deployment)
        for rubric_id in sorted({*loaded, *kept})
    ]


def _rubric_line(
    rubric_id: str,
    loaded: LoadedRubric | None,
    kept: Sequence[RubricVersion],
    counts: dict[str, int],
    deployment: Deployment,
) -> RubricLine:
    last = max(kept, key=_last_used) if kept else None
    version = loaded.rubric.version if loaded else last.version if last else ""
    broken = _broken_file(rubric_id, deployment)
    return RubricLine(
        rubric_id=rubric_id,
        title=loaded.rubric.title if loaded else last.title if last else "",
        version=version,
        file=str(loaded.path) if loaded else broken,
        broken=bool(broken),
        versions=len({version, *(one.version for one in kept)}),
        verdicts=sum(counts.get(one.version, 0) for one in kept),
    )


def _last_used(one: RubricVersion) -> tuple[bool, datetime]:
    return one.in_force_since is not None, one.in_force_since or one.first_used_at


def _broken_file(rubric_id: str, deployment: Deployment) -> str:
    """The rubric's file where it has errors; its id cannot be read then, so its name has to tell."""
    files = (problem.file for problem in deployment.shelf.problems)
    return next((file for file in files if Path(file).stem == rubric_id), "")


def history_of(rubric_id: str, deployment: Deployment) -> list[VersionLine]:
    """Every version of a rubric, the one in force first, then the last in force, then what was only tried.

    Raises NotFound with the nearest id where nothing is known of it.
    """
    loaded = next((one.rubric for one in deployment.shelf.loaded if one.rubric.id == rubric_id), None)
    with deployment.database.read() as connection:
        kept = versions_of(connection, rubric_id)
        if loaded is None and not kept:
            raise _unknown(rubric_id, {one.rubric_id for one in versions_of(connection)}, deployment)
        since = last_in_force(connection, rubric_id)
        counts = verdict_counts(connection, rubric_id)
        agreed = _agreement_by_version(connection, rubric_id)
    lines = [
        VersionLine(
            version=one.version,
            title=one.title,
            standing=_standing(one, loaded),
            in_force_since=since.get(one.version),
            first_used_at=one.first_used_at,
            verdicts=counts.get(one.version, 0),
            agreement=agreed.get(one.version),
        )
        for one in kept
    ]
    if loaded is not None and not any(one.version == loaded.version for one in lines):
        lines.append(VersionLine(loaded.version, loaded.title, Standing.IN_FORCE, None, None, 0))
    return sorted(lines, key=_newest, reverse=True)


def _standing(one: RubricVersion, loaded: Rubric | None) -> Standing:
    if loaded is not None and loaded.version == one.version:
        return Standing.IN_FORCE
    return Standing.ONLY_TRIED if one.in_force_since is None else Standing.WAS_IN_FORCE


def _newest(line: VersionLine) -> tuple[bool, bool, float, str]:
    at = line.in_force_since or line.first_used_at
    return (
        line.standing is Standing.IN_FORCE,
        line.in_force_since is not None,
        at.timestamp() if at else 0.0,
        line.version,
    )


def _unknown(rubric_id: str, others: set[str], deployment: Deployment) -> NotFound:
    close = nearest(rubric_id, others | {one.id for one in deployment.shelf.rubrics})
    return NotFound(
        f"No rubric {rubric_id!r} is known here." + (f" Did you mean {close!r}?" if close else ""),
        hint="`adjudge rubrics versions` lists what is known.",
    )


def _agreement_by_version(connection: Connection, rubric_id: str) -> dict[str, Estimate]:
    """Version → how often its judges' verdict on a run is what a person said of it, before judges could sway them."""
    human = {one.run_id: one for one in human_verdicts_of(connection, rubric_id) if one.run_id is not None}
    if not human:
        return {}
    said: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for verdict, escalated in judge_verdicts_of(connection, rubric_id, human):
        said[verdict.rubric_version, verdict.run_id or ""].append(_said(verdict, escalated))
    rubrics = load_versions(connection, {version for version, _ in said})
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for (version, run_id), of_run in said.items():
        judged = run_verdict(rubrics[version], of_run).verdict
        pairs[version].append(Pair(human[run_id].event_id, human[run_id].verdict, judged))
    return {version: agreement(of_version).agreement for version, of_version in pairs.items()}


def _said(verdict: Verdict, escalated: bool) -> Said:
    return Said(
        judge=verdict.judge,
        repeat=verdict.repeat,
        escalated=escalated,
        verdict=verdict.verdict,
        score=verdict.score,
        flags=tuple(verdict.flags),
        criteria=tuple(CriterionVerdict.model_validate(each) for each in verdict.criteria),
    )


def yaml_of(named: NamedRubric) -> str:
    """The YAML text of a rubric; written anew from its meaning where the text was not kept."""
    if named.source:
        return named.source
    body = named.rubric.model_dump(mode="json", exclude={"version"}, exclude_defaults=True)
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=100)


def version_before(named: NamedRubric, deployment: Deployment) -> NamedRubric:
    """What was in force before this: for an edited file the version in force, for the version in force the last one.

    Raises NotFound where the rubric has no other version that was ever in force.
    """
    rubric = named.rubric
    loaded = next((one.rubric for one in deployment.shelf.loaded if one.rubric.id == rubric.id), None)
    is_kept = named.place == f"{rubric.id}@{rubric.version}"
    if loaded is not None and loaded.version != rubric.version and not is_kept:
        return rubric_named(rubric.id, deployment)
    with deployment.database.read() as connection:
        since = last_in_force(connection, rubric.id)
    own = since.pop(rubric.version, None)
    is_older = is_kept and own is not None and (loaded is None or loaded.version != rubric.version)
    fitting = {version: at for version, at in since.items() if not is_older or own is None or at < own}
    if not fitting:
        raise NotFound(
            f"No version of {rubric.id} was in force before {rubric.version}.",
            hint="Name two: `adjudge rubrics diff A B`, each a file, an id, or id@version.",
        )
    return rubric_named(f"{rubric.id}@{_latest(fitting.items())}", deployment)


def _latest(times: Iterable[tuple[str, datetime]]) -> str:
    return max(times, key=lambda each: (each[1], each[0]))[0]
