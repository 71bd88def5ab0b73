"""Whoever looks at the demo: a person in its own database, signed in by a link that works once."""

from __future__ import annotations

import os
import sys
import webbrowser

from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole, TicketPurpose
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection
from evaluator.store.people import add_person, make_ticket, new_person_id, person_by_login

LOGIN, NAME = "demo", "Demo"


def visit_link(deployment: Deployment, address: str) -> str:
    """A link that signs in once as the demo's person, an admin without a password; made at need."""

    def act(connection: Connection) -> str:
        person = person_by_login(connection, LOGIN) or _add(connection)
        return make_ticket(connection, person, TicketPurpose.SIGN_IN, utc_now())

    return f"{address}/sign-in/ticket/{deployment.database.transact(act)}"


def _add(connection: Connection) -> Person:
    person = Person(person_id=new_person_id(), login=LOGIN, name=NAME, role=PersonRole.ADMIN)
    add_person(connection, person)
    audit(connection, actor="demo", act="create_person", subject=LOGIN, detail={"role": person.role})
    return person


def open_for_a_person(link: str) -> bool:
    """Open a link in the browser where somebody sits before this terminal and a display; whether that was tried."""
    if os.environ.get("CI") or not (sys.stdin.isatty() and sys.stdout.isatty() and has_display()):
        return False
    try:
        return webbrowser.open(link)
    except webbrowser.Error:
        return False


def has_display() -> bool:
    """Whether a browser has somewhere to show itself."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
