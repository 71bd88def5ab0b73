"""People with accounts, the browsers they are signed in with, and links that work once."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from evaluator.errors import Conflict
from evaluator.model.person import Person, PersonRole, PersonSession, Ticket, TicketPurpose
from evaluator.store.database import as_row, table_of
from evaluator.store.tables import PersonRow, PersonSessionRow, TicketRow

_person, _session, _ticket = table_of(PersonRow), table_of(PersonSessionRow), table_of(TicketRow)

TICKET_LIFE = {TicketPurpose.SIGN_IN: timedelta(minutes=10), TicketPurpose.CHOOSE_PASSWORD: timedelta(days=7)}


def new_person_id() -> str:
    """16 hex digits."""
    return secrets.token_hex(8)


def add_person(connection: Connection, person: Person) -> None:
    """Keep a new person; raises Conflict where the login is taken."""
    try:
        with connection.begin_nested():
            connection.execute(_person.insert(), as_row(person))
    except IntegrityError:
        raise Conflict(f"Somebody signs in as {person.login} already.", hint="Take another login.") from None


def find_person(connection: Connection, person_id: str) -> Person | None:
    """The person with this id, deactivated ones too."""
    return _one(connection, _person.c.person_id == person_id)


def person_by_login(connection: Connection, login: str) -> Person | None:
    """The person who signs in so; upper and lower case are one."""
    return _one(connection, _person.c.login == login.strip().lower())


def person_by_subject(connection: Connection, subject: str) -> Person | None:
    """The person an OpenID provider knows so: issuer and subject."""
    return _one(connection, _person.c.oidc_subject == subject)


def _one(connection: Connection, condition: Any) -> Person | None:
    row = connection.execute(select(_person).where(condition)).mappings().one_or_none()
    return None if row is None else Person.model_validate(dict(row))


def list_people(connection: Connection) -> list[Person]:
    """Everybody, deactivated people too, by name."""
    rows = connection.execute(select(_person).order_by(_person.c.name, _person.c.person_id)).mappings()
    return [Person.model_validate(dict(row)) for row in rows]


def active_admins(connection: Connection) -> list[Person]:
    """Admins who are not deactivated, by name."""
    rows = connection.execute(
        select(_person)
        .where(_person.c.role == PersonRole.ADMIN.value, _person.c.deactivated_at.is_(None))
        .order_by(_person.c.name)
    ).mappings()
    return [Person.model_validate(dict(row)) for row in rows]


def anybody_has_account(connection: Connection) -> bool:
    """Whether there is a person at all."""
    return connection.execute(select(_person.c.person_id).limit(1)).first() is not None


def update_person(connection: Connection, person_id: str, **changes: Any) -> None:
    """Set fields of a person; nothing where there is no such person."""
    if changes:
        connection.execute(update(_person).where(_person.c.person_id == person_id).values(**changes))


def count_failed_sign_in(connection: Connection, person_id: str) -> int:
    """One more since the last that succeeded; how many it makes."""
    return int(
        connection.execute(
            update(_person)
            .where(_person.c.person_id == person_id)
            .values(failed_sign_ins=_person.c.failed_sign_ins + 1)
            .returning(_person.c.failed_sign_ins)
        ).scalar_one()
    )


def last_seen(connection: Connection) -> dict[str, datetime]:
    """Person id → when one of their browsers was last seen, to the hour; without those nobody is signed in with."""
    found: dict[str, datetime] = {}
    for person_id, at in connection.execute(select(_session.c.person_id, _session.c.seen_at)):
        found[person_id] = max(at, found.get(person_id, at))
    return found


def secret_hash(secret: str) -> str:
    """What is stored of a cookie or link: SHA-256 hex; both are 256 random bits, so no slow hash is needed."""
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def open_session(connection: Connection, person_id: str, now: datetime, days: float) -> str:
    """Sign a browser in; its cookie's value, which is not stored. Sessions that have ended are swept up."""
    cookie = secrets.token_urlsafe(32)
    session = PersonSession(
        session_hash=secret_hash(cookie),
        person_id=person_id,
        created_at=now,
        seen_at=now,
        expires_at=now + timedelta(days=days),
    )
    connection.execute(delete(_session).where(_session.c.expires_at < now))
    connection.execute(_session.insert(), as_row(session))
    return cookie


def find_session(connection: Connection, session_hash: str, now: datetime) -> tuple[PersonSession, Person] | None:
    """A session that has not expired and its person, who is active; one read."""
    row = (
        connection.execute(
            select(_person, *(column.label(f"session_{column.name}") for column in _session.c))
            .join_from(_session, _person, _person.c.person_id == _session.c.person_id)
            .where(
                _session.c.session_hash == session_hash,
                _session.c.expires_at > now,
                _person.c.deactivated_at.is_(None),
            )
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    session = PersonSession(**{column.name: row[f"session_{column.name}"] for column in _session.c})
    return session, Person.model_validate({column.name: row[column.name] for column in _person.c})


def touch_session(connection: Connection, session_hash: str, now: datetime, days: float) -> None:
    """The browser was seen; its session lasts from now on."""
    connection.execute(
        update(_session)
        .where(_session.c.session_hash == session_hash)
        .values(seen_at=now, expires_at=now + timedelta(days=days))
    )


def end_session(connection: Connection, session_hash: str) -> None:
    """Sign one browser out."""
    connection.execute(delete(_session).where(_session.c.session_hash == session_hash))


def end_sessions(connection: Connection, person_id: str, *, but: str = "") -> int:
    """Sign a person out everywhere but in the browser whose session's hash is `but`; how many that were."""
    return connection.execute(
        delete(_session).where(_session.c.person_id == person_id, _session.c.session_hash != but)
    ).rowcount


def make_ticket(connection: Connection, person: Person, purpose: TicketPurpose, now: datetime) -> str:
    """A link's secret, good once: `/sign-in/ticket/{secret}`; earlier links of that person and purpose end."""
    secret = secrets.token_urlsafe(32)
    connection.execute(
        delete(_ticket).where(
            or_(
                (_ticket.c.person_id == person.person_id) & (_ticket.c.purpose == purpose.value),
                _ticket.c.expires_at < now,
            )
        )
    )
    ticket = Ticket(
        ticket_hash=secret_hash(secret),
        person_id=person.person_id,
        purpose=purpose,
        created_at=now,
        expires_at=now + TICKET_LIFE[purpose],
    )
    connection.execute(_ticket.insert(), as_row(ticket))
    return secret


def find_ticket(connection: Connection, secret: str, now: datetime) -> tuple[Ticket, Person] | None:
    """A link that still works, and the active person it is for."""
    row = (
        connection.execute(
            select(_ticket).where(
                _ticket.c.ticket_hash == secret_hash(secret),
                _ticket.c.expires_at > now,
                _ticket.c.used_at.is_(None),
            )
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    person = find_person(connection, row["person_id"])
    return None if person is None or person.deactivated_at else (Ticket.model_validate(dict(row)), person)


def use_ticket(connection: Connection, ticket: Ticket, now: datetime) -> bool:
    """Use a link up; False where somebody was faster."""
    return (
        connection.execute(
            update(_ticket)
            .where(_ticket.c.ticket_hash == ticket.ticket_hash, _ticket.c.used_at.is_(None))
            .values(used_at=now)
        ).rowcount
        == 1
    )


def end_tickets(connection: Connection, person_id: str) -> None:
    """End every link of a person."""
    connection.execute(delete(_ticket).where(_ticket.c.person_id == person_id))
