"""When the database is away: what passes by itself is tried again, what does not is raised at once."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from evaluator.settings import Settings
from evaluator.store.database import Database, is_away


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
