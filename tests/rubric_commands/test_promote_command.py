"""`adjudge rubrics promote`: what it shows, asks, writes and refuses; nothing is ever lost."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from evaluator.authoring.backtest_report import (
    AgreementFigures,
    BacktestReport,
    DifferenceFigures,
    Figure,
    VersionReport,
)
from evaluator.authoring.named_rubrics import rubric_named
from evaluator.authoring.promotion import prepare_promotion
from evaluator.authoring.promotion import promote as put_in_force
from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.errors import Conflict, Misconfigured
from evaluator.model.backtest import Backtest, BacktestState
from evaluator.model.columns import utc_now
from evaluator.pipeline import assemble_runs
from evaluator.rubric_format.rubric_files import read_loaded
from evaluator.settings import Settings
from evaluator.store.api_keys import audit_trail
from evaluator.store.backtests import start_backtest
from evaluator.store.rubric_versions import last_version, store_version, versions_of
from tests.test_pipeline import report
from tests.world import CHECKED_RUBRIC, RUBRIC, add_rubric

Printed = pytest.CaptureFixture[str]

REWORDED = RUBRIC.replace("what was asked for", "all that was asked for")
COMMENTED = "# kept as it is:   spacing, quotes and all\r\n" + RUBRIC.replace("title:", "title:  ")


@pytest.fixture
def folder(deployment: Deployment) -> Path:
    return deployment.settings.rubrics_dir


@pytest.fixture
def drafts(tmp_path: Path) -> Path:
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    return drafts


def version_of_file(path: Path) -> str:
    return read_loaded(path).rubric.version


def promote(*arguments: str | Path) -> int:
    return run(["rubrics", "promote", *map(str, arguments)])


def test_a_candidate_is_put_in_force_byte_for_byte(deployment: Deployment, folder: Path, drafts: Path) -> None:
    old = add_rubric(folder)
    before = version_of_file(old)
    new = add_rubric(drafts, text=COMMENTED, role="quality")
    new.write_bytes(new.read_bytes() + b"# the end, without a line break")
    assert promote(new, "--yes") == 0
    assert old.read_bytes() == new.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["support.yaml"]
    with deployment.database.read() as connection:
        (act,) = audit_trail(connection)
        kept = {one.version: one for one in versions_of(connection, "support")}
    after = version_of_file(new)
    assert (act.act, act.subject, "command line" in act.actor) == ("promote_rubric", "support", True)
    assert act.detail == {
        "before": before,
        "after": after,
        "file": "support.yaml",
        "from": str(new),
        "backtest": None,
        "moved": None,
    }
    assert kept[after].source == new.read_bytes().decode()
    assert kept[before].in_force_since < kept[after].in_force_since


def test_what_was_replaced_comes_back_by_its_version(folder: Path, drafts: Path, capsys: Printed) -> None:
    old = add_rubric(folder, text=COMMENTED)
    before, source = version_of_file(old), old.read_bytes()
    assert promote(add_rubric(drafts, text=REWORDED), "--yes", "--untested") == 0
    assert f"`adjudge rubrics promote support@{before}` goes back." in capsys.readouterr().err
    assert promote(f"support@{before[:8]}", "--yes") == 0
    assert "none, but this version was in force before" in capsys.readouterr().out
    assert old.read_bytes() == source


def test_after_going_back_what_was_in_force_before_is_the_newer_version(
    folder: Path, drafts: Path, capsys: Printed
) -> None:
    before = version_of_file(add_rubric(folder))
    after = version_of_file(add_rubric(drafts, text=REWORDED))
    assert promote(drafts / "support.yaml", "--yes", "--untested") == 0
    assert promote(f"support@{before}", "--yes") == 0
    capsys.readouterr()
    assert run(["rubrics", "diff", "support"]) == 0
    assert capsys.readouterr().out.startswith(f"support@{after} → support@{before}")


def test_a_running_server_takes_it_up_without_restart(deployment: Deployment, folder: Path, drafts: Path) -> None:
    add_rubric(folder)
    (before,) = deployment.shelf.rubrics
    assert promote(add_rubric(drafts, role="quality"), "--yes") == 0
    deadline = time.monotonic() + 5
    while deployment.shelf.rubrics[0].version == before.version and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [one.role for one in deployment.shelf.rubrics] == ["quality"]


def test_queued_judgements_keep_their_version(
    settings: Settings, deployment: Deployment, folder: Path, drafts: Path, capsys: Printed
) -> None:
    old = add_rubric(folder, text=CHECKED_RUBRIC)
    report(deployment)
    assemble_runs(deployment, quiet=timedelta(0))
    before = version_of_file(old)
    assert promote(add_rubric(drafts, text=CHECKED_RUBRIC, role="quality"), "--yes") == 0
    assert f"Queue: 1 judgement still under {before}, and kept there." in capsys.readouterr().out
    with deployment.database.read() as connection:
        assert before in {one.version for one in versions_of(connection, "support")}


def test_the_difference_and_its_consequences_are_shown_and_a_dry_run_changes_nothing(
    deployment: Deployment, folder: Path, drafts: Path, capsys: Printed
) -> None:
    old = add_rubric(folder)
    source = old.read_bytes()
    assert promote(add_rubric(drafts, text=REWORDED), "--dry-run") == 0
    told = capsys.readouterr()
    assert "[-what-]{+all that+}" in told.out
    assert "verdicts: The fingerprint changes" in told.out
    assert "Backtest: none of this version; `adjudge rubrics backtest" in told.out
    assert "Nothing was changed." in told.err
    assert old.read_bytes() == source
    with deployment.database.read() as connection:
        assert audit_trail(connection) == []
        assert versions_of(connection) == []


def test_warnings_are_shown_and_do_not_stop_it(folder: Path, drafts: Path, capsys: Printed) -> None:
    text = RUBRIC.replace("asked for?", "asked for and is it polite?")
    assert promote(add_rubric(drafts, text=text), "--yes") == 0
    assert "warning" in capsys.readouterr().err
    assert (folder / "support.yaml").exists()


def test_a_new_rubric_needs_no_trial(folder: Path, drafts: Path, capsys: Printed) -> None:
    new = add_rubric(drafts)
    assert promote(new, "--yes") == 0
    assert "support is new" in capsys.readouterr().out
    assert (folder / "support.yaml").read_bytes() == new.read_bytes()


@pytest.mark.parametrize("how", ["file", "id", "draft", "spelling"])
def test_what_is_in_force_already_is_left_alone(folder: Path, drafts: Path, capsys: Printed, how: str) -> None:
    old = add_rubric(folder)
    stamp = old.stat().st_mtime_ns
    names: dict[str, str | Path] = {
        "file": old,
        "id": "support",
        "draft": add_rubric(drafts),
        "spelling": add_rubric(drafts, rubric_id="spelt", text=COMMENTED.replace("{id}", "support")),
    }
    assert promote(names[how]) == 0
    assert "is in force already" in capsys.readouterr().out
    assert old.stat().st_mtime_ns == stamp


def test_without_a_terminal_it_has_to_be_said_that_it_is_meant(folder: Path, drafts: Path, capsys: Printed) -> None:
    add_rubric(folder)
    new = add_rubric(drafts, role="quality")
    assert promote(new) == 2
    assert "--yes" in capsys.readouterr().err
    assert version_of_file(folder / "support.yaml") != version_of_file(new)


def test_without_a_backtest_it_has_to_be_said_as_well(folder: Path, drafts: Path, capsys: Printed) -> None:
    add_rubric(folder)
    new = add_rubric(drafts, text=REWORDED)
    assert promote(new, "--yes") == 2
    assert "--untested" in capsys.readouterr().err
    assert promote(new, "--yes", "--untested") == 0


def test_a_backtest_is_told_and_suffices(
    deployment: Deployment, folder: Path, drafts: Path, capsys: Printed
) -> None:
    old, new = add_rubric(folder), add_rubric(drafts, text=REWORDED)
    agreement = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 60}
    done = Backtest(
        backtest_id="bt-7",
        rubric_id="support",
        baseline_version=version_of_file(old),
        candidate_version=version_of_file(new),
        state=BacktestState.DONE,
        report={"baseline": None, "candidate": {"run_agreement": {"agreement": agreement}}},
    )
    unfinished = done.model_copy(
        update={"backtest_id": "bt-8", "state": BacktestState.STOPPED, "report": {}, "started_at": utc_now()}
    )
    for one in (done, unfinished):
        deployment.database.transact(partial(start_backtest, backtest=one))
    assert promote(new, "--yes") == 0
    told = capsys.readouterr().out
    assert "Backtest: bt-7 of" in told
    assert "done: agreement with people by run 0.80 (0.70 to 0.90)." in told


def test_a_candidate_with_errors_is_refused(folder: Path, drafts: Path, capsys: Printed) -> None:
    old = add_rubric(folder)
    source = old.read_bytes()
    assert promote(add_rubric(drafts, text=RUBRIC.replace("criteria:", "criterai:")), "--yes") == 1
    assert "did you mean 'criteria'?" in capsys.readouterr().err
    assert old.read_bytes() == source


def test_a_candidate_that_clashes_with_another_file_is_refused(folder: Path, drafts: Path, capsys: Printed) -> None:
    add_rubric(folder, rubric_id="other")
    assert promote(add_rubric(drafts), "--yes") == 1
    assert "decides the outcome of Support already" in capsys.readouterr().err
    assert not (folder / "support.yaml").exists()


def test_a_candidate_that_would_push_another_file_aside_is_refused(
    folder: Path, drafts: Path, capsys: Printed
) -> None:
    add_rubric(folder, rubric_id="zeta")
    assert promote(add_rubric(drafts, rubric_id="alpha"), "--yes") == 1
    assert "zeta.yaml" in capsys.readouterr().err


def test_trouble_in_other_files_is_no_matter(folder: Path, drafts: Path) -> None:
    (folder / "broken.yaml").write_text("id: [")
    assert promote(add_rubric(drafts), "--yes") == 0


def test_the_file_that_holds_the_id_is_the_one_that_changes(folder: Path, drafts: Path) -> None:
    held = add_rubric(folder).rename(folder / "team-a.yml")
    new = add_rubric(drafts, role="quality")
    assert promote(new, "--yes") == 0
    assert held.read_bytes() == new.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["team-a.yml"]


def test_a_file_of_that_name_with_another_rubric_is_not_overwritten(
    folder: Path, drafts: Path, capsys: Printed
) -> None:
    add_rubric(folder, rubric_id="sales", workflow="Sales").rename(folder / "support.yaml")
    assert promote(add_rubric(drafts), "--yes") == 1
    assert "holds the rubric sales, which would be lost" in capsys.readouterr().err


def test_a_file_with_errors_is_moved_aside_not_lost(folder: Path, drafts: Path, capsys: Printed) -> None:
    (folder / "support.yaml").write_text("id: support\ntitle: half an edi")
    assert promote(add_rubric(drafts), "--yes") == 0
    assert "support.yaml.replaced" in capsys.readouterr().err
    assert (folder / "support.yaml.replaced").read_text() == "id: support\ntitle: half an edi"
    assert version_of_file(folder / "support.yaml") == version_of_file(drafts / "support.yaml")


def test_a_link_is_refused_and_stays(folder: Path, drafts: Path, capsys: Printed) -> None:
    real = add_rubric(drafts, rubric_id="real", text=RUBRIC.replace("{id}", "support"))
    (folder / "support.yaml").symlink_to(real)
    assert promote(add_rubric(drafts, text=REWORDED), "--yes", "--untested") == 1
    assert "is a link to" in capsys.readouterr().err
    assert (folder / "support.yaml").is_symlink()


@pytest.mark.parametrize("late", ["edited", "deleted", "made"])
def test_a_change_between_showing_and_writing_stops_it(
    deployment: Deployment, folder: Path, drafts: Path, late: str
) -> None:
    path = folder / "support.yaml"
    if late != "made":
        add_rubric(folder)
    plan = prepare_promotion(str(add_rubric(drafts, text=REWORDED)), deployment)
    path.unlink() if late == "deleted" else path.write_text("id: somebody else's work")
    left = path.read_bytes() if path.exists() else None
    with pytest.raises(Conflict, match="changed while this was looked at"):
        put_in_force(plan, deployment, actor="ann", now=utc_now())
    assert (path.read_bytes() if path.exists() else None) == left
    with deployment.database.read() as connection:
        assert audit_trail(connection) == []
        assert versions_of(connection) == []


@contextmanager
def as_somebody_else(folder: Path) -> Iterator[None]:
    """Who may do anything cannot be refused anything: as root, go on as nobody, who may read all the way there."""
    if os.geteuid() != 0:
        yield
        return
    above = {parent: parent.stat().st_mode for parent in folder.parents if not parent.stat().st_mode & 0o001}
    for parent, mode in above.items():
        parent.chmod(mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for parent, mode in above.items():
            parent.chmod(mode)


def test_a_read_only_folder_is_told_and_nothing_changes(deployment: Deployment, folder: Path, drafts: Path) -> None:
    old = add_rubric(folder)
    source = old.read_bytes()
    plan = prepare_promotion(str(add_rubric(drafts, text=REWORDED)), deployment)
    folder.chmod(0o555)
    with (
        as_somebody_else(folder),
        pytest.raises(Misconfigured, match="cannot be written: Permission denied; nothing was changed"),
    ):
        put_in_force(plan, deployment, actor="ann", now=utc_now())
    folder.chmod(0o755)
    assert old.read_bytes() == source
    with deployment.database.read() as connection:
        assert audit_trail(connection) == []


def test_a_folder_that_is_gone_is_told(deployment: Deployment, folder: Path, drafts: Path) -> None:
    plan = prepare_promotion(str(add_rubric(drafts)), deployment)
    folder.rmdir()
    with pytest.raises(Misconfigured, match="nothing was changed"):
        put_in_force(plan, deployment, actor="ann", now=utc_now())


def test_a_kept_version_without_its_text_is_written_anew(
    deployment: Deployment, folder: Path, drafts: Path
) -> None:
    loaded = read_loaded(add_rubric(drafts))
    deployment.database.transact(lambda connection: store_version(connection, loaded.rubric, "", utc_now()))
    assert promote(f"support@{loaded.rubric.version}", "--yes") == 0
    assert version_of_file(folder / "support.yaml") == loaded.rubric.version


def test_the_file_keeps_its_mode(folder: Path, drafts: Path) -> None:
    old = add_rubric(folder)
    old.chmod(0o640)
    assert promote(add_rubric(drafts, role="quality"), "--yes") == 0
    assert old.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_in_a_terminal_it_asks(settings: Settings, folder: Path, drafts: Path, answer: str, code: int) -> None:
    old, new = add_rubric(folder), add_rubric(drafts, text=REWORDED)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "evaluator.cli", "rubrics", "promote", str(new)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asked:
        os.write(ours, f"{answer}\n".encode())
        told = asked.communicate(timeout=60)[1]
    os.close(theirs)
    os.close(ours)
    assert "Put it in force without a backtest? [y/N]" in told
    assert asked.returncode == code
    assert (old.read_bytes() == new.read_bytes()) == (answer == "y")


def test_a_deleted_rubric_comes_back_by_its_version(deployment: Deployment, folder: Path, drafts: Path) -> None:
    first = add_rubric(folder)
    version, source = version_of_file(first), first.read_bytes()
    assert promote(add_rubric(drafts, role="quality"), "--yes") == 0
    first.unlink()
    assert rubric_named(f"support@{version}", deployment).rubric.version == version
    assert promote(f"support@{version}", "--yes") == 0
    assert first.read_bytes() == source


def test_of_a_deleted_rubric_the_version_gone_back_to_stands(
    deployment: Deployment, folder: Path, drafts: Path
) -> None:
    path = add_rubric(folder)
    first = version_of_file(path)
    assert promote(add_rubric(drafts, role="quality"), "--yes") == 0
    assert promote(f"support@{first}", "--yes") == 0
    path.unlink()
    assert rubric_named("support", deployment).rubric.version == first
    with deployment.database.read() as connection:
        last = last_version(connection, "support")
    assert last is not None
    assert last.version == first


def test_what_is_told_of_a_backtest_is_what_its_report_holds() -> None:
    assert {"baseline", "candidate", "run_difference", "event_difference"} <= BacktestReport.model_fields.keys()
    assert {"run_agreement", "event_agreement"} <= VersionReport.model_fields.keys()
    assert "agreement" in AgreementFigures.model_fields
    assert {"value", "low", "high"} <= Figure.model_fields.keys()
    assert "words" in DifferenceFigures.model_fields
