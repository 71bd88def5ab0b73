"""The demo from end to end, and how it tells how far its judge is to be trusted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.notifications.delivery_round import channels_of
from evaluator.settings import Settings
from evaluator.store.people import list_people
from review_ui.demo import Agreement, agreement, demo_settings
from review_ui.demo_visit import open_for_a_person, visit_link
from sdk.example_app.corpus import read_corpus
from tests.review_ui.test_serving import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stub() -> Iterator[str]:
    """A model on loopback that answers every question with the first allowed word; its address."""
    command = [sys.executable, "-m", "benchmarks.stub_model", "--port", "0", "--delay-ms", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    yield next(value for value in told.values() if str(value).startswith("http"))
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_the_demo_judges_everything_and_a_second_one_changes_nothing(tmp_path: Path, stub: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url="", rubrics_dir=ROOT / "rubrics")
    told = environment(
        settings, judge_model="openai/stub", judge_api_base=f"{stub.removesuffix('/v1')}/v1", judge_api_key="none"
    )
    seen = []
    for _ in range(2):
        command = [sys.executable, "-m", "review_ui.server", "demo", "--exit"]
        demo = subprocess.run(command, env={**told, "COLUMNS": "160"}, capture_output=True, text=True, timeout=110)
        assert demo.returncode == 0, demo.stderr
        seen.append(demo.stdout)
    events = read_corpus()
    table = seen[0]
    assert all(str(event.event) in table for event in events)
    assert f"{len(events)} events:" in table
    assert "system of record" in table
    assert "Is the judge right?" in table
    assert "Not evaluable:" in table
    assert re.search(r"For people: \d+ reviews waiting: .*of support-resolution", table)
    assert "/sign-in/" not in table, "a demo that ends leaves no way in"
    assert seen[0] == seen[1]


def test_the_link_signs_in_once_and_leads_to_the_queue(deployment: Deployment, browser: TestClient) -> None:
    link = visit_link(deployment, "http://localhost:8700")
    first = browser.get(link, follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/review")
    assert "Demo" in browser.get("/review").text
    browser.cookies.clear()
    assert browser.get(link).status_code == 404
    assert browser.get("/review", follow_redirects=False).headers["location"].startswith("/sign-in")


def test_a_second_demo_has_the_same_person_and_a_link_of_its_own(deployment: Deployment) -> None:
    links = {visit_link(deployment, "http://localhost:8700") for _ in range(2)}
    with deployment.database.read() as connection:
        people = list_people(connection)
    assert len(links) == 2
    assert [(one.login, one.role, one.password_hash) for one in people] == [("demo", "admin", None)]


def test_no_browser_is_opened_where_nobody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    assert not open_for_a_person("http://localhost:8700/")
    assert opened == []


def test_the_demo_tells_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADJUDGE_SMTP_URL", "smtp://mail.example")
    monkeypatch.setenv("ADJUDGE_REVIEW_WEBHOOK_URL", "https://hooks.example")
    assert not channels_of(demo_settings(0))


LABELS = st.sampled_from(["pass", "partial", "fail", "unknown"])


@given(st.dictionaries(st.text(max_size=3), st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_agreement_counts_only_runs_that_both_answered(pairs: dict[str, tuple[str, str]]) -> None:
    answered = [pair for pair in pairs.values() if "unknown" not in pair]
    found = agreement(
        {run: said for run, (said, _) in pairs.items()}, {run: truth for run, (_, truth) in pairs.items()}
    )
    if found is None:
        assert not answered
    else:
        assert (found.agreed, found.compared) == (sum(a == b for a, b in answered), len(answered))
        low, high = found.interval
        assert -1e-9 <= low <= found.agreed / found.compared <= high <= 1 + 1e-9


def test_the_interval_is_wilsons() -> None:
    low, high = Agreement(agreed=8, compared=10, most_frequent=6).interval
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
