"""Before the first pass no answer holds a byte of what judges or others said; after it, all of it is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, SlotKind, Stream
from evaluator.reviewing.sheet_reading import sheet_of
from evaluator.store.queue_rows import QueueTab
from evaluator.store.reviews import append_review
from tests.accounts.people_world import personal_key, somebody
from tests.reviewing.planted import (
    ITEM_NOTE,
    JUDGE_MARKS,
    MARKS,
    OTHER_NAME,
    PEOPLE_MARKS,
    REASONS,
    TOOL_SAYS,
    hold,
    marks_in,
    planted_item,
    put_state,
    review_of,
)

BELOW_AUTHOR = (PersonRole.VIEWER, PersonRole.REVIEWER)
SETTLED_BY_AUTHORS = (ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION)

HOLDINGS: dict[ItemState, tuple[SlotKind | None, ...]] = {
    ItemState.OPEN: (None, SlotKind.REVIEW),
    ItemState.ESCALATED: (None,),
    ItemState.AWAITING_RESOLUTION: (None,),
    ItemState.DONE: (None, SlotKind.GOLD, SlotKind.SECOND_OPINION),
    ItemState.WITHDRAWN: (None,),
}
"""In each state, what a person may hold of an item that they have not answered."""


@pytest.fixture
def api(deployment: Deployment) -> Iterator[TestClient]:
    with TestClient(create_app(deployment)) as client:
        yield client


@pytest.fixture
def zinnia(deployment: Deployment) -> Person:
    return somebody(deployment, OTHER_NAME)


def everything(api: TestClient, deployment: Deployment, person: Person, item: ReviewItem) -> dict[str, str]:
    """Path → all that the person is answered about the item, headers too, and the sheet as pages have it."""
    key = {"x-api-key": personal_key(deployment, person)}
    paths = [f"items/{item.item_id}", f"items/{item.item_id}?capture=true", f"items/{item.item_id}/story", "counts"]
    paths += [f"items?tab={tab}" for tab in QueueTab]
    told = {}
    for path in paths:
        answer = api.get(f"/v1/review/{path}", headers=key)
        told[path] = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
    told["claim"] = api.post(f"/v1/review/items/{item.item_id}/claim", headers=key).text
    told["next"] = api.post("/v1/review/next", headers=key).text
    sheet = sheet_of(deployment, person, item.item_id)
    told["sheet"] = repr((sheet.item, sheet.chips, sheet.runs, sheet.reveal, sheet.outcome, sheet.judge_failed))
    return told


@pytest.mark.parametrize("state", ItemState)
def test_nothing_leaks_in_any_state_to_any_role_whatever_they_hold(
    api: TestClient, deployment: Deployment, zinnia: Person, state: ItemState
) -> None:
    for role in PersonRole:
        for kind in HOLDINGS[state]:
            if state in SETTLED_BY_AUTHORS and role not in BELOW_AUTHOR:
                continue  # they are there to settle what was said
            if kind is not None and role == PersonRole.VIEWER:
                continue
            event_id = f"{state}-{role}-{kind}"
            settled = {"settled_at": utc_now()} if state in (ItemState.DONE, ItemState.WITHDRAWN) else {}
            item = planted_item(deployment, event_id=event_id, other=zinnia)
            item = put_state(deployment, item, state, gold=kind == SlotKind.GOLD, **settled)
            person = somebody(deployment, "Ada", role)
            if kind is not None:
                hold(deployment, item, person, kind)
            for path, text in everything(api, deployment, person, item).items():
                told_in_lists = state == ItemState.DONE and path.startswith("items?tab=done")
                numbers = REASONS if path == "counts" else ()
                known_to_authors = (*REASONS, ITEM_NOTE) if told_in_lists else numbers
                marks = MARKS if role in BELOW_AUTHOR else set(MARKS) - set(known_to_authors)
                assert marks_in(text, marks) == [], (state, role, kind, path)


def answers_of(api: TestClient, deployment: Deployment, person: Person, item: ReviewItem) -> Any:
    headers = {"x-api-key": personal_key(deployment, person)}
    return api.get(f"/v1/review/items/{item.item_id}", headers=headers).json()


def test_a_gold_item_cannot_be_told_from_one_that_waits(
    api: TestClient, deployment: Deployment, zinnia: Person
) -> None:
    ada = somebody(deployment, "Ada")
    waiting = planted_item(deployment, event_id="waiting", other=zinnia)
    hold(deployment, waiting, ada)
    gold = planted_item(deployment, event_id="known", other=zinnia)
    gold = put_state(deployment, gold, ItemState.DONE, gold=True, settled_at=utc_now())
    hold(deployment, gold, ada, SlotKind.GOLD)
    told = [answers_of(api, deployment, ada, item) for item in (waiting, gold)]
    for sheet in told:
        for name in ("item_id", "event_id", "entered_at"):
            sheet["item"].pop(name)
        for name in ("token", "lease_until"):
            sheet["holding"].pop(name)
    assert told[0]["item"] == told[1]["item"]
    assert told[0]["holding"] == told[1]["holding"]
    assert told[0]["mode"] == told[1]["mode"]
    key = {"x-api-key": personal_key(deployment, ada)}
    rows = api.get("/v1/review/items?tab=in_progress", headers=key).json()["items"]
    assert {row["item"]["state"] for row in rows} == {"open"}
    assert {row["item"]["settled_at"] for row in rows} == {None}
    assert all(row["since"] == row["item"]["entered_at"] for row in rows)
    story = api.get(f"/v1/review/items/{gold.item_id}/story", headers=key).text
    assert "gold" not in story.replace('"gold":false', "")


def test_streams_look_alike_below_author(api: TestClient, deployment: Deployment, zinnia: Person) -> None:
    ada = somebody(deployment, "Ada")
    items = [
        planted_item(deployment, event_id=f"of-{stream}", other=zinnia, stream=stream, note="")
        for stream in (Stream.AUDIT, Stream.TARGETED)
    ]
    sheets = [answers_of(api, deployment, ada, item)["item"] for item in items]
    for sheet in sheets:
        for name in ("item_id", "event_id", "entered_at"):
            sheet.pop(name)
    assert sheets[0] == sheets[1]
    key = {"x-api-key": personal_key(deployment, ada)}
    rows = api.get("/v1/review/items?stream=audit", headers=key).json()["items"]
    assert {row["item"]["item_id"] for row in rows} == {item.item_id for item in items}


@pytest.mark.parametrize("role", [PersonRole.REVIEWER, PersonRole.AUTHOR])
def test_after_the_first_pass_everything_is_there(
    api: TestClient, deployment: Deployment, zinnia: Person, role: PersonRole
) -> None:
    person = somebody(deployment, "Ada", role)
    item = planted_item(deployment, other=zinnia)
    held = hold(deployment, item, person)
    key = {"x-api-key": personal_key(deployment, person)}
    sheet = answers_of(api, deployment, person, item)
    body = {
        "token": held.token,
        "form_key": sheet["form_key"],
        "rubric_version": sheet["rubric"]["version"],
        "answers": {"solves": "pass", "tone": 5},
        "shown": sheet["shown"],
    }
    given = api.post(f"/v1/review/items/{item.item_id}/verdict", json=body, headers=key)
    assert (given.status_code, given.json()["review"]["blind"]) == (200, True)
    told = api.get(f"/v1/review/items/{item.item_id}", headers=key).text
    story = api.get(f"/v1/review/items/{item.item_id}/story", headers=key).text
    for text in (told, story):
        assert marks_in(text, (*JUDGE_MARKS, *PEOPLE_MARKS)) == [*JUDGE_MARKS, *PEOPLE_MARKS]
    assert marks_in(told, (TOOL_SAYS, ITEM_NOTE, *REASONS)) == [TOOL_SAYS, ITEM_NOTE, *REASONS]


def test_a_first_pass_of_another_round_shows_nothing_of_this_one(
    api: TestClient, deployment: Deployment, zinnia: Person
) -> None:
    ada = somebody(deployment, "Ada")
    item = planted_item(deployment, other=zinnia)
    earlier = review_of(item, ada, form_key="earlier", note="")
    deployment.database.transact(lambda connection: append_review(connection, earlier))
    again = put_state(deployment, item, ItemState.OPEN, round=2, entered_at=utc_now())
    for path, text in everything(api, deployment, ada, again).items():
        assert marks_in(text) == [], path
