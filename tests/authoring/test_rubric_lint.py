"""`adjudge rubrics lint`: what it reads, how it tells, when it fails, and what it makes of recent runs."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.settings import Settings
from tests.world import reported_run

Printed = pytest.CaptureFixture[str]

GOOD = "id: {}\ntitle: T\ncriteria:\n  - {{id: c, ask: Is it so?}}\n"
DOUBTFUL = GOOD + "sample: {{rate: 0}}\n"
BROKEN = GOOD + "role: outcom\n"
FOR_SUPPORT = """\
id: support
title: T
applies_to: {workflow: [Support], where: "status == 'success'"}
sample: {rate: 0.5, always: ["diagnostics.confidence < `0.6`"]}
content: {question: input, answer: output}
criteria:
  - {id: c, ask: Does the answer fit the question?}
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's environment enters, and there is no database unless a test makes one."""
    for name in [name for name in os.environ if name.startswith("ADJUDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(**rubrics: str) -> None:
    for name, text in rubrics.items():
        Path(f"{name}.yaml").write_text(text.format(name) if "{}" in text else text)


def lint(*arguments: str) -> int:
    return run(["rubrics", "lint", *arguments])


def given(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_problems_are_told_file_by_file_and_counted(capsys: Printed) -> None:
    write(one=BROKEN, two=GOOD, three=DOUBTFUL + "escalate: {{to: a/b}}\n")
    assert lint("one.yaml", "two.yaml", "three.yaml") == 1
    assert capsys.readouterr().out == (
        "one.yaml:5:7: role: is not one of the choices; found 'outcom'; allowed: outcome, quality; "
        "did you mean 'outcome'? (docs/rubrics.md#keys)\n"
        "\n"
        "three.yaml:5:16: warning: sample.rate: no run is ever judged; found 0; allowed: a rate above 0, or "
        "always: rules beside it (docs/rubrics.md#sample)\n"
        "three.yaml:6:11: warning: escalate.when: never happens without when; allowed: when: [unknown, "
        "near_threshold], or no escalate (docs/rubrics.md#escalate)\n"
        "\n"
        "3 rubrics: 1 error, 2 warnings.\n"
    )


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--strict"], 1)])
def test_warnings_fail_only_where_strictness_is_asked_for(
    options: Sequence[str], code: int, capsys: Printed
) -> None:
    write(one=DOUBTFUL)
    assert lint("one.yaml", *options) == code
    assert capsys.readouterr().out.endswith("1 rubric: 1 warning.\n")


def test_json_holds_every_field_of_a_problem(capsys: Printed) -> None:
    write(one=BROKEN, two=DOUBTFUL)
    assert lint("one.yaml", "two.yaml", "--format", "json") == 1
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": "one.yaml",
            "line": 5,
            "column": 7,
            "severity": "error",
            "field": "role",
            "message": "is not one of the choices",
            "found": "'outcom'",
            "allowed": "outcome, quality",
            "suggestion": "outcome",
            "link": "docs/rubrics.md#keys",
        },
        {
            "file": "two.yaml",
            "line": 5,
            "column": 16,
            "severity": "warning",
            "field": "sample.rate",
            "message": "no run is ever judged",
            "found": "0",
            "allowed": "a rate above 0, or always: rules beside it",
            "suggestion": None,
            "link": "docs/rubrics.md#sample",
        },
    ]


def test_json_of_good_rubrics_is_an_empty_list(capsys: Printed) -> None:
    write(one=GOOD)
    assert lint("one.yaml", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_github_is_given_annotations(capsys: Printed) -> None:
    Path("odd,name%.yaml").write_text(BROKEN.format("odd"))
    write(two=DOUBTFUL)
    assert lint("odd,name%.yaml", "two.yaml", "--format", "github") == 1
    assert capsys.readouterr().out == (
        "::error file=odd%2Cname%25.yaml,line=5,col=7::role: is not one of the choices; found 'outcom'; allowed: "
        "outcome, quality; did you mean 'outcome'? (docs/rubrics.md#keys)\n"
        "::warning file=two.yaml,line=5,col=16::sample.rate: no run is ever judged; found 0; allowed: a rate "
        "above 0, or always: rules beside it (docs/rubrics.md#sample)\n"
    )


def test_an_unknown_format_is_a_matter_of_usage(capsys: Printed) -> None:
    assert lint("--format", "xml") == 2
    assert "'xml' is none of text, json, github." in capsys.readouterr().err


def test_files_folders_and_standard_input_are_checked_together(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("folder/deeper").mkdir(parents=True)
    Path("folder/a.yaml").write_text(GOOD.format("same"))
    Path("folder/b.yml").write_text(GOOD.format("b"))
    Path("folder/deeper/c.yaml").write_text("nothing to see")
    Path("folder/notes.txt").write_text("nor here")
    write(other=GOOD)
    given(GOOD.format("same"), monkeypatch)
    assert lint("folder", "other.yaml", "-") == 1
    assert capsys.readouterr().out == (
        "<stdin>:1:5: id: folder/a.yaml has this id already; this file is not used; found 'same'; "
        "allowed: an id of its own (docs/rubrics.md#keys)\n\n4 rubrics: 1 error.\n"
    )


def test_a_file_that_is_named_twice_is_checked_once(capsys: Printed) -> None:
    write(one=GOOD)
    assert lint("one.yaml", "./one.yaml", ".") == 0
    assert capsys.readouterr().out == "1 rubric: no problems.\n"


def test_a_rubric_comes_by_standard_input_alone(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    given("id: a\n\ttitle: T\n", monkeypatch)
    assert lint("-") == 1
    assert capsys.readouterr().out.startswith("<stdin>:2:1: a tab cannot stand here: indent with spaces")


def test_too_much_on_standard_input_is_refused(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    given("a" * 300_000, monkeypatch)
    assert lint("-") == 1
    assert "<stdin>:1:1: the file is too large; found 262145 bytes" in capsys.readouterr().out


def test_a_path_that_does_not_exist_is_one_clear_error(capsys: Printed) -> None:
    assert lint("nowhere.yaml") == 1
    assert capsys.readouterr().err == (
        "Error: There is no file or folder nowhere.yaml.\n"
        "       Give rubric files or folders, - for standard input, or set ADJUDGE_RUBRICS_DIR.\n"
    )


def test_a_path_no_system_takes_is_an_error_too(capsys: Printed) -> None:
    assert lint("x" * 5000) == 1
    assert capsys.readouterr().err.startswith("Error: ")


def test_an_empty_folder_has_no_problems(capsys: Printed) -> None:
    Path("empty").mkdir()
    assert lint("empty") == 0
    assert capsys.readouterr().out == "0 rubrics: no problems.\n"


def test_control_characters_of_a_rubric_never_reach_the_terminal(capsys: Printed) -> None:
    Path("a\x1b.yaml").write_text(GOOD.format("a") + '"\\e]0;x": 1\n')
    for form in ("text", "json", "github"):
        assert lint("a\x1b.yaml", "--format", form) == 1
        assert "\x1b" not in capsys.readouterr().out


class TestRecentRuns:
    """Each on both stores."""

    @pytest.fixture
    def env(self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = deployment.settings
        for name in ("data_dir", "database_url", "rubrics_dir"):
            monkeypatch.setenv(f"ADJUDGE_{name.upper()}", str(getattr(settings, name)))

    def stored(self, count: int, **changes: Any) -> None:
        lines = (json.dumps(reported_run(event_id=f"e{number}", **changes)) for number in range(count))
        Path("runs.jsonl").write_text("\n".join(lines))
        assert run(["import", "runs.jsonl"]) == 0

    @pytest.mark.usefixtures("env")
    def test_rules_that_match_nothing_are_told_with_the_number_of_runs(self, capsys: Printed) -> None:
        self.stored(3, status="success")
        write(support=FOR_SUPPORT.replace("output}", "output, order: input.order}"))
        capsys.readouterr()
        assert lint("support.yaml") == 0
        assert [line for line in capsys.readouterr().out.splitlines() if "last" in line] == [
            "support.yaml:4:30: warning: sample.always[0]: is true of none of the last 3 Support runs; "
            "found 'diagnostics.confidence < `0.6`'; allowed: what some of them hold "
            "(docs/rubrics.md#what-expressions-see)",
            "support.yaml:5:51: warning: content.order: finds nothing in any of the last 3 Support runs; "
            "found 'input.order'; allowed: what some of them hold (docs/rubrics.md#what-expressions-see)",
        ]

    @pytest.mark.usefixtures("env")
    def test_a_where_that_no_run_meets_is_told_alone(self, capsys: Printed) -> None:
        self.stored(1, status="failed")
        write(support=FOR_SUPPORT)
        capsys.readouterr()
        assert lint("support.yaml") == 0
        assert capsys.readouterr().out == (
            "support.yaml:3:42: warning: applies_to.where: is true of none of the last 1 Support run; "
            "found \"status == 'success'\"; allowed: what some of them hold (docs/rubrics.md#what-expressions-see)\n"
            "\n1 rubric: 1 warning.\n"
        )

    @pytest.mark.usefixtures("env")
    def test_a_workflow_nobody_runs_is_told_with_the_nearest_that_somebody_does(self, capsys: Printed) -> None:
        self.stored(2, workflow="Support")
        self.stored(1, workflow="Sales")
        write(support=FOR_SUPPORT.replace("[Support]", "[Suport, sales]"))
        capsys.readouterr()
        assert lint("support.yaml") == 0
        assert capsys.readouterr().out.startswith(
            "support.yaml:3:25: warning: applies_to.workflow[0]: no run of this workflow is among the last 3 runs; "
            "found 'Suport'; allowed: Sales, Support; did you mean 'Support'? (docs/rubrics.md#applies_to)\n"
        )

    @pytest.mark.usefixtures("env")
    def test_what_some_run_meets_is_left_in_peace(self, capsys: Printed) -> None:
        self.stored(2, status="success")
        self.stored(1, status="success", diagnostics={"confidence": 0.3})
        write(support=FOR_SUPPORT)
        capsys.readouterr()
        assert lint("support.yaml", "--strict") == 0
        assert capsys.readouterr().out == "1 rubric: no problems.\n"

    @pytest.mark.usefixtures("env")
    def test_content_is_not_missed_where_none_was_captured(self, capsys: Printed) -> None:
        self.stored(2, status="success", input=None, output=None, diagnostics={"confidence": 0.3})
        write(support=FOR_SUPPORT)
        capsys.readouterr()
        assert lint("support.yaml", "--strict") == 0

    @pytest.mark.usefixtures("env")
    def test_without_runs_nothing_is_said_of_them(self, capsys: Printed) -> None:
        write(support=FOR_SUPPORT)
        assert lint("support.yaml", "--strict") == 0
        assert capsys.readouterr().out == "1 rubric: no problems.\n"

    @pytest.mark.usefixtures("env")
    def test_runs_are_left_out_where_that_is_asked_for(self, capsys: Printed) -> None:
        self.stored(1, status="failed")
        write(support=FOR_SUPPORT)
        assert lint("support.yaml", "--strict", "--no-runs") == 0

    @pytest.mark.usefixtures("env")
    def test_a_database_of_another_release_is_told_in_a_line_and_left_as_it_is(
        self, deployment: Deployment, capsys: Printed
    ) -> None:
        deployment.database.transact(
            lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        )
        write(one=BROKEN, support=FOR_SUPPORT)
        assert lint("one.yaml", "support.yaml") == 1
        told = capsys.readouterr()
        assert told.err.startswith("Recent runs are left out: The database is at schema 0001, this release knows ")
        assert told.err.count("\n") == 1
        assert told.out.endswith("2 rubrics: 1 error.\n")
        with deployment.database.read() as connection:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        assert found == "0001"


def test_no_database_is_made(capsys: Printed) -> None:
    write(one=GOOD)
    before = sorted(Path.cwd().rglob("*"))
    assert lint("one.yaml") == 0
    assert sorted(Path.cwd().rglob("*")) == before
    assert capsys.readouterr().err == ""


def test_no_database_is_made_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write(one=GOOD)
    monkeypatch.setenv("ADJUDGE_DATABASE_URL", "sqlite:///deep/down/runs.db")
    assert lint("one.yaml") == 0
    assert not Path("deep").exists()


def test_a_database_without_tables_is_left_empty(capsys: Printed) -> None:
    write(one=GOOD)
    Path("adjudge-data").mkdir()
    with sqlite3.connect("adjudge-data/adjudge.db") as connection:
        connection.execute("CREATE TABLE other (id)")
    assert lint("one.yaml") == 0
    assert "Recent runs are left out: The database is empty, this release knows" in capsys.readouterr().err
    with sqlite3.connect("adjudge-data/adjudge.db") as connection:
        assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["other"]


def test_what_is_no_database_is_told_in_a_line(capsys: Printed) -> None:
    write(one=GOOD)
    Path("adjudge-data").mkdir()
    Path("adjudge-data/adjudge.db").write_text("no database at all")
    assert lint("one.yaml") == 0
    told = capsys.readouterr()
    assert told.err == (
        "Recent runs are left out: The database is out of reach or too busy. `--no-runs` does so without a word.\n"
    )
    assert told.out == "1 rubric: no problems.\n"


def test_a_server_out_of_reach_is_told_in_a_line(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    write(one=GOOD)
    monkeypatch.setenv("ADJUDGE_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:9/none")
    assert lint("one.yaml") == 0
    told = capsys.readouterr()
    assert told.err.startswith("Recent runs are left out: The database is out of reach")
    assert told.err.count("\n") == 1
    assert "secret" not in told.err


def test_settings_that_are_wrong_stop_no_check_of_named_files(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(one=DOUBTFUL)
    monkeypatch.setenv("ADJUDGE_PORT", "many")
    assert lint("one.yaml") == 0
    told = capsys.readouterr()
    assert "ADJUDGE_PORT takes a whole number" in told.err
    assert told.out.endswith("1 rubric: 1 warning.\n")


def test_the_settings_folder_is_checked_where_no_path_is_given(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(rubrics_dir=Path("mine"))
    settings.rubrics_dir.mkdir()
    (settings.rubrics_dir / "a.yaml").write_text(GOOD.format("a"))
    monkeypatch.setenv("ADJUDGE_RUBRICS_DIR", "mine")
    assert lint() == 0
    assert capsys.readouterr().out == "1 rubric: no problems.\n"
