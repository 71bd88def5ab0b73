"""Reviewing over HTTP: a front end of somebody else's can do what a page can, once, and see no more."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ReviewItem, Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.review_desk import Empty
from evaluator.reviewing.review_export import COLUMNS
from evaluator.reviewing.review_sheet import Mode
from evaluator.store.api_keys import audit_trail
from tests.accounts.people_world import personal_key, somebody
from tests.reviewing.review_world import item_in_queue, items_in_queue, judged_event
from tests.world import Actor

DOC = (Path(__file__).parents[2] / "docs" / "review-api.md").read_text(encoding="utf-8")
(LOOP,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)

ANSWERS = {"solves": "fail", "tone": 4}


class Reviewer:
    """A person with a key of their own, and what they can ask."""

    def __init__(self, api: TestClient, deployment: Deployment, name: str, role: PersonRole) -> None:
        self.api = api
        self.person: Person = somebody(deployment, name, role)
        self.key = personal_key(deployment, self.person)

    def get(self, path: str, **query: Any) -> httpx.Response:
        answer: httpx.Response = self.api.get(f"/v1/review/{path}", params=query, headers=self._headers())
        return answer

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        answer: httpx.Response = self.api.post(f"/v1/review/{path}", json=body, headers=self._headers() | headers)
        return answer

    def takes(self, **wish: Any) -> dict[str, Any]:
        """The next item, held."""
        found: dict[str, Any] = self.post("next", wish).json()
        assert found["claim"], found
        return found

    def _headers(self) -> dict[str, str]:
        return {"x-api-key": self.key}


@pytest.fixture
def ada(api: TestClient, deployment: Deployment) -> Reviewer:
    return Reviewer(api, deployment, "Ada", PersonRole.REVIEWER)


@pytest.fixture
def ben(api: TestClient, deployment: Deployment) -> Reviewer:
    return Reviewer(api, deployment, "Ben", PersonRole.REVIEWER)


@pytest.fixture
def ruth(api: TestClient, deployment: Deployment) -> Reviewer:
    return Reviewer(api, deployment, "Ruth", PersonRole.AUTHOR)


def form_of(held: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A review under what `next` or `claim` answered."""
    sheet = held["sheet"]
    return {
        "token": held["claim"]["token"],
        "form_key": sheet["form_key"],
        "rubric_version": sheet["rubric"]["version"],
        "shown": sheet["shown"],
        "answers": ANSWERS,
        **changes,
    }


def place_of(held: dict[str, Any]) -> str:
    return f"items/{held['claim']['item_id']}"


def test_an_item_is_taken_answered_and_then_revealed(deployment: Deployment, ada: Reviewer) -> None:
    item = item_in_queue(deployment, verdict=VerdictLabel.PASS)
    held = ada.takes()
    assert held["claim"]["item_id"] == item.item_id
    assert (held["sheet"]["mode"], held["sheet"]["hidden"], held["sheet"]["reveal"]) == ("answer", True, None)
    told = ada.post(f"{place_of(held)}/verdict", form_of(held, active_ms=900)).json()
    assert (told["review"]["verdict"], told["review"]["judge_verdict"], told["review"]["agrees"]) == (
        "fail",
        "pass",
        False,
    )
    assert (told["state"], told["repeated"], told["review"]["blind"]) == ("done", False, True)
    sheet = ada.get(place_of(held)).json()
    assert (sheet["mode"], sheet["hidden"], sheet["reveal"]["verdict"]) == ("revealed", False, "pass")
    assert sheet["outcome"]["decided_by"] == "human"
    assert sheet["recorded"][0]["review_id"] == told["review"]["review_id"]


def test_a_form_that_is_sent_twice_is_one_review(deployment: Deployment, ada: Reviewer) -> None:
    item_in_queue(deployment)
    held = ada.takes()
    first, again = (ada.post(f"{place_of(held)}/verdict", form_of(held)).json() for _ in range(2))
    assert first["review"]["review_id"] == again["review"]["review_id"]
    assert (first["repeated"], again["repeated"]) == (False, True)


def test_the_key_may_come_as_a_header_and_has_to_come(deployment: Deployment, ada: Reviewer) -> None:
    item_in_queue(deployment)
    held = ada.takes()
    form = form_of(held, form_key="")
    missing = ada.post(f"{place_of(held)}/verdict", form)
    assert missing.status_code == 400
    assert "form_key: this field is required" in missing.json()["detail"]
    key = {"Idempotency-Key": str(uuid4())}
    first, again = (ada.post(f"{place_of(held)}/verdict", form, **key).json() for _ in range(2))
    assert (first["repeated"], again["repeated"]) == (False, True)


