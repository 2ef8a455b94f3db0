"""Stored sessions, and the clock of session state, for tests of what needs them."""

import time
from typing import Any, LiteralString

from sqlalchemy import Engine, text

from scopebound_engine.database.engine import transaction
from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import SessionState
from scopebound_engine.session.state.sqlite import SqliteState
from scopebound_engine.session.state.sqlite_file import microseconds_since_boot
from scopebound_engine.session.store import SessionRecord, Sessions
from scopebound_engine.times import moment

# Session state on PostgreSQL: tables that the common schema does not have.
VOLATILE_TABLES = ("session_states", "call_ids")


def store_session(engine: Engine, session_id: str, **fields: object) -> SessionRecord:
    """A new session of the role ROLE_ID, which lasts an hour."""
    # Roles bring google-re2 with them, which tests of the Rego engine must not load.
    from tests.roles import ROLE_ID

    now = int(time.time())
    values: dict[str, object] = {
        "role_id": ROLE_ID,
        "role_revision": 1,
        "api_key_id": None,
        "parent_id": None,
        "created_at": moment(now),
        "expires_at": moment(now + 3600),
        "claims": {},
    }
    session = SessionRecord(id=session_id, **(values | fields))  # type: ignore[arg-type]
    assert Sessions(engine, time.time).create(session)
    return session


class StateClock:
    """Sets the clock that session state goes by: the host's on SQLite, the server's PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._ahead_us = engine, 0
        self._stopped_us: int | None = None

    def advance(self, seconds: float) -> None:
        """Let time pass, backwards too."""
        self._ahead_us += int(seconds * 1_000_000)
        self._set()

    def stop(self) -> None:
        """Let no time pass but what `advance` says."""
        self._stopped_us = 1_777_000_000_000_000
        self._set()

    def microseconds(self) -> int:
        """What SQLite's state asks."""
        now = microseconds_since_boot() if self._stopped_us is None else self._stopped_us
        return now + self._ahead_us

    def _set(self) -> None:
        if self._engine.dialect.name != "postgresql":
            return
        now = self._stopped_us or "(extract(epoch FROM clock_timestamp()) * 1000000)"
        with transaction(self._engine) as connection:
            connection.execute(
                text(
                    "CREATE OR REPLACE FUNCTION scopebound_clock_us() RETURNS bigint LANGUAGE sql "
                    f"VOLATILE AS $$ SELECT ({now} + {self._ahead_us})::bigint $$"
                )
            )


def execute_on(state: SessionState, statement: LiteralString) -> list[tuple[Any, ...]]:
    """Run a statement where volatile state lies."""
    if isinstance(state, SqliteState):
        with state._file.transaction() as execute:
            return execute(statement).fetchall()
    assert isinstance(state, PostgresState)
    return state._call(statement, ())
