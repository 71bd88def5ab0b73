"""Promotion: another version of a rubric put in force, checked first, kept with what it replaces, and audited."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

from evaluator.authoring.named_rubrics import NamedRubric, rubric_named
from evaluator.authoring.rubric_difference import Reach, RubricDifference, rubric_difference
from evaluator.authoring.rubric_history import yaml_of
from evaluator.deployment import Deployment
from evaluator.errors import Conflict, Misconfigured, NotFound
from evaluator.judging.endpoint import label_of
from evaluator.model.backtest import Backtest, BacktestState
from evaluator.model.rubric import Rubric
from evaluator.rubric_format.rubric_files import (
    LoadedRubric,
    files_of,
    read_files,
    read_folder,
    read_loaded,
    read_rubric,
    text_of,
)
from evaluator.rubric_format.rubric_problems import RubricProblem, RubricProblems
from evaluator.rubric_format.rubric_warnings import rubric_warnings
from evaluator.store.api_keys import audit
from evaluator.store.backtests import backtests_of
from evaluator.store.database import Connection
from evaluator.store.rubric_versions import PROMOTED, last_in_force, store_version, waiting_by_version

_WORTH_A_TRIAL = {Reach.VERDICTS, Reach.RUNS, Reach.EVENTS}
"""What a backtest can show of a change; it shows nothing of another sampling rate or budget."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What would be put in force, in place of what; nothing is changed yet."""

    candidate: Rubric
    text: str
    """The file's new text."""
    place: str
    """Where the candidate was found."""
    target: Path
    found: bytes | None
    """What the target held when this was prepared; None where there was no such file."""
    in_file: LoadedRubric | None
    """The valid rubric of the target."""
    difference: RubricDifference | None
    """From what is in force, or was last; None where the rubric is new."""
    warnings: tuple[RubricProblem, ...]
    waiting: dict[str, int]
    """Other version → judgements that still wait under it, and keep it."""
    backtest: Backtest | None
    """The last one of this candidate, one that ran to its end before others."""
    was_in_force: bool

    @property
    def is_in_force(self) -> bool:
        return self.in_file is not None and self.in_file.rubric.version == self.candidate.version

    @property
    def is_untested(self) -> bool:
        """Whether it judges in a way that was never tried: neither in a backtest nor by having been in force."""
        if self.difference is None or self.was_in_force:
            return False
        reached = {each.reach for each in self.difference.consequences}
        done = self.backtest is not None and self.backtest.state == BacktestState.DONE
        return bool(reached & _WORTH_A_TRIAL) and not done


def prepare_promotion(name: str, deployment: Deployment) -> Promotion:
    """Check a candidate (a file, or id@version) and gather what to know before it is put in force.

    Raises RubricProblems where it has errors or clashes with another file of the folder, Conflict where its file is a
    link or another rubric's, NotFound where there is no such rubric or folder.
    """
    folder = deployment.shelf.folder
    if not folder.is_dir():
        raise NotFound(
            f"There is no folder {folder}.",
            hint="`adjudge rubrics new` makes it with a first rubric; or set ADJUDGE_RUBRICS_DIR.",
        )
    named = rubric_named(name, deployment)
    text = _text_to_write(named)
    candidate = read_rubric(text, name=named.place)
    target = _target(candidate.id, deployment)
    _check_folder(target, text, folder)
    found = target.read_bytes() if target.exists() else None
    in_file = _valid(target) if found is not None else None
    before = in_file.rubric if in_file is not None else _last_in_force(candidate.id, deployment)
    with deployment.database.read() as connection:
        waiting = waiting_by_version(connection, candidate.id)
        backtest = _last_backtest(connection, candidate)
        was_in_force = candidate.version in last_in_force(connection, candidate.id)
    waiting.pop(candidate.version, None)
    return Promotion(
        candidate=candidate,
        text=text,
        place=named.place,
        target=target,
        found=found,
        in_file=in_file,
        difference=rubric_difference(before, candidate, label=lambda model: label_of(model, deployment.settings))
        if before is not None
        else None,
        warnings=tuple(_warnings(text, named.place)),
        waiting=waiting,
        backtest=backtest,
        was_in_force=was_in_force,
    )


def promote(plan: Promotion, deployment: Deployment, *, actor: str, now: datetime) -> Path | None:
    """Put it in force: keep both versions, record the act, and replace the file, all of it or nothing.

    Gives where a file with errors was moved that stood in its place. Raises Conflict where the file changed since
    the promotion was prepared, Misconfigured where it cannot be written.
    """
    moved = _room_for_broken(plan)

    def act(connection: Connection) -> None:
        deployment.database.lock_for_all(connection, "promotion")
        if plan.in_file is not None:
            since = datetime.fromtimestamp(plan.target.stat().st_mtime, UTC) if plan.target.exists() else now
            # a file that judged nothing yet was in force all the same, and before what replaces it
            earlier = min(since, now - timedelta(microseconds=1))
            store_version(connection, plan.in_file.rubric, plan.in_file.source, earlier)
        store_version(connection, plan.candidate, plan.text, now)
        detail = {
            "before": plan.difference.before.version if plan.difference else None,
            "after": plan.candidate.version,
            "file": plan.target.name,
            "from": plan.place,
            "backtest": plan.backtest.backtest_id if plan.backtest else None,
            "moved": moved.name if moved else None,
        }
        audit(connection, actor=actor, act=PROMOTED, subject=plan.candidate.id, detail=detail)
        _replace(plan, moved)

    deployment.database.transact(act)
    return moved


