"""Session state on PostgreSQL: token buckets in an unlogged table, and the functions over them.

Unlogged: no write-ahead log for what every call changes. After a crash of the server PostgreSQL
empties the table, and a session without a row has empty buckets.

A bucket's tokens are whole units: one token is 60,000,000 units in the minute's bucket (the
microseconds of its window) and 3,600,000,000 in the hour's, so a limit of n refills n units in each
microsecond, exactly. A limit of 0 is no limit; its bucket always answers 0 and is never asked.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLE = """
CREATE UNLOGGED TABLE session_buckets (
    session_id   text   PRIMARY KEY,
    minute_units bigint NOT NULL,
    hour_units   bigint NOT NULL,
    touched_us   bigint NOT NULL,
    expires_at   bigint NOT NULL
) WITH (fillfactor = 70)
"""

_INDEX = "CREATE INDEX ix_session_buckets_expires_at ON session_buckets (expires_at)"

# now() would be the time at which the transaction began, before it waited for the row.
_CLOCK = """
CREATE FUNCTION scopebound_clock_us() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$
"""

_OPEN = """
CREATE FUNCTION scopebound_open(
    session text, per_minute bigint, per_hour bigint, expires bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM session_buckets WHERE session_id IN (
        SELECT b.session_id FROM session_buckets b
        WHERE b.expires_at < scopebound_clock_us() / 1000000 - 300
        LIMIT 20 FOR UPDATE SKIP LOCKED
    );
    INSERT INTO session_buckets
    VALUES (session, per_minute * 60000000, per_hour * 3600000000, scopebound_clock_us(), expires)
    ON CONFLICT (session_id) DO NOTHING;
END
$$
"""

_ENTER = """
CREATE FUNCTION scopebound_enter(
    session text, per_minute bigint, per_hour bigint, OUT minute_found bigint, OUT hour_found bigint
) LANGUAGE plpgsql AS $$
DECLARE
    bucket session_buckets;
    now_us bigint;
    passed bigint;
    taken  bigint;
BEGIN
    SELECT * INTO bucket FROM session_buckets b WHERE b.session_id = session FOR UPDATE;
    now_us := scopebound_clock_us();
    IF NOT FOUND THEN
        INSERT INTO session_buckets VALUES (session, 0, 0, now_us, now_us / 1000000 + 86400)
        ON CONFLICT (session_id) DO NOTHING;
        minute_found := 0;
        hour_found := 0;
        RETURN;
    END IF;
    passed := least(greatest(now_us - bucket.touched_us, 0), 3600000000);
    minute_found := least(
        bucket.minute_units + per_minute * least(passed, 60000000), per_minute * 60000000);
    hour_found := least(bucket.hour_units + per_hour * passed, per_hour * 3600000000);
    taken := ((per_minute = 0 OR minute_found >= 60000000)
              AND (per_hour = 0 OR hour_found >= 3600000000))::int;
    UPDATE session_buckets b SET
        minute_units = CASE per_minute WHEN 0 THEN 0 ELSE minute_found - taken * 60000000 END,
        hour_units = CASE per_hour WHEN 0 THEN 0 ELSE hour_found - taken * 3600000000 END,
        touched_us = now_us
    WHERE b.session_id = session;
END
$$
"""


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in (_TABLE, _INDEX, _CLOCK, _OPEN, _ENTER):
            op.execute(statement)