def test_next_comes_with_the_verdict_and_ends_in_the_right_empty_state(
    deployment: Deployment, ada: Reviewer
) -> None:
    items_in_queue(deployment, 3)
    batch = ada.post("batches", {"size": 2}).json()["batch_id"]
    held = ada.takes(batch_id=batch)
    assert held["sheet"]["place"]["number"] == 1
    told = ada.post(f"{place_of(held)}/verdict", form_of(held, next=True, batch_id=batch)).json()
    following = told["next"]
    assert following["claim"]["item_id"] != held["claim"]["item_id"]
    assert (following["sheet"]["place"]["number"], following["sheet"]["hidden"]) == (2, True)
    over = ada.post(f"{place_of(following)}/verdict", form_of(following, next=True, batch_id=batch)).json()["next"]
    assert (over["claim"], over["empty"]) == (None, Empty.NOTHING_TO_DO)
    progress = ada.get(f"batches/{batch}").json()
    assert (progress["answered"], len(progress["reviews"])) == (2, 2)


def test_a_batch_is_its_owners(deployment: Deployment, ada: Reviewer, ben: Reviewer) -> None:
    batch = ada.post("batches", {}).json()["batch_id"]
    assert ben.get(f"batches/{batch}").status_code == 404
    assert ben.post("next", {"batch_id": batch}).status_code == 404


def test_asked_again_next_is_the_same_claim_and_nobody_elses(
    deployment: Deployment, ada: Reviewer, ben: Reviewer
) -> None:
    item_in_queue(deployment)
    first, again = ada.takes(), ada.takes()
    assert first["claim"] == again["claim"]
    others = ben.post("next").json()
    assert (others["claim"], others["empty"]) == (None, Empty.ALL_CLAIMED)
    taken = ben.post(f"{place_of(first)}/claim")
    assert taken.status_code == 409
    assert "Ada holds this item" in taken.json()["detail"]


def test_what_was_settled_meanwhile_is_a_409_that_says_what_to_do_and_then_a_second_opinion(
    deployment: Deployment, ada: Reviewer, ben: Reviewer
) -> None:
    item_in_queue(deployment)
    slow = ada.takes()
    assert ada.post(f"{place_of(slow)}/release", {"token": slow["claim"]["token"]}).json()["done"]
    quick = ben.takes()
    assert ben.post(f"{place_of(quick)}/verdict", form_of(quick)).status_code == 200
    lost = ada.post(f"{place_of(slow)}/verdict", form_of(slow))
    assert lost.status_code == 409
    assert "/second-opinion takes the same body" in lost.json()["hint"]
    saved = ada.post(f"{place_of(slow)}/second-opinion", form_of(slow, answers={"solves": "pass", "tone": 5}))
    assert saved.status_code == 200
    assert (saved.json()["review"]["kind"], saved.json()["state"]) == ("second_opinion", "awaiting_resolution")


def test_a_disagreement_is_settled_by_an_author(
    deployment: Deployment, ada: Reviewer, ben: Reviewer, ruth: Reviewer
) -> None:
    item_in_queue(deployment, reviewers=2)
    for who, answers in ((ada, ANSWERS), (ben, {"solves": "pass", "tone": 5})):
        held = who.takes()
        who.post(f"{place_of(held)}/verdict", form_of(held, answers=answers))
    place = place_of(held)
    assert ada.post(f"{place}/claim").status_code == 403
    held = ruth.post(f"{place}/claim").json()
    assert (held["sheet"]["mode"], held["claim"]["kind"]) == ("adjudicate", "adjudication")
    assert {one["reviewer"] for one in held["sheet"]["reveal"]["reviews"]} == {"Ada", "Ben"}
    told = ruth.post(f"{place}/verdict", form_of(held)).json()
    assert (told["review"]["kind"], told["state"]) == ("adjudication", "done")


def test_a_verdict_is_revised_and_taken_back(deployment: Deployment, ada: Reviewer) -> None:
    item_in_queue(deployment)
    held = ada.takes()
    place = place_of(held)
    said = ada.post(f"{place}/verdict", form_of(held)).json()["review"]
    revision = form_of(held, form_key="another", token="", answers={"solves": "pass", "tone": 5})
    revised = ada.post(f"{place}/revise", revision).json()["review"]
    assert (revised["kind"], revised["verdict"], revised["seen_judge"]) == ("revised", "pass", True)
    back = ada.post(f"{place}/undo", {"review_id": revised["review_id"]}).json()
    assert (back["claim"]["item_id"], back["sheet"]["mode"], back["sheet"]["mine"]) == (
        held["claim"]["item_id"],
        "answer",
        None,
    )
    assert said["review_id"] in {one["review"]["review_id"] for one in lines_of(ada, place) if one["review"]}


