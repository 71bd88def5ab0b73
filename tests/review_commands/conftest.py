"""The commands of whoever leads reviewers, run as they run them, against a real database."""

from __future__ import annotations

import pytest

from evaluator.settings import Settings


@pytest.fixture(autouse=True)
def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands see the test's own deployment."""
    for name in ("data_dir", "database_url", "rubrics_dir"):
        monkeypatch.setenv(f"ADJUDGE_{name.upper()}", str(getattr(settings, name)))
