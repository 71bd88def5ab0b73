"""One deployment's parts: settings, database, body store, rubrics in force."""

from __future__ import annotations

import secrets
from functools import cached_property

from evaluator.errors import Misconfigured
from evaluator.model.rubric import Rubric
from evaluator.rubric_shelf import RubricShelf
from evaluator.settings import Settings
from evaluator.store.bodies import Bodies
from evaluator.store.database import Connection, Database
from evaluator.store.rubric_versions import load_versions
from evaluator.store.schema import upgrade


class Deployment:
    """What every stage works with; opening one does no more than prepare."""

    def __init__(self, settings: Settings) -> None:
        settings.default_judge  # noqa: B018 - refuses a judge that is half set before anything is taken in
        self.settings = settings
        self.database = Database(settings.resolved_database_url)
        self.bodies = Bodies(settings.body_store_url, settings.data_dir)
        self.shelf = RubricShelf(settings.rubrics_dir)
        self._versions: dict[str, Rubric] = {}

    def migrate(self) -> Deployment:
        """Bring the database to this release's schema."""
        upgrade(self.database)
        return self

    def rubric_versions(self, versions: set[str], connection: Connection | None = None) -> dict[str, Rubric]:
        """Rubrics by version, kept in memory: a version never changes.

        Within a transaction they are read on its connection: to open another may have to wait for its end.
        """
        missing = versions - self._versions.keys()
        if missing and connection is not None:
            self._versions.update(load_versions(connection, missing))
        elif missing:
            with self.database.read() as connection:
                self._versions.update(load_versions(connection, missing))
        return {version: self._versions[version] for version in versions if version in self._versions}

    @property
    def versions_read(self) -> dict[str, Rubric]:
        """Every rubric version read so far, as it was stored: a file's own text may mean more to a later release."""
        return dict(self._versions)

    @cached_property
    def secret(self) -> bytes:
        """32 bytes that only this deployment knows; made at first need and kept in the data folder."""
        path = self.settings.data_dir / "secret"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                fresh = path.with_suffix(f".{secrets.token_hex(4)}")
                fresh.touch(mode=0o600)
                fresh.write_bytes(secrets.token_bytes(32))
                try:
                    path.hardlink_to(fresh)  # whoever comes first wins, nobody reads half a secret
                except FileExistsError:
                    pass
                finally:
                    fresh.unlink()
            return path.read_bytes()
        except OSError as error:
            raise Misconfigured(
                f"The deployment's secret at {path} cannot be read or made: {error.strerror}.",
                hint="Set ADJUDGE_DATA_DIR to a folder this user may write to.",
            ) from error

    def close(self) -> None:
        """Give back every connection."""
        self.database.close()
