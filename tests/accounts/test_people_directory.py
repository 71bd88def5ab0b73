"""Accounts: made, changed, ended; somebody always stays who may manage them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from evaluator.accounts.people_directory import (
    FormProblems,
    change_password,
    change_role,
    choose_password,
    deactivate,
    invite,
    problem_with_name,
    rate_of,
    reactivate,
    set_rate,
    set_up,
)
from evaluator.accounts.sign_in import sign_in
from evaluator.deployment import Deployment
from evaluator.errors import Conflict, NotFound, NotSignedIn
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.store.api_keys import audit_trail, find_key, hash_of
from evaluator.store.people import find_person, find_session, list_people, open_session, secret_hash
from tests.accounts.people_world import personal_key, somebody

PASSWORD = "three green bottles"


def acts(deployment: Deployment) -> list[str]:
    with deployment.database.read() as connection:
        return [entry.act for entry in reversed(audit_trail(connection))]


def again(deployment: Deployment, person: Person) -> Person:
    with deployment.database.read() as connection:
        found = find_person(connection, person.person_id)
    assert found is not None
    return found


def test_of_two_who_set_up_at_once_one_wins(deployment: Deployment) -> None:
    def try_it(name: str) -> bool:
        try:
            set_up(deployment, name=name, login=name, password=PASSWORD, time_zone="Europe/Berlin")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(try_it, ("ada", "bob"))) == [False, True]
    with deployment.database.read() as connection:
        (person,) = list_people(connection)
    assert (person.role, person.likes.time_zone) == (PersonRole.ADMIN, "Europe/Berlin")
    assert acts(deployment) == ["set_up", "sign_in"]


def test_every_field_that_is_wrong_is_told(deployment: Deployment) -> None:
    with pytest.raises(FormProblems) as told:
        set_up(deployment, name=" ", login="a b", password="short", time_zone="Mars/Base")
    assert told.value.problems.keys() == {"name", "login", "password", "time_zone"}


def test_a_login_is_one_person_s_whatever_its_case(deployment: Deployment) -> None:
    somebody(deployment, login="ada@example.com")
    with pytest.raises(Conflict, match=r"ada@example\.com"):
        deployment.database.transact(
            lambda write: invite(
                write, actor="boss", name="Ada", login=" Ada@Example.com ", role=PersonRole.VIEWER, now=utc_now()
            )
        )


def test_the_last_admin_stays_one(deployment: Deployment) -> None:
    boss = somebody(deployment, "Boss", PersonRole.ADMIN)

    def demote(person: Person) -> None:
        deployment.database.transact(
            lambda write: change_role(write, deployment, person.person_id, PersonRole.AUTHOR, actor="boss")
        )

    def end(person: Person) -> None:
        deployment.database.transact(
            lambda write: deactivate(write, deployment, person.person_id, actor="boss", now=utc_now())
        )

    for act in (demote, end):
        with pytest.raises(Conflict, match="last admin"):
            act(boss)
    second = somebody(deployment, "Second", PersonRole.ADMIN)
    end(boss)
    for act in (demote, end):
        with pytest.raises(Conflict, match="last admin"):
            act(second)
    assert acts(deployment) == ["deactivate_person"]


def test_of_two_admins_who_demote_each_other_one_stays(deployment: Deployment) -> None:
    admins = [somebody(deployment, name, PersonRole.ADMIN) for name in ("Ada", "Bob")]

    def demote(person: Person) -> bool:
        try:
            deployment.database.transact(
                lambda write: change_role(write, deployment, person.person_id, PersonRole.VIEWER, actor="x")
            )
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(demote, admins)) == [False, True]


def test_deactivating_ends_sessions_links_and_keys_and_reactivating_gives_keys_back(deployment: Deployment) -> None:
    somebody(deployment, "Boss", PersonRole.ADMIN)
    invited = deployment.database.transact(
        lambda write: invite(write, actor="b", name="Bob", login="bob", role=PersonRole.REVIEWER, now=utc_now())
    )
    bob, key = invited.person, personal_key(deployment, invited.person)
    cookie = deployment.database.transact(lambda write: open_session(write, bob.person_id, utc_now(), 14))
    deployment.database.transact(
        lambda write: deactivate(write, deployment, bob.person_id, actor="b", now=utc_now())
    )
    with deployment.database.read() as connection:
        assert find_key(connection, hash_of(key)) is None
        assert find_session(connection, secret_hash(cookie), utc_now()) is None
    with pytest.raises(NotFound):
        choose_password(deployment, invited.secret, PASSWORD)
    deployment.database.transact(lambda write: reactivate(write, bob.person_id, actor="b"))
    with deployment.database.read() as connection:
        assert find_key(connection, hash_of(key)) is not None
        assert find_session(connection, secret_hash(cookie), utc_now()) is None


def test_changing_a_password_needs_the_one_before_and_ends_other_sessions(deployment: Deployment) -> None:
    here = set_up(deployment, name="Ada", login="ada", password=PASSWORD, time_zone="UTC")
    elsewhere = sign_in(deployment, "ada", PASSWORD)
    with pytest.raises(FormProblems) as told:
        change_password(
            deployment, here.person, current="a wrong one", password="another good one", session_hash=""
        )
    assert told.value.problems.keys() == {"current"}
    kept = secret_hash(here.cookie)
    change_password(deployment, here.person, current=PASSWORD, password="another good one", session_hash=kept)
    with deployment.database.read() as connection:
        assert find_session(connection, kept, utc_now()) is not None
        assert find_session(connection, secret_hash(elsewhere.cookie), utc_now()) is None
    with pytest.raises(NotSignedIn):
        sign_in(deployment, "ada", PASSWORD)
    assert acts(deployment)[-1] == "password_changed"


def test_roles_and_rates_are_audited_where_they_change(deployment: Deployment) -> None:
    ada = somebody(deployment)
    for _ in range(2):
        deployment.database.transact(
            lambda write: change_role(write, deployment, ada.person_id, PersonRole.AUTHOR, actor="boss")
        )
        deployment.database.transact(lambda write: set_rate(write, ada.person_id, Decimal("62.50"), actor="boss"))
    assert acts(deployment) == ["change_role", "set_rate"]
    assert (again(deployment, ada).role, again(deployment, ada).usd_per_hour) == ("author", Decimal("62.5"))


@pytest.mark.parametrize(
    ("text", "rate"), [("", None), (" 62.50 ", Decimal("62.5")), ("$40", Decimal(40)), ("0", Decimal(0))]
)
def test_a_rate_is_dollars_or_nothing(text: str, rate: Decimal | None) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["-1", "forty", "NaN", "Infinity", "1e9", "1,5"])
def test_what_is_no_rate_is_told(text: str) -> None:
    with pytest.raises(FormProblems, match="US dollars"):
        rate_of(text)


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [("Ada Lovelace", True), ("\u0646\u200c\u0627", True), ("Ada\nBcc: x", False), ("Ada\u202eecalevoL", False)],
)
def test_a_name_is_one_line_that_reads_as_it_stands(name: str, is_taken: bool) -> None:
    assert (problem_with_name(name) is None) == is_taken
