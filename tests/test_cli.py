"""The command line, run as an operator runs it, against a real database."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evaluator.cli import run, settings_lines
from evaluator.deployment import Deployment
from evaluator.judging_orders import give_orders
from evaluator.settings import Settings
from evaluator.store.api_keys import audit_trail, find_key, hash_of
from evaluator.store.database import Connection
from evaluator.store.operations import record_failure
from tests.world import CHECKED_RUBRIC, add_rubric, judge_all, reported_run

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands see the test's own deployment."""
    for name in ("data_dir", "database_url", "rubrics_dir"):
        monkeypatch.setenv(f"ADJUDGE_{name.upper()}", str(getattr(settings, name)))


def jsonl(tmp_path: Path, *lines: object) -> str:
    file = tmp_path / "runs.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(file)


def test_a_key_is_printed_once_and_works_until_it_is_revoked(deployment: Deployment, capsys: Printed) -> None:
    assert run(["keys", "create", "--name", "app", "--scope", "ingest", "--scope", "read", "--quiet"]) == 0
    key = capsys.readouterr().out.strip()
    with deployment.database.read() as connection:
        stored = find_key(connection, hash_of(key))
    assert stored is not None
    assert stored.scopes == ["ingest", "read"]
    assert run(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert stored.hint in listed
    assert key not in listed
    assert run(["keys", "revoke", stored.hint]) == 0
    with deployment.database.read() as connection:
        assert find_key(connection, hash_of(key)) is None
        acts = audit_trail(connection)
    assert [entry.act for entry in acts] == ["revoke_key", "create_key"]
    assert all("command line" in entry.actor for entry in acts)


def test_revoking_what_is_not_there_is_told_in_one_line(capsys: Printed) -> None:
    assert run(["keys", "revoke", "adj_nothing"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("Error: No active key begins with")
    assert "keys list" in told


def test_an_unknown_scope_is_a_matter_of_usage(capsys: Printed) -> None:
    assert run(["keys", "create", "--name", "app", "--scope", "everything"]) == 2


def test_good_lines_are_stored_and_bad_ones_told_by_number(tmp_path: Path, capsys: Printed) -> None:
    file = jsonl(
        tmp_path, reported_run(event_id="e1"), "{broken", "", {"event_ids": "e2"}, reported_run(event_id="e3")
    )
    assert run(["import", file]) == 1
    told = capsys.readouterr().err
    assert "line 2: not JSON" in told
    assert "line 4:" in told
    assert "did you mean 'event_id'?" in told
    assert "2 runs stored, 2 lines could not be read." in told
    assert run(["outcomes"]) == 0
    table = capsys.readouterr().out
    assert "e1" in table
    assert "e3" in table


def test_importing_twice_changes_nothing(tmp_path: Path, capsys: Printed, deployment: Deployment) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    file = jsonl(tmp_path, reported_run(event_id="e1"), reported_run(event_id="e2"))
    counts = []
    for _ in range(2):
        assert run(["import", file]) == 0
        capsys.readouterr()
        assert run(["status", "--json"]) == 0
        seen = json.loads(capsys.readouterr().out)["overview"]
        counts.append((seen["runs"], seen["judgements"]))
    assert counts[0] == counts[1] == ({"ready": 2}, {"due": 2})


def test_standard_input_can_be_imported(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    class Stdin:
        buffer = io.BytesIO(json.dumps(reported_run()).encode())

    monkeypatch.setattr("sys.stdin", Stdin)
    assert run(["import", "-"]) == 0
    assert "1 runs stored" in capsys.readouterr().err


def test_a_missing_file_is_told_in_one_line(capsys: Printed) -> None:
    assert run(["import", "nowhere.jsonl"]) == 1
    assert capsys.readouterr().err.startswith("Error: nowhere.jsonl cannot be read: No such file")


@pytest.mark.slow
def test_judging_runs_until_nothing_is_due(tmp_path: Path, capsys: Printed, deployment: Deployment) -> None:
    add_rubric(deployment.settings.rubrics_dir, rubric_id="links", text=CHECKED_RUBRIC)
    run(["import", jsonl(tmp_path, reported_run(event_id="with"), reported_run(event_id="without", output="No."))])
    judged = subprocess.run([sys.executable, "-m", "evaluator.cli", "judge"], capture_output=True, text=True)
    assert judged.returncode == 0, judged.stderr
    assert judged.stderr.splitlines()[-1] == "2 done"
    capsys.readouterr()
    run(["outcomes"])
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["with"][:4] == ["Support", "1", "success", "judge"]
    assert rows["without"][:4] == ["Support", "1", "failed", "judge"]
    assert rows["with"][4:7] == ["1", "of", "1"]
    again = subprocess.run([sys.executable, "-m", "evaluator.cli", "judge"], capture_output=True, text=True)
    assert again.stderr.splitlines()[-2:] == [
        "2 done",
        "Nothing was due. Runs older than a rubric come under it with `adjudge judge --last 100`.",
    ]


def test_what_waits_and_why_is_shown(tmp_path: Path, capsys: Printed, deployment: Deployment) -> None:
    add_rubric(deployment.settings.rubrics_dir)
    (deployment.settings.rubrics_dir / "broken.yaml").write_text("id: broken\ntitel: x\n")
    run(["import", jsonl(tmp_path, reported_run())])
    capsys.readouterr()
    assert run(["status"]) == 0
    told = capsys.readouterr().out
    assert "judgement due" in told
    assert "adjudge worker" in told
    assert "small local model" in told
    assert re.search(r"broken\.yaml:2:1: .*did you mean 'title'", told)


def test_an_unknown_event_cannot_be_judged(capsys: Printed) -> None:
    assert run(["judge", "--event", "nowhere"]) == 1
    assert "'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_lint_names_file_line_and_column(tmp_path: Path, capsys: Printed, form: str) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("id: one\ntitel: What?\ncriteria:\n  - {id: a, ask: Is it?}\n")
    assert run(["rubrics", "lint", str(file), "--format", form]) == 1
    told = capsys.readouterr().out
    match form:
        case "text":
            assert f"{file}:2:1: " in told
        case "json":
            assert {"line": 2, "column": 1}.items() <= json.loads(told)[0].items()
        case "github":
            assert told.startswith(f"::error file={file},line=")


def test_lint_of_good_rubrics_is_0_and_says_how_many(capsys: Printed, settings: Settings) -> None:
    add_rubric(settings.rubrics_dir)
    assert run(["rubrics", "lint"]) == 0
    assert capsys.readouterr().out == "1 rubric: no problems.\n"


def test_settings_say_where_they_come_from_and_hide_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADJUDGE_JUDGE_API_KEY", "sk-very-secret")
    settings = Settings(database_url="postgresql://me:hush@db/adjudge")
    lines = {variable: (value, source) for variable, value, source in settings_lines(settings)}
    assert lines["ADJUDGE_DATABASE_URL"] == ("postgresql://***@db/adjudge", "environment")
    assert lines["ADJUDGE_LEASE_SECONDS"][1] == "default"
    assert "secret" not in lines["ADJUDGE_JUDGE_API_KEY"][0]
    assert set(lines) == {f"ADJUDGE_{name.upper()}" for name in Settings.model_fields}


def test_a_setting_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setenv("ADJUDGE_PORT", "eighty")
    assert run(["status"]) == 1
    assert "ADJUDGE_PORT" in capsys.readouterr().err


def test_a_database_out_of_reach_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setenv("ADJUDGE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert run(["status"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("Error: The database is out of reach")
    assert "Traceback" not in told


def test_bytes_that_are_no_text_are_no_traceback(deployment: Deployment, capsys: Printed) -> None:
    assert run(["rubrics", "versions", "a\udcff"]) == 1
    assert "is not text in UTF-8." in capsys.readouterr().err


def test_an_overlong_name_is_no_traceback(capsys: Printed) -> None:
    for command in (["schema", "--check", "--output"], ["lint"], ["test"], ["schema", "--docs"]):
        assert run(["rubrics", *command, "a" * 5000]) == 1
        assert "Traceback" not in capsys.readouterr().err


HOSTILE = "\x1b[31m\x9b2J[red]a[/red][/]\u202e\r\nb\\"
INERT = r"\x1b[31m\x9b2J[red]a[/red][/]\u202e\r\nb" + "\\"


def test_names_from_elsewhere_are_printed_and_not_obeyed(
    deployment: Deployment, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.console.out._width", 400)

    def fail(connection: Connection) -> None:
        record_failure(connection, stage="judge", kind=HOSTILE, subject=HOSTILE, detail=HOSTILE)

    def told() -> str:
        printed = capsys.readouterr()
        assert not re.search("[\x1b\x9b\u202e\r]", printed.out + printed.err)
        return printed.out + printed.err

    deployment.database.transact(fail)
    assert run(["import", jsonl(tmp_path, reported_run(event_id=HOSTILE, workflow=HOSTILE), {HOSTILE: 1})]) == 1
    assert "line 2" in told()
    assert run(["keys", "create", "--name", HOSTILE, "--scope", "read"]) == 0
    told()
    for command in (["outcomes"], ["keys", "list"], ["status"], ["judge", "--event", "no" + HOSTILE]):
        run(command)
        assert INERT in told(), command


def test_a_rubric_problem_is_printed_and_not_obeyed(tmp_path: Path, capsys: Printed) -> None:
    file = tmp_path / "one.yaml"
    file.write_text('id: one\n"\\e]0;title\\a": 1\n')
    assert run(["rubrics", "lint", str(file)]) == 1
    told = capsys.readouterr().out
    assert r"\x1b]0;title\x07: there is no such key" in told
    assert "\x1b" not in told


def test_sampling_stored_events_tells_how_far_it_is_and_is_audited_before_it_can_be_broken_off(
    tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.judging_orders.EVENTS_AT_ONCE", 1)
    monkeypatch.setattr("evaluator.judging_orders.TELL_AFTER", 1)
    assert run(["import", jsonl(tmp_path, *[reported_run(event_id=f"e{number}") for number in range(3)])]) == 0
    add_rubric(deployment.settings.rubrics_dir, text=CHECKED_RUBRIC)
    told = give_orders(deployment, actor="tests", last=3)
    assert next(told) == "1 of 3 events sampled: 1 judgement to do so far."
    with deployment.database.read() as connection:
        assert audit_trail(connection, limit=1)[0].act == "sample_stored"


def test_a_rubric_newer_than_the_runs_takes_in_the_last_events(
    tmp_path: Path, capsys: Printed, deployment: Deployment
) -> None:
    lines = [reported_run(event_id=f"e{number}") for number in range(3)]
    assert run(["import", jsonl(tmp_path, *lines)]) == 0
    add_rubric(deployment.settings.rubrics_dir, text=CHECKED_RUBRIC)
    assert list(give_orders(deployment, actor="tests", last=2)) == [
        "2 judgements of the last 2 events to do under the rubrics in force."
    ]
    judge_all(deployment)
    assert list(give_orders(deployment, actor="tests", last=3)) == [
        "1 judgement of the last 3 events to do under the rubrics in force."
    ]
    judge_all(deployment)
    assert next(iter(give_orders(deployment, actor="tests", last=10**30))).startswith("0 judgements")
    capsys.readouterr()
    assert run(["outcomes"]) == 0
    assert capsys.readouterr().out.count("1 of 1") == 3
