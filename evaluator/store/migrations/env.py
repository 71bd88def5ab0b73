"""Alembic's entry: our own tables only; the engine's tables are its own affair."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import JSON
from sqlmodel import AutoString, SQLModel

from evaluator.model.columns import Money, UtcTime
from evaluator.store import tables

OURS = set(SQLModel.metadata.tables)
assert tables.EventRow.__tablename__ in OURS


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    return type_ != "table" or name in OURS


def render_item(type_: str, item: object, _context: object) -> str | Literal[False]:
    """Plain column types, so that a migration never changes with the code."""
    if type_ != "type":
        return False
    if isinstance(item, (UtcTime, Money)):
        return "sa.BigInteger()"
    if isinstance(item, AutoString):
        return "sa.String()"
    if isinstance(item, JSON):
        return "JSON"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    include_name=include_name,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_item,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
