"""When an API key was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    op.add_column("api_keys", sa.Column("last_used_at", sa.BigInteger))
