"""Of an hour's or a minute's denied tools so many are counted by name; no others are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FORGET = """
DELETE FROM denied_tools WHERE (span_us, from_us, node, tool_name) IN (
    SELECT span_us, from_us, node, tool_name FROM (
        SELECT *, row_number() OVER (
            PARTITION BY span_us, from_us, node ORDER BY calls DESC, tool_name
        ) AS rank FROM denied_tools
    ) ranked WHERE rank > 100
)
"""


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    before = sa.Column("before", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("denied_tools", before)
    op.execute(_FORGET)
