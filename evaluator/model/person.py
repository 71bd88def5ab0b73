"""A person who signs in: who they are, what they may do, and how they like their pages."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, field_validator
from sqlmodel import Field, SQLModel, String

from evaluator.model.columns import Json, Money, UtcTime, utc_now


class PersonRole(StrEnum):
    """What a person may do; each role may do all that those before it may."""

    VIEWER = "viewer"
    """Read pages."""
    REVIEWER = "reviewer"
    """Review items."""
    AUTHOR = "author"
    """Settle disagreements and escalations, pick items by hand, try rubrics."""
    ADMIN = "admin"
    """People, API keys, the audit log."""

    def includes(self, other: PersonRole) -> bool:
        """Whether this role may do what the other may."""
        order = list(PersonRole)
        return order.index(self) >= order.index(other)


class Preferences(BaseModel):
    """How a person likes to work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shortcuts: bool = True
    """Whether single keys act (WCAG 2.1.4 wants a switch)."""
    auto_advance: bool = True
    """Whether the next item follows at once where person and judge agree."""
    theme: Literal["system", "light", "dark"] = "system"
    time_zone: str = "UTC"
    """An IANA name, such as Europe/Berlin."""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is no time zone; take an IANA name such as Europe/Berlin or UTC") from None
        return name


class Person(SQLModel):
    """Somebody with an account."""

    person_id: str = Field(primary_key=True)
    login: str = Field(unique=True)
    """E-mail address or name they sign in with, in lower case."""
    name: str
    role: PersonRole = Field(default=PersonRole.VIEWER, sa_type=String)
    password_hash: str | None = None
    """argon2id; None until they chose one, and for those who sign in elsewhere."""
    oidc_subject: str | None = Field(default=None, unique=True)
    """Issuer and subject, for those who sign in with an OpenID provider."""
    usd_per_hour: Decimal | None = Field(default=None, sa_type=Money)
    """What an hour of their reviewing costs; None: the deployment's rate."""
    preferences: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    """A Preferences value; what is left out is as by default."""
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    deactivated_at: datetime | None = Field(default=None, sa_type=UtcTime)
    failed_sign_ins: int = 0
    """Since the last one that succeeded."""
    locked_until: datetime | None = Field(default=None, sa_type=UtcTime)

    @property
    def likes(self) -> Preferences:
        """Their preferences, with defaults for what they left alone."""
        return Preferences.model_validate(self.preferences)

    def may(self, role: PersonRole) -> bool:
        """Whether they are active and their role includes another."""
        return self.deactivated_at is None and PersonRole(self.role).includes(role)


class PersonSession(SQLModel):
    """A browser that is signed in: the hash of its cookie, never the cookie."""

    session_hash: str = Field(primary_key=True)
    person_id: str = Field(index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    seen_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime)


class TicketPurpose(StrEnum):
    SIGN_IN = "sign_in"
    """Signs in once, as the demo's link does."""
    CHOOSE_PASSWORD = "choose_password"  # noqa: S105 - a purpose, not a password
    """Lets an invited person, or one who forgot theirs, choose a password."""


class Ticket(SQLModel):
    """A link that works once: its hash, never the link."""

    ticket_hash: str = Field(primary_key=True)
    person_id: str = Field(index=True)
    purpose: TicketPurpose = Field(sa_type=String)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcTime)
