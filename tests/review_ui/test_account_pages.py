"""Preferences, people, keys and the audit log: who may, what is kept, what is shown once."""

from __future__ import annotations

import csv
import io
import re

import pytest
from fastapi.testclient import TestClient

from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.person import Person, PersonRole
from evaluator.store.api_keys import audit, audit_trail, find_key, hash_of
from evaluator.store.people import find_person, person_by_login
from review_ui.pages.audit_page import A_PAGE
from tests.accounts.people_world import personal_key, sign_in, somebody
from tests.review_ui.page_checks import assert_well_made
from tests.world import actor

KEY = re.compile(r"adj_[\w-]{43}")


@pytest.fixture
def boss(deployment: Deployment) -> Person:
    return somebody(deployment, "Boss", PersonRole.ADMIN, login="boss@example.com")


@pytest.fixture
def admin(browser: TestClient, deployment: Deployment, boss: Person) -> TestClient:
    sign_in(browser, deployment, boss)
    return browser


@pytest.fixture
def reviewer(browser: TestClient, deployment: Deployment, boss: Person) -> TestClient:
    sign_in(browser, deployment, somebody(deployment, "Ada", login="ada@example.com"))
    return browser


def person(deployment: Deployment, login: str) -> Person:
    with deployment.database.read() as connection:
        found = person_by_login(connection, login)
    assert found is not None
    return found


def last_act(deployment: Deployment) -> tuple[str, str, str]:
    with deployment.database.read() as connection:
        (entry,) = audit_trail(connection, limit=1)
    return entry.actor, entry.act, entry.subject


@pytest.mark.parametrize("path", ["/preferences", "/people", "/keys", "/audit"])
def test_pages_of_accounts_are_well_made(admin: TestClient, path: str) -> None:
    page = admin.get(path)
    assert page.status_code == 200
    assert_well_made(page.text)


@pytest.mark.parametrize("path", ["/people", "/people/x", "/keys", "/audit", "/audit.csv"])
def test_what_is_for_admins_is_refused_to_others(reviewer: TestClient, path: str) -> None:
    refused = reviewer.get(path, headers={"accept": "text/html"})
    assert refused.status_code == 403
    assert "needs the role admin" in refused.text
    assert "Boss" in refused.text
    assert_well_made(refused.text)
    assert f'href="{path}"' not in reviewer.get("/preferences").text


@pytest.mark.parametrize("path", ["/people", "/people/x", "/people/x/deactivate", "/keys", "/keys/adj_/revoke"])
def test_only_admins_act_on_people_and_keys(reviewer: TestClient, path: str) -> None:
    assert reviewer.post(path, data={"name": "x"}).status_code == 403


def test_preferences_are_kept_and_seen_at_once(reviewer: TestClient, deployment: Deployment) -> None:
    saved = reviewer.post(
        "/preferences",
        data={"name": "Ada L", "theme": "dark", "time_zone": "Asia/Tokyo", "auto_advance": "on"},
    )
    assert "Saved." in saved.text
    assert 'data-theme="dark"' in saved.text
    assert "Ada L" in saved.text
    assert "JST" in reviewer.post("/preferences/keys", data={"key_name": "script"}).text
    likes = person(deployment, "ada@example.com").likes
    assert (likes.shortcuts, likes.auto_advance, likes.theme, likes.time_zone) == (
        False,
        True,
        "dark",
        "Asia/Tokyo",
    )
    assert "Saved." not in reviewer.get("/preferences").text


def test_preferences_that_make_no_sense_are_told(reviewer: TestClient) -> None:
    wrong = reviewer.post("/preferences", data={"name": " ", "time_zone": "UTC"})
    assert (wrong.status_code, "Give a name" in wrong.text) == (400, True)
    zone = reviewer.post("/preferences", data={"name": "Ada", "time_zone": "../etc/passwd"})
    assert (zone.status_code, "no time zone" in zone.text) == (400, True)
    assert_well_made(zone.text)


