"""Who looks at a page: a person who signed in, or somebody who may only read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo

from evaluator.errors import NotSignedIn
from evaluator.model.person import Person, PersonRole, Preferences


@dataclass(frozen=True)
class Visitor:
    """Whoever a page is made for."""

    person: Person | None = None
    session_hash: str = ""
    """Of the browser's session; empty where nobody signed in."""
    is_first: bool = False
    """Whether nobody has an account yet."""

    @property
    def signed_in(self) -> Person:
        """The person; raises NotSignedIn where there is none."""
        if self.person is None:
            raise NotSignedIn
        return self.person

    def may(self, role: PersonRole | str) -> bool:
        """Whether they signed in and their role includes another."""
        return self.person is not None and self.person.may(PersonRole(role))

    @property
    def likes(self) -> Preferences:
        """Their preferences; the defaults where nobody signed in."""
        return self.person.likes if self.person else Preferences()

    @property
    def name(self) -> str:
        return self.person.name if self.person else ""

    @property
    def role(self) -> str:
        return str(self.person.role) if self.person else ""

    @property
    def time_zone(self) -> tzinfo:
        """The zone absolute times are shown in."""
        return ZoneInfo(self.likes.time_zone)


ANONYMOUS = Visitor()
