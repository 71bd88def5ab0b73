"""Runs reported whole."""

from __future__ import annotations

import gzip

import orjson
import pytest
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.store.runs import load_runs
from tests.world import Actor, reported_run


@pytest.mark.parametrize("form", ["one", "list", "wrapped"])
def test_runs_come_one_by_one_or_together(api: TestClient, app_of_the_product: Actor, form: str) -> None:
    run = reported_run(run_id="r1")
    body = {"one": run, "list": [run], "wrapped": {"runs": [run]}}[form]
    answer = api.post("/v1/runs", json=body, headers=app_of_the_product.headers)
    assert (answer.status_code, answer.json()) == (200, {"run_ids": ["r1"], "known": []})


def test_a_run_that_is_known_is_said_to_be(api: TestClient, app_of_the_product: Actor) -> None:
    run = reported_run(run_id="r1")
    api.post("/v1/runs", json=run, headers=app_of_the_product.headers)
    again = api.post("/v1/runs", json=[run, reported_run(run_id="r2")], headers=app_of_the_product.headers)
    assert again.json() == {"run_ids": ["r1", "r2"], "known": ["r1"]}


def test_one_wrong_run_keeps_all_of_them_out(
    api: TestClient, app_of_the_product: Actor, deployment: Deployment
) -> None:
    body = [reported_run(run_id="r1"), reported_run(run_id="r2", started_at="yesterday"), {"event": "x"}]
    answer = api.post("/v1/runs", json=body, headers=app_of_the_product.headers)
    assert answer.status_code == 400
    assert "[1] started_at" in answer.json()["detail"]
    assert "[2]" in answer.json()["detail"]
    assert "'event_id'" in answer.json()["detail"]
    with deployment.database.read() as connection:
        assert load_runs(connection, ["r1"]) == {}


def test_what_was_captured_is_not_repeated_in_the_error(api: TestClient, app_of_the_product: Actor) -> None:
    body = reported_run(status=["a secret"], workflow={"another": "secret"})
    answer = api.post("/v1/runs", json=body, headers=app_of_the_product.headers)
    assert answer.status_code == 400
    assert "secret" not in answer.text


def test_gzip_is_read_and_broken_json_named_by_line(api: TestClient, app_of_the_product: Actor) -> None:
    headers = {**app_of_the_product.headers, "content-type": "application/json", "content-encoding": "gzip"}
    assert api.post("/v1/runs", content=gzip.compress(orjson.dumps(reported_run())), headers=headers).is_success
    broken = api.post("/v1/runs", content=gzip.compress(b'{\n"event_id": }'), headers=headers)
    assert broken.status_code == 400
    assert "line 2" in broken.json()["detail"]


def test_an_empty_list_is_refused(api: TestClient, app_of_the_product: Actor) -> None:
    assert api.post("/v1/runs", json=[], headers=app_of_the_product.headers).status_code == 400


def test_nul_characters_are_dropped(api: TestClient, app_of_the_product: Actor) -> None:
    run = reported_run(run_id="r\x001", event_id="e\x00", output="a\x00b")
    answer = api.post("/v1/runs", json=run, headers=app_of_the_product.headers)
    assert answer.json()["run_ids"] == ["r1"]
