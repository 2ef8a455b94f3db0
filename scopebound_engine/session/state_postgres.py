"""Session state of all nodes: a function in the shared PostgreSQL, one round trip a call.

Time is the database server's clock, the same for every node. The functions and their unlogged
table come from the migrations `session_state`, `role_suspension` and `generation_in_enter`.
"""

import os
import time
from typing import Any, Final, cast

import psycopg
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from scopebound_engine.database import postgres
from scopebound_engine.errors import StateUnavailableError
from scopebound_engine.session.state import SessionFacts, facts, revoked_reason

PATIENCE_SECONDS: Final = 0.25
POOL_SIZE: Final = 8

_OPEN: Final = "SELECT scopebound_open(%s, %s, %s, %s)"
_ENTER: Final = (
    "SELECT minute_found, hour_found, role_found, suspended, generation "
    "FROM scopebound_admit(%s, %s, %s, %s)"
)


class PostgresState:
    """SessionState in a migrated PostgreSQL. Each process has its own connections."""

    def __init__(self, database_url: str) -> None:
        url = postgres.parse_url(database_url, statement_seconds=PATIENCE_SECONDS)
        self._arguments = {**postgres.connect_arguments(url), "autocommit": True}
        self._pool, self._pid = self._new_pool(), os.getpid()

    def open(self, session_id: str, per_minute: int, per_hour: int, expires_at: int) -> None:
        """See SessionState."""
        if per_minute or per_hour:
            self._call(_OPEN, session_id, per_minute, per_hour, expires_at)

    def enter(self, session_id: str, role_id: str, per_minute: int, per_hour: int) -> SessionFacts:
        """See SessionState."""
        minute, hour, role_found, suspended, generation = self._call(
            _ENTER, session_id, role_id, per_minute, per_hour
        )
        revoked = revoked_reason(role_found, suspended)
        return facts(per_minute, per_hour, minute, hour, revoked, generation)

    def close(self) -> None:
        """See SessionState."""
        self._pool.dispose()

    def _new_pool(self) -> QueuePool:
        return QueuePool(
            self._connect,
            pool_size=POOL_SIZE,
            max_overflow=0,
            timeout=PATIENCE_SECONDS,
            reset_on_return=None,
            use_lifo=True,
        )

    def _connect(self) -> DBAPIConnection:
        return cast(DBAPIConnection, postgres.connect(PATIENCE_SECONDS, **self._arguments))

    def _call(self, statement: str, *parameters: str | int) -> Any:
        if self._pid != os.getpid():
            self._pool, self._pid = self._new_pool(), os.getpid()
        try:
            began = time.monotonic()
            try:
                return self._once(statement, parameters)
            except _ConnectionLostError:
                if time.monotonic() - began > PATIENCE_SECONDS:
                    raise
                # The idle connections are of the server's former life. If the lost call was
                # carried out after all, the second one takes a token too many.
                self._pool.dispose()
                return self._once(statement, parameters)
        except (psycopg.Error, PoolTimeoutError) as error:
            raise StateUnavailableError(
                f"session state in PostgreSQL is out of reach: {str(error).strip()}; check that "
                "the server SCOPEBOUND_DATABASE_URL names runs and is not overloaded"
            ) from error

    def _once(self, statement: str, parameters: tuple[str | int, ...]) -> Any:
        pooled = self._pool.connect()
        connection = cast(postgres.PatientConnection, pooled.dbapi_connection)
        try:
            return connection.execute(statement, parameters, prepare=True).fetchone()
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
