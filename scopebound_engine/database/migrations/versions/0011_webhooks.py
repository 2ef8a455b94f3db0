"""Webhooks: what is to be delivered, and to whom it was not possible."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    op.create_table(
        "webhook_outbox",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("role_id", sa.String(36), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("ready_us", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("joined", sa.Integer),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("dead_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("number", name="pk_webhook_outbox"),
        sa.UniqueConstraint("id", name="uq_webhook_outbox_id"),
        sqlite_autoincrement=True,
    )
    _index("waiting", ["role_id", "ready_us", "number"], "dead_us IS NULL")
    _index("at_us", ["at_us"], "dead_us IS NULL")
    _index("dead", ["dead_us", "number"], "dead_us IS NOT NULL")
    op.create_table(
        "webhook_lanes",
        sa.Column("role_id", sa.String(36), nullable=False),
        sa.Column("due_us", sa.BigInteger),
        sa.Column("held_until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("role_id", name="pk_webhook_lanes"),
    )
    op.create_table(
        "webhook_repeats",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("from_us", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.Integer, nullable=False),
        sa.Column("joined_id", sa.Text),
        sa.PrimaryKeyConstraint("key", name="pk_webhook_repeats"),
    )
    op.create_index("ix_webhook_repeats_from_us", "webhook_repeats", ["from_us"])


def _index(name: str, columns: list[str], condition: str) -> None:
    op.create_index(
        f"ix_webhook_outbox_{name}",
        "webhook_outbox",
        columns,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
