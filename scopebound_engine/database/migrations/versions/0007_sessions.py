"""Sessions that survive a crash, and what past ones did."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_UUID = sa.String(36)
# Microseconds since the epoch, UTC.
_TIME = sa.BigInteger
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    _baselines()
    _sessions()
    _ended_sessions()


def _baselines() -> None:
    op.create_table(
        "baselines",
        sa.Column("id", _NUMBER, autoincrement=True),
        sa.Column("role_id", _UUID, nullable=False),
        sa.Column("fitted_at", _TIME, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_baselines"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_baselines_role_id", "baselines", ["role_id"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("role_id", _UUID, nullable=False),
        sa.Column("role_revision", sa.BigInteger, nullable=False),
        sa.Column("api_key_id", _UUID),
        sa.Column("parent_id", _UUID),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("claims", sa.JSON, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.Column("revoked_reason", sa.Text),
        sa.Column("baseline_id", _NUMBER),
        sa.Column("latched_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["baseline_id"], ["baselines.id"], name="fk_sessions_baseline_id"),
    )
    for column in ("role_id", "api_key_id", "parent_id", "expires_at"):
        op.create_index(f"ix_sessions_{column}", "sessions", [column])


def _ended_sessions() -> None:
    op.create_table(
        "ended_sessions",
        sa.Column("session_id", _UUID, nullable=False),
        sa.Column("role_id", _UUID, nullable=False),
        sa.Column("ended_at", _TIME, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_ended_sessions"),
    )
    op.create_index("ix_ended_sessions_role_id_ended_at", "ended_sessions", ["role_id", "ended_at"])
