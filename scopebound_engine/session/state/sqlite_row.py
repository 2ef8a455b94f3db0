"""A session's row in the state file of a host: what a call finds in it, and what it leaves."""

import json
from array import array
from typing import Final, NamedTuple

from scopebound_engine.session.state.buckets import HOUR_US, MINUTE_US, refilled
from scopebound_engine.session.state.seam import Entry, Units

# `servers` is JSON: name of a server -> [units, touched_us]. A server that is not there had an
# empty bucket at `servers_us`. `counts` are 32-bit integers of this machine, or nothing.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS session_states (
    session_id   TEXT    PRIMARY KEY,
    minute_units INTEGER NOT NULL,
    hour_units   INTEGER NOT NULL,
    touched_us   INTEGER NOT NULL,
    servers_us   INTEGER NOT NULL,
    servers      TEXT    NOT NULL DEFAULT '{}',
    counts       BLOB    NOT NULL DEFAULT x'',
    calls_named  INTEGER NOT NULL DEFAULT 0,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_session_states_expires_at ON session_states (expires_at);
"""
SELECT: Final = (
    "SELECT minute_units, hour_units, touched_us, servers_us, servers, counts, calls_named "
    "FROM session_states WHERE session_id = ?"
)
UPDATE: Final = (
    "UPDATE session_states SET minute_units = ?, hour_units = ?, touched_us = ?, servers_us = ?, "
    "servers = ?, counts = ?, calls_named = ? WHERE session_id = ?"
)


class Row(NamedTuple):
    """A session's volatile state."""

    minute_units: int = 0
    hour_units: int = 0
    touched_us: int = 0
    servers_us: int = 0
    servers: str = "{}"
    counts: bytes = b""
    calls_named: int = 0

    def units(self, entry: Entry, now: int) -> Units:
        """What the buckets of a call hold now."""
        passed = now - self.touched_us
        minute = refilled(self.minute_units, entry.per_minute, passed, MINUTE_US)
        hour = refilled(self.hour_units, entry.per_hour, passed, HOUR_US)
        if not entry.per_server:
            return Units(minute, hour)
        units, touched = json.loads(self.servers).get(entry.server, (0, self.servers_us))
        return Units(minute, hour, refilled(units, entry.per_server, now - touched, MINUTE_US))

    def after(self, entry: Entry, units: Units, now: int) -> "Row":
        """What a call leaves that found so many units."""
        taken = units.cover(entry)
        servers = self.servers
        if entry.per_server:
            left = units.server - MINUTE_US * taken
            servers = json.dumps(json.loads(servers) | {entry.server: [left, now]})
        return Row(
            units.minute - MINUTE_US * (taken and entry.per_minute > 0),
            units.hour - HOUR_US * (taken and entry.per_hour > 0),
            now,
            self.servers_us,
            servers,
            _counted(self.counts, entry),
            self.calls_named + (entry.call_id is not None),
        )


def unpacked(counts: bytes) -> "array[int]":
    """Counts by slot, as the file holds them: 32-bit integers of this machine."""
    return array("I", counts)


def _counted(packed: bytes, entry: Entry) -> bytes:
    counts = unpacked(packed or bytes(4 * entry.slots))
    counts[min(entry.slot, len(counts) - 1)] += 1
    return counts.tobytes()
