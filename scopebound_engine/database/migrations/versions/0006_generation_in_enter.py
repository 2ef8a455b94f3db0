"""Enforce calls that learn which generation of bundle is in force, in the round trip they make.

The function has a new name: a node of the former program, which would go on to decide with the
bundle that it has, finds none to enter by and denies until it is upgraded.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FORMER = "DROP FUNCTION scopebound_enter(text, text, bigint, bigint)"

# What is in force is read last: the wait for the session's row may have taken a while.
_ADMIT = """
CREATE FUNCTION scopebound_admit(
    session text, session_role text, per_minute bigint, per_hour bigint,
    OUT minute_found bigint, OUT hour_found bigint, OUT role_found boolean, OUT suspended text,
    OUT generation bigint
) LANGUAGE plpgsql AS $$
BEGIN
    IF per_minute = 0 AND per_hour = 0 THEN
        minute_found := 0;
        hour_found := 0;
    ELSE
        SELECT t.minute_found, t.hour_found INTO minute_found, hour_found
        FROM scopebound_take(session, per_minute, per_hour) t;
    END IF;
    SELECT bundle.generation, r.id IS NOT NULL, r.suspended_reason
    INTO generation, role_found, suspended
    FROM (SELECT coalesce(max(a.generation), 0) AS generation FROM activations a) bundle
    LEFT JOIN roles r ON r.id = session_role;
END
$$
"""


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in (_FORMER, _ADMIT):
            op.execute(statement)
