"""Rubric versions, kept from their first use so that history keeps its meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from evaluator.model.judgement import JudgementState
from evaluator.model.rubric import Rubric, RubricVersion
from evaluator.model.verdict import Verdict, VerdictSource
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.reviews import is_first_said
from evaluator.store.tables import AuditEntryRow, JudgementRow, RubricVersionRow, VerdictRow

_version = table_of(RubricVersionRow)
_verdict, _judgement, _audit = table_of(VerdictRow), table_of(JudgementRow), table_of(AuditEntryRow)

_RUNS_AT_ONCE = 500

PROMOTED = "promote_rubric"
"""The audited act of putting a version in force: its subject is the rubric's id, its detail names both versions."""


def store_version(
    connection: Connection, rubric: Rubric, source: str, now: datetime, *, in_force: bool = True
) -> None:
    """Keep this version; of one that is kept already only the time it came into force may still be set.

    All of it is kept, what the author left out as well: another release's defaults must not change its meaning.
    """
    row = RubricVersion(
        version=rubric.version,
        rubric_id=rubric.id,
        title=rubric.title,
        body=rubric.model_dump(mode="json", exclude={"version"}),
        source=source,
        in_force_since=now if in_force else None,
        first_used_at=now,
    )
    statement = insert_into(connection, _version).on_conflict_do_nothing()
    connection.execute(statement, as_row(row))
    if in_force:
        connection.execute(
            update(_version)
            .where(_version.c.version == rubric.version, _version.c.in_force_since.is_(None))
            .values(in_force_since=now)
        )


def load_versions(connection: Connection, versions: Collection[str]) -> dict[str, Rubric]:
    """Rubrics by version; unknown versions are left out."""
    rows = connection.execute(select(_version).where(_version.c.version.in_(versions))).all()
    return {row.version: _rubric(row.version, row.body) for row in rows}


def last_version(connection: Connection, rubric_id: str) -> Rubric | None:
    """The rubric of this id as it came into force last, or None where it never did."""
    since = last_in_force(connection, rubric_id)
    if not since:
        return None
    last = max(since, key=lambda version: (since[version], version))
    return load_versions(connection, {last})[last]


def versions_of(connection: Connection, rubric_id: str | None = None) -> list[RubricVersion]:
    """Every version kept (of one rubric), the last used first: what was judged stays readable without its file."""
    query = select(_version).order_by(_version.c.first_used_at.desc(), _version.c.version)
    if rubric_id is not None:
        query = query.where(_version.c.rubric_id == rubric_id)
    return [RubricVersion.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def last_in_force(connection: Connection, rubric_id: str) -> dict[str, datetime]:
    """Version → when it came into force last, for those that ever were: first judging, or a later promotion."""
    since: dict[str, datetime] = {
        row.version: row.in_force_since
        for row in connection.execute(
            select(_version.c.version, _version.c.in_force_since).where(
                _version.c.rubric_id == rubric_id, _version.c.in_force_since.is_not(None)
            )
        )
    }
    promotions = select(_audit.c.at, _audit.c.detail).where(_audit.c.act == PROMOTED, _audit.c.subject == rubric_id)
    for row in connection.execute(promotions):
        version = row.detail.get("after", "")
        if version in since:
            since[version] = max(since[version], row.at)
    return since


def verdict_counts(connection: Connection, rubric_id: str | None = None) -> dict[str, int]:
    """Version → verdicts that judges gave under it (of one rubric)."""
    query = select(_verdict.c.rubric_version, func.count().label("number")).where(
        _verdict.c.source == VerdictSource.JUDGE
    )
    if rubric_id is not None:
        query = query.where(_verdict.c.rubric_id == rubric_id)
    rows = connection.execute(query.group_by(_verdict.c.rubric_version))
    return {row.rubric_version: row.number for row in rows}


def human_verdicts_of(connection: Connection, rubric_id: str) -> list[Verdict]:
    """What people said of single runs under a rubric, oldest first, whichever version they read; revisions aside."""
    rows = connection.execute(
        select(_verdict)
        .where(_verdict.c.rubric_id == rubric_id, _verdict.c.run_id.is_not(None), is_first_said())
        .order_by(_verdict.c.created_at)
    )
    return [Verdict.model_validate(dict(row)) for row in rows.mappings()]


def judge_verdicts_of(
    connection: Connection, rubric_id: str, run_ids: Collection[str]
) -> Iterator[tuple[Verdict, bool]]:
    """What judges say of these runs as they stand under any version of a rubric, and whether it was on escalation."""
    wanted = sorted(run_ids)
    for start in range(0, len(wanted), _RUNS_AT_ONCE):
        rows = connection.execute(
            select(_verdict, _judgement.c.escalated)
            .join(_judgement, _judgement.c.judgement_id == _verdict.c.judgement_id)
            .where(
                _verdict.c.run_id.in_(wanted[start : start + _RUNS_AT_ONCE]),
                _verdict.c.rubric_id == rubric_id,
                _verdict.c.source == VerdictSource.JUDGE,
                _judgement.c.state != JudgementState.SUPERSEDED,
            )
        )
        for row in rows.mappings():
            found = dict(row)
            escalated = bool(found.pop("escalated"))
            yield Verdict.model_validate(found), escalated


def waiting_by_version(connection: Connection, rubric_id: str) -> dict[str, int]:
    """Version → judgements that still wait under it or are under way."""
    rows = connection.execute(
        select(_judgement.c.rubric_version, func.count().label("number"))
        .where(
            _judgement.c.rubric_id == rubric_id,
            _judgement.c.state.in_([JudgementState.DUE, JudgementState.LEASED]),
        )
        .group_by(_judgement.c.rubric_version)
    )
    return {row.rubric_version: row.number for row in rows}


def _rubric(version: str, body: dict[str, Any]) -> Rubric:
    return Rubric.model_validate({**body, "version": version})
