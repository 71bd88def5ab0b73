"""Whatever a page does to an item, the API does too."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi.testclient import TestClient
from starlette.routing import Route

from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from review_ui.pages import batch_page, disagreements_page, focus_page, queue_page, story_page

TWINS = {
    "GET /review": "GET /v1/review/items",
    "GET /review/counters": "GET /v1/review/counts",
    "GET /review/export.csv": "GET /v1/review/verdicts.csv",
    "GET /review/export.jsonl": "GET /v1/review/verdicts.jsonl",
    "GET /review/batch/{batch_id}": "GET /v1/review/batches/{batch_id}",
    "GET /review/{item_id}": "GET /v1/review/items/{item_id}",
    "GET /review/{item_id}/story": "GET /v1/review/items/{item_id}/story",
    "GET /disagreements": "GET /v1/review/items",
    "POST /review/start": "POST /v1/review/batches",
    "POST /review/next": "POST /v1/review/next",
    "POST /review/pick": "POST /v1/review/items",
    "POST /review/{item_id}/claim": "POST /v1/review/items/{item_id}/claim",
    "POST /review/{item_id}/next": "POST /v1/review/next",
    "POST /review/{item_id}/verdict": "POST /v1/review/items/{item_id}/verdict",
    "POST /review/{item_id}/revise": "POST /v1/review/items/{item_id}/revise",
    "POST /review/{item_id}/second-opinion": "POST /v1/review/items/{item_id}/second-opinion",
    "POST /review/{item_id}/skip": "POST /v1/review/items/{item_id}/skip",
    "POST /review/{item_id}/escalate": "POST /v1/review/items/{item_id}/escalate",
    "POST /review/{item_id}/release": "POST /v1/review/items/{item_id}/release",
    "POST /review/{item_id}/renew": "POST /v1/review/items/{item_id}/renew",
    "POST /review/{item_id}/undo": "POST /v1/review/items/{item_id}/undo",
    "POST /review/{item_id}/story": "POST /v1/review/items/{item_id}/reveal",
    "POST /review/{item_id}/gold": "POST /v1/review/items/{item_id}/gold",
    "POST /disagreements/{item_id}/claim": "POST /v1/review/items/{item_id}/claim",
    "POST /disagreements/{item_id}": "POST /v1/review/items/{item_id}/verdict",
}
"""What a page is asked for or told → the API's path for the same."""
OF_PAGES_ALONE = {"POST /review/shortcuts"}
"""How the page itself behaves."""


def test_every_action_of_a_page_has_a_twin_and_every_twin_is_there(deployment: Deployment) -> None:
    assert set(actions()) - OF_PAGES_ALONE == set(TWINS)
    paths = TestClient(create_app(deployment)).get("/openapi.json").json()["paths"]
    described = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(TWINS.values()) <= described
    assert {each for each in described if " /v1/review/" in each} == set(TWINS.values())


def actions() -> Iterator[str]:
    for screen in (queue_page, story_page, batch_page, disagreements_page, focus_page):
        for route in screen.router.routes:
            assert isinstance(route, Route)
            yield from (f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"})
