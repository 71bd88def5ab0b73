"""API keys by their hash, and the audit trail."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select, update

from evaluator.model.api_key import ApiKey, AuditEntry, Scope
from evaluator.store.database import as_row, table_of
from evaluator.store.tables import ApiKeyRow, AuditEntryRow, PersonRow

_key, _audit, _person = table_of(ApiKeyRow), table_of(AuditEntryRow), table_of(PersonRow)

HINT_LENGTH = 12
"""Characters of a key that tell it from others; the other 35 stay unknown."""


def add_key(connection: Connection, key: ApiKey) -> None:
    """Keep a new key."""
    connection.execute(_key.insert(), as_row(key))


def hash_of(key: str) -> str:
    """What is stored of a key: SHA-256 hex; a key is 256 random bits, so no salt or slow hash is needed."""
    return sha256(key.encode()).hexdigest()


def issue_key(
    connection: Connection, *, name: str, scopes: Collection[Scope], actor: str, person_id: str | None = None
) -> tuple[str, ApiKey]:
    """Make a key and keep its hash; the key itself is to be shown once and is not stored.

    With `person_id` it is that person's own.
    """
    key = f"adj_{secrets.token_urlsafe(32)}"
    stored = ApiKey(
        key_hash=hash_of(key), name=name, hint=key[:HINT_LENGTH], scopes=sorted(scopes), person_id=person_id
    )
    add_key(connection, stored)
    audit(
        connection,
        actor=actor,
        act="create_key",
        subject=stored.hint,
        detail={"name": name, "scopes": stored.scopes},
    )
    return key, stored


def find_key(connection: Connection, key_hash: str) -> ApiKey | None:
    """The active key with this hash, or None; a person's key ends with their account."""
    row = (
        connection.execute(
            select(_key)
            .outerjoin(_person, _person.c.person_id == _key.c.person_id)
            .where(
                _key.c.key_hash == key_hash,
                _key.c.revoked_at.is_(None),
                _person.c.deactivated_at.is_(None),
            )
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else ApiKey.model_validate(dict(row))


def list_keys(connection: Connection) -> list[ApiKey]:
    """Every key, revoked ones too, oldest first."""
    return [
        ApiKey.model_validate(dict(row))
        for row in connection.execute(select(_key).order_by(_key.c.created_at)).mappings()
    ]


def keys_of_person(connection: Connection, person_id: str) -> list[ApiKey]:
    """A person's own keys that are not revoked, oldest first."""
    rows = connection.execute(
        select(_key).where(_key.c.person_id == person_id, _key.c.revoked_at.is_(None)).order_by(_key.c.created_at)
    ).mappings()
    return [ApiKey.model_validate(dict(row)) for row in rows]


def revoke_key(connection: Connection, hint: str, now: datetime, *, person_id: str | None = None) -> int:
    """Revoke the active keys that begin so, with `person_id` that person's only; how many."""
    whose = () if person_id is None else (_key.c.person_id == person_id,)
    return connection.execute(
        update(_key).where(_key.c.hint == hint, _key.c.revoked_at.is_(None), *whose).values(revoked_at=now)
    ).rowcount


def audit(
    connection: Connection, *, actor: str, act: str, subject: str, detail: dict[str, Any] | None = None
) -> None:
    """Record a privileged act in the transaction that does it."""
    row = as_row(AuditEntry(actor=actor, act=act, subject=subject, detail=detail or {}))
    row.pop("audit_id")
    connection.execute(_audit.insert(), row)


def audit_trail(
    connection: Connection,
    *,
    limit: int = 100,
    actor: str = "",
    act: str = "",
    subject: str = "",
    before: int | None = None,
) -> list[AuditEntry]:
    """Privileged acts, newest first: whose actor and subject hold these words, of this act, earlier than an entry."""
    wanted = select(_audit).order_by(_audit.c.audit_id.desc()).limit(limit)
    if actor:
        wanted = wanted.where(func.lower(_audit.c.actor).contains(actor.lower(), autoescape=True))
    if subject:
        wanted = wanted.where(func.lower(_audit.c.subject).contains(subject.lower(), autoescape=True))
    if act:
        wanted = wanted.where(_audit.c.act == act)
    if before is not None:
        wanted = wanted.where(_audit.c.audit_id < before)
    return [AuditEntry.model_validate(dict(row)) for row in connection.execute(wanted).mappings()]


def audited_acts(connection: Connection) -> list[str]:
    """Every act that was ever recorded, by name."""
    return sorted(connection.execute(select(_audit.c.act).distinct()).scalars())
