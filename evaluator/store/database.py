"""The database: one code path for one SQLite file and for PostgreSQL."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import Connection as Connection  # given on: outside the store it is a type, never SQL
from sqlalchemy import Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import SQLModel

from evaluator.errors import Misconfigured

SQLITE_PRAGMAS = (
    "PRAGMA page_size=16384",
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=30000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-8000",
    "PRAGMA temp_store=MEMORY",
)

_RETRY_SECONDS = 60.0
_TRANSIENT_STATES = {"40001", "40P01", "57P01", "57P02", "57P03", "53300", "25006"}
"""The last is what a server that is no longer, or not yet, the primary says of a write."""
_CONNECTION_CLASS = "08"

T = TypeVar("T")


class Database:
    """An engine and the ways to read and write through it.

    Writes on SQLite take turns in this process before they ask for the file's lock: a lock handed
    over wakes the next writer at once, SQLite's own waiting sleeps up to 100 ms.
    """

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.url = url
        self.engine = open_engine(url, pool_size=pool_size)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writer = self.engine.execution_options(write=True)
        self._turn = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection on one consistent snapshot where the store has one."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed at the end, rolled back on any error."""
        if self.is_sqlite:
            with self._turn, self._writer.begin() as connection:
                yield connection
        else:
            with self._writer.begin() as connection:
                yield connection

    def transact(self, act: Callable[[Connection], T], *, patience_seconds: float = _RETRY_SECONDS) -> T:
        """Run `act` in one write transaction, again from its start while the database is away or in conflict.

        Raises what `act` raised when that is no such condition, or when patience ends.
        """
        deadline = time.monotonic() + patience_seconds
        delay = 0.05
        while True:
            try:
                with self.write() as connection:
                    return act(connection)
            except DBAPIError as error:
                if not passes_by_itself(error) or time.monotonic() + delay > deadline:
                    raise
            time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, no secret
            delay = min(delay * 2, 2.0)

    def lock_for_all(self, connection: Connection, name: str) -> None:
        """Hold a fleet-wide lock until the transaction ends; SQLite's write transaction is one already."""
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"adjudge:{name}"})

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def passes_by_itself(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed later: lost connection, restart, deadlock, busy file."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None and (state in _TRANSIENT_STATES or state.startswith(_CONNECTION_CLASS)):
        return True
    if isinstance(error, OperationalError):
        words = str(error.orig).lower()
        return state is None and any(
            sign in words
            for sign in (
                "locked",
                "busy",
                "connection",
                "resolve host",
                "server closed",
                "starting up",
                "shutting down",
                "terminat",
            )
        )
    return False


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database is out of reach or too busy for now."""
    if isinstance(error, DBAPIError):
        return passes_by_itself(error)
    return isinstance(error, PoolTimeout)


_FILE_FAULTS = {
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_PERM: "this user may not use it",
    sqlite3.SQLITE_FULL: "there is no room left for it",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_IOERR: "reading or writing it fails",
}


def file_fault(error: BaseException) -> str | None:
    """Why SQLite's file cannot be used until somebody sees to it; None for any other error."""
    code = getattr(error.orig, "sqlite_errorcode", None) if isinstance(error, DBAPIError) else None
    return None if code is None else _FILE_FAULTS.get(code & 0xFF)


def unusable(error: BaseException) -> Misconfigured | None:
    """What to tell where a database cannot be reached or its file not be used; None for any other error."""
    fault = file_fault(error)
    if fault is not None:
        return Misconfigured(
            f"The database's file cannot be used: {fault}.",
            hint="See to the folder ADJUDGE_DATA_DIR names: who may write to it, and whether its disk has room.",
        )
    if not is_away(error):
        return None
    return Misconfigured(
        "The database is out of reach or too busy.", hint="Check ADJUDGE_DATABASE_URL, and that its server runs."
    )


@contextmanager
def usable() -> Iterator[None]:
    """Raise Misconfigured where what is done within cannot reach the database or use its file."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        told = unusable(error)
        if told is None:
            raise
        raise told from error


def open_engine(url: str, *, pool_size: int = 20, driver_begins: bool = False) -> Engine:
    """An engine with this project's pragmas and JSON.

    `driver_begins` leaves SQLite's BEGIN IMMEDIATE to the driver, before the first write, as the
    dispatching engine's own tables want it.
    """
    parsed = make_url(url)
    options: dict[str, Any] = {
        "hide_parameters": True,  # they hold captured content, which error texts and logs must not
        "json_serializer": lambda value: orjson.dumps(value, default=str).decode(),
        "json_deserializer": orjson.loads,
    }
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            _make_folder(Path(parsed.database).parent)
        engine = create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size,
            connect_args={"check_same_thread": False},
            **options,
        )
        event.listen(engine, "connect", _set_pragmas)
        if driver_begins:
            event.listen(engine, "connect", _let_driver_begin)
        else:
            event.listen(engine, "begin", _begin)
        return engine
    return create_engine(parsed, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, **options)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(
            f"The data folder {folder} cannot be made: {error.strerror}.", hint="Set ADJUDGE_DATA_DIR to another."
        ) from error


def _set_pragmas(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # the driver's own BEGIN comes too late and is never IMMEDIATE
    cursor = dbapi_connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _let_driver_begin(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = "IMMEDIATE"


def insert_into(connection: Connection, table: Table) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT; Any because the two dialects share no type."""
    build = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return build(table)


def table_of(row: type[SQLModel]) -> Table:
    """The table behind a row class."""
    return cast(Table, row.__table__)  # type: ignore[attr-defined]  # SQLModel does not declare it


def as_row(value: SQLModel) -> dict[str, Any]:
    """A shape's fields as one row for a bulk insert; nothing is validated or converted again."""
    return dict(value.__dict__)
