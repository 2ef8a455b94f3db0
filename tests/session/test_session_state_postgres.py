import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from scopebound_engine import budget
from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.errors import ConfigError, LateCallError, StateUnavailableError
from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import Entry
from tests.postgres import PostgresServer
from tests.roles import ROLE_ID, store_role
from tests.sessions import VOLATILE_TABLES, store_session

LATER = 4_000_000_000


def prepare(url: str, folder: Path) -> None:
    engine = open_database(url, folder)
    migrate(engine)
    store_role(engine)
    for session in ("s", "t"):
        store_session(engine, session)
    engine.dispose()


@pytest.fixture
def server(own_postgres: PostgresServer, tmp_path: Path) -> PostgresServer:
    prepare(own_postgres.url(), tmp_path)
    return own_postgres


@pytest.fixture
def url(postgres_url: str, tmp_path: Path) -> str:
    prepare(postgres_url, tmp_path)
    return postgres_url


@pytest.fixture
def state(server: PostgresServer) -> Iterator[PostgresState]:
    made = PostgresState(server.url())
    yield made
    made.close()


def test_after_a_crash_of_the_server_what_calls_changed_is_gone_and_what_stands_is_known(
    server: PostgresServer, state: PostgresState
) -> None:
    call = Entry("s", ROLE_ID, 60, 60, "erp", 60, slots=2, call_id="c")
    for session in ("s", "t"):
        state.open(session, 60, 60, LATER)
        assert state.enter(replace(call, session_id=session)).granted
    with psycopg.connect(server.url()) as connection:
        connection.execute(
            "UPDATE sessions SET revoked_at = 1, revoked_reason = 'x' WHERE id = 't'"
        )
    server.stop()
    with pytest.raises(StateUnavailableError, match="SCOPEBOUND_DATABASE_URL"):
        state.enter(call)
    server.start()
    found = state.enter(call)
    assert found.revoked_reason is None
    assert (found.minute.granted, found.hour.granted) == (False, False)
    assert (found.counts, found.replayed) == ((0, 0), 0)
    for name in ("erp", "crm"):
        named = state.enter(replace(call, call_id=None, server=name)).server
        assert named is not None
        assert not named.granted
    assert state.enter(replace(call, session_id="t")).revoked_reason == "x"
    assert state.counts_of(["s", "t"]) == {"s": (3, 0)}


def test_the_first_call_after_a_restart_is_answered_whatever_connections_were_open(
    server: PostgresServer, state: PostgresState
) -> None:
    state.open("s", 60, 60, LATER)
    with ThreadPoolExecutor(4) as threads, psycopg.connect(server.url()) as holder:
        holder.execute("SELECT 1 FROM session_states FOR UPDATE")
        waiting = [threads.submit(state.enter, Entry("s", ROLE_ID, 60, 60)) for _ in range(4)]
        time.sleep(0.1)
        holder.rollback()
        assert all(call.result().granted for call in waiting)
    server.stop()
    server.start()
    state.open("t", 60, 60, LATER)
    assert state.enter(Entry("t", ROLE_ID, 60, 60)).granted


def test_a_frozen_server_is_not_waited_for_and_found_again_at_once(
    server: PostgresServer, state: PostgresState
) -> None:
    state.open("s", 60, 60, LATER)
    with server.frozen():
        for _ in range(2):  # on a connection that was open, then on a new one
            began = time.monotonic()
            with pytest.raises(StateUnavailableError):
                state.enter(Entry("s", ROLE_ID, 60, 60))
            assert time.monotonic() - began < 0.8
    assert state.enter(Entry("s", ROLE_ID, 60, 60)).granted


def test_a_call_waits_no_longer_than_it_may_and_without_time_asks_nothing(
    server: PostgresServer,
) -> None:
    state = PostgresState(server.url())
    state.peek("s", 1, 1)
    with server.frozen():
        began = time.monotonic()
        with budget.ending(began + 0.1), pytest.raises(StateUnavailableError):
            state.peek("s", 1, 1)
        assert time.monotonic() - began < 0.2
    with budget.ending(time.monotonic()), pytest.raises(LateCallError):
        state.take("s", 1)
    assert state.take("s", 1).granted
    state.close()


def test_a_row_that_someone_keeps_locked_is_not_waited_for(url: str) -> None:
    state = PostgresState(url)
    state.open("s", 60, 60, LATER)
    with psycopg.connect(url) as holder:
        holder.execute("SELECT 1 FROM session_states WHERE session_id = 's' FOR UPDATE")
        began = time.monotonic()
        with pytest.raises(StateUnavailableError):
            state.enter(Entry("s", ROLE_ID, 60, 60))
        assert time.monotonic() - began < 0.5
        holder.rollback()
    assert state.enter(Entry("s", ROLE_ID, 60, 60)).granted
    state.close()


def test_a_clock_of_the_server_that_went_backwards_takes_nothing_away(url: str) -> None:
    state = PostgresState(url)
    state.open("s", 60, 60, LATER)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE session_states SET touched_us = touched_us + 3600000000")
    assert state.enter(Entry("s", ROLE_ID, 60, 60)).minute.remaining == 59
    state.close()


@pytest.mark.parametrize("table", VOLATILE_TABLES)
def test_what_every_call_changes_is_not_written_ahead(url: str, table: str) -> None:
    with psycopg.connect(url) as connection:
        kind = connection.execute(
            "SELECT relpersistence FROM pg_class WHERE relname = %s", (table,)
        ).fetchone()
    assert kind == ("u",)


@pytest.mark.parametrize(
    "call",
    [
        "scopebound_enter('s'::text, 5::bigint, 5::bigint)",
        "scopebound_enter('s'::text, 'r'::text, 5::bigint, 5::bigint)",
        "scopebound_admit('s'::text, 'r'::text, 5::bigint, 5::bigint)",
        "scopebound_open('s'::text, 5::bigint, 5::bigint, 5::bigint)",
    ],
    ids=["blind to suspensions", "to activations", "to revocations", "opens what is not stored"],
)
def test_a_node_of_a_former_program_finds_no_function_to_enter_by(url: str, call: str) -> None:
    with (
        psycopg.connect(url) as connection,
        pytest.raises(psycopg.errors.UndefinedFunction),
    ):
        connection.execute(f"SELECT * FROM {call}")


def test_a_url_of_another_kind_is_a_setting_to_mend() -> None:
    with pytest.raises(ConfigError, match="only PostgreSQL"):
        PostgresState("mysql://host/db")
