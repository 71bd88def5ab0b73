"""Settings: from the environment and a file, and what is told of one that is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluator.errors import Misconfigured
from evaluator.settings import Settings, load_settings, shown, takes


@pytest.fixture(autouse=True)
def _environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("ADJUDGE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that ADJUDGE_CONFIG names."""
    path = tmp_path / "adjudge.env"
    monkeypatch.setenv("ADJUDGE_CONFIG", str(path))
    return path


def told() -> str:
    with pytest.raises(Misconfigured) as raised:
        load_settings()
    return raised.value.message


def test_without_anything_set_the_defaults_are_in_force() -> None:
    assert load_settings() == Settings()


def test_the_file_is_read_when_asked_for_not_when_imported(file: Path) -> None:
    file.write_text("ADJUDGE_PORT=9000\nADJUDGE_REDACT=false\n")
    assert (load_settings().port, load_settings().redact) == (9000, False)
    file.write_text("ADJUDGE_PORT=9001\n")
    assert load_settings().port == 9001


def test_importing_needs_no_environment() -> None:
    imported = subprocess.run(
        [sys.executable, "-c", "import evaluator.settings"],
        env={"ADJUDGE_CONFIG": "nowhere.env", "ADJUDGE_PORT": "many"},
        check=False,
    )
    assert imported.returncode == 0


def test_the_environment_goes_before_the_file_and_a_change_before_both(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("ADJUDGE_PORT=9000\nADJUDGE_HOST=file.example\n")
    monkeypatch.setenv("ADJUDGE_PORT", "9001")
    assert (load_settings().host, load_settings().port, load_settings(port=9002).port) == (
        "file.example",
        9001,
        9002,
    )


def test_an_expression_in_single_quotes_is_taken_as_it_is(file: Path) -> None:
    file.write_text("ADJUDGE_REDACT_EXTRA='\\bK-[0-9]{6}$'  # badge numbers\n")
    assert load_settings().redact_extra == r"\bK-[0-9]{6}$"


def test_a_variable_within_a_value_is_replaced_even_in_single_quotes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_OF_THE_DAY", "openai/gpt-4.1-mini")
    file.write_text("ADJUDGE_JUDGE_MODEL='${MODEL_OF_THE_DAY}'\n")
    assert load_settings().judge_model == "openai/gpt-4.1-mini"


def test_a_file_that_does_not_exist_is_named(file: Path) -> None:
    assert told() == f"ADJUDGE_CONFIG names {file}, and there is no such file."


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"ADJUDGE_HOST=\xff\xfe\n")
    assert told() == f"ADJUDGE_CONFIG names {file}, and that file is not UTF-8 text."


def test_every_wrong_value_is_told_with_what_is_allowed_and_where_it_stands(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("ADJUDGE_REDACT=perhaps\n")
    monkeypatch.setenv("ADJUDGE_PORT", "70000")
    monkeypatch.setenv("adjudge_lease_seconds", "nan")
    assert told().rstrip(".").split("; ") == [
        "ADJUDGE_PORT takes a whole number from 0 to 65535",
        "found '70000' in the environment",
        "ADJUDGE_LEASE_SECONDS takes a number, 2 or more",
        "found 'nan' in the environment",
        "ADJUDGE_REDACT takes true or false",
        f"found 'perhaps' in {file}",
    ]


def test_a_change_that_is_wrong_is_told_as_well() -> None:
    with pytest.raises(Misconfigured, match=r"^ADJUDGE_JUDGE_CONCURRENCY takes .+ from 1 to 1000; found '0'\."):
        load_settings(judge_concurrency=0)


def test_a_secret_is_never_told() -> None:
    with pytest.raises(Misconfigured) as raised:
        load_settings(judge_api_key=b"\xffsk-hush")
    assert "hush" not in str(raised.value)
    assert "ADJUDGE_JUDGE_API_KEY" in str(raised.value)


@pytest.mark.parametrize("url", ["postgresql://me:hush@db/adjudge", "postgresql://me:hu/sh@x@db/adjudge"])
def test_a_password_within_a_url_is_masked(url: str) -> None:
    assert shown("database_url", url) == "postgresql://***@db/adjudge"


def test_a_secret_is_shown_only_as_being_there() -> None:
    assert (shown("judge_api_key", Settings(judge_api_key="sk-1").judge_api_key), shown("judge_api_key", "")) == (
        "**********",
        "",
    )


@pytest.mark.parametrize("name", Settings.model_fields)
def test_what_a_setting_takes_can_be_said(name: str) -> None:
    assert takes(name) in ("text", "a path", "true or false") or "number" in takes(name) or " or " in takes(name)


def test_the_driver_is_named_for_postgresql(tmp_path: Path) -> None:
    urls = [
        Settings(database_url=f"{scheme}://db/adjudge").resolved_database_url
        for scheme in ("postgres", "postgresql")
    ]
    assert urls == ["postgresql+psycopg://db/adjudge"] * 2
    assert Settings(data_dir=tmp_path).resolved_database_url == f"sqlite:///{tmp_path}/adjudge.db"
