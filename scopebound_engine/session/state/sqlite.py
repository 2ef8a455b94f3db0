"""Session state of one host: one short transaction a call, on a SQLite file of the boot.

Time is the clock since that boot, which nobody can set. After another boot no volatile state is
known, and every bucket is empty.
"""

import json
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from scopebound_engine.session.state import sqlite_calls as calls
from scopebound_engine.session.state.buckets import (
    HOUR_US,
    MINUTE_US,
    Window,
    less_one,
    refilled,
    window,
)
from scopebound_engine.session.state.seam import (
    REPEAT_US,
    SWEPT_AFTER_SECONDS,
    Entry,
    SessionFacts,
    Standing,
    Units,
    facts,
)
from scopebound_engine.session.state.sqlite_file import (
    Execute,
    StateFile,
    boot_id,
    microseconds_since_boot,
)
from scopebound_engine.session.state.sqlite_row import SCHEMA, SELECT, UPDATE, Row, unpacked

_SWEPT_AT_ONCE: Final = 200
_SWEPT_IN_ALL: Final = 2_000

# Always one row.
_STANDING: Final = (
    "SELECT bundle.generation, role.id IS NOT NULL, role.suspended_reason, "
    "session.id IS NOT NULL, session.revoked_at IS NOT NULL, session.revoked_reason, "
    "session.baseline_id, session.latched_at IS NOT NULL FROM "
    "(SELECT coalesce(max(generation), 0) AS generation FROM stored.activations) AS bundle "
    "LEFT JOIN stored.sessions AS session ON session.id = ? "
    "LEFT JOIN stored.roles AS role ON role.id = ?"
)
_OPEN: Final = (
    "INSERT OR IGNORE INTO session_states "
    "(session_id, minute_units, hour_units, touched_us, servers_us, expires_at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_TAKEN: Final = (
    "REPLACE INTO session_states "
    "(session_id, minute_units, hour_units, touched_us, servers_us, expires_at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_LOST: Final = (
    "INSERT INTO session_states "
    "(session_id, minute_units, hour_units, touched_us, servers_us, expires_at) "
    "SELECT id, 0, 0, ?, ?, expires_at / 1000000 FROM stored.sessions WHERE id = ?"
)
_COUNTS_OF: Final = "SELECT counts FROM session_states WHERE session_id = ?"
_RECOUNT: Final = "UPDATE session_states SET counts = ? WHERE session_id = ?"
_ALL_COUNTS_OF: Final = (
    "SELECT session_id, counts FROM session_states "
    "WHERE counts <> x'' AND session_id IN (SELECT value FROM json_each(?))"
)
_DROP: Final = "DELETE FROM session_states WHERE session_id IN (SELECT value FROM json_each(?))"
_SWEEP: Final = (
    "DELETE FROM session_states WHERE session_id IN "
    "(SELECT session_id FROM session_states WHERE expires_at < ? LIMIT ?)"
)


