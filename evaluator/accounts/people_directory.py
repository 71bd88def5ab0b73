"""Making accounts and changing them: what admins do with people, and people with their own."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from zoneinfo import available_timezones

from evaluator.accounts.passwords import fits, hashed, problem_with
from evaluator.accounts.sign_in import LINK_USED, NewSession, begin_session
from evaluator.deployment import Deployment
from evaluator.errors import BadInput, Conflict, NotFound
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole, Preferences, TicketPurpose
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection
from evaluator.store.people import (
    active_admins,
    add_person,
    anybody_has_account,
    end_sessions,
    end_tickets,
    find_person,
    find_ticket,
    make_ticket,
    new_person_id,
    person_by_login,
    update_person,
    use_ticket,
)

LONGEST_NAME = 100
LONGEST_LOGIN = 254
DEAREST_HOUR = Decimal(100_000)


class FormProblems(BadInput):
    """Some fields cannot be used as they are."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems
        """Field → what is wrong with it, in a sentence."""


@dataclass(frozen=True)
class Invited:
    """A person and the secret of the link they choose a password with."""

    person: Person
    secret: str


def problem_with_name(name: str) -> str | None:
    """What is wrong with a person's name."""
    if not name.strip():
        return "Give a name: others see it beside what you review."
    if len(name) > LONGEST_NAME:
        return f"A name has at most {LONGEST_NAME} characters."
    return (
        None if is_plain(name) else "A name is one line of letters; this one holds characters that cannot be seen."
    )


def is_plain(text: str) -> bool:
    """Whether a text is one line without characters that turn others round; joiners belong to some scripts' letters."""
    return all(each.isprintable() or each in "\u200c\u200d" for each in text)


def problem_with_login(login: str) -> str | None:
    """What is wrong with a login."""
    if not login.strip():
        return "Give a login: an e-mail address, or a name without spaces."
    if len(login) > LONGEST_LOGIN:
        return f"A login has at most {LONGEST_LOGIN} characters."
    if any(each.isspace() or not each.isprintable() for each in login.strip()):
        return "A login has no spaces: an e-mail address, or a name."
    return None


def problem_with_time_zone(name: str) -> str | None:
    """What is wrong with a time zone's name."""
    if name in available_timezones():
        return None
    return f"{quoted(name)} is no time zone; take one such as Europe/Berlin or UTC."


def told(**problems: str | None) -> None:
    """Raise FormProblems where there is any."""
    found = {field: problem for field, problem in problems.items() if problem}
    if found:
        raise FormProblems(found)


def set_up_code(deployment: Deployment) -> str:
    """What proves, from another machine, that somebody reads this server's own output: 16 letters and digits."""
    return hmac.new(deployment.secret, b"set-up", sha256).hexdigest()[:16]


def set_up(deployment: Deployment, *, name: str, login: str, password: str, time_zone: str) -> NewSession:
    """The first account, an admin's, signed in; raises FormProblems, and Conflict where somebody was faster."""
    login = login.strip().lower()
    told(
        name=problem_with_name(name),
        login=problem_with_login(login),
        password=problem_with(password, login),
        time_zone=problem_with_time_zone(time_zone),
    )
    person = Person(
        person_id=new_person_id(),
        login=login,
        name=name.strip(),
        role=PersonRole.ADMIN,
        password_hash=hashed(password),
        preferences=Preferences(time_zone=time_zone).model_dump(),
    )

    def act(connection: Connection) -> str:
        deployment.database.lock_for_all(connection, "people")
        if anybody_has_account(connection):
            raise Conflict("Somebody has made the first account meanwhile.", hint="Sign in, or ask them.")
        add_person(connection, person)
        audit(connection, actor=login, act="set_up", subject=login)
        return begin_session(connection, deployment, person, utc_now(), how="set-up")

    return NewSession(person, deployment.database.transact(act, patience_seconds=10))


def invite(
    connection: Connection, *, actor: str, name: str, login: str, role: PersonRole, now: datetime
) -> Invited:
    """A new person and the link they choose a password with; raises FormProblems and Conflict."""
    login = login.strip().lower()
    told(name=problem_with_name(name), login=problem_with_login(login))
    person = Person(person_id=new_person_id(), login=login, name=name.strip(), role=role, created_at=now)
    add_person(connection, person)
    audit(connection, actor=actor, act="create_person", subject=login, detail={"name": person.name, "role": role})
    return Invited(person, make_ticket(connection, person, TicketPurpose.CHOOSE_PASSWORD, now))


def password_link(connection: Connection, person_id: str, *, actor: str, now: datetime) -> Invited:
    """A new link to choose a password with; earlier ones end. Raises NotFound and Conflict."""
    person = active(connection, person_id)
    audit(connection, actor=actor, act="password_link", subject=person.login)
    return Invited(person, make_ticket(connection, person, TicketPurpose.CHOOSE_PASSWORD, now))


def choose_password(deployment: Deployment, secret: str, password: str) -> NewSession:
    """Take the password of who has the link, sign them in, end their other sessions; raises NotFound, FormProblems."""
    with deployment.database.read() as connection:
        found = find_ticket(connection, secret, utc_now())
    if found is None or found[0].purpose != TicketPurpose.CHOOSE_PASSWORD:
        raise NotFound(LINK_USED, hint="Ask an admin for a new one.")
    ticket, person = found
    told(password=problem_with(password, person.login))
    kept = hashed(password)

    def act(connection: Connection) -> str:
        now = utc_now()
        if not use_ticket(connection, ticket, now):
            raise NotFound(LINK_USED, hint="Ask an admin for a new one.")
        active(connection, person.person_id)
        _keep_password(connection, person, kept, actor=person.login)
        return begin_session(connection, deployment, person, now, how="link")

    return NewSession(person, deployment.database.transact(act, patience_seconds=10))


