"""Suspension of roles: why a role is suspended, and enforce calls that see it.

The function a call enters by also reads the row of its role, in the same round trip. It takes the
name of the one that only took tokens: a node of the former program, which would not see
suspensions, then finds no function of its kind and denies until it is upgraded.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TAKE = "ALTER FUNCTION scopebound_enter(text, bigint, bigint) RENAME TO scopebound_take"

# Of a role that is gone `role_found` is false; `suspended` is null while a role is in force.
_ENTER = """
CREATE FUNCTION scopebound_enter(
    session text, session_role text, per_minute bigint, per_hour bigint,
    OUT minute_found bigint, OUT hour_found bigint, OUT role_found boolean, OUT suspended text
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT r.suspended_reason INTO suspended FROM roles r WHERE r.id = session_role;
    role_found := FOUND;
    IF per_minute = 0 AND per_hour = 0 THEN
        minute_found := 0;
        hour_found := 0;
    ELSE
        SELECT t.minute_found, t.hour_found INTO minute_found, hour_found
        FROM scopebound_take(session, per_minute, per_hour) t;
    END IF;
END
$$
"""


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    op.add_column("roles", sa.Column("suspended_reason", sa.Text))
    if op.get_bind().dialect.name == "postgresql":
        for statement in (_TAKE, _ENTER):
            op.execute(statement)
