"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = "${up_revision}"
down_revision = "${down_revision}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    ${upgrades if upgrades else "pass"}
