"""People who sign in, what they review and say, and messages to elsewhere"""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id"),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("state = 'due'"),
            postgresql_where=sa.text("state = 'due'"),
        )

    op.create_table(
        "person",
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("oidc_subject", sa.String(), nullable=True),
        sa.Column("usd_per_hour", sa.BigInteger(), nullable=True),
        sa.Column("preferences", JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deactivated_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_sign_ins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person_id"),
        sa.UniqueConstraint("login"),
        sa.UniqueConstraint("oidc_subject"),
    )
    op.create_table(
        "person_session",
        sa.Column("session_hash", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_hash"),
    )
    with op.batch_alter_table("person_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_person_session_person_id"), ["person_id"], unique=False)

    op.create_table(
        "review",
        sa.Column("review_id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("rubric_id", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("form_key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("cannot_judge", sa.String(), nullable=True),
        sa.Column("proposed", sa.String(), nullable=True),
        sa.Column("criteria", JSON, nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("seen_judge", sa.Boolean(), nullable=False),
        sa.Column("judge_verdict", sa.String(), nullable=True),
        sa.Column("judge_score", sa.Float(), nullable=True),
        sa.Column("rollup_revision", sa.Integer(), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=True),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("retracts", sa.String(), nullable=True),
        sa.Column("slot_id", sa.String(), nullable=True),
        sa.Column("batch_id", sa.String(), nullable=True),
        sa.Column("active_ms", sa.Integer(), nullable=False),
        sa.Column("elapsed_ms", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("review_id"),
    )
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_review_event_id"), ["event_id"], unique=False)
        batch_op.create_index("ix_review_form", ["person_id", "form_key"], unique=True)
        batch_op.create_index("ix_review_person", ["person_id", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_review_item_id"), ["item_id"], unique=False)

    op.create_table(
        "review_act",
        sa.Column("act_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=True),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.Column("batch_id", sa.String(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("act_id"),
    )
    with op.batch_alter_table("review_act", schema=None) as batch_op:
        batch_op.create_index("ix_review_act_item", ["item_id", "person_id"], unique=False)
        batch_op.create_index(
            "ix_review_act_batch",
            ["batch_id"],
            unique=False,
            sqlite_where=sa.text("batch_id IS NOT NULL"),
            postgresql_where=sa.text("batch_id IS NOT NULL"),
        )

    op.create_table(
        "review_batch",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("filters", JSON, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("batch_id"),
    )
    with op.batch_alter_table("review_batch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_batch_person_id"), ["person_id"], unique=False)

    op.create_table(
        "review_item",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("rubric_id", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("deciding_run_id", sa.String(), nullable=True),
        sa.Column("rollup_revision", sa.Integer(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("reviewers", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("gold", sa.Boolean(), nullable=False),
        sa.Column("value_amount", sa.BigInteger(), nullable=True),
        sa.Column("value_currency", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("rank_at", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("item_id"),
    )
    with op.batch_alter_table("review_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_item_event_id"), ["event_id"], unique=False)
        batch_op.create_index(
            "ix_review_item_done",
            ["settled_at"],
            unique=False,
            sqlite_where=sa.text("state = 'done'"),
            postgresql_where=sa.text("state = 'done'"),
        )
        batch_op.create_index(
            "ix_review_item_gold",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("gold"),
            postgresql_where=sa.text("gold"),
        )
        batch_op.create_index("ix_review_item_queue", ["state", "rank_at"], unique=False)

    op.create_table(
        "review_slot",
        sa.Column("slot_id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("rubric_id", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("rank_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("claimed_before", sa.String(), nullable=True),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("batch_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("slot_id"),
    )
    with op.batch_alter_table("review_slot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_slot_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_review_slot_item_id"), ["item_id"], unique=False)
        batch_op.create_index(
            "ix_review_slot_one_each",
            ["item_id", "round", "kind", "claimed_by"],
            unique=True,
            sqlite_where=sa.text("claimed_by IS NOT NULL AND state <> 'cancelled'"),
            postgresql_where=sa.text("claimed_by IS NOT NULL AND state <> 'cancelled'"),
        )
        batch_op.create_index("ix_review_slot_person", ["claimed_by", "claimed_at"], unique=False)
        batch_op.create_index(
            "ix_review_slot_held",
            ["claimed_by", "lease_until"],
            unique=False,
            sqlite_where=sa.text("state = 'open' AND claimed_by IS NOT NULL"),
            postgresql_where=sa.text("state = 'open' AND claimed_by IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_review_slot_audit",
            ["rank_at"],
            unique=False,
            sqlite_where=sa.text("state = 'open' AND kind = 'review' AND stream = 'audit'"),
            postgresql_where=sa.text("state = 'open' AND kind = 'review' AND stream = 'audit'"),
        )
        batch_op.create_index(
            "ix_review_slot_queue",
            ["rank_at"],
            unique=False,
            sqlite_where=sa.text("state = 'open' AND kind = 'review' AND stream <> 'audit'"),
            postgresql_where=sa.text("state = 'open' AND kind = 'review' AND stream <> 'audit'"),
        )

    op.create_table(
        "ticket",
        sa.Column("ticket_hash", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("ticket_hash"),
    )
    with op.batch_alter_table("ticket", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ticket_person_id"), ["person_id"], unique=False)

    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.add_column(sa.Column("person_id", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_api_key_person_id"), ["person_id"], unique=False)

    with op.batch_alter_table("verdict", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stands", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.execute(
        "UPDATE verdict SET stands = false WHERE source = 'human' AND EXISTS (SELECT 1 FROM verdict AS later WHERE "
        "later.source = 'human' AND later.event_id = verdict.event_id AND later.rubric_id = verdict.rubric_id AND "
        "(later.created_at, later.verdict_id) > (verdict.created_at, verdict.verdict_id))"
    )
    with op.batch_alter_table("verdict", schema=None) as batch_op:
        batch_op.create_index(
            "ix_verdict_standing",
            ["event_id", "rubric_id"],
            unique=True,
            sqlite_where=sa.text("source = 'human' AND stands"),
            postgresql_where=sa.text("source = 'human' AND stands"),
        )
    _bring_in_what_policies_asked_for()


_ROWS_AT_ONCE = 500
_PER_DOLLAR = 10**10
_MOST_VALUE = 900_000_000
"""More fits no column."""


def _bring_in_what_policies_asked_for() -> None:
    """Items for the rollups whose review policy asked for people while there was no queue, the oldest first in line."""
    connection = op.get_bind()
    item, slot, act = (sa.Table(name, sa.MetaData(), autoload_with=connection) for name in _FILLED)
    version = sa.table("rubric_version", sa.column("version"), sa.column("body", sa.JSON))
    policies = {
        row.version: row.body.get("review") or {}
        for row in connection.execute(sa.select(version.c.version, version.c.body))
    }
    now = time.time_ns() // 1000
    waiting = [_waiting(dict(row), policies, now) for row in connection.execute(_ASKED_FOR).mappings().all()]
    for start in range(0, len(waiting), _ROWS_AT_ONCE):
        some = waiting[start : start + _ROWS_AT_ONCE]
        connection.execute(item.insert(), some)
        connection.execute(slot.insert(), [each for one in some for each in _slots(one)])
        connection.execute(
            act.insert(),
            [
                {
                    "item_id": one["item_id"],
                    "who": "policy",
                    "act": "entered",
                    "detail": {"reasons": one["reasons"]},
                    "at": now,
                }
                for one in some
            ],
        )


_FILLED = ("review_item", "review_slot", "review_act")
_ASKED_FOR = sa.text(
    "SELECT rollup.*, run.diagnostics FROM rollup LEFT JOIN run ON run.run_id = COALESCE(rollup.deciding_run_id, "
    "(SELECT taken.run_id FROM sample JOIN run AS taken ON taken.run_id = sample.run_id WHERE sample.taken AND "
    "sample.event_id = rollup.event_id AND sample.rubric_id = rollup.rubric_id "
    "ORDER BY taken.started_at DESC, taken.run_id DESC LIMIT 1)) WHERE rollup.current AND rollup.waiting = 0 AND "
    "CAST(rollup.review_reasons AS VARCHAR) <> '[]' ORDER BY rollup.decided_at"
).columns(review_reasons=JSON, diagnostics=JSON)


def _waiting(row: Mapping[str, Any], policies: Mapping[str, dict[str, Any]], now: int) -> dict[str, Any]:
    policy = policies.get(row["rubric_version"], {})
    is_audit = "audit" in row["review_reasons"]
    audited = row["probability"] * policy.get("audit_rate", 0) if is_audit and row["probability"] else None
    key = orjson.dumps([row["event_id"], row["rubric_id"]])
    return {
        "item_id": sha256(key).hexdigest()[:20],
        **{name: row[name] for name in ("event_id", "rubric_id", "rubric_version", "workflow", "deciding_run_id")},
        "rollup_revision": row["revision"],
        "stream": "audit" if is_audit else "targeted",
        "probability": audited,
        "reasons": row["review_reasons"],
        "blind": is_audit or policy.get("blind", True),
        "reviewers": policy.get("reviewers", 1),
        "state": "open",
        "round": 1,
        "gold": False,
        "value_amount": _value(row["diagnostics"] or {}),
        "value_currency": None,
        "note": "",
        "rank_at": row["decided_at"],
        "entered_at": now,
        "created_at": now,
        "settled_at": None,
    }


def _value(diagnostics: Mapping[str, Any]) -> int | None:
    try:
        value = Decimal(str(diagnostics.get("value_amount")).strip())
    except InvalidOperation:
        return None
    return int(value * _PER_DOLLAR) if value.is_finite() and abs(value) <= _MOST_VALUE else None


def _slots(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    shared = {name: item[name] for name in ("item_id", "round", "stream", "rubric_id", "workflow", "rank_at")}
    return [
        {**shared, "slot_id": f"{item['item_id']}-1-{number}", "kind": "review", "state": "open"}
        for number in range(1, item["reviewers"] + 1)
    ]


def downgrade() -> None:
    with op.batch_alter_table("verdict", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_verdict_standing",
            sqlite_where=sa.text("source = 'human' AND stands"),
            postgresql_where=sa.text("source = 'human' AND stands"),
        )
        batch_op.drop_column("stands")

    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_person_id"))
        batch_op.drop_column("person_id")

    with op.batch_alter_table("ticket", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ticket_person_id"))

    op.drop_table("ticket")
    with op.batch_alter_table("review_slot", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_review_slot_queue",
            sqlite_where=sa.text("state = 'open' AND kind = 'review' AND stream <> 'audit'"),
            postgresql_where=sa.text("state = 'open' AND kind = 'review' AND stream <> 'audit'"),
        )
        batch_op.drop_index(
            "ix_review_slot_audit",
            sqlite_where=sa.text("state = 'open' AND kind = 'review' AND stream = 'audit'"),
            postgresql_where=sa.text("state = 'open' AND kind = 'review' AND stream = 'audit'"),
        )
        batch_op.drop_index(
            "ix_review_slot_held",
            sqlite_where=sa.text("state = 'open' AND claimed_by IS NOT NULL"),
            postgresql_where=sa.text("state = 'open' AND claimed_by IS NOT NULL"),
        )
        batch_op.drop_index("ix_review_slot_person")
        batch_op.drop_index(
            "ix_review_slot_one_each",
            sqlite_where=sa.text("claimed_by IS NOT NULL AND state <> 'cancelled'"),
            postgresql_where=sa.text("claimed_by IS NOT NULL AND state <> 'cancelled'"),
        )
        batch_op.drop_index(batch_op.f("ix_review_slot_item_id"))
        batch_op.drop_index(batch_op.f("ix_review_slot_batch_id"))

    op.drop_table("review_slot")
    with op.batch_alter_table("review_item", schema=None) as batch_op:
        batch_op.drop_index("ix_review_item_queue")
        batch_op.drop_index("ix_review_item_gold", sqlite_where=sa.text("gold"), postgresql_where=sa.text("gold"))
        batch_op.drop_index(batch_op.f("ix_review_item_event_id"))

    op.drop_table("review_item")
    with op.batch_alter_table("review_batch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_review_batch_person_id"))

    op.drop_table("review_batch")
    with op.batch_alter_table("review_act", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_review_act_batch",
            sqlite_where=sa.text("batch_id IS NOT NULL"),
            postgresql_where=sa.text("batch_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_review_act_item")

    op.drop_table("review_act")
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_review_item_id"))
        batch_op.drop_index("ix_review_person")
        batch_op.drop_index("ix_review_form")
        batch_op.drop_index(batch_op.f("ix_review_event_id"))
        batch_op.drop_index(batch_op.f("ix_review_batch_id"))

    op.drop_table("review")
    with op.batch_alter_table("person_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_person_session_person_id"))

    op.drop_table("person_session")
    op.drop_table("person")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_delivery_due", sqlite_where=sa.text("state = 'due'"), postgresql_where=sa.text("state = 'due'")
        )

    op.drop_table("delivery")
