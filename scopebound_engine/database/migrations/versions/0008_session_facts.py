"""Session state on PostgreSQL: buckets, counts and call ids in unlogged tables, and who enters.

Unlogged: no write-ahead log for what every call changes. After a crash of the server PostgreSQL
empties the tables. A session that is stored but has no row here begins with empty buckets.

A bucket's tokens are whole units: one token is 60,000,000 units in a bucket per minute (the
microseconds of its window) and 3,600,000,000 in one per hour, so a limit of n refills n units in
each microsecond, exactly. A limit of 0 is no limit; its bucket always answers 0 and is never asked.

The functions have new names: a node of the former program, which would miss revocations of
sessions, finds none to open a session or to enter by, and denies until it is upgraded.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_FORMER = (
    "DROP FUNCTION scopebound_admit(text, text, bigint, bigint)",
    "DROP FUNCTION scopebound_take(text, bigint, bigint)",
    "DROP FUNCTION scopebound_open(text, bigint, bigint, bigint)",
    "DROP TABLE session_buckets",
)

# `servers`: name of an MCP server -> [units, touched_us]. A server that is not there had an empty
# bucket at `servers_us`: when the row was made, and a minute before that where the session was
# opened, which makes it a full one.
_SESSION_STATES = """
CREATE UNLOGGED TABLE session_states (
    session_id   text   PRIMARY KEY,
    minute_units bigint NOT NULL,
    hour_units   bigint NOT NULL,
    touched_us   bigint NOT NULL,
    servers_us   bigint NOT NULL,
    servers      jsonb  NOT NULL DEFAULT '{}',
    counts       int[]  NOT NULL DEFAULT '{}',
    calls_named  int    NOT NULL DEFAULT 0,
    expires_at   bigint NOT NULL
) WITH (fillfactor = 70)
"""

# What a call with an id found. A session's ids have 10,000 places; a new one takes the place of
# the one that long ago.
_CALL_IDS = """
CREATE UNLOGGED TABLE call_ids (
    session_id   text   NOT NULL,
    call_id      text   NOT NULL,
    place        int    NOT NULL,
    digest       text   NOT NULL,
    first_us     bigint NOT NULL,
    replays      int    NOT NULL,
    minute_units bigint NOT NULL,
    hour_units   bigint NOT NULL,
    server_units bigint,
    counts       int[]  NOT NULL,
    PRIMARY KEY (session_id, call_id),
    UNIQUE (session_id, place)
)
"""

_INDEXES = (
    "CREATE INDEX ix_session_states_expires_at ON session_states (expires_at)",
    "CREATE INDEX ix_call_ids_first_us ON call_ids (first_us)",
)

_OPEN = """
CREATE FUNCTION scopebound_begin(
    session text, per_minute bigint, per_hour bigint, expires bigint
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO session_states
        (session_id, minute_units, hour_units, touched_us, servers_us, expires_at)
    SELECT session, per_minute * 60000000, per_hour * 3600000000, now_us, now_us - 60000000, expires
    FROM scopebound_clock_us() now_us
    ON CONFLICT (session_id) DO NOTHING
$$
"""

_REFILLED = """
CREATE FUNCTION scopebound_refilled(
    units bigint, per_window bigint, passed_us bigint, window_us bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT least(
        units + per_window * least(greatest(passed_us, 0), window_us), per_window * window_us)
$$
"""

# The session's row is locked before anything else is read: the wait for it may have taken a while,
# and all calls of a session go one after the other from there on. What does not apply is null.
_CALL = """
CREATE FUNCTION scopebound_call(
    session text, session_role text, per_minute bigint, per_hour bigint,
    mcp_server text, per_server bigint, slot int, slots int, named text, body text,
    OUT generation bigint, OUT role_found boolean, OUT suspended text, OUT session_found boolean,
    OUT is_revoked boolean, OUT reason text, OUT baseline bigint, OUT latched boolean,
    OUT minute_found bigint, OUT hour_found bigint, OUT server_found bigint,
    OUT counts_found int[], OUT replayed int, OUT conflict boolean
) LANGUAGE plpgsql AS $$
DECLARE
    state      session_states;
    is_opened  boolean;
    is_stopped boolean;
    known      call_ids;
    now_us     bigint;
    bucket     jsonb;
    taken      bigint;
    number     int;
BEGIN
    LOOP
        SELECT * INTO state FROM session_states b WHERE b.session_id = session FOR UPDATE;
        is_opened := FOUND;
        SELECT bundle.generation, r.id IS NOT NULL, r.suspended_reason, s.id IS NOT NULL,
            s.revoked_at IS NOT NULL, s.revoked_reason, s.baseline_id, s.latched_at IS NOT NULL
        INTO generation, role_found, suspended, session_found,
            is_revoked, reason, baseline, latched
        FROM (SELECT coalesce(max(a.generation), 0) AS generation FROM activations a) bundle
        LEFT JOIN sessions s ON s.id = session
        LEFT JOIN roles r ON r.id = session_role;
        is_stopped := is_revoked OR NOT session_found OR NOT role_found OR suspended IS NOT NULL;
        now_us := scopebound_clock_us();
        EXIT WHEN is_opened OR is_stopped;
        INSERT INTO session_states
            (session_id, minute_units, hour_units, touched_us, servers_us, expires_at)
        SELECT s.id, 0, 0, now_us, now_us, s.expires_at / 1000000 FROM sessions s
        WHERE s.id = session
        ON CONFLICT (session_id) DO NOTHING;
    END LOOP;
    IF NOT is_opened THEN
        RETURN;
    END IF;
    minute_found := scopebound_refilled(
        state.minute_units, per_minute, now_us - state.touched_us, 60000000);
    hour_found := scopebound_refilled(
        state.hour_units, per_hour, now_us - state.touched_us, 3600000000);
    IF per_server > 0 THEN
        bucket := coalesce(
            state.servers -> mcp_server, jsonb_build_array(0, state.servers_us));
        server_found := scopebound_refilled(
            (bucket ->> 0)::bigint, per_server, now_us - (bucket ->> 1)::bigint, 60000000);
    END IF;
    counts_found := state.counts;
    IF is_stopped THEN
        RETURN;
    END IF;
    IF named IS NOT NULL THEN
        SELECT * INTO known FROM call_ids c
        WHERE c.session_id = session AND c.call_id = named AND c.first_us > now_us - 30000000;
        IF FOUND AND (known.digest <> body OR known.replays < 3) THEN
            minute_found := known.minute_units;
            hour_found := known.hour_units;
            server_found := known.server_units;
            counts_found := known.counts;
            conflict := known.digest <> body;
            IF NOT conflict THEN
                replayed := known.replays + 1;
                UPDATE call_ids c SET replays = known.replays + 1
                WHERE c.session_id = session AND c.call_id = named;
            END IF;
            RETURN;
        END IF;
        number := state.calls_named % 10000;
        DELETE FROM call_ids c WHERE c.session_id = session AND c.place = number;
        DELETE FROM call_ids c WHERE c.session_id = session AND c.call_id = named;
        INSERT INTO call_ids VALUES (session, named, number, body, now_us, 0,
            minute_found, hour_found, server_found, counts_found);
        state.calls_named := state.calls_named + 1;
    END IF;
    taken := ((per_minute = 0 OR minute_found >= 60000000)
              AND (per_hour = 0 OR hour_found >= 3600000000)
              AND (per_server = 0 OR server_found >= 60000000))::int;
    IF per_server > 0 THEN
        state.servers := state.servers || jsonb_build_object(
            mcp_server, jsonb_build_array(server_found - taken * 60000000, now_us));
    END IF;
    IF cardinality(state.counts) = 0 THEN
        state.counts := array_fill(0, ARRAY[slots]);
    END IF;
    slot := least(slot + 1, cardinality(state.counts));
    state.counts[slot] := state.counts[slot] + 1;
    UPDATE session_states b SET
        minute_units = CASE per_minute WHEN 0 THEN 0 ELSE minute_found - taken * 60000000 END,
        hour_units = CASE per_hour WHEN 0 THEN 0 ELSE hour_found - taken * 3600000000 END,
        touched_us = now_us,
        servers = state.servers,
        counts = state.counts,
        calls_named = state.calls_named
    WHERE b.session_id = session;
END
$$
"""


def upgrade() -> None:
    """To this revision. There is no way back but a backup."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in (*_FORMER, _SESSION_STATES, _CALL_IDS, *_INDEXES, _REFILLED, _OPEN, _CALL):
            op.execute(statement)
