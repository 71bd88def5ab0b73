"""What goes wrong most, as its user meets it: every place says what, where and what instead, and nothing is lost."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from google.rpc.status_pb2 import Status

from benchmarks.load import stub_model
from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.judging_orders import give_orders
from evaluator.model.api_key import Scope
from evaluator.model.judgement import NotEvaluable
from evaluator.settings import Settings
from review_ui.serving import build_app
from tests.world import PROTOBUF, RUBRIC, Actor, actor, add_rubric, judge_all, reported_run, trace_request

Printed = pytest.CaptureFixture[str]
NOWHERE = "http://127.0.0.1:9/v1"
"""Where nobody listens."""


@pytest.fixture
def database_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """One SQLite file, as a deployment of one machine has it."""
    (tmp_path / "data").mkdir(exist_ok=True)
    copy = tmp_path / "data" / "adjudge.db"
    shutil.copyfile(migrated_sqlite, copy)
    return f"sqlite:///{copy}"


@dataclass
class Product:
    """A deployment with its surfaces: API, page and commands."""

    deployment: Deployment
    client: TestClient
    app: Actor
    resolver: Actor
    printed: Printed

    def send(self, **changes: Any) -> None:
        answer = self.client.post("/v1/runs", json=reported_run(**changes), headers=self.app.headers)
        assert answer.is_success, answer.text

    def page(self) -> str:
        """The status page as it reads: no tags, one space between words."""
        text = re.sub(r"<[^>]+>", " ", self.client.get("/").text)
        return re.sub(r"\s+", " ", html.unescape(text))

    def command(self, *arguments: str, ends_with: int = 0) -> str:
        """What a command prints, on one line."""
        self.printed.readouterr()
        assert run(list(arguments)) == ends_with
        told = self.printed.readouterr()
        return re.sub(r"\s+", " ", told.out + told.err)

    def story(self, event_id: str = "ticket-1") -> dict[str, Any]:
        answer = self.client.get(f"/v1/events/{event_id}", headers=self.resolver.headers)
        assert answer.is_success, answer.text
        story: dict[str, Any] = answer.json()
        return story

    def judged(self, event_id: str = "ticket-1") -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The event's first judgement and its verdict."""
        first = self.story(event_id)["runs"][0]["judgements"][0]
        return first["judgement"], first["verdict"]

    def outcome(self, event_id: str = "ticket-1") -> str:
        return str(self.story(event_id)["outcome"]["final_outcome"])


@contextmanager
def product(settings: Settings, printed: Printed, patch: pytest.MonkeyPatch, **changes: Any) -> Iterator[Product]:
    """The product under these settings, for commands too."""
    settings = Settings.model_validate({**settings.model_dump(), **changes})
    for name in ("data_dir", "database_url", "rubrics_dir", *changes):
        patch.setenv(f"ADJUDGE_{name.upper()}", str(getattr(settings, name)))
    patch.setattr("evaluator.console.out._width", 400)
    deployment = Deployment(settings)
    whose = {"base_url": "http://localhost:8700", "client": ("127.0.0.1", 50000)}
    with TestClient(build_app(deployment), **whose) as client:  # type: ignore[arg-type]  # a dict of mixed types
        app = actor(deployment, "support-service", Scope.INGEST)
        yield Product(deployment, client, app, actor(deployment, "resolver", Scope.READ), printed)
    deployment.close()


def test_a_wrong_rubric_is_named_by_line_and_its_last_good_version_goes_on(
    settings: Settings, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        stub_model(0) as model,
        product(settings, capsys, monkeypatch, judge_model="openai/stub", judge_api_base=model.api_base) as it,
    ):
        file = add_rubric(settings.rubrics_dir)
        it.send(event_id="before")
        file.write_text(file.read_text().replace("role: outcome", "role: outcom"), encoding="utf-8")
        monkeypatch.setattr("evaluator.rubric_shelf._LOOK_AGAIN_SECONDS", 0.0)
        it.send(event_id="after")
        told = f"{file}:3:7: role: is not one of the choices; found 'outcom'; allowed: outcome, quality; did you mean 'outcome'?"
        assert told in it.command("rubrics", "lint", ends_with=1)
        assert told in it.command("status")
        assert told in it.page()
        judge_all(it.deployment)
        assert [it.outcome(event) for event in ("before", "after")] == ["success", "success"]


