"""Signing in with a password or a link, and what slows down whoever tries passwords."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from evaluator.accounts.passwords import fits, hashed, is_outdated
from evaluator.deployment import Deployment
from evaluator.errors import NotFound, NotSignedIn, Overloaded
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, Ticket, TicketPurpose
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection
from evaluator.store.people import (
    count_failed_sign_in,
    find_person,
    find_ticket,
    open_session,
    person_by_login,
    update_person,
    use_ticket,
)

FREE_FAILURES = 4
"""The fifth begins the first lock."""
FIRST_LOCK = timedelta(seconds=30)
LONGEST_LOCK = timedelta(minutes=15)

A_MINUTE = 20
"""Attempts of one address."""
_MOST_ADDRESSES = 10_000

WRONG = (
    "This login and password do not fit together, or there were too many attempts. "
    "Check both; after several attempts wait some minutes."
)
"""Said whatever the reason: it must not tell which logins exist."""

LINK_USED = "This link does not work: it was used, has expired, or was replaced by a newer one."


@dataclass(frozen=True)
class NewSession:
    """A person who has just signed in, and their cookie's value."""

    person: Person
    cookie: str


def lock_after(failures: int) -> timedelta:
    """How long nobody may try once so many attempts failed: 30 s after the fifth, then double, at most 15 min."""
    if failures <= FREE_FAILURES:
        return timedelta(0)
    return min(FIRST_LOCK * (1 << min(failures - FREE_FAILURES - 1, 10)), LONGEST_LOCK)


class AttemptCounter:
    """Attempts by client address within the last minute, in memory."""

    def __init__(self, per_minute: int = A_MINUTE) -> None:
        self._per_minute = per_minute
        self._seen: dict[str, deque[float]] = {}
        self._turn = threading.Lock()

    def count(self, address: str) -> None:
        """One more attempt; raises Overloaded where there were too many within a minute.

        Of IPv6 the first 64 bits count: whoever has one address there has them all.
        """
        address, now = _network(address), time.monotonic()
        with self._turn:
            if len(self._seen) >= _MOST_ADDRESSES:
                self._seen = {each: times for each, times in self._seen.items() if times[-1] > now - 60}
            times = self._seen.setdefault(address, deque())
            while times and times[0] <= now - 60:
                times.popleft()
            if len(times) >= self._per_minute:
                raise Overloaded("Too many attempts to sign in came from your address.", retry_after_seconds=60)
            times.append(now)


def _network(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    return str(known.ipv4_mapped or ip_network((int(known) >> 64 << 64, 64)))


def sign_in(deployment: Deployment, login: str, password: str) -> NewSession:
    """A session for who knows the password; raises NotSignedIn with the same words whatever does not fit.

    Takes as long for a login nobody has.
    """
    with deployment.database.read() as connection:
        person = person_by_login(connection, login)
    may_try = person is not None and _may_try(person, utc_now())
    is_right = fits(password, person.password_hash if person and may_try else None)
    if person is None or not may_try:
        raise NotSignedIn(WRONG)
    if not is_right:
        deployment.database.transact(lambda write: count_failure(write, person, utc_now()), patience_seconds=5)
        raise NotSignedIn(WRONG)
    fresh = hashed(password) if person.password_hash and is_outdated(person.password_hash) else None

    def act(connection: Connection) -> str | None:
        now = utc_now()
        current = find_person(connection, person.person_id)
        if current is None or not _may_try(current, now) or current.password_hash != person.password_hash:
            return None  # deactivated, locked or changed while the password was checked
        update_person(connection, person.person_id, **({"password_hash": fresh} if fresh else {}))
        return begin_session(connection, deployment, person, now, how="password")

    cookie = deployment.database.transact(act, patience_seconds=5)
    if cookie is None:
        raise NotSignedIn(WRONG)
    return NewSession(person, cookie)


def _may_try(person: Person, now: datetime) -> bool:
    return person.deactivated_at is None and (person.locked_until is None or person.locked_until <= now)


def count_failure(connection: Connection, person: Person, now: datetime) -> None:
    """One more failed attempt on a person; where it begins a lock, the audit log says so."""
    failures = count_failed_sign_in(connection, person.person_id)
    lock = lock_after(failures)
    if lock:
        update_person(connection, person.person_id, locked_until=now + lock)
        audit(
            connection,
            actor="somebody not signed in",
            act="sign_in_failed",
            subject=person.login,
            detail={"failures": failures, "locked_seconds": int(lock.total_seconds())},
        )


def begin_session(
    connection: Connection, deployment: Deployment, person: Person, now: datetime, *, how: str
) -> str:
    """Sign a person in: no failures any more, an audit entry, a session; its cookie's value."""
    update_person(connection, person.person_id, failed_sign_ins=0, locked_until=None)
    audit(connection, actor=person.login, act="sign_in", subject=person.login, detail={"with": how})
    return open_session(connection, person.person_id, now, deployment.settings.session_days)


def ticket_for(deployment: Deployment, secret: str) -> tuple[Ticket, Person]:
    """A link that still works and whom it is for; raises NotFound."""
    with deployment.database.read() as connection:
        found = find_ticket(connection, secret, utc_now())
    if found is None:
        raise NotFound(LINK_USED, hint="Ask an admin for a new one.")
    return found


def sign_in_by_link(deployment: Deployment, secret: str) -> NewSession:
    """A session for who has a link that signs in; uses it up. Raises NotFound."""

    def act(connection: Connection) -> NewSession:
        now = utc_now()
        found = find_ticket(connection, secret, now)
        if found is None or found[0].purpose != TicketPurpose.SIGN_IN or not use_ticket(connection, found[0], now):
            raise NotFound(LINK_USED, hint="Ask an admin for a new one.")
        _, person = found
        return NewSession(person, begin_session(connection, deployment, person, now, how="link"))

    return deployment.database.transact(act, patience_seconds=5)
