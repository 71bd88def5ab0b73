"""Every released schema is brought to this release's without losing or changing what it holds."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from evaluator.settings import Settings
from evaluator.store import tables
from evaluator.store.database import Database
from evaluator.store.rubric_versions import last_version, load_versions
from evaluator.store.schema import HEAD, MIGRATIONS, schema_revision, upgrade
from tests.conftest import PostgresServer

assert tables.EventRow.__tablename__


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table, once on each store."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'old.db'}")
        yield database
        database.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"adjudge_test_{secrets.token_hex(6)}"
    with server.connection() as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    database = Database(Settings(database_url=server.url_of(name)).resolved_database_url)
    yield database
    database.close()
    with server.connection() as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def migrate_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_a_migrated_database_is_what_the_tables_say(empty: Database) -> None:
    upgrade(empty)
    with empty.read() as connection:
        assert schema_revision(connection) == HEAD
        ours = SQLModel.metadata
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": False,
                "include_name": lambda name, kind, _: kind != "table" or name in ours.tables,
            },
        )
        assert compare_metadata(context, ours) == []


def test_rubric_versions_of_the_first_schema_keep_their_meaning(empty: Database) -> None:
    migrate_to(empty, "0001")
    scale = {"id": "tone", "ask": "Is the tone right?", "scale": {"1": "rude", "2": "kind"}, "pass_at": 2}
    body = {"id": "support", "title": "T", "criteria": [scale], "version": "abc"}
    with empty.write() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO rubric_version (version, rubric_id, title, body, source, first_used_at) "
                "VALUES ('abc', 'support', 'T', :body, '', 1700000000000000)"
            ).bindparams(sa.bindparam("body", type_=sa.JSON)),
            {"body": body},
        )
    upgrade(empty)
    with empty.read() as connection:
        rubric = load_versions(connection, {"abc"})["abc"]
        last = last_version(connection, "support")
    assert [judge.repeats for judge in rubric.judges] == [1]
    assert rubric.criteria[0].scale == {1: "rude", 2: "kind"}
    assert last == rubric


def test_judgements_and_rollups_of_the_first_schema_are_kept(empty: Database) -> None:
    migrate_to(empty, "0001")
    with empty.write() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO judgement (judgement_id, run_id, event_id, workflow, rubric_id, rubric_version, judge, "
                "provider, repeat, content_hash, state, draw, attempts, leases, due_at, created_at) VALUES "
                "('j', 'r', 'e', 'Support', 'support', 'abc', 'default', 'local', 0, 'h', 'done', 0.5, 0, 1, 1, 1)"
            )
        )
    upgrade(empty)
    with empty.read() as connection:
        kept = connection.execute(sa.text("SELECT judgement_id, escalated FROM judgement")).one()
    assert (kept.judgement_id, bool(kept.escalated)) == ("j", False)


def test_rubrics_kept_as_jsonb_keep_the_order_of_their_keys_from_then_on(empty: Database) -> None:
    migrate_to(empty, "0001")
    if not empty.is_sqlite:
        with empty.write() as connection:
            connection.execute(sa.text("ALTER TABLE rubric_version ALTER COLUMN body TYPE JSONB USING body::jsonb"))
    upgrade(empty)
    with empty.read() as connection:
        [body] = [one for one in sa.inspect(connection).get_columns("rubric_version") if one["name"] == "body"]
    assert str(body["type"]) == "JSON"
