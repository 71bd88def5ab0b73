"""`adjudge rubrics diff`, as an author runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.rubric_format.rubric_files import read_loaded
from evaluator.store.rubric_versions import store_version
from tests.world import RUBRIC, add_rubric

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def folder(deployment: Deployment) -> Path:
    return deployment.settings.rubrics_dir


def used(deployment: Deployment, path: Path) -> str:
    """Have the file's version judge something; its version."""
    loaded = read_loaded(path)
    deployment.database.transact(
        lambda connection: store_version(connection, loaded.rubric, loaded.source, utc_now())
    )
    return loaded.rubric.version


def test_two_files_are_told_apart_word_by_word(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    old = add_rubric(folder)
    new = add_rubric(tmp_path, text=RUBRIC.replace("what was asked for", "all that was asked for"))
    assert run(["rubrics", "diff", str(old), str(new)]) == 0
    told = capsys.readouterr().out
    assert "~ criteria.answers.ask:" in told
    assert "Does the answer give [-what-]{+all that+} was asked for?" in told
    assert "verdicts: The fingerprint changes" in told


def test_comments_and_order_are_no_difference(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    old = add_rubric(folder)
    new = add_rubric(tmp_path, text="# a comment\n" + RUBRIC.replace("content: {{", "content: {{  "))
    assert run(["rubrics", "diff", str(old), str(new), "--exit-code"]) == 0
    assert "Both mean the same" in capsys.readouterr().out


def test_the_exit_code_tells_where_it_is_asked_to(folder: Path, tmp_path: Path) -> None:
    old, new = add_rubric(folder), add_rubric(tmp_path, role="quality")
    assert run(["rubrics", "diff", str(old), str(new)]) == 0
    assert run(["rubrics", "diff", str(old), str(new), "--exit-code"]) == 1


def test_json_holds_the_same_facts(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    old, new = add_rubric(folder), add_rubric(tmp_path, role="quality")
    assert run(["rubrics", "diff", str(old), str(new), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["before"]["id"] == "support"
    assert told["changes"] == [{"kind": "changed", "field": "role", "before": "outcome", "after": "quality"}]
    assert [(one["reach"], one["fields"]) for one in told["consequences"]] == [("outcomes", ["role"])]
    assert told["fingerprints"][0]["before"] == told["fingerprints"][0]["after"]
    assert told["prompt"] == []
    assert told["equal"] is False


def test_a_name_alone_is_compared_with_what_was_in_force_before(
    deployment: Deployment, folder: Path, capsys: Printed
) -> None:
    first = used(deployment, add_rubric(folder))
    second = read_loaded(add_rubric(folder, role="quality")).rubric.version
    assert run(["rubrics", "diff", "support"]) == 0
    assert capsys.readouterr().out.startswith(f"support@{first} → support@{second}")


def test_a_file_alone_is_compared_with_what_is_in_force(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    in_force = read_loaded(add_rubric(folder)).rubric.version
    new = add_rubric(tmp_path, role="quality")
    assert run(["rubrics", "diff", str(new)]) == 0
    assert capsys.readouterr().out.startswith(f"support@{in_force} →")


def test_an_older_version_alone_is_compared_with_the_one_before_it(
    deployment: Deployment, folder: Path, capsys: Printed
) -> None:
    versions = [used(deployment, add_rubric(folder, workflow=name)) for name in ("One", "Two", "Three")]
    assert run(["rubrics", "diff", f"support@{versions[1]}"]) == 0
    assert capsys.readouterr().out.startswith(f"support@{versions[0]} → support@{versions[1]}")


def test_the_first_version_has_none_before_it(folder: Path, capsys: Printed) -> None:
    add_rubric(folder)
    assert run(["rubrics", "diff", "support"]) == 1
    assert "No version of support was in force before" in capsys.readouterr().err


def test_what_a_rubric_says_does_nothing_to_the_terminal(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    old = add_rubric(folder)
    new = add_rubric(tmp_path, text=RUBRIC.replace("Did the answer help?", '"Did [red]it[/red] help \\e[31m?"'))
    assert run(["rubrics", "diff", str(old), str(new)]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "[red]it[/red]" in told


def test_another_format_is_a_matter_of_usage() -> None:
    assert run(["rubrics", "diff", "a", "b", "--format", "xml"]) == 2
