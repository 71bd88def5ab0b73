"""Addresses nobody would type: each page of rubrics answers them in a page, without a traceback and in few words."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from tests.review_ui.rubric_world import backtest, judged_support
from tests.world import Actor

HOSTILE = (
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "%e2%80%ae",
    "<script>alert(1)</script>",
    "..%2f..%2fetc%2fpasswd",
    "x" * 20_000,
    "{{8191*8191}}",
    "'%20OR%201=1--",
    "1e400",
    "-1",
    "9" * 400,
)
PLACES = (
    "/rubrics/{}",
    "/rubrics/{}/backtests/b1",
    "/rubrics/support/backtests/{}",
    "/rubrics/support?version={}",
    "/rubrics/support?run={}",
    "/rubrics/support?refresh={}",
    "/rubrics/support/backtests/b1?kind={}",
    "/rubrics/support/backtests/b1?start={}",
    "/rubrics/support/backtests/b1?run={}",
    "/v1/rubrics/{}",
    "/v1/rubrics/{}/versions",
    "/v1/rubrics/{}/backtests",
    "/v1/rubrics/support/versions/{}",
    "/v1/rubrics/support/backtests/{}",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_address_is_answered_in_few_words(
    browser: TestClient, deployment: Deployment, resolver: Actor, place: str
) -> None:
    judged_support(deployment, runs=4, reviewed=0)
    backtest(deployment, runs=2)
    usual = max(len(browser.get(f"/rubrics/{path}").text) for path in ("support", "support/backtests/b1"))
    for each in HOSTILE:
        answer = browser.get(place.format(each), headers=resolver.headers)
        assert answer.status_code in {200, 400, 404}, f"{each[:20]}: {answer.status_code}"
        assert "<script>alert" not in answer.text or answer.headers["content-type"] == "application/problem+json"
        assert "67092481" not in answer.text
        assert "\u202e" not in answer.text
        assert len(answer.content) < usual + 44_000


@pytest.mark.parametrize("path", ["/rubrics", "/rubrics/support", "/rubrics/support/backtests/b1", "/rubrics/none"])
def test_from_elsewhere_pages_of_rubrics_need_a_key_that_may_read(
    browser: TestClient, deployment: Deployment, resolver: Actor, app_of_the_product: Actor, path: str
) -> None:
    judged_support(deployment, runs=4, reviewed=0)
    backtest(deployment, runs=2)
    for headers in ({"x-forwarded-for": "10.0.0.9"}, {"host": "adjudge.example"}, {"via": "1.1 proxy"}):
        refused = browser.get(path, headers=headers, follow_redirects=False)
        assert (refused.status_code, refused.headers["location"]) == (303, f"/sign-in?next={path}")
        assert browser.get(path, headers={**headers, **app_of_the_product.headers}).status_code == 403
        assert browser.get(path, headers={**headers, **resolver.headers}).status_code in {200, 404}
    page = browser.get(path)
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
