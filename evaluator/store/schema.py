"""Brings a database to this release's schema, once, whoever starts first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from evaluator.errors import Misconfigured
from evaluator.store import tables
from evaluator.store.database import Database, table_of

HEAD = "0003"
MIGRATIONS = Path(__file__).parent / "migrations"

_ours = table_of(tables.EventRow).metadata
_revision = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As Alembic makes it."""


def schema_revision(connection: Connection) -> str | None:
    """The revision a database is at, or None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


@contextmanager
def at_this_schema(database: Database) -> Iterator[Connection]:
    """A connection for a look at a database that has to be at HEAD already; nothing is changed.

    Raises Misconfigured where it is out of reach, on the way as well, and where it is at another schema.
    """
    try:
        with database.read() as connection:
            found = schema_revision(connection)
            if found != HEAD:
                is_at = "is empty" if found is None else f"is at schema {found}"
                raise Misconfigured(f"The database {is_at}, this release knows {HEAD}.")
            yield connection
    except (DBAPIError, PoolTimeout) as error:
        raise Misconfigured("The database is out of reach or too busy.") from error


def upgrade(database: Database) -> None:
    """Migrate to HEAD; a database of a later release is refused, never changed.

    An empty one is made as HEAD is, without what led there. Alembic is imported only where there is something to
    migrate: it is 12 MiB, which a start that needs none of it would keep.
    """
    with database.read() as connection:
        found = schema_revision(connection)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise Misconfigured(
            f"The database is at schema {found}, this release knows {HEAD}.",
            hint="Start the newer release, or point ADJUDGE_DATABASE_URL at another database.",
        )
    with database.write() as connection:
        database.lock_for_all(connection, "schema")
        if schema_revision(connection) == HEAD:
            return
        if _is_empty(connection):
            _ours.create_all(connection)
            _revision.create(connection)
            connection.execute(_revision.insert(), {"version_num": HEAD})
        else:
            _migrate(connection)


def _is_empty(connection: Connection) -> bool:
    return not ({*_ours.tables, _revision.name} & set(inspect(connection).get_table_names()))


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
