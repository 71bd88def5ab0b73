"""docs/settings.md says what the settings say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from evaluator.errors import Misconfigured
from evaluator.settings import Settings, load_settings, takes

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `ADJUDGE_(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", DOC, re.MULTILINE)


def default_of(name: str) -> str:
    default = Settings.model_fields[name].default
    if default is PydanticUndefined:
        return "`adjudge/models` in the user's cache folder"
    if default is None or default == "" or isinstance(default, SecretStr):
        return "empty"
    return f"`{str(default).lower()}`"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_stands_there_with_default_kind_and_description(name: str) -> None:
    description = Settings.model_fields[name].description
    assert (name.upper(), default_of(name), takes(name), description) in ROWS


def test_each_setting_stands_in_one_table_only() -> None:
    assert sorted(variable.lower() for variable, *_ in ROWS) == sorted(Settings.model_fields)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_no_page_names_a_setting_that_does_not_exist(page: Path) -> None:
    named = re.findall(r"\bADJUDGE_([A-Z_]*[A-Z])\b", page.read_text(encoding="utf-8"))
    assert {name.lower() for name in named} <= Settings.model_fields.keys()


def test_the_file_shown_is_read_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = re.findall(r"```sh\n(.*?)```", DOC, re.DOTALL)
    (tmp_path / "adjudge.env").write_text(file)
    monkeypatch.setenv("ADJUDGE_CONFIG", str(tmp_path / "adjudge.env"))
    for variable in re.findall(r"^\w+", file, re.MULTILINE):
        monkeypatch.delenv(variable, raising=False)
    settings = load_settings()
    assert settings.judge_model == "openai/gpt-4.1-mini"
    assert settings.redact_extra == r"\bK-[0-9]{6}$"
    assert settings.resolved_database_url == "postgresql+psycopg://adjudge@db/adjudge"


def test_the_error_shown_is_what_an_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = re.findall(r"```text\n(.*?)\n```", DOC, re.DOTALL)
    monkeypatch.delenv("ADJUDGE_CONFIG", raising=False)
    monkeypatch.setenv("ADJUDGE_PORT", "70000")
    with pytest.raises(Misconfigured) as raised:
        load_settings()
    assert raised.value.message == told


def test_what_the_image_sets_is_as_the_page_says() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    image = set(re.findall(r"ADJUDGE_\w+=[^\s\\]+", dockerfile))
    assert image == set(re.findall(r"`(ADJUDGE_\w+=[^`]+)`", DOC.split("## In the container image")[1]))