def test_a_person_s_own_key_is_shown_once_and_theirs_alone(
    reviewer: TestClient, deployment: Deployment, boss: Person
) -> None:
    made = reviewer.post("/preferences/keys", data={"key_name": "my script"})
    found = KEY.search(made.text)
    assert found is not None
    with deployment.database.read() as connection:
        stored = find_key(connection, hash_of(found[0]))
    assert stored is not None
    assert (stored.scopes, stored.person_id) == (["review"], person(deployment, "ada@example.com").person_id)
    again = reviewer.get("/preferences").text
    assert found[0] not in again
    assert stored.hint in again
    others = personal_key(deployment, boss)
    assert reviewer.post(f"/preferences/keys/{others[:12]}/revoke").status_code == 404
    assert "is revoked" in reviewer.post(f"/preferences/keys/{stored.hint}/revoke").text
    assert last_act(deployment) == ("ada@example.com", "revoke_key", stored.hint)


def test_a_viewer_has_no_key_of_their_own(browser: TestClient, deployment: Deployment) -> None:
    sign_in(browser, deployment, somebody(deployment, role=PersonRole.VIEWER))
    assert "needs the role reviewer" in browser.get("/preferences").text
    assert browser.post("/preferences/keys", data={"key_name": "x"}).status_code == 403


def test_signing_out_everywhere_else_keeps_this_browser(
    reviewer: TestClient, deployment: Deployment, browser: TestClient
) -> None:
    here = reviewer.cookies["adjudge"]
    sign_in(reviewer, deployment, person(deployment, "ada@example.com"))
    elsewhere = reviewer.cookies["adjudge"]
    reviewer.cookies.set("adjudge", here)
    assert "one other browser" in reviewer.post("/preferences/sign-out-everywhere").text
    reviewer.cookies.set("adjudge", elsewhere)
    assert reviewer.get("/preferences", follow_redirects=False).status_code == 303


def test_an_invitation_is_a_link_shown_once(admin: TestClient, deployment: Deployment) -> None:
    invited = admin.post("/people", data={"name": "Bob", "login": "Bob@example.com", "role": "author"})
    link = re.search(r"http://localhost:8700/sign-in/ticket/[\w-]{43}", invited.text)
    assert link is not None
    assert_well_made(invited.text)
    assert link[0] not in admin.get("/people").text
    assert admin.get(link[0]).status_code == 200
    assert last_act(deployment) == ("boss@example.com", "create_person", "bob@example.com")
    twice = admin.post("/people", data={"name": "Bob", "login": "bob@example.com", "role": "author"})
    assert (twice.status_code, "already" in twice.text) == (400, True)
    unknown = admin.post("/people", data={"name": "Eve", "login": "eve", "role": "owner"})
    assert (unknown.status_code, "The roles are" in unknown.text) == (400, True)


def test_one_person_s_page_changes_role_rate_link_and_account(admin: TestClient, deployment: Deployment) -> None:
    ada = somebody(deployment, "Ada", login="ada@example.com")
    path = f"/people/{ada.person_id}"
    assert_well_made(admin.get(path).text)
    saved = admin.post(path, data={"role": "author", "rate": "62.50"})
    assert "Saved." in saved.text
    assert 'value="62.5"' in saved.text
    assert "ticket/" in admin.post(f"{path}/password-link").text
    assert "Reactivate" in admin.post(f"{path}/deactivate").text
    assert "may sign in again" in admin.post(f"{path}/reactivate").text
    changed = person(deployment, "ada@example.com")
    assert (changed.role, changed.deactivated_at) == ("author", None)
    wrong = admin.post(path, data={"role": "viewer", "rate": "much"})
    assert (wrong.status_code, 'value="much"' in wrong.text) == (400, True)
    assert_well_made(wrong.text)
    assert person(deployment, "ada@example.com").role == "author"
    assert admin.get("/people/nobody").status_code == 404


def test_the_last_admin_is_told_why_they_stay(admin: TestClient, boss: Person, deployment: Deployment) -> None:
    for path, form in (
        (f"/people/{boss.person_id}", {"role": "viewer"}),
        (f"/people/{boss.person_id}/deactivate", {}),
    ):
        refused = admin.post(path, data=form)
        assert (refused.status_code, "last admin" in refused.text) == (400, True)
        assert_well_made(refused.text)
    with deployment.database.read() as connection:
        found = find_person(connection, boss.person_id)
    assert found is not None
    assert (found.role, found.deactivated_at) == ("admin", None)


def test_a_demoted_admin_is_one_no_more_with_the_next_page(
    admin: TestClient, boss: Person, deployment: Deployment
) -> None:
    somebody(deployment, "Second", PersonRole.ADMIN)
    admin.post(f"/people/{boss.person_id}", data={"role": "viewer", "rate": ""})
    assert admin.get("/people").status_code == 403