def change_password(
    deployment: Deployment, person: Person, *, current: str, password: str, session_hash: str
) -> None:
    """Another password for who knows theirs; every other session of theirs ends. Raises FormProblems."""
    with deployment.database.read() as connection:
        known = active(connection, person.person_id)
    if known.password_hash and not fits(current, known.password_hash):
        raise FormProblems({"current": "This is not your password."})
    told(password=problem_with(password, person.login))
    kept = hashed(password)
    deployment.database.transact(
        lambda connection: _keep_password(connection, person, kept, actor=person.login, but=session_hash),
        patience_seconds=10,
    )


def _keep_password(connection: Connection, person: Person, kept: str, *, actor: str, but: str = "") -> None:
    update_person(connection, person.person_id, password_hash=kept, failed_sign_ins=0, locked_until=None)
    ended = end_sessions(connection, person.person_id, but=but)
    end_tickets(connection, person.person_id)
    audit(connection, actor=actor, act="password_changed", subject=person.login, detail={"sessions_ended": ended})


def set_preferences(connection: Connection, person: Person, *, name: str, likes: Preferences) -> None:
    """A person's own name and preferences; raises FormProblems."""
    told(name=problem_with_name(name))
    update_person(connection, person.person_id, name=name.strip(), preferences=likes.model_dump())


def change_role(
    connection: Connection, deployment: Deployment, person_id: str, role: PersonRole, *, actor: str
) -> Person:
    """Give a person another role; raises NotFound, and Conflict for the last admin."""
    deployment.database.lock_for_all(connection, "people")
    person = active(connection, person_id)
    if role is not PersonRole.ADMIN:
        _keep_an_admin(connection, person)
    if role != person.role:
        update_person(connection, person_id, role=role.value)
        detail = {"from": person.role, "to": role}
        audit(connection, actor=actor, act="change_role", subject=person.login, detail=detail)
    return person


def deactivate(
    connection: Connection, deployment: Deployment, person_id: str, *, actor: str, now: datetime
) -> Person:
    """End a person's account: sessions, links and keys with it; raises NotFound, and Conflict for the last admin."""
    deployment.database.lock_for_all(connection, "people")
    person = active(connection, person_id)
    _keep_an_admin(connection, person)
    update_person(connection, person_id, deactivated_at=now)
    end_sessions(connection, person_id)
    end_tickets(connection, person_id)
    audit(connection, actor=actor, act="deactivate_person", subject=person.login)
    return person


def reactivate(connection: Connection, person_id: str, *, actor: str) -> Person:
    """Let a person in again, with the role and the keys they had; raises NotFound."""
    person = known(connection, person_id)
    if person.deactivated_at is not None:
        update_person(connection, person_id, deactivated_at=None, failed_sign_ins=0, locked_until=None)
        audit(connection, actor=actor, act="reactivate_person", subject=person.login)
    return person


def set_rate(connection: Connection, person_id: str, usd_per_hour: Decimal | None, *, actor: str) -> Person:
    """What an hour of a person's reviewing costs; None: the deployment's rate. Raises NotFound."""
    person = known(connection, person_id)
    if usd_per_hour != person.usd_per_hour:
        update_person(connection, person_id, usd_per_hour=usd_per_hour)
        detail = {"usd_per_hour": None if usd_per_hour is None else str(usd_per_hour)}
        audit(connection, actor=actor, act="set_rate", subject=person.login, detail=detail)
    return person


def rate_of(text: str) -> Decimal | None:
    """US dollars an hour as typed, None where left empty; raises FormProblems."""
    if not text.strip():
        return None
    try:
        rate = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        rate = Decimal(-1)
    if not rate.is_finite() or not 0 <= rate <= DEAREST_HOUR:
        raise FormProblems(
            {"rate": f"A rate is a number of US dollars from 0 to {DEAREST_HOUR:,}; found {quoted(text)}."}
        )
    return rate


def role_of(text: str) -> PersonRole:
    """A role by its name; raises FormProblems."""
    if text not in list(PersonRole):
        raise FormProblems({"role": f"The roles are {', '.join(PersonRole)}; found {quoted(text)}."})
    return PersonRole(text)


def known(connection: Connection, person_id: str) -> Person:
    """The person with this id; raises NotFound."""
    person = find_person(connection, person_id)
    if person is None:
        raise NotFound("There is no such person.", hint="The page People lists everybody.")
    return person


def active(connection: Connection, person_id: str) -> Person:
    """The person with this id; raises NotFound, and Conflict where they are deactivated."""
    person = known(connection, person_id)
    if person.deactivated_at is not None:
        raise Conflict(f"{person.name} is deactivated.", hint="Reactivate them first.")
    return person


def by_login(connection: Connection, login: str) -> Person:
    """The person who signs in so; raises NotFound."""
    person = person_by_login(connection, login)
    if person is None:
        raise NotFound(f"Nobody signs in as {quoted(login)}.", hint="`adjudge people list` shows everybody.")
    return person


def _keep_an_admin(connection: Connection, person: Person) -> None:
    admins = active_admins(connection)
    if [admin.person_id for admin in admins] == [person.person_id]:
        raise Conflict(
            f"{person.name} is the last admin; without one nobody could manage people.",
            hint="Make somebody else an admin first.",
        )