class SqliteState:
    """SessionState in a data folder."""

    def __init__(
        self,
        data_dir: Path,
        *,
        boot: str | None = None,
        microseconds: Callable[[], int] = microseconds_since_boot,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = StateFile(data_dir, boot or boot_id(), SCHEMA + calls.SCHEMA)
        self._microseconds, self._clock = microseconds, clock

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        """See SessionState."""
        with self._file.transaction() as execute:
            now = self._microseconds()
            full = (per_minute * MINUTE_US, per_hour * HOUR_US, now, now - MINUTE_US)
            execute(_OPEN, (session_id, *full, expires_at))

    def enter(self, entry: Entry) -> SessionFacts:
        """See SessionState."""
        with self._file.transaction() as execute:
            now = self._microseconds()
            found = execute(_STANDING, (entry.session_id, entry.role_id)).fetchone()
            standing = Standing(*found)
            row = execute(SELECT, (entry.session_id,)).fetchone()
            if standing.revoked_reason is not None:
                return _revoked(entry, standing, row and Row(*row), now)
            if row is None:
                execute(_LOST, (now, now, entry.session_id))
                row = (0, 0, now, now)
            repeated = calls.repeated(execute, entry, standing, now)
            return repeated or _first(execute, entry, standing, Row(*row), now)

    def uncount(self, session_id: str, slot: int) -> None:
        """See SessionState."""
        with self._file.transaction() as execute:
            found = execute(_COUNTS_OF, (session_id,)).fetchone()
            if found is None or not found[0]:
                return
            counts = unpacked(found[0])
            place = min(slot, len(counts) - 1)
            counts[place] = max(counts[place] - 1, 0)
            execute(_RECOUNT, (counts.tobytes(), session_id))

    def forget_counts(self, session_id: str) -> None:
        """See SessionState."""
        with self._file.transaction() as execute:
            execute(_RECOUNT, (b"", session_id))

    def peek(self, session_id: str, per_minute: int, per_hour: int) -> tuple[Window, Window]:
        """See SessionState."""
        entry = Entry(session_id, "", per_minute, per_hour)
        with self._file.transaction() as execute:
            row = execute(SELECT, (session_id,)).fetchone()
            units = Row(*row).units(entry, self._microseconds()) if row else Units()
        return (
            window(per_minute, units.minute, MINUTE_US),
            window(per_hour, units.hour, HOUR_US),
        )

    def take(self, bucket: str, per_minute: int) -> Window:
        """See SessionState."""
        with self._file.transaction() as execute:
            now, capacity = self._microseconds(), per_minute * MINUTE_US
            row = Row(*execute(SELECT, (bucket,)).fetchone() or (capacity, 0, now))
            units = refilled(row.minute_units, per_minute, now - row.touched_us, MINUTE_US)
            found = window(per_minute, units, MINUTE_US)
            if not found.granted:
                return found
            execute(_TAKEN, (bucket, units - MINUTE_US, 0, now, now, int(self._clock())))
            return less_one(found)

    def counts_of(self, session_ids: Collection[str]) -> dict[str, tuple[int, ...]]:
        """See SessionState."""
        with self._file.transaction() as execute:
            rows = execute(_ALL_COUNTS_OF, (json.dumps(list(session_ids)),)).fetchall()
        return {session_id: tuple(unpacked(counts)) for session_id, counts in rows}

    def drop(self, session_ids: Collection[str]) -> None:
        """See SessionState."""
        with self._file.transaction() as execute:
            for statement in (_DROP, calls.DROP):
                execute(statement, (json.dumps(list(session_ids)),))

    def sweep(self) -> None:
        """See SessionState. Calls get their turn between the parts of it."""
        before = self._microseconds() - 2 * REPEAT_US
        self._delete(calls.SWEEP, before)
        self._delete(_SWEEP, int(self._clock()) - SWEPT_AFTER_SECONDS)

    def close(self) -> None:
        """See SessionState."""
        self._file.close()

    def _delete(self, statement: str, before: int) -> None:
        for _ in range(_SWEPT_IN_ALL // _SWEPT_AT_ONCE):
            with self._file.transaction() as execute:
                if execute(statement, (before, _SWEPT_AT_ONCE)).rowcount < _SWEPT_AT_ONCE:
                    return


def _revoked(entry: Entry, standing: Standing, row: Row | None, now: int) -> SessionFacts:
    if row is None:
        return facts(entry, standing, Units())
    return facts(entry, standing, row.units(entry, now), unpacked(row.counts))


def _first(execute: Execute, entry: Entry, standing: Standing, row: Row, now: int) -> SessionFacts:
    """A call that did not come before takes its tokens and is counted."""
    units = row.units(entry, now)
    execute(UPDATE, (*row.after(entry, units, now), entry.session_id))
    if entry.call_id is not None:
        calls.remember(execute, entry, units, row.counts, row.calls_named, now)
    return facts(entry, standing, units, unpacked(row.counts))
