"""Rubric versions, kept from their first use so that history keeps its meaning."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from evaluator.model.rubric import Rubric, RubricVersion
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import RubricVersionRow

_version = table_of(RubricVersionRow)


def store_version(connection: Connection, rubric: Rubric, source: str) -> None:
    """Keep this version; one that is kept already stays as it is."""
    row = RubricVersion(
        version=rubric.version,
        rubric_id=rubric.id,
        title=rubric.title,
        body=rubric.model_dump(mode="json", exclude_defaults=True),
        source=source,
    )
    connection.execute(insert_into(connection, _version).on_conflict_do_nothing(), as_row(row))


def load_versions(connection: Connection, versions: Collection[str]) -> dict[str, Rubric]:
    """Rubrics by version; unknown versions are left out."""
    rows = connection.execute(select(_version).where(_version.c.version.in_(versions))).all()
    return {row.version: Rubric.model_validate(row.body) for row in rows}


def last_version(connection: Connection, rubric_id: str) -> Rubric | None:
    """The rubric of this id as it came into use last, or None where it never did."""
    row = connection.execute(
        select(_version.c.body)
        .where(_version.c.rubric_id == rubric_id)
        .order_by(_version.c.first_used_at.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Rubric.model_validate(row.body)
