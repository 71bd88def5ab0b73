"""Sessions: remembered for a moment, prolonged at most once an hour, gone when they are ended."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from evaluator.accounts.session_book import SessionBook
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonSession
from evaluator.store.people import end_sessions, find_session, open_session, secret_hash
from tests.accounts.people_world import somebody


@pytest.fixture
def ada(deployment: Deployment) -> Person:
    return somebody(deployment)


def opened(deployment: Deployment, person: Person, at: datetime) -> str:
    return deployment.database.transact(lambda write: open_session(write, person.person_id, at, 14))


def kept(deployment: Deployment, cookie: str) -> PersonSession:
    with deployment.database.read() as connection:
        found = find_session(connection, secret_hash(cookie), utc_now())
    assert found is not None
    return found[0]


def test_a_cookie_stands_for_its_person_and_is_remembered(deployment: Deployment, ada: Person) -> None:
    book, cookie = SessionBook(deployment), opened(deployment, ada, utc_now())
    assert book.remembered(cookie) is None
    found = book.look_up(cookie)
    assert found is not None
    assert found.person.person_id == ada.person_id
    assert book.remembered(cookie) is found
    assert book.look_up("another") is None


def test_an_ended_session_is_forgotten_within_three_seconds(
    deployment: Deployment, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, cookie = SessionBook(deployment), opened(deployment, ada, utc_now())
    book.look_up(cookie)
    deployment.database.transact(lambda write: end_sessions(write, ada.person_id))
    assert book.remembered(cookie) is not None
    until, _ = book._known[secret_hash(cookie)]
    monkeypatch.setattr("evaluator.accounts.session_book.time.monotonic", lambda: until + 0.001)
    assert book.remembered(cookie) is None
    assert book.look_up(cookie) is None


def test_looking_writes_at_most_once_an_hour(deployment: Deployment, ada: Person) -> None:
    now = utc_now()
    fresh, old = (
        opened(deployment, ada, now - timedelta(minutes=59)),
        opened(deployment, ada, now - timedelta(hours=2)),
    )
    before = {cookie: kept(deployment, cookie) for cookie in (fresh, old)}
    for cookie in (fresh, old):
        SessionBook(deployment).look_up(cookie)
    assert kept(deployment, fresh) == before[fresh]
    after = kept(deployment, old)
    assert after.seen_at >= now
    assert after.expires_at - after.seen_at == timedelta(days=deployment.settings.session_days)


def test_an_expired_session_is_none_and_is_swept_up(deployment: Deployment, ada: Person) -> None:
    cookie = opened(deployment, ada, utc_now() - timedelta(days=15))
    assert SessionBook(deployment).look_up(cookie) is None
    opened(deployment, ada, utc_now())
    with deployment.database.read() as connection:
        assert find_session(connection, secret_hash(cookie), utc_now() - timedelta(days=10)) is None


def test_whether_anybody_has_an_account_is_seen_at_once(deployment: Deployment) -> None:
    book = SessionBook(deployment)
    assert not book.somebody_has_account()
    somebody(deployment)
    assert book.somebody_has_account()
