"""Signing in, and what slows down whoever tries passwords."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from evaluator.accounts import sign_in as module
from evaluator.accounts.passwords import hashed, is_outdated
from evaluator.accounts.sign_in import LONGEST_LOCK, WRONG, AttemptCounter, lock_after, sign_in
from evaluator.deployment import Deployment
from evaluator.errors import NotSignedIn, Overloaded
from evaluator.model.columns import utc_now
from evaluator.model.person import Person
from evaluator.store.api_keys import audit_trail
from evaluator.store.people import find_person, find_session, secret_hash, update_person
from tests.accounts.people_world import somebody

PASSWORD = "three green bottles"
KEPT = hashed(PASSWORD)


@pytest.fixture
def ada(deployment: Deployment) -> Person:
    return somebody(deployment, login="ada", password_hash=KEPT)


def again(deployment: Deployment, person: Person) -> Person:
    with deployment.database.read() as connection:
        found = find_person(connection, person.person_id)
    assert found is not None
    return found


def fail(deployment: Deployment, times: int) -> None:
    for _ in range(times):
        with pytest.raises(NotSignedIn, match=WRONG[:30]):
            sign_in(deployment, "ada", "wrong, all of it")


def test_the_cookie_is_the_session_and_only_its_hash_is_kept(deployment: Deployment, ada: Person) -> None:
    session = sign_in(deployment, "ADA", PASSWORD)
    now = utc_now()
    with deployment.database.read() as connection:
        found = find_session(connection, secret_hash(session.cookie), now)
        later = now + timedelta(days=deployment.settings.session_days + 0.01)
        assert find_session(connection, secret_hash(session.cookie), later) is None
        assert find_session(connection, session.cookie, now) is None
    assert found is not None
    assert found[1].person_id == ada.person_id


def test_the_fifth_failure_begins_a_lock_that_the_right_password_waits_for_too(
    deployment: Deployment, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(deployment, 4)
    assert again(deployment, ada).locked_until is None
    fail(deployment, 1)
    locked = again(deployment, ada)
    assert (locked.failed_sign_ins, locked.locked_until is not None) == (5, True)
    with pytest.raises(NotSignedIn, match=WRONG[:30]):
        sign_in(deployment, "ada", PASSWORD)
    assert again(deployment, ada).failed_sign_ins == 5
    with deployment.database.read() as connection:
        assert [entry.act for entry in audit_trail(connection)] == ["sign_in_failed"]
    assert locked.locked_until is not None
    at: datetime = locked.locked_until + timedelta(seconds=1)
    monkeypatch.setattr(module, "utc_now", lambda: at)
    sign_in(deployment, "ada", PASSWORD)
    assert (again(deployment, ada).failed_sign_ins, again(deployment, ada).locked_until) == (0, None)


@given(st.integers(min_value=0, max_value=10_000))
def test_locks_grow_and_end(failures: int) -> None:
    assert timedelta(0) <= lock_after(failures) <= lock_after(failures + 1) <= LONGEST_LOCK
    assert bool(lock_after(failures)) == (failures >= 5)


def test_locks_double() -> None:
    assert [int(lock_after(n).total_seconds()) for n in range(4, 12)] == [0, 30, 60, 120, 240, 480, 900, 900]


def test_who_has_no_password_cannot_use_one(deployment: Deployment) -> None:
    somebody(deployment, login="invited")
    for given_password in ("", "the password of nobody"):
        with pytest.raises(NotSignedIn):
            sign_in(deployment, "invited", given_password)


def test_a_deactivated_person_does_not_sign_in(deployment: Deployment, ada: Person) -> None:
    deployment.database.transact(lambda write: update_person(write, ada.person_id, deactivated_at=utc_now()))
    with pytest.raises(NotSignedIn, match=WRONG[:30]):
        sign_in(deployment, "ada", PASSWORD)


def test_a_hash_with_old_parameters_is_made_anew(deployment: Deployment, ada: Person) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD)
    deployment.database.transact(lambda write: update_person(write, ada.person_id, password_hash=old))
    sign_in(deployment, "ada", PASSWORD)
    kept = again(deployment, ada).password_hash
    assert kept is not None
    assert not is_outdated(kept)
    sign_in(deployment, "ada", PASSWORD)


def test_one_network_of_ipv6_is_one_address() -> None:
    counter = AttemptCounter(per_minute=2)
    for address in ("2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1", "203.0.113.1", "203.0.113.2"):
        counter.count(address)
    with pytest.raises(Overloaded):
        counter.count("2001:db8::ffff")
    counter.count("::ffff:203.0.113.1")
    with pytest.raises(Overloaded):
        counter.count("203.0.113.1")


def test_addresses_are_counted_apart_and_forgotten_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("evaluator.accounts.sign_in.time.monotonic", lambda: now)
    counter = AttemptCounter(per_minute=2)
    for address in ("a", "a", "b"):
        counter.count(address)
    with pytest.raises(Overloaded):
        counter.count("a")
    counter.count("b")
    now = 1061.0
    counter.count("a")
