"""Brings a database to this release's schema, once, whoever starts first."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from evaluator.errors import Misconfigured
from evaluator.store.database import Database

HEAD = "0002"
MIGRATIONS = Path(__file__).parent / "migrations"


def schema_revision(connection: Connection) -> str | None:
    """The revision a database is at, or None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(database: Database) -> None:
    """Migrate to HEAD; a database of a later release is refused, never changed.

    Alembic is imported only where there is something to do: a start that changes nothing stays quick.
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
    from alembic import command
    from alembic.config import Config

    with database.write() as connection:
        database.lock_for_all(connection, "schema")
        if schema_revision(connection) == HEAD:
            return
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
