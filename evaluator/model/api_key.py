"""API keys, their scopes, and the audit trail of privileged acts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from evaluator.model.columns import Json, UtcTime, utc_now


class Scope(StrEnum):
    """What a key may do."""

    INGEST = "ingest"
    """Send runs: OTLP and JSON."""
    READ = "read"
    """Pull the feed and event stories."""
    REPORT = "report"
    """Report signals of a system of record."""
    REVIEW = "review"
    """Review as the person the key belongs to, as far as their role allows."""
    ADMIN = "admin"
    """Everything, keys included."""


class ApiKey(SQLModel):
    """A key as stored: its hash, never the key."""

    key_hash: str = Field(primary_key=True)
    """SHA-256 hex of the key; keys carry 256 random bits."""
    name: str
    hint: str
    """The key's first characters, to tell keys apart."""
    scopes: list[str] = Field(sa_type=Json)
    person_id: str | None = Field(default=None, index=True)
    """Whose it is: what is done with it counts as theirs. None: a program's."""
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcTime)


class AuditEntry(SQLModel):
    """One privileged act: who did what to what, when."""

    audit_id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(default_factory=utc_now, sa_type=UtcTime)
    actor: str
    act: str
    subject: str
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
