"""Backtests, escalation, reasons for review; kept versions of rubrics say all they mean"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backtest",
        sa.Column("backtest_id", sa.String(), nullable=False),
        sa.Column("rubric_id", sa.String(), nullable=False),
        sa.Column("baseline_version", sa.String(), nullable=False),
        sa.Column("candidate_version", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("estimated_usd", sa.BigInteger(), nullable=True),
        sa.Column("estimated_seconds", sa.Float(), nullable=True),
        sa.Column("cost_usd", sa.BigInteger(), nullable=True),
        sa.Column("unpriced_calls", sa.Integer(), nullable=False),
        sa.Column("started_by", sa.String(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("report", JSON, nullable=False),
        sa.PrimaryKeyConstraint("backtest_id"),
    )
    with op.batch_alter_table("backtest", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_backtest_rubric_id"), ["rubric_id"], unique=False)

    op.create_table(
        "backtest_verdict",
        sa.Column("backtest_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("escalated", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("criteria", JSON, nullable=False),
        sa.Column("flags", JSON, nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("cost_usd", sa.BigInteger(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("backtest_id", "run_id", "rubric_version", "judge", "repeat"),
    )
    with op.batch_alter_table("backtest_verdict", schema=None) as batch_op:
        batch_op.create_index("ix_backtest_verdict_cache", ["content_hash", "fingerprint", "repeat"], unique=False)

    with op.batch_alter_table("judgement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("escalated", sa.Boolean(), nullable=False, server_default=sa.false()))

    with op.batch_alter_table("rollup", schema=None) as batch_op:
        batch_op.add_column(sa.Column("review_reasons", JSON, nullable=False, server_default="[]"))

    with op.batch_alter_table("verdict", schema=None) as batch_op:
        batch_op.create_index(
            "ix_verdict_version", ["rubric_version", "created_at", "source", "verdict", "cost_usd"], unique=False
        )

    with op.batch_alter_table("rubric_version", schema=None) as batch_op:
        batch_op.add_column(sa.Column("in_force_since", sa.BigInteger(), nullable=True))

    if op.get_bind().dialect.name == "postgresql":
        # the first databases kept it as JSONB, which reorders keys, and with them the prompt
        op.execute("ALTER TABLE rubric_version ALTER COLUMN body TYPE JSON USING body::json")

    version = sa.table(
        "rubric_version",
        sa.column("version", sa.String),
        sa.column("body", sa.JSON),
        sa.column("first_used_at", sa.BigInteger),
        sa.column("in_force_since", sa.BigInteger),
    )
    op.execute(version.update().values(in_force_since=version.c.first_used_at))
    connection = op.get_bind()
    for row in connection.execute(sa.select(version.c.version, version.c.body)).all():
        judges = row.body.get("judges") or [{"model": "default"}]
        # what was left out meant once, whatever the criteria
        body = {**row.body, "judges": [{"samples": 1, **judge} for judge in judges]}
        connection.execute(version.update().where(version.c.version == row.version).values(body=body))


def downgrade() -> None:
    with op.batch_alter_table("verdict", schema=None) as batch_op:
        batch_op.drop_index("ix_verdict_version")

    with op.batch_alter_table("rubric_version", schema=None) as batch_op:
        batch_op.drop_column("in_force_since")

    with op.batch_alter_table("rollup", schema=None) as batch_op:
        batch_op.drop_column("review_reasons")

    with op.batch_alter_table("judgement", schema=None) as batch_op:
        batch_op.drop_column("escalated")

    op.drop_table("backtest_verdict")
    op.drop_table("backtest")
