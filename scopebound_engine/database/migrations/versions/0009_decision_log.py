"""The decision log: its records, how far they are shipped, and what is counted of them.

On PostgreSQL the records are partitioned by day. Partitions are made as their days come, by
`database/partitions.py`, so there is none yet.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LATEST_BY = ("session_id", "role_id", "role_name", "tool_name", "deny_code", "api_key_id")


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    _decisions()
    _indexes()
    _cursors()
    _counts("call_counts", "verdict")
    _counts("denied_tools", "tool_name")
    op.create_table(
        "bundle_uses",
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("last_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("checksum", name="pk_bundle_uses"),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("id", sa.Text),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("verdict", sa.Text),
        sa.Column("deny_code", sa.Text),
        sa.Column("tool_name", sa.Text),
        sa.Column("role_id", sa.Text),
        sa.Column("role_name", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("call_id", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("api_key_id", sa.Text),
        sa.Column("bundle_checksum", sa.Text),
        sa.Column("line", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("at_us", "node", "seq", name="pk_decisions"),
        postgresql_partition_by="RANGE (at_us)",
    )


def _indexes() -> None:
    op.create_index("ix_decisions_id", "decisions", ["id"])
    op.create_index("ix_decisions_event", "decisions", ["event", "at_us"])
    for column in _LATEST_BY:
        _index(column, [column, "at_us"])
    for column in ("call_id", "request_id"):
        _index(column, [column])
    _index("verdict", ["at_us", "verdict", "tool_name"])


def _index(column: str, columns: list[str]) -> None:
    present = sa.text(f"{column} IS NOT NULL")
    op.create_index(
        f"ix_decisions_{column}",
        "decisions",
        columns,
        sqlite_where=present,
        postgresql_where=present,
    )


def _cursors() -> None:
    op.create_table(
        "log_cursors",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_log_cursors"),
    )


def _counts(table: str, column: str) -> None:
    op.create_table(
        table,
        sa.Column("span_us", sa.BigInteger, nullable=False),
        sa.Column("from_us", sa.BigInteger, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column(column, sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("span_us", "from_us", "node", column, name=f"pk_{table}"),
    )
