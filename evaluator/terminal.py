"""What every command needs: a deployment, opened and closed, and who runs the command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evaluator.settings import Settings, load_settings

if TYPE_CHECKING:
    from evaluator.deployment import Deployment


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[Deployment]:
    """A deployment at this release's schema, closed at the end."""
    from evaluator.deployment import Deployment

    deployment = Deployment(settings or load_settings())
    try:
        yield deployment.migrate()
    finally:
        deployment.close()


def actor() -> str:
    """Who runs the command, as the audit log keeps it."""
    import getpass

    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return f"uid {os.getuid()} (command line)"


def has_database(settings: Settings) -> bool:
    """Whether there is a database to look into already; one on a server is taken to be there."""
    name, _, path = settings.resolved_database_url.partition(":///")
    return name != "sqlite" or Path(path).exists()
