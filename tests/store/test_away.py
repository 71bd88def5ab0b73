"""When the database is away: what passes by itself is tried again, what does not is raised at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from evaluator.errors import Misconfigured
from evaluator.settings import Settings
from evaluator.store.database import Database, file_fault, is_away, usable


def error_of(url: str, statement: str = "SELECT 1") -> DBAPIError:
    database = Database(url, pool_size=1)
    with pytest.raises(DBAPIError) as raised, database.read() as connection:
        connection.execute(text(statement))
    database.close()
    return raised.value


def test_a_server_that_cannot_be_found_or_reached_is_away() -> None:
    assert is_away(error_of("postgresql+psycopg://nobody@db.invalid/x"))
    assert is_away(error_of("postgresql+psycopg://nobody@127.0.0.1:9/x"))


def test_a_statement_that_is_wrong_is_not(database_url: str) -> None:
    url = Settings(database_url=database_url).resolved_database_url
    assert not is_away(error_of(url, "SELECT nothing FROM nowhere"))


def test_a_file_that_cannot_be_used_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database, but longer than a header of one hundred bytes" * 9)
    (tmp_path / "folder.db").mkdir()
    assert file_fault(error_of(f"sqlite:///{tmp_path}/text.db")) == "it is no SQLite file"
    assert file_fault(error_of(f"sqlite:///{tmp_path}/folder.db")) == "it cannot be opened"
    assert file_fault(error_of(f"sqlite:///{tmp_path}/good.db", "SELECT nothing FROM nowhere")) is None


@pytest.mark.parametrize("url", ["sqlite:///{}/folder.db", "postgresql+psycopg://nobody@127.0.0.1:9/x"])
def test_whoever_needs_a_database_that_cannot_be_had_is_told_so(url: str, tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    database = Database(url.format(tmp_path), pool_size=1)
    with pytest.raises(Misconfigured, match="The database"), usable(), database.read():
        pass
    with pytest.raises(ZeroDivisionError), usable():
        1 / 0  # noqa: B018 - what is raised within and is not the database's passes
    database.close()
