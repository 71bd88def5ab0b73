"""Rubric versions, kept from their first use so that history keeps its meaning."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from evaluator.model.rubric import Rubric, RubricVersion
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import RubricVersionRow

_version = table_of(RubricVersionRow)


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
    row = connection.execute(
        select(_version.c.version, _version.c.body)
        .where(_version.c.rubric_id == rubric_id, _version.c.in_force_since.is_not(None))
        .order_by(_version.c.in_force_since.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _rubric(row.version, row.body)


def versions_of(connection: Connection, rubric_id: str | None = None) -> list[RubricVersion]:
    """Every version kept (of one rubric), the last used first: what was judged stays readable without its file."""
    query = select(_version).order_by(_version.c.first_used_at.desc(), _version.c.version)
    if rubric_id is not None:
        query = query.where(_version.c.rubric_id == rubric_id)
    return [RubricVersion.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def _rubric(version: str, body: dict[str, Any]) -> Rubric:
    return Rubric.model_validate({**body, "version": version})
