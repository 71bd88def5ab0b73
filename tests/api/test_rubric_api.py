"""Rubrics over the API: what is known, every version, backtests, and the check of a text."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.api.rubric_api import (
    MOST_WAITING,
    BacktestList,
    LintAnswer,
    RubricList,
    RubricText,
    VersionList,
    WholeBacktest,
)
from evaluator.deployment import Deployment
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import VerdictLabel
from evaluator.rubric_format.marked_yaml import MAX_BYTES
from evaluator.rubric_format.rubric_files import read_rubric
from evaluator.rubric_format.rubric_schema import rubric_schema
from tests.plugin_packages import Package, installed
from tests.review_ui.rubric_world import (
    BROKEN,
    NEW,
    OLD,
    SUPPORT,
    add,
    backtest,
    judged_support,
    keep,
    verdict,
    write,
)
from tests.world import Actor

SLOW = """
    import time

    def slow(value, *, argument, content):
        return True

    slow.fault = lambda argument: time.sleep(0.1)
"""
GETS = ("", "/schema", "/support", "/support/versions", f"/support/versions/{OLD.version}", "/support/backtests")


@pytest.mark.parametrize("path", [*GETS, "/support/backtests/b1"])
def test_each_path_needs_a_key_that_may_read(
    api: TestClient, deployment: Deployment, app_of_the_product: Actor, resolver: Actor, path: str
) -> None:
    judged_support(deployment, runs=4, reviewed=0)
    backtest(deployment, runs=2)
    assert api.get(f"/v1/rubrics{path}").status_code == 401
    assert api.get(f"/v1/rubrics{path}", headers=app_of_the_product.headers).status_code == 403
    assert api.get(f"/v1/rubrics{path}", headers=resolver.headers).status_code == 200


def test_the_list_holds_what_is_in_force_gone_and_broken(
    api: TestClient, deployment: Deployment, resolver: Actor
) -> None:
    judged_support(deployment, runs=10, reviewed=0)
    gone = read_rubric(SUPPORT.replace("id: support\n", "id: refunds\n"))
    keep(deployment, gone, SUPPORT)
    add(deployment, [verdict(gone, 900, VerdictLabel.PASS, cost=None)])
    write(deployment.settings.rubrics_dir, "broken", BROKEN)
    answer = api.get("/v1/rubrics", headers=resolver.headers).json()
    RubricList.model_validate(answer)
    support, refunds = answer["items"]
    assert (support["id"], support["standing"], support["version"]) == ("support", "in_force", NEW.version)
    assert support["judged"]["counted"] == 15
    assert support["judged"]["cost_per_verdict_usd"] == "0.0004"
    assert (refunds["id"], refunds["standing"]) == ("refunds", "file_gone")
    assert refunds["judged"]["cost_per_verdict_usd"] is None
    assert refunds["judged"]["unpriced"] == 1
    (broken,) = answer["broken_files"]
    assert broken["file"] == "broken.yaml"
    assert {one["link"].split("#")[0] for one in broken["problems"]} == {"docs/rubrics.md"}
    assert str(deployment.settings.rubrics_dir) not in str(answer)


def test_a_rubric_comes_with_its_text_and_what_it_means(
    api: TestClient, deployment: Deployment, resolver: Actor
) -> None:
    judged_support(deployment, runs=4, reviewed=0)
    answer = api.get("/v1/rubrics/support", headers=resolver.headers).json()
    RubricText.model_validate(answer)
    assert answer["yaml"] == SUPPORT
    assert Rubric.model_validate({**answer["rubric"], "version": answer["version"]}) == NEW
    assert answer["in_force"] == answer["version"] == NEW.version


def test_versions_are_listed_and_each_can_be_read(api: TestClient, deployment: Deployment, resolver: Actor) -> None:
    judged_support(deployment, runs=4, reviewed=0)
    listed = api.get("/v1/rubrics/support/versions", headers=resolver.headers).json()
    VersionList.model_validate(listed)
    assert [one["version"] for one in listed["items"]] == [NEW.version, OLD.version]
    assert [one["changed"] for one in listed["items"]] == [["criteria.tone.ask changed"], []]
    old = api.get(f"/v1/rubrics/support/versions/{OLD.version[:8]}", headers=resolver.headers).json()
    assert old["version"] == OLD.version
    assert old["yaml"] == SUPPORT.replace("a customer who waits", "a customer")
    assert old["problems"] == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("suport", "Did you mean 'support'?"),
        ("suport/versions", "Did you mean 'support'?"),
        ("suport/backtests", "Did you mean 'support'?"),
        ("suport/backtests/b1", "Did you mean 'support'?"),
        ("support/versions/zzz", "no version that begins with 'zzz'"),
        ("support/backtests/zzz", "no backtest 'zzz'"),
    ],
)
def test_what_is_not_known_is_404_with_the_nearest(
    api: TestClient, deployment: Deployment, resolver: Actor, path: str, told: str
) -> None:
    judged_support(deployment, runs=2, reviewed=0)
    answer = api.get(f"/v1/rubrics/{path}", headers=resolver.headers)
    assert answer.status_code == 404
    assert told in answer.json()["detail"]
    assert "/v1/rubrics" in answer.json()["hint"]


def test_backtests_are_listed_and_each_comes_with_its_report(
    api: TestClient, deployment: Deployment, resolver: Actor
) -> None:
    judged_support(deployment, runs=2, reviewed=0)
    backtest(deployment)
    listed = api.get("/v1/rubrics/support/backtests", headers=resolver.headers).json()
    BacktestList.model_validate(listed)
    assert [(one["backtest_id"], one["state"], one["done"]) for one in listed["items"]] == [("b1", "done", 24)]
    whole = api.get("/v1/rubrics/support/backtests/b1", headers=resolver.headers).json()
    report = WholeBacktest.model_validate(whole).report
    assert report is not None
    assert len(report.flips) == 4


def lint(api: TestClient, who: Actor, body: bytes) -> LintAnswer:
    answer = api.post("/v1/rubrics/lint", content=body, headers={**who.headers, "content-type": "application/yaml"})
    assert answer.status_code == 200, answer.text
    return LintAnswer.model_validate(answer.json())


def test_a_valid_text_is_told_the_version_it_would_make(api: TestClient, resolver: Actor) -> None:
    found = lint(api, resolver, SUPPORT.encode())
    assert (found.valid, found.id, found.version, found.problems) == (True, "support", NEW.version, [])


def test_warnings_leave_a_text_valid(api: TestClient, resolver: Actor) -> None:
    text = SUPPORT.replace("Is the tone right for", "Is the tone right and is the answer short for")
    found = lint(api, resolver, text.encode())
    assert found.valid
    assert [one.severity for one in found.problems] == ["warning"]


def test_every_error_of_a_text_is_told_at_its_place(api: TestClient, resolver: Actor) -> None:
    found = lint(api, resolver, BROKEN.encode())
    assert not found.valid
    assert {(one.line, one.field, one.suggestion) for one in found.problems} >= {
        (2, "titel", "title"),
        (4, "criteria[0].weigth", "weight"),
    }


def test_a_text_is_checked_by_whoever_may_read_and_stored_by_nobody(
    api: TestClient, deployment: Deployment, app_of_the_product: Actor, resolver: Actor
) -> None:
    assert api.post("/v1/rubrics/lint", content=SUPPORT).status_code == 401
    assert api.post("/v1/rubrics/lint", content=SUPPORT, headers=app_of_the_product.headers).status_code == 403
    lint(api, resolver, SUPPORT.encode())
    assert api.get("/v1/rubrics", headers=resolver.headers).json()["items"] == []


def test_a_text_beyond_the_limit_is_refused(api: TestClient, resolver: Actor) -> None:
    answer = api.post("/v1/rubrics/lint", content=b"#" * (MAX_BYTES + 1), headers=resolver.headers)
    assert answer.status_code == 413


def test_texts_are_checked_one_at_a_time_and_what_cannot_wait_is_told_to_come_again(
    api: TestClient, resolver: Actor, tmp_path: Path
) -> None:
    slow = Package("slow-checks", SLOW, {"slow": "slow"})
    text = SUPPORT.replace("  - {id: has-link, check: contains_url}", "  - {id: late, check: slow}")
    with installed(tmp_path, slow), ThreadPoolExecutor(MOST_WAITING + 10) as clients:

        def ask(_number: int) -> object:
            return api.post("/v1/rubrics/lint", content=text, headers=resolver.headers).status_code

        answers = clients.map(ask, range(MOST_WAITING + 10))
        assert api.get("/v1/rubrics", headers=resolver.headers).status_code == 200
        codes = Counter(answers)
    assert codes[200] >= 1
    assert codes[503] >= 1
    assert set(codes) == {200, 503}


@given(st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace"))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_any_body_is_answered(api: TestClient, resolver: Actor, body: bytes) -> None:
    found = lint(api, resolver, body)
    assert found.valid == (found.version is not None)
    assert found.valid or found.problems


def test_the_schema_is_the_one_editors_read(api: TestClient, resolver: Actor) -> None:
    assert api.get("/v1/rubrics/schema", headers=resolver.headers).json() == rubric_schema()
