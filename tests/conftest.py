"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
