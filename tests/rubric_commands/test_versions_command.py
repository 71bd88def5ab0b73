"""`adjudge rubrics versions`, and that history stays readable whatever becomes of a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evaluator.authoring.rubric_history import Standing, VersionLine
from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.verdict import Verdict, VerdictLabel, VerdictSource
from evaluator.rubric_commands.versions_command import _versions_table
from evaluator.rubric_format.rubric_files import read_loaded
from evaluator.settings import Settings
from evaluator.store.database import as_row, table_of
from evaluator.store.rubric_versions import store_version
from evaluator.store.tables import VerdictRow
from tests.test_pipeline import report
from tests.world import CHECKED_RUBRIC, add_rubric, judge_all

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def folder(deployment: Deployment) -> Path:
    return deployment.settings.rubrics_dir


def listed(capsys: Printed, *arguments: str) -> list[dict[str, object]]:
    assert run(["rubrics", "versions", *arguments, "--format", "json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def judged(settings: Settings, folder: Path, *, rubric_id: str = "links", workflow: str = "Support") -> str:
    """A rubric that judged three runs, by its version."""
    path = add_rubric(folder, rubric_id=rubric_id, text=CHECKED_RUBRIC, workflow=workflow)
    deployment = Deployment(settings)  # its shelf has not looked yet
    for number, output in enumerate(["https://shop.example/1", "no link", "https://shop.example/2"]):
        report(
            deployment,
            run_id=f"{workflow}-{number}",
            event_id=f"{workflow}-{number}",
            output=output,
            workflow=workflow,
        )
    judge_all(deployment)
    deployment.close()
    return read_loaded(path).rubric.version


def say(deployment: Deployment, run_id: str, verdict: VerdictLabel, version: str) -> None:
    """A person's verdict on a run."""
    said = Verdict(
        verdict_id=f"human-{run_id}",
        event_id=run_id,
        run_id=run_id,
        rubric_id="links",
        rubric_version=version,
        source=VerdictSource.HUMAN,
        verdict=verdict,
        judge="ann",
    )
    deployment.database.transact(
        lambda connection: connection.execute(table_of(VerdictRow).insert(), as_row(said)) and None
    )


def test_a_fresh_folder_has_no_rubrics_and_says_what_to_do(deployment: Deployment, capsys: Printed) -> None:
    assert run(["rubrics", "versions"]) == 0
    assert "`adjudge rubrics new` writes the first" in capsys.readouterr().out


def test_a_rubric_is_listed_with_its_file_and_its_verdicts(
    settings: Settings, folder: Path, capsys: Printed
) -> None:
    version = judged(settings, folder)
    assert run(["rubrics", "versions"]) == 0
    (_, line) = capsys.readouterr().out.splitlines()
    assert line.split()[:4] == ["links", version, "1", "3"]
    assert line.strip().endswith("links.yaml")


def test_versions_come_newest_first_with_what_was_judged(
    deployment: Deployment, settings: Settings, folder: Path, capsys: Printed
) -> None:
    first = judged(settings, folder)
    path = add_rubric(folder, rubric_id="links", text=CHECKED_RUBRIC, workflow="Sales")
    tried = read_loaded(add_rubric(folder.parent, rubric_id="links", text=CHECKED_RUBRIC, workflow="Tried"))
    deployment.database.transact(
        lambda connection: store_version(connection, tried.rubric, tried.source, utc_now(), in_force=False)
    )
    lines = listed(capsys, "links")
    assert [(line["version"], line["standing"], line["verdicts"]) for line in lines] == [
        (read_loaded(path).rubric.version, "in force", 0),
        (first, "was in force", 3),
        (tried.rubric.version, "only tried", 0),
    ]
    assert lines[0]["in_force_since"] is None
    assert lines[1]["in_force_since"] is not None
    assert run(["rubrics", "versions", "links"]) == 0
    assert "was in force" in capsys.readouterr().out


