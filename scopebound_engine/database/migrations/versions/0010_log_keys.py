"""The public keys that checkpoints of the nodes' logs are verified with."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    op.create_table(
        "log_keys",
        sa.Column("vkey", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("published_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("vkey", name="pk_log_keys"),
    )
