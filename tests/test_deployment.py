from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import Misconfigured
from evaluator.settings import Settings
from evaluator.store.schema import HEAD, schema_revision


def test_a_new_deployment_is_at_this_releases_schema(deployment: Deployment) -> None:
    with deployment.database.read() as connection:
        assert schema_revision(connection) == HEAD


def test_the_secret_is_made_once_and_only_its_owner_reads_it(deployment: Deployment) -> None:
    again = Deployment(deployment.settings)
    assert deployment.secret == again.secret
    assert len(deployment.secret) == 32
    assert (deployment.settings.data_dir / "secret").stat().st_mode & 0o077 == 0
    again.close()


def test_a_judge_that_is_half_set_is_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="ADJUDGE_JUDGE_MODEL"):
        Deployment(settings.model_copy(update={"judge_api_base": "http://127.0.0.1:9/v1"}))


def test_a_new_data_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    deployment = Deployment(Settings(data_dir=tmp_path / "new", database_url="")).migrate()
    assert deployment.settings.data_dir.stat().st_mode & 0o077 == 0, "it holds what was captured"
    deployment.close()