def test_agreement_with_people_stands_beside_a_version_they_judged(
    deployment: Deployment, settings: Settings, folder: Path, capsys: Printed
) -> None:
    version = judged(settings, folder)
    for number, said in enumerate([VerdictLabel.PASS, VerdictLabel.FAIL, VerdictLabel.FAIL]):
        say(deployment, f"Support-{number}", said, version)
    (line,) = listed(capsys, "links")
    agreement = line["agreement"]
    assert isinstance(agreement, dict)
    assert (agreement["value"], agreement["n"]) == (pytest.approx(2 / 3), 3)
    assert 0 < agreement["low"] < 2 / 3 < agreement["high"] < 1
    assert run(["rubrics", "versions", "links"]) == 0
    assert "0.67 (0.21 to 0.94), n = 3" in capsys.readouterr().out


def test_without_human_verdicts_nothing_is_said_of_agreement(
    settings: Settings, folder: Path, capsys: Printed
) -> None:
    judged(settings, folder)
    assert listed(capsys, "links")[0]["agreement"] is None


@pytest.mark.parametrize("fate", ["renamed", "deleted", "broken"])
def test_history_is_readable_whatever_becomes_of_the_file(
    settings: Settings, folder: Path, capsys: Printed, fate: str
) -> None:
    version = judged(settings, folder)
    path = folder / "links.yaml"
    source = path.read_text()
    match fate:
        case "renamed":
            path.write_text(source.replace("id: links", "id: urls"))
        case "deleted":
            path.unlink()
        case "broken":
            path.write_text(source.replace("criteria:", "criterai:"))
    assert run(["rubrics", "versions", f"links@{version[:6]}"]) == 0
    assert capsys.readouterr().out == source
    assert [(line["version"], line["standing"]) for line in listed(capsys, "links")] == [(version, "was in force")]
    assert run(["rubrics", "versions"]) == 0
    line = next(each for each in capsys.readouterr().out.splitlines() if each.startswith("links"))
    assert line.strip().endswith("(has errors)" if fate == "broken" else "file gone")


def test_a_version_prints_its_very_text(settings: Settings, folder: Path, capsys: Printed) -> None:
    version = judged(settings, folder)
    source = (folder / "links.yaml").read_text()
    add_rubric(folder, rubric_id="links", text=CHECKED_RUBRIC, workflow="Sales")
    assert run(["rubrics", "versions", f"links@{version}"]) == 0
    assert capsys.readouterr().out == source
    assert run(["rubrics", "versions", f"links@{version}", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"id": "links", "version": version, "yaml": source, "yaml_kept": True}


def test_an_unknown_rubric_names_the_nearest(settings: Settings, folder: Path, capsys: Printed) -> None:
    judged(settings, folder)
    assert run(["rubrics", "versions", "linsk"]) == 1
    assert "Did you mean 'links'?" in capsys.readouterr().err
    assert run(["rubrics", "versions", "links@ffff"]) == 1
    assert "no version that begins with 'ffff'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (60, ["version", "standing", "in force since", "verdicts"]),
        (80, ["version", "standing", "in force since", "first used", "verdicts"]),
        (110, ["version", "standing", "in force since", "first used", "verdicts", "title"]),
    ],
)
def test_a_version_takes_one_line_however_narrow_the_terminal(columns: int, names: list[str]) -> None:
    at = datetime(2026, 11, 20, 10, 34, tzinfo=UTC)
    line = VersionLine("c005a0df83fca191", "Does it say when? " * 9, Standing.WAS_IN_FORCE, at, at, 6)
    terminal = Console(width=columns, file=StringIO())
    table = _versions_table([line], columns)
    terminal.print(table)
    assert isinstance(terminal.file, StringIO)
    told = terminal.file.getvalue().splitlines()
    assert [str(column.header) for column in table.columns] == names
    assert len(told) == 2
    assert "c005a0df83fca191  was in force  2026-11-20 10:34" in told[1]