def _text_to_write(named: NamedRubric) -> str:
    """The candidate's own text; of a kept version whose text means something else by now, its meaning written anew."""
    if not named.source or named.place != f"{named.rubric.id}@{named.rubric.version}":
        return yaml_of(named)
    try:
        is_same = read_rubric(named.source).version == named.rubric.version
    except RubricProblems:
        is_same = False
    return named.source if is_same else yaml_of(NamedRubric(named.rubric, "", named.place))


def _target(rubric_id: str, deployment: Deployment) -> Path:
    """The file that holds the rubric, else the one its id names."""
    folder = deployment.shelf.folder
    loaded = next((one.path for one in deployment.shelf.loaded if one.rubric.id == rubric_id), None)
    broken = (path for path in files_of(folder) if path.stem == rubric_id)
    target = loaded or next(broken, folder / f"{rubric_id}.yaml")
    if target.is_symlink():
        raise Conflict(
            f"{target} is a link to {target.readlink()}; a promotion would replace the link.",
            hint="Promote where the file itself lies, or replace the link by a file.",
        )
    if target.exists() and not target.is_file():
        raise Conflict(f"{target} is no file.", hint="Move it away, then promote again.")
    other = next((one.rubric.id for one in deployment.shelf.loaded if one.path == target), rubric_id)
    if other != rubric_id:
        raise Conflict(
            f"{target} holds the rubric {other}, which would be lost.", hint=f"Rename it to {other}.yaml first."
        )
    return target


def _check_folder(target: Path, text: str, folder: Path) -> None:
    """Raise what would be wrong with the folder that is not wrong with it now."""
    paths = sorted({*files_of(folder), target})
    after = read_files((path, (lambda: text) if path == target else partial(text_of, path)) for path in paths)
    known = set(read_folder(folder).problems)
    fresh = [each for each in after.problems if each.severity == "error" and each not in known]
    if fresh:
        raise RubricProblems(fresh)


def _valid(path: Path) -> LoadedRubric | None:
    try:
        return read_loaded(path)
    except RubricProblems:
        return None


def _warnings(text: str, place: str) -> Iterator[RubricProblem]:
    (loaded,) = read_files([(Path(place), lambda: text)]).loaded
    return iter(rubric_warnings(loaded.root, loaded.rubric, place))


def _last_in_force(rubric_id: str, deployment: Deployment) -> Rubric | None:
    try:
        return rubric_named(rubric_id, deployment).rubric
    except NotFound:
        return None


def _last_backtest(connection: Connection, candidate: Rubric) -> Backtest | None:
    of_candidate = [
        one for one in backtests_of(connection, candidate.id) if one.candidate_version == candidate.version
    ]
    done = [one for one in of_candidate if one.state == BacktestState.DONE]
    return next(iter(done or of_candidate), None)


def _unwritable(target: Path, reason: str) -> Misconfigured:
    return Misconfigured(
        f"{target} cannot be written: {reason}; nothing was changed.",
        hint="Where rubrics are deployed from elsewhere, such as git, change the file there.",
    )


def _room_for_broken(plan: Promotion) -> Path | None:
    """Where the target's present text goes, if it has errors and no version can keep it."""
    if plan.found is None or plan.in_file is not None:
        return None
    names = (plan.target.with_name(f"{plan.target.name}.replaced{number or ''}") for number in count())
    return next(path for path in names if not path.exists())


def _replace(plan: Promotion, moved: Path | None) -> None:
    new = plan.text.encode()
    try:
        now_there = plan.target.read_bytes() if plan.target.exists() else None
        if now_there == new:
            return  # this promotion's own writing, its transaction run again
        if now_there != plan.found or plan.target.is_symlink():
            raise Conflict(
                f"{plan.target} changed while this was looked at; nothing was changed.",
                hint="Promote again, to see what stands there now.",
            )
        if moved is not None and plan.found is not None:
            _write(moved, plan.found, mode_of=plan.target)
        _write(plan.target, new, mode_of=plan.target)
    except OSError as error:
        raise _unwritable(plan.target, error.strerror or "no reason given") from error


def _write(path: Path, data: bytes, *, mode_of: Path) -> None:
    """Write a file so that readers see all of it or what was there before."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        fresh.chmod(mode_of.stat().st_mode & 0o7777 if mode_of.exists() else 0o644)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
