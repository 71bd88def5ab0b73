"""No page tells anybody who may still answer an item blind what judges or others said of it."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import update

import review_ui.pages
from evaluator.deployment import Deployment
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ReviewItem
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.reason_chips import WORDS
from evaluator.reviewing.review_desk import begin_batch, claim_item
from evaluator.store.database import table_of
from evaluator.store.tables import ReviewRow
from tests.accounts.people_world import sign_in, somebody
from tests.reviewing.answering import answer
from tests.reviewing.planted import MARKS, OTHER_NAME, REASONS, marks_in, planted_item
from tests.reviewing.review_world import item_in_queue

TOLD_IN_WORDS = tuple(WORDS[reason] for reason in REASONS)
ABOUT_JUDGES = ("/rubrics", "/rubrics/{rubric_id}", "/rubrics/{rubric_id}/backtests/{backtest_id}")
"""What judges are worth is told there, at events that somebody may yet be asked about: see docs/reviewing.md."""
FOR_ADMINS = ("/people", "/people/{person_id}", "/keys", "/audit", "/audit.csv")
"""These name people; of an item they tell nothing."""
WITHOUT_ITEMS = ("/sign-in", "/sign-in/ticket/{secret}", "/sign-in/provider", "/sign-in/provider/back", "/set-up")

QUERIES = {
    "/review": (
        *(f"?tab={tab}" for tab in ("for_me", "in_progress", "escalated", "disagreements", "done")),
        *(f"?reason={reason}&stream={stream}" for reason in REASONS for stream in ("audit", "targeted")),
        "?rubric=support&older_than_hours=1",
    ),
    "/review/counters": ("?tab=in_progress",),
    "/review/{item_id}": (
        "?view=raw",
        "?view=steps",
        "?view=diff",
        "?all=1",
        "?run=run-of-planted-1",
        "?batch={batch_id}",
        "?run=run-of-planted-1&view=raw&all=output",
    ),
    "/disagreements": ("?item={item_id}", "?state=escalated", "?state=awaiting_resolution"),
}
"""What else a page can be asked for."""
FRAGMENT = {"hx-request": "true", "sec-fetch-mode": "cors"}


def pages() -> Iterator[str]:
    """The path of every page that can be looked at."""
    for module in pkgutil.iter_modules(review_ui.pages.__path__):
        router = import_module(f"review_ui.pages.{module.name}").router
        for route in router.routes:
            if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
                yield route.path


PAGES = sorted(set(pages()) - {*ABOUT_JUDGES, *FOR_ADMINS, *WITHOUT_ITEMS})


def world(deployment: Deployment, role: PersonRole) -> tuple[Person, ReviewItem, dict[str, str]]:
    """A person, an item full of marks that they may answer blind, and what stands for the parts of addresses."""
    person = somebody(deployment, "Ada", role)
    other = somebody(deployment, OTHER_NAME)
    item = planted_item(deployment, other=other)
    mine = "" if role == PersonRole.VIEWER else begin_batch(deployment, person, QueueFilter()).batch_id
    theirs = begin_batch(deployment, other, QueueFilter())
    reviews = table_of(ReviewRow)
    with deployment.database.write() as connection:
        connection.execute(
            update(reviews).where(reviews.c.item_id == item.item_id).values(batch_id=theirs.batch_id)
        )
    plain = item_in_queue(deployment, event_id="of-others", reviewers=2)
    answer(deployment, other, plain, VerdictLabel.FAIL, note="")
    parts = {
        "item_id": item.item_id,
        "batch_id": mine,
        "their_batch": theirs.batch_id,
        "rubric_id": "support",
        "person_id": person.person_id,
    }
    return person, item, parts


def addresses(parts: dict[str, str]) -> Iterator[str]:
    for path in PAGES:
        yield path.format(**parts)
        for query in QUERIES.get(path, ()):
            yield f"{path}{query}".format(**parts)
    yield "/review/batch/{their_batch}".format(**parts)


def told(answer: Any) -> str:
    """All of an answer, headers too; the link to the audit log is not about an item."""
    text: str = answer.text.replace('href="/audit"', "").replace(">Audit</a>", "")
    return f"{dict(answer.headers)} {text}"


def leaks(answer: Any) -> list[str]:
    text = told(answer)
    if "/batch/" in str(answer.url):
        text = text.replace(OTHER_NAME, "")  # an admin reads whose it is
    if (
        "tab=escalated" in str(answer.url)
        or "tab=disagreements" in str(answer.url)
        or "tab=done" in str(answer.url)
    ):
        text = text.partition("<table")[2]  # its filter offers every reason, for nothing there is blind any more
    return marks_in(text, (*MARKS, *TOLD_IN_WORDS))


@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
@pytest.mark.parametrize("role", list(PersonRole))
def test_no_page_tells_of_an_item_that_is_still_to_be_answered_blind(
    browser: TestClient, deployment: Deployment, role: PersonRole, held: bool
) -> None:
    person, item, parts = world(deployment, role)
    if held and role != PersonRole.VIEWER:
        claim_item(deployment, person, item.item_id)
    sign_in(browser, deployment, person)
    for path in addresses(parts):
        for headers in ({}, FRAGMENT):
            found = browser.get(path, headers={"accept": "text/html", **headers})
            assert found.status_code < 500, path
            assert leaks(found) == [], (path, headers)


@pytest.mark.parametrize("role", [PersonRole.REVIEWER, PersonRole.AUTHOR, PersonRole.ADMIN])
def test_nothing_that_is_done_before_answering_tells_of_it(
    browser: TestClient, deployment: Deployment, role: PersonRole
) -> None:
    person, item, parts = world(deployment, role)
    sign_in(browser, deployment, person)
    path = f"/review/{item.item_id}"
    for act, form in (
        ("/review/start", {"reason": "critical_fail"}),
        (f"{path}/claim", {}),
        (f"{path}/verdict", {"token": "stale", "answer.solves": "pass"}),
        (f"{path}/verdict", {"token": "stale", "verdict": "fail", "form_key": "k"}),
        (f"{path}/second", {"token": "stale"}),
        (f"{path}/revise", {"token": "stale"}),
        (f"{path}/skip", {"token": "stale"}),
        (f"{path}/escalate", {"token": "stale", "note": "?"}),
        (f"{path}/undo", {"review": f"of-{item.item_id}-{person.person_id}"}),
        (f"{path}/next", {"batch": parts["their_batch"]}),
        ("/review/next", {"batch": parts["their_batch"]}),
    ):
        for headers in ({}, FRAGMENT):
            found = browser.post(act, data=form, headers={"accept": "text/html", **headers})
            assert found.status_code < 500, act
            assert leaks(found) == [], (act, headers)


def test_pages_about_judges_are_not_linked_from_an_item(browser: TestClient, deployment: Deployment) -> None:
    person, item, _ = world(deployment, PersonRole.ADMIN)
    claim_item(deployment, person, item.item_id)
    sign_in(browser, deployment, person)
    for path in (f"/review/{item.item_id}", f"/review/{item.item_id}/story"):
        content = browser.get(path).text.partition('<main id="content"')[2]
        assert 'href="/rubrics' not in content, path
        assert "/v1/" not in content, path
        assert 'href="/"' not in content, path
