"""Suspension of roles: why a role is suspended, null while it is not."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    op.add_column("roles", sa.Column("suspended_reason", sa.Text))
