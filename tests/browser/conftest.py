"""A real browser against a real server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from evaluator.settings import Settings
from review_ui.serving import Running, running
from tests.conftest import fail_in_ci_else_skip

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium at ADJUDGE_CHROMIUM or on the path."""
    named = os.environ.get("ADJUDGE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not named or not Path(named).exists():
        fail_in_ci_else_skip("No Chromium: install it, or set ADJUDGE_CHROMIUM to its program.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=named, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Running]:
    """A server without a worker: what a page shows is what the test made it show."""
    (tmp_path / "rubrics").mkdir()
    (tmp_path / "data").mkdir()
    shutil.copyfile(migrated_sqlite, tmp_path / "data" / "adjudge.db")
    settings = Settings(data_dir=tmp_path / "data", rubrics_dir=tmp_path / "rubrics", database_url="", port=0)
    with running(settings, with_worker=False) as server:
        yield server
