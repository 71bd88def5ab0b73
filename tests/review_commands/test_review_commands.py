"""`adjudge review`: what waits, hand-picking and the export, from the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.model.review import Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.review_desk import claim_item
from evaluator.store.api_keys import audit_trail
from tests.accounts.people_world import somebody
from tests.reviewing.answering import answer
from tests.reviewing.review_world import item_in_queue, judged_event

Printed = pytest.CaptureFixture[str]


def listed(capsys: Printed, *arguments: str) -> list[str]:
    assert run(["review", "list", "--json", *arguments]) == 0
    return [item["event_id"] for item in json.loads(capsys.readouterr().out)]


def test_status_says_how_much_waits_for_whom(deployment: Deployment, capsys: Printed) -> None:
    assert run(["review", "status"]) == 0
    assert "Nothing waits for people." in capsys.readouterr().out
    item_in_queue(deployment)
    item_in_queue(deployment, event_id="ticket-2")
    assert run(["review", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["total"]["waiting"], told["groups"][0]["rubric_id"]) == (2, "support")
    assert told["reasons"] == [{"reason": "critical_fail", "stream": "targeted", "open": 2}]
    assert run(["review", "status"]) == 0
    printed = capsys.readouterr().out
    assert "Support" in printed
    assert "critical criterion failed" in printed


def test_items_are_listed_by_tab_and_filter(deployment: Deployment, capsys: Printed) -> None:
    ada = somebody(deployment)
    item_in_queue(deployment, event_id="ticket-a", reasons=("audit",), stream=Stream.AUDIT)
    held = item_in_queue(deployment, event_id="ticket-b")
    done = item_in_queue(deployment, event_id="ticket-c")
    claim_item(deployment, ada, held.item_id)
    answer(deployment, ada, done, VerdictLabel.PASS)
    assert listed(capsys) == ["ticket-a"]
    assert listed(capsys, "--tab", "in_progress") == ["ticket-b"]
    assert listed(capsys, "--tab", "done") == ["ticket-c"]
    assert listed(capsys, "--stream", "picked") == []
    assert listed(capsys, "--stream", "targeted") == ["ticket-a"]
    assert listed(capsys, "--tab", "done", "--stream", "audit") == []
    assert listed(capsys, "--reason", "policy") == ["ticket-a"]
    assert listed(capsys, "--hours", "2") == []
    assert run(["review", "list"]) == 0
    assert "sent by policy" in capsys.readouterr().out
    assert run(["review", "list", "--tab", "done"]) == 0
    assert "critical criterion failed" in capsys.readouterr().out
    assert run(["review", "list", "--json"]) == 0
    (open_item,) = json.loads(capsys.readouterr().out)
    assert (open_item["stream"], open_item["reasons"]) == (None, ["policy"])


def test_a_tab_or_reason_that_does_not_exist_is_refused(deployment: Deployment, capsys: Printed) -> None:
    assert run(["review", "list", "--tab", "mine"]) == 2
    assert run(["review", "list", "--reason", "boredom"]) == 1
    assert "it takes policy, unknown, critical_fail" in capsys.readouterr().err


def test_events_are_picked_from_arguments_and_a_file(
    deployment: Deployment, capsys: Printed, tmp_path: Path
) -> None:
    for event in ("ticket-1", "ticket-2"):
        judged_event(deployment, event)
    (tmp_path / "ids.txt").write_text("ticket-2\nnowhere\n", encoding="utf-8")
    arguments = ["review", "pick", "ticket-1", "--file", str(tmp_path / "ids.txt"), "--rubric", "support"]
    assert run([*arguments, "--note", "Look."]) == 1
    told = capsys.readouterr()
    assert len(told.out.split()) == 2
    assert "nowhere: No event" in told.err
    assert "2 items in the queue." in told.err
    assert sorted(listed(capsys, "--stream", "picked")) == ["ticket-1", "ticket-2"]
    with deployment.database.read() as connection:
        assert audit_trail(connection, limit=1)[0].actor.endswith("(command line)")


def test_picking_wants_a_rubric_and_a_file_that_can_be_read(
    deployment: Deployment, capsys: Printed, tmp_path: Path
) -> None:
    assert run(["review", "pick", "ticket-1"]) == 2
    assert run(["review", "pick", "--rubric", "support", "--file", str(tmp_path / "none.txt")]) == 1
    assert "none.txt cannot be read" in capsys.readouterr().err


def test_verdicts_of_people_are_exported_as_csv_and_json_lines(
    deployment: Deployment, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    ada = somebody(deployment)
    answer(deployment, ada, item_in_queue(deployment), VerdictLabel.FAIL)
    assert run(["review", "export", "--rubric", "support"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsysbinary.readouterr().out.decode())))
    assert [(row["reviewer"], row["verdict"], row["kind"]) for row in rows] == [("Ada", "fail", "first_pass")]
    target = tmp_path / "out.jsonl"
    assert run(["review", "export", "--format", "jsonl", "--to", str(target)]) == 0
    assert json.loads(target.read_text())["verdict"] == "fail"
    assert run(["review", "export", "--since", "2999-01-01"]) == 0
    assert len(capsysbinary.readouterr().out.splitlines()) == 1
    assert run(["review", "export", "--format", "xml"]) == 2
