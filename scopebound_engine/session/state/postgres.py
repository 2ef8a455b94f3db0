"""Session state of all nodes: a function in the shared PostgreSQL, one round trip a call.

Time is the database server's clock, the same for every node. The functions and the unlogged
tables come from the migration `session_facts`.
"""

import os
import time
from collections.abc import Collection, Mapping
from typing import Any, Final, LiteralString, cast

import psycopg
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from scopebound_engine import baton, budget
from scopebound_engine.database import postgres
from scopebound_engine.database.pool import CallPool
from scopebound_engine.errors import StateUnavailableError
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

PATIENCE_SECONDS: Final = 0.25
POOL_SIZE: Final = 8
_SWEPT_AT_ONCE: Final = 2_000

_Parameters = tuple[Any, ...] | Mapping[str, Any]

_OPEN: Final = "SELECT scopebound_begin(%s, %s, %s, %s)"
_ENTER: Final = (
    "SELECT generation, role_found, suspended, session_found, is_revoked, reason, baseline, "
    "latched, minute_found, hour_found, server_found, counts_found, replayed, conflict "
    "FROM scopebound_call(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
# `counts` begins at 1.
_UNCOUNT: Final = (
    "UPDATE session_states "
    "SET counts[least(%(slot)s + 1, cardinality(counts))] = "
    "greatest(counts[least(%(slot)s + 1, cardinality(counts))] - 1, 0) "
    "WHERE session_id = %(session)s AND cardinality(counts) > 0"
)
_FORGET_COUNTS: Final = "UPDATE session_states SET counts = '{}' WHERE session_id = %s"
_PEEK: Final = (
    "SELECT minute_units, hour_units, scopebound_clock_us() - touched_us FROM session_states "
    "WHERE session_id = %s"
)
# No row where the bucket is empty. A call that waited for another one's may have looked at the
# clock before that one did.
_TAKE: Final = (
    "INSERT INTO session_states AS b "
    "(session_id, minute_units, hour_units, touched_us, servers_us, expires_at) "
    "SELECT %(bucket)s, %(limit)s * 60000000::bigint - 60000000, 0, now_us, now_us, "
    "now_us / 1000000 FROM scopebound_clock_us() now_us "
    "ON CONFLICT (session_id) DO UPDATE SET "
    "minute_units = scopebound_refilled(b.minute_units, %(limit)s, "
    "excluded.touched_us - b.touched_us, 60000000) - 60000000, "
    "touched_us = greatest(excluded.touched_us, b.touched_us), expires_at = excluded.expires_at "
    "WHERE scopebound_refilled(b.minute_units, %(limit)s, "
    "excluded.touched_us - b.touched_us, 60000000) >= 60000000 RETURNING minute_units"
)
_COUNTS_OF: Final = (
    "SELECT session_id, counts FROM session_states "
    "WHERE session_id = ANY(%s) AND cardinality(counts) > 0"
)
# In order: whoever else drops some of them waits, and is not waited for.
_DROP: Final = (
    "WITH gone AS (SELECT session_id FROM session_states WHERE session_id = ANY(%(sessions)s) "
    "ORDER BY session_id FOR UPDATE), "
    "calls AS (DELETE FROM call_ids WHERE session_id = ANY(%(sessions)s)) "
    "DELETE FROM session_states b USING gone WHERE b.session_id = gone.session_id"
)
_SWEEP: Final = (
    "DELETE FROM call_ids WHERE (session_id, call_id) IN (SELECT session_id, call_id "
    "FROM call_ids WHERE first_us < scopebound_clock_us() - %s LIMIT %s FOR UPDATE SKIP LOCKED)",
    "DELETE FROM session_states WHERE session_id IN (SELECT session_id FROM session_states "
    "WHERE expires_at < scopebound_clock_us() / 1000000 - %s LIMIT %s FOR UPDATE SKIP LOCKED)",
)


class PostgresState:
    """SessionState in a migrated PostgreSQL. Each process has its own connections."""

    def __init__(self, database_url: str) -> None:
        url = postgres.parse_url(database_url, statement_seconds=PATIENCE_SECONDS)
        self._arguments = {**postgres.connect_arguments(url), "autocommit": True}
        self._pool, self._pid = self._new_pool(), os.getpid()

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        """See SessionState."""
        self._call(_OPEN, (session_id, per_minute, per_hour, expires_at))

    def enter(self, entry: Entry) -> SessionFacts:
        """See SessionState."""
        [found] = self._call(
            _ENTER,
            (
                entry.session_id,
                entry.role_id,
                entry.per_minute,
                entry.per_hour,
                entry.server,
                entry.per_server,
                entry.slot,
                entry.slots,
                entry.call_id,
                entry.digest,
            ),
        )
        counts, replayed, conflict = found[11:]
        return facts(
            entry,
            Standing(*found[:8]),
            Units(*(units or 0 for units in found[8:11])),
            counts or (),
            replayed=replayed or 0,
            conflict=bool(conflict),
        )

    def uncount(self, session_id: str, slot: int) -> None:
        """See SessionState."""
        self._call(_UNCOUNT, {"session": session_id, "slot": slot})

    def forget_counts(self, session_id: str) -> None:
        """See SessionState."""
        self._call(_FORGET_COUNTS, (session_id,))

    def peek(self, session_id: str, per_minute: int, per_hour: int) -> tuple[Window, Window]:
        """See SessionState."""
        [(minute, hour, passed)] = self._call(_PEEK, (session_id,)) or [(0, 0, 0)]
        return (
            window(per_minute, refilled(minute, per_minute, passed, MINUTE_US), MINUTE_US),
            window(per_hour, refilled(hour, per_hour, passed, HOUR_US), HOUR_US),
        )

    def take(self, bucket: str, per_minute: int) -> Window:
        """See SessionState."""
        named = {"bucket": bucket, "limit": per_minute}
        if left := self._call(_TAKE, named):
            return less_one(window(per_minute, left[0][0] + MINUTE_US, MINUTE_US))
        # There may be a token by now, which was not taken.
        wait = self.peek(bucket, per_minute, 0)[0].retry_after_seconds
        return Window(per_minute, False, 0, max(wait, 1))

    def counts_of(self, session_ids: Collection[str]) -> dict[str, tuple[int, ...]]:
        """See SessionState."""
        rows = self._call(_COUNTS_OF, (list(session_ids),))
        return {session_id: tuple(counts) for session_id, counts in rows}

    def drop(self, session_ids: Collection[str]) -> None:
        """See SessionState."""
        self._call(_DROP, {"sessions": list(session_ids)})

    def sweep(self) -> None:
        """See SessionState."""
        for statement, age in zip(_SWEEP, (2 * REPEAT_US, SWEPT_AFTER_SECONDS), strict=True):
            self._call(statement, (age, _SWEPT_AT_ONCE))

    def close(self) -> None:
        """See SessionState."""
        self._pool.dispose()

    def _new_pool(self) -> CallPool:
        return CallPool(
            self._connect,
            pool_size=POOL_SIZE,
            max_overflow=0,
            timeout=PATIENCE_SECONDS,
            reset_on_return=None,
            use_lifo=True,
        )

    def _connect(self) -> DBAPIConnection:
        return cast(DBAPIConnection, postgres.connect(PATIENCE_SECONDS, **self._arguments))

    def _call(self, statement: LiteralString, parameters: _Parameters) -> list[tuple[Any, ...]]:
        # One that is cut off may have been counted.
        budget.require("session state")
        if self._pid != os.getpid():
            self._pool, self._pid = self._new_pool(), os.getpid()
        try:
            with baton.lent():
                return self._again_if_lost(statement, parameters)
        except (psycopg.Error, PoolTimeoutError) as error:
            raise StateUnavailableError(
                f"session state in PostgreSQL is out of reach: {str(error).strip()}; check that "
                "the server SCOPEBOUND_DATABASE_URL names runs and is not overloaded"
            ) from error

    def _again_if_lost(
        self, statement: LiteralString, parameters: _Parameters
    ) -> list[tuple[Any, ...]]:
        began = time.monotonic()
        try:
            return self._once(statement, parameters)
        except _ConnectionLostError:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise
            # The idle connections are of the server's former life. If the lost call was carried
            # out after all, the second one takes a token too many, or counts as its replay where
            # it has an id.
            self._pool.dispose()
            return self._once(statement, parameters)

    def _once(self, statement: LiteralString, parameters: _Parameters) -> list[tuple[Any, ...]]:
        pooled = self._pool.connect()
        connection = cast(postgres.PatientConnection, pooled.dbapi_connection)
        try:
            cursor = connection.execute(statement, parameters, prepare=True)
            return [] if cursor.rownumber is None else cursor.fetchall()
        except (postgres.SilentServerError, psycopg.errors.QueryCanceled):
            pooled.invalidate()
            raise
        except psycopg.OperationalError as error:
            pooled.invalidate()
            raise _ConnectionLostError(str(error)) from error
        finally:
            pooled.close()


class _ConnectionLostError(psycopg.OperationalError):
    """The server or the network closed the connection."""
