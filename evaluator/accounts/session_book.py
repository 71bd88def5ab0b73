"""The browsers that are signed in: looked up at most every three seconds, written to at most every hour."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person
from evaluator.store.people import anybody_has_account, find_session, secret_hash, touch_session

REMEMBERED_SECONDS = 3.0
SEEN_EVERY = timedelta(hours=1)
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class SignedIn:
    """A person and the session they came with."""

    person: Person
    session_hash: str


class SessionBook:
    """The sessions of a deployment; those that were found lately need no look into the database."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._known: dict[str, tuple[float, SignedIn]] = {}
        self._somebody = False

    def remembered(self, cookie: str) -> SignedIn | None:
        """Who the cookie stands for, where that was found lately."""
        until, found = self._known.get(secret_hash(cookie), (0.0, None))
        return found if until > time.monotonic() else None

    def look_up(self, cookie: str) -> SignedIn | None:
        """Who the cookie stands for, or None; once an hour the session is prolonged."""
        session_hash, now = secret_hash(cookie), utc_now()
        until = time.monotonic() + REMEMBERED_SECONDS
        database, days = self._deployment.database, self._deployment.settings.session_days
        with database.read() as connection:
            found = find_session(connection, session_hash, now)
        if found is None:
            self._known.pop(session_hash, None)
            return None
        session, person = found
        if now - session.seen_at > SEEN_EVERY:
            database.transact(lambda write: touch_session(write, session_hash, now, days), patience_seconds=2)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[session_hash] = (until, signed_in := SignedIn(person, session_hash))
        return signed_in

    def somebody_has_account(self) -> bool:
        """Whether anybody has; nobody who had one loses it, so a yes is kept."""
        if not self._somebody:
            with self._deployment.database.read() as connection:
                self._somebody = anybody_has_account(connection)
        return self._somebody

    def forget(self) -> None:
        """Look every session up again."""
        self._known.clear()
