"""Every released schema is brought to this release's without losing or changing what it holds."""

from __future__ import annotations

import re
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

from evaluator.model.review import item_id_of
from evaluator.settings import Settings
from evaluator.store import tables
from evaluator.store.database import Database
from evaluator.store.review_claims import open_slots, slots_of_items
from evaluator.store.review_items import acts_of_item, items_by_id
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
    migrate_to(empty, "head")
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


_OF_POSTGRES = """
    SELECT table_name, column_name,
        data_type || '/' || is_nullable || '/' || is_identity || '/' || coalesce(column_default LIKE 'nextval%', false)
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace"""
_DEFAULT = re.compile(r" DEFAULT ('[^']*'|\d+)")
"""What a migration gave to the rows of then; whatever is written since names every column."""


def structure(database: Database) -> set[tuple[str, ...]]:
    """Tables, columns, indexes and constraints, whatever their order."""
    with database.read() as connection:
        if not database.is_sqlite:
            return {tuple(row) for row in connection.execute(sa.text(_OF_POSTGRES))}
        rows = connection.execute(sa.text("SELECT tbl_name, name, sql FROM sqlite_master")).all()
    lines = [
        (row.tbl_name, row.name, line)
        for row in rows
        for line in re.split(r",(?![^(]*\))|\(", row.sql or "", flags=re.M)
    ]
    return {(table, name, re.sub(r"[\s\")]+", " ", _DEFAULT.sub("", line)).strip()) for table, name, line in lines}


def test_a_new_database_is_what_a_migrated_one_is(empty: Database) -> None:
    migrate_to(empty, "head")
    migrated = structure(empty)
    with empty.write() as connection:
        SQLModel.metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE alembic_version"))
    upgrade(empty)
    assert structure(empty) == migrated
    assert len(migrated) > 300
    with empty.read() as connection:
        assert schema_revision(connection) == HEAD


def test_a_database_that_lost_its_revision_is_not_taken_for_a_new_one(empty: Database) -> None:
    migrate_to(empty, "0002")
    with empty.write() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
    with pytest.raises(sa.exc.DBAPIError):
        upgrade(empty)


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


REVIEW = {"audit_rate": 0.1, "send": ["critical_fail"], "reviewers": 2, "blind": False}


def insert(database: Database, table: str, **row: object) -> None:
    """A row as an earlier release wrote it; JSON where a value is a list or an object."""
    of_json = [sa.bindparam(name, type_=sa.JSON) for name, value in row.items() if isinstance(value, list | dict)]
    names = ", ".join(f'"{name}"' for name in row)
    statement = sa.text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})")
    with database.write() as connection:
        connection.execute(statement.bindparams(*of_json), row)


def rolled_up(database: Database, number: int, reasons: list[str], **changes: object) -> None:
    fields = {"rule": "last_run", "verdict": "fail", "runs": 1, "judged": 1, "waiting": 0, "coverage": 1.0}
    shared = {"rubric_id": "support", "revision": 3, "workflow": "Support", "rubric_version": "abc"}
    row = {**fields, **shared, "current": True, "fingerprints": [], "not_evaluable": {}, "decided_at": number}
    ids = {"event_id": f"e{number}", "position": number, "deciding_run_id": f"r{number}", "probability": 0.5}
    insert(database, "rollup", **{**row, **ids, "review_reasons": reasons, **changes})


def test_what_policies_asked_people_for_before_there_was_a_queue_is_in_it(empty: Database) -> None:
    migrate_to(empty, "0002")
    body = {"id": "support", "title": "T", "criteria": [{"id": "c", "ask": "Solved?"}], "review": REVIEW}
    kept = {"version": "abc", "rubric_id": "support", "title": "T", "source": "", "first_used_at": 1}
    insert(empty, "rubric_version", **kept, body=body)
    rolled_up(empty, 1, ["critical_fail"])
    rolled_up(empty, 2, ["critical_fail", "audit"])
    rolled_up(empty, 3, [])
    rolled_up(empty, 4, ["critical_fail"], waiting=1)
    rolled_up(empty, 5, ["critical_fail"], current=False)
    upgrade(empty)
    ids = [item_id_of(f"e{number}", "support") for number in range(1, 6)]
    with empty.read() as connection:
        items, slots = items_by_id(connection, ids), slots_of_items(connection, ids)
        acts = acts_of_item(connection, ids[0])
    assert sorted(item.event_id for item in items.values()) == ["e1", "e2"]
    targeted, audit = items[ids[0]], items[ids[1]]
    assert (targeted.stream, targeted.probability, targeted.blind) == ("targeted", None, False)
    assert (audit.stream, audit.blind) == ("audit", True)
    assert audit.probability == pytest.approx(0.05)
    assert (targeted.rollup_revision, targeted.deciding_run_id, targeted.state) == (3, "r1", "open")
    assert targeted.rank_at < audit.rank_at < targeted.entered_at
    assert [len(slots[one]) for one in ids[:2]] == [2, 2]
    assert [(act.act, act.who) for act in acts] == [("entered", "policy")]
    with empty.write() as connection:  # they are the ones that judging knows and follows
        open_slots(connection, [targeted, audit])
        assert slots_of_items(connection, ids[:2]) == slots


def test_of_several_verdicts_of_people_on_one_event_the_last_stands(empty: Database) -> None:
    migrate_to(empty, "0002")
    fields = {"event_id": "e", "rubric_id": "support", "rubric_version": "abc", "summary": "", "judge": "ann"}
    more = {"fingerprint": "", "content_hash": "", "repeat": 0, "calls": 0, "criteria": [], "flags": []}
    for number, source in enumerate(("human", "human", "judge")):
        said = {"verdict_id": f"v{number}", "source": source, "verdict": "pass", "created_at": number}
        insert(empty, "verdict", **fields, **more, **said)
    upgrade(empty)
    with empty.read() as connection:
        rows = connection.execute(sa.text("SELECT verdict_id, stands FROM verdict ORDER BY verdict_id")).all()
    assert [(row.verdict_id, bool(row.stands)) for row in rows] == [("v0", False), ("v1", True), ("v2", True)]