def lines_of(who: Reviewer, place: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = who.get(f"{place}/story").json()["lines"]
    return lines


def test_claims_are_renewed_skipped_released_and_passed_on(
    deployment: Deployment, ada: Reviewer, ruth: Reviewer
) -> None:
    items_in_queue(deployment, 3)
    for act, note in (("release", {}), ("skip", {"note": "mine"}), ("escalate", {"note": "no contract"})):
        held = ada.takes()
        token = {"token": held["claim"]["token"]}
        renewed = ada.post(f"{place_of(held)}/renew", token).json()
        assert renewed["lease_until"] >= held["claim"]["lease_until"]
        first, again = (ada.post(f"{place_of(held)}/{act}", {**token, **note}).json() for _ in range(2))
        assert (first, again) == ({"done": True, "repeated": False}, {"done": True, "repeated": True})
    assert ada.post(f"{place_of(held)}/renew", token).status_code == 409
    assert [row["item"]["note"] for row in ruth.get("items", tab="escalated").json()["items"]] == ["no contract"]


def test_an_escalation_wants_a_reason(deployment: Deployment, ada: Reviewer) -> None:
    item_in_queue(deployment)
    held = ada.takes()
    refused = ada.post(f"{place_of(held)}/escalate", {"token": held["claim"]["token"], "note": " "})
    assert refused.status_code == 400


def test_authors_pick_events_and_mark_gold(deployment: Deployment, ada: Reviewer, ruth: Reviewer) -> None:
    judged_event(deployment, "ticket-9")
    assert ada.post("items", {"event_id": "ticket-9", "rubric": "support"}).status_code == 403
    picked = ruth.post("items", {"event_id": "ticket-9", "rubric": "support", "note": "VIP"})
    assert picked.status_code == 201
    held = ada.takes(stream="picked")
    place = place_of(held)
    assert ruth.post(f"{place}/gold", {"gold": True}).status_code == 409
    ada.post(f"{place}/verdict", form_of(held))
    assert ada.post(f"{place}/gold", {"gold": True}).status_code == 403
    assert ruth.post(f"{place}/gold", {"gold": True}).json()["gold"]


def test_an_author_may_look_first_and_it_is_recorded(deployment: Deployment, ada: Reviewer, ruth: Reviewer) -> None:
    item = item_in_queue(deployment)
    place = f"items/{item.item_id}"
    assert ada.post(f"{place}/reveal").status_code == 403
    assert ruth.get(place).json()["hidden"]
    assert ruth.post(f"{place}/reveal").json()["reveal"]["verdict"] == "pass"
    assert [one["act"] for one in lines_of(ruth, place)].count("revealed") == 1
    held = ruth.post(f"{place}/claim").json()
    review = ruth.post(f"{place}/verdict", form_of(held)).json()["review"]
    assert (review["blind"], review["seen_judge"]) == (False, True)


def test_every_criterion_that_is_wrong_is_named(deployment: Deployment, ada: Reviewer) -> None:
    item_in_queue(deployment)
    held = ada.takes()
    refused = ada.post(f"{place_of(held)}/verdict", form_of(held, answers={"tone": 9, "style": "pass"}))
    assert refused.status_code == 400
    assert all(name in refused.json()["detail"] for name in ("tone", "style", "solves"))
    assert ada.get(place_of(held)).json()["mode"] == "answer"


def test_a_field_that_is_none_is_named(ada: Reviewer) -> None:
    refused = ada.post("next", {"workflw": "Support"})
    assert refused.status_code == 400
    assert "did you mean 'workflow'?" in refused.json()["detail"]


def test_the_queue_is_paged_filtered_and_counted(deployment: Deployment, ada: Reviewer) -> None:
    items_in_queue(deployment, 27)
    first = ada.get("items").json()
    second = ada.get("items", after=first["next"]).json()
    ids = [row["item"]["item_id"] for page in (first, second) for row in page["items"]]
    assert (len(ids), len(set(ids)), second["next"]) == (27, 27, None)
    assert ada.get("counts").json()["for_me"] == {"number": 27, "or_more": False}
    assert ada.get("items", workflow="Returns").json()["items"] == []
    assert ada.get("items", reason="nonsense").status_code == 400
    assert ada.get("items", after="bm9uc2Vuc2U").status_code == 400


def test_captured_content_comes_whole_where_it_is_asked_for(deployment: Deployment, ada: Reviewer) -> None:
    item = item_in_queue(deployment)
    without, whole = (ada.get(f"items/{item.item_id}", capture=wanted).json() for wanted in ("false", "true"))
    assert without["runs"][0]["capture"] is None
    assert whole["runs"][0]["capture"]["input"]["value"] == "Where is my order?"


def test_a_programs_key_reviews_nothing(api: TestClient, deployment: Deployment, admin: Actor) -> None:
    assert api.get("/v1/review/counts").status_code == 401
    refused = api.get("/v1/review/counts", headers=admin.headers)
    assert refused.status_code == 403
    assert "reviewing needs a person's own" in refused.json()["detail"]


def test_a_viewer_reads_and_takes_nothing(api: TestClient, deployment: Deployment) -> None:
    item = item_in_queue(deployment)
    vic = Reviewer(api, deployment, "Vic", PersonRole.VIEWER)
    assert vic.get(f"items/{item.item_id}").json()["mode"] == Mode.READ
    assert vic.post("next").json()["empty"] == Empty.NOT_ALLOWED
    assert vic.post(f"items/{item.item_id}/claim").status_code == 403


def test_an_unknown_item_is_a_404(ada: Reviewer) -> None:
    assert ada.get("items/nobody").status_code == 404
    assert ada.post("items/nobody/claim").status_code == 404


def test_exports_hold_every_review_for_those_who_may(
    api: TestClient, deployment: Deployment, ada: Reviewer, ruth: Reviewer, resolver: Actor
) -> None:
    item_in_queue(deployment)
    held = ada.takes()
    said = ada.post(f"{place_of(held)}/verdict", form_of(held, note="=1+1")).json()["review"]
    assert ada.get("verdicts.csv").status_code == 403
    rows = list(csv.DictReader(io.StringIO(ruth.get("verdicts.csv").text)))
    assert [(row["review_id"], row["note"]) for row in rows] == [(said["review_id"], "'=1+1")]
    lines = api.get("/v1/review/verdicts.jsonl", headers=resolver.headers).text.splitlines()
    assert [json.loads(line)["review_id"] for line in lines] == [said["review_id"]]
    assert ruth.get("verdicts.jsonl", since="2999-01-01T00:00:00Z").text == ""
    with deployment.database.read() as connection:
        exports = [one.actor for one in audit_trail(connection) if one.act == "export_reviews"]
    assert exports[-1] == ruth.person.login
    assert exports[1].startswith("resolver (adj_")


@contextmanager
def serving(deployment: Deployment) -> Iterator[str]:
    """The API on a free port of loopback."""
    server = uvicorn.Server(uvicorn.Config(create_app(deployment), port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def items_of(deployment: Deployment, number: int) -> list[ReviewItem]:
    return items_in_queue(deployment, number, verdict=VerdictLabel.PASS)


def test_the_documented_front_end_reviews_a_queue_to_its_end(
    deployment: Deployment, ada: Reviewer, tmp_path: Path
) -> None:
    items = items_of(deployment, 3)
    program = tmp_path / "front_end.py"
    program.write_text(LOOP)
    with serving(deployment) as address:
        done = subprocess.run(
            [sys.executable, program],
            input="pass\n5\n" * len(items),
            env={**os.environ, "ADJUDGE": address, "KEY": ada.key},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("You: pass · judges: pass") == len(items)
    assert "Nothing waits for review" in done.stdout
    assert ada.get("counts").json()["for_me"]["number"] == 0


def test_each_path_stands_in_the_docs_and_no_other(deployment: Deployment) -> None:
    paths = create_app(deployment).openapi()["paths"]
    known = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        if path.startswith("/v1/review")
        for method in methods
    }
    assert set(re.findall(r"^\| `((?:GET|POST) [^`]+)` \|", DOC, re.MULTILINE)) == known


def test_modes_empty_states_and_columns_are_those_of_the_docs() -> None:
    def first_cells(section: str) -> set[str]:
        table = DOC.split(section)[1].split("\n\n")[0]
        return {
            name
            for line in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", line)
        }

    assert first_cells("| mode | meaning |") == set(Mode)
    assert first_cells("| empty | meaning |") == set(Empty)
    assert first_cells("| column | meaning |") == set(COLUMNS)


def test_an_attempt_that_was_not_shown_is_not_judged(deployment: Deployment, ada: Reviewer) -> None:
    item_in_queue(deployment, stream=Stream.PICKED)
    held = ada.takes()
    place = place_of(held)
    ada.post(f"{place}/release", {"token": held["claim"]["token"]})
    judged_event(deployment, run_id="second", started_at="2026-12-01T10:00:00Z")
    refused = ada.post(f"{place}/verdict", form_of(held))
    assert refused.status_code == 409
    assert "has a new attempt since you opened it" in refused.json()["detail"]
    assert ada.post(f"{place}/verdict", {**form_of(held), "shown": ""}).status_code == 400
    unsaid = {name: value for name, value in form_of(held).items() if name != "shown"}
    assert "shown" in ada.post(f"{place}/verdict", unsaid).json()["detail"]
    assert ada.post(f"{place}/verdict", form_of(ada.takes())).status_code == 200