def test_a_wrong_key_is_refused_with_how_to_make_one_and_what_is_held_stays(
    settings: Settings, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with product(settings, capsys, monkeypatch) as it:
        it.send(event_id="held")
        body = trace_request(event_id="refused").SerializeToString()

        def refused(headers: dict[str, str], status: int) -> list[str]:
            of_traces = it.client.post("/v1/traces", content=body, headers={**PROTOBUF, **headers})
            in_json = it.client.post("/v1/traces", json={}, headers=headers)
            of_runs = it.client.post("/v1/runs", json=reported_run(event_id="refused"), headers=headers)
            assert {of_traces.status_code, in_json.status_code, of_runs.status_code} == {status}
            problem = of_runs.json()
            said = [Status.FromString(of_traces.content).message, in_json.json()["message"]]
            return [*said, f"{problem['detail']} {problem['hint']}"]

        for headers, status, named in (
            ({}, 401, "neither `Authorization: Bearer KEY` nor `x-api-key: KEY`"),
            ({"x-api-key": "adj_unknown"}, 401, "not known here, or was revoked"),
            (it.resolver.headers, 403, "(resolver) has the scopes read; this needs ingest"),
        ):
            for said in refused(headers, status):
                assert named in said
                assert "adjudge keys create --name NAME --scope ingest" in said
                assert "adj_unknown" not in said
        assert it.client.get("/v1/events/refused", headers=it.resolver.headers).status_code == 404
        assert len(it.story("held")["runs"]) == 1
        again = it.client.post("/v1/traces", content=body, headers={**PROTOBUF, **it.app.headers})
        assert again.is_success
        assert len(it.story("refused")["runs"]) == 1


def test_a_judges_wrong_key_puts_judging_on_hold_until_it_is_mended(
    settings: Settings, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = {"judge_model": "openai/stub", "judge_api_key": "sk-mistyped"}
    with (
        provider_that_refuses() as api_base,
        product(settings, capsys, monkeypatch, judge_api_base=api_base, **judge) as it,
    ):
        add_rubric(settings.rubrics_dir)
        it.send()
        judge_all(it.deployment)
        for seen in (it.page(), it.command("status")):
            assert "key rejected" in seen
            assert "does not accept the API key" in seen
            assert "set ADJUDGE_JUDGE_API_KEY" in seen
            assert "sk-mistyped" not in seen
        assert "1 judgement on hold: the judge is paused" in it.page()
        assert "adjudge judge --resume" in it.page()
        judgement, verdict = it.judged()
        assert (judgement["state"], judgement["attempts"], verdict, it.outcome()) == ("due", 0, None, "pending")
    with (
        stub_model(0) as model,
        product(settings, capsys, monkeypatch, judge_model="openai/stub", judge_api_base=model.api_base) as it,
    ):
        list(give_orders(it.deployment, actor="an operator", resume=True))
        judge_all(it.deployment)
        assert it.outcome() == "success"


@contextmanager
def provider_that_refuses() -> Iterator[str]:
    """A model server that takes no key."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps(
                {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
            ).encode()
            self.send_response(401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def test_wrong_json_is_named_by_place_and_nothing_of_it_is_stored(
    settings: Settings, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with product(settings, capsys, monkeypatch) as it:
        it.send(event_id="held")
        broken = '{"event_id": "e1",\n "output": the customer\'s words}'
        headers = {**it.app.headers, "content-type": "application/json"}

        def told(path: str, body: str) -> str:
            answer: httpx.Response = it.client.post(path, content=body, headers=headers)
            assert answer.status_code == 400
            assert "customer's words" not in answer.text
            problem = answer.json()
            return str(problem.get("detail") or problem["message"])

        for path in ("/v1/runs", "/v1/traces", "/v1/logs"):
            assert "not JSON" in told(path, broken)
            assert "line 2, column 12" in told(path, broken)
        mistyped = json.dumps([reported_run(event_id="e1"), {"event": "e2", "output": "the customer's words"}])
        assert "[1] unknown field 'event'; did you mean 'event_id'?" in told("/v1/runs", mistyped)
        assert "resourceSpans in the request is not a list" in told("/v1/traces", '{"resourceSpans": 5}')
        file = tmp_path / "runs.jsonl"
        file.write_text("\n".join([json.dumps(reported_run(event_id="good")), '{"event_id":', "[]"]))
        imported = it.command("import", str(file), ends_with=1)
        assert "line 2: not JSON" in imported
        assert "line 3:" in imported
        assert "1 runs stored, 2 lines could not be read." in imported
        listed = it.client.get("/v1/events", headers=it.resolver.headers).json()["items"]
        assert {item["event"]["event_id"] for item in listed} == {"held", "good"}


@pytest.mark.slow
def test_an_unreachable_model_is_named_and_its_judgement_can_be_made_up_for(
    settings: Settings, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"judge_model": "openai/stub", "judge_api_base": NOWHERE, "judge_attempts": 1}
    address = "openai/stub at http://127.0.0.1:9/v1: Nothing answers there"
    with product(settings, capsys, monkeypatch, **changes) as it:
        add_rubric(settings.rubrics_dir)
        it.send()
        judging = subprocess.run(
            [sys.executable, "-m", "evaluator.cli", "judge"], capture_output=True, text=True, env=dict(os.environ)
        )
        assert judging.returncode == 0, judging.stderr
        assert f"unreachable: {address}" in judging.stderr
        assert "1 not evaluable" in judging.stderr
        assert "`adjudge judge --again unreachable` tries again" in judging.stderr
        for seen in (it.page(), it.command("status")):
            assert address in seen
            assert "ADJUDGE_JUDGE_API_BASE names its address" in seen
            assert "the provider could not be reached" in seen
        judgement, verdict = it.judged()
        assert (judgement["reason"], verdict, it.outcome()) == ("unreachable", None, "pending")
        assert address in judgement["detail"]
    with (
        stub_model(0) as model,
        product(settings, capsys, monkeypatch, judge_model="openai/stub", judge_api_base=model.api_base) as it,
    ):
        list(give_orders(it.deployment, actor="an operator", again=[NotEvaluable.UNREACHABLE]))
        judge_all(it.deployment)
        assert it.outcome() == "success"


def test_an_unpriced_model_judges_and_its_cost_is_unpriced_never_0(
    settings: Settings, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        stub_model(0) as model,
        product(settings, capsys, monkeypatch, judge_model="openai/stub", judge_api_base=model.api_base) as it,
    ):
        add_rubric(settings.rubrics_dir)
        it.send(models=["a-model-of-our-own"], input_tokens=10, output_tokens=5)
        judge_all(it.deployment)
        _, verdict = it.judged()
        assert verdict is not None
        assert (verdict["verdict"], verdict["cost_usd"]) == ("pass", None)
        cost = it.story()["cost"]
        assert (cost["total_usd"], cost["unpriced_runs"]) == (None, 1)
        assert (cost["judging_usd"], cost["judging_unpriced"]) == ("0", 1)
        assert "Spent on judging today unpriced 1 call" in it.page()
        assert "Spent on judging today (UTC): unpriced, 1 call" in it.command("status")
        assert "success judge 1 of 1 unpriced unpriced" in it.command("outcomes")


def test_an_unpriced_model_cannot_keep_a_budget_and_says_what_to_set(
    settings: Settings, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        stub_model(0) as model,
        product(settings, capsys, monkeypatch, judge_model="openai/stub", judge_api_base=model.api_base) as it,
    ):
        add_rubric(settings.rubrics_dir, text=RUBRIC + "budget: {{usd_per_day: 5}}\n")
        it.send()
        judge_all(it.deployment)
        for seen in (it.page(), it.command("status"), str(it.judged()[0]["detail"])):
            assert "openai/stub has no known price, so the budget of rubric support cannot be kept" in seen
            assert "ADJUDGE_JUDGE_INPUT_USD_PER_MTOK" in seen
        assert model.stats()["calls"] == 0
        assert (it.judged()[0]["reason"], it.outcome()) == ("unpriced", "pending")


@pytest.mark.parametrize("nothing", [None, "", "  ", [], {}])
def test_empty_content_is_a_reason_and_never_a_verdict(
    settings: Settings, capsys: Printed, monkeypatch: pytest.MonkeyPatch, nothing: object
) -> None:
    with product(settings, capsys, monkeypatch, judge_model="openai/stub", judge_api_base=NOWHERE) as it:
        add_rubric(settings.rubrics_dir)
        it.send(input=None, output=nothing)
        judge_all(it.deployment)
        judgement, verdict = it.judged()
        assert (judgement["state"], judgement["reason"], verdict) == ("not_evaluable", "no_content", None)
        assert judgement["detail"]
        story = it.story()
        assert (story["rollups"][0]["verdict"], story["rollups"][0]["judged"]) == ("unknown", 0)
        assert story["outcome"]["final_outcome"] == "pending"
        for seen in (it.page(), it.command("status")):
            assert "1 no content nothing was captured that could be judged" in seen
        assert "0 of 1" in it.command("outcomes")