def test_keys_of_programs_and_people_stand_in_one_list(admin: TestClient, deployment: Deployment) -> None:
    ada = somebody(deployment, "Ada")
    personal_key(deployment, ada)
    made = admin.post("/keys", data={"name": "support app", "scope-ingest": "on", "scope-read": "on"})
    found = KEY.search(made.text)
    assert found is not None
    assert_well_made(made.text)
    listed = admin.get("/keys").text
    assert found[0] not in listed
    assert "support app" in listed
    assert f'href="/people/{ada.person_id}"' in listed
    with deployment.database.read() as connection:
        stored = find_key(connection, hash_of(found[0]))
    assert stored is not None
    assert stored.scopes == ["ingest", "read"]
    assert admin.get("/v1/outcomes", headers={"x-api-key": found[0]}).status_code == 200
    assert "is revoked" in admin.post(f"/keys/{stored.hint}/revoke").text
    assert admin.get("/v1/outcomes", headers={"x-api-key": found[0]}).status_code == 401
    assert admin.post(f"/keys/{stored.hint}/revoke").status_code == 404


def test_a_key_that_may_do_nothing_or_has_no_name_is_not_made(admin: TestClient) -> None:
    for form, why in (({"name": "x"}, "Tick at least one"), ({"scope-read": "on"}, "Give a name")):
        refused = admin.post("/keys", data=form)
        assert (refused.status_code, why in refused.text) == (400, True)
        assert_well_made(refused.text)
    assert 'name="scope-review"' not in admin.get("/keys").text


def test_a_deactivated_person_s_keys_count_as_ended(admin: TestClient, deployment: Deployment) -> None:
    ada = somebody(deployment, "Ada")
    key = personal_key(deployment, ada)
    admin.post(f"/people/{ada.person_id}/deactivate")
    assert "owner deactivated" in admin.get("/keys").text
    with deployment.database.read() as connection:
        assert find_key(connection, hash_of(key)) is None


def entries(deployment: Deployment, number: int) -> None:
    def act(connection: object) -> None:
        for n in range(number):
            audit(
                connection,  # type: ignore[arg-type]  # a connection, as transact gives it
                actor=f"=cmd{n % 2}",
                act="judge_again" if n % 2 else "resume",
                subject=f"event-{n}%",
                detail={"n": n},
            )

    deployment.database.transact(act)


def test_the_audit_log_is_paged_and_filtered(admin: TestClient, deployment: Deployment) -> None:
    entries(deployment, A_PAGE + 10)
    first = admin.get("/audit").text
    assert first.count("event-") == A_PAGE
    older = re.search(r'href="(/audit\?before=\d+)">Older', first)
    assert older is not None
    assert admin.get(older[1]).text.count("event-") == 10
    assert admin.get("/audit", params={"act": "resume"}).text.count("event-") == (A_PAGE + 10) // 2
    assert admin.get("/audit", params={"actor": "=CMD1"}).text.count("event-") == (A_PAGE + 10) // 2
    assert admin.get("/audit", params={"subject": "event-7%"}).text.count("<code>") == 1
    assert admin.get("/audit", params={"subject": "%7"}).text.count("<code>") == 0
    assert admin.get("/audit", params={"before": "0"}).status_code == 400


def test_the_csv_holds_the_filter_s_entries_and_no_formulas(admin: TestClient, deployment: Deployment) -> None:
    entries(deployment, 4)
    answer = admin.get("/audit.csv", params={"act": "resume"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    head, *lines = list(csv.reader(io.StringIO(answer.text)))
    assert head == ["at", "actor", "act", "subject", "detail"]
    assert [line[1:4] for line in lines] == [["'=cmd0", "resume", "event-2%"], ["'=cmd0", "resume", "event-0%"]]


def test_names_are_shown_and_do_nothing(admin: TestClient, deployment: Deployment) -> None:
    hostile = "<script>alert(1)</script>\u202egnp"
    somebody(deployment, "x", PersonRole.VIEWER, login="hostile")
    target = person(deployment, "hostile")
    deployment.database.transact(lambda write: audit(write, actor=hostile, act="x", subject="hostile"))
    actor(deployment, hostile, Scope.READ)
    for path in ("/keys", "/audit", f"/people/{target.person_id}"):
        text = admin.get(path).text
        assert "<script>alert" not in text
        assert "\u202e" not in text
