"""Calls wait for a writer that stands still for a moment, and not long for one that is stopped."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.errors import StateUnavailableError
from scopebound_engine.session.state.seam import Entry
from scopebound_engine.session.state.sqlite import SqliteState
from tests.roles import ROLE_ID, store_role
from tests.sessions import store_session

CALLS = 16
CALL = Entry("s", ROLE_ID, 1_000, 0)
# As long as a worker was seen to hold the file on a machine with more to do than processors.
STANDSTILL = 0.2


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqliteState]:
    engine = open_database(None, tmp_path)
    migrate(engine)
    store_role(engine)
    store_session(engine, "s")
    engine.dispose()
    made = SqliteState(tmp_path, boot="boot-1")
    made.open("s", 1_000, 0, 4_000_000_000)
    yield made
    made.close()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Another connection stands still in its transaction while the block lasts."""
    holder = sqlite3.connect(folder / "state-boot-1.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def seconds_until_refused(state: SqliteState) -> float:
    began = time.monotonic()
    with pytest.raises(StateUnavailableError):
        state.enter(CALL)
    return time.monotonic() - began


def test_calls_outlast_a_writer_that_stands_still_for_a_moment(
    state: SqliteState, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(CALLS) as threads:
        with held(tmp_path):
            waiting = [threads.submit(state.enter, CALL) for _ in range(CALLS)]
            time.sleep(STANDSTILL)
            assert not any(call.done() for call in waiting)
        assert all(call.result(5).granted for call in waiting)


def test_what_was_waited_for_is_told(state: SqliteState, tmp_path: Path) -> None:
    told = r"SQLITE_BUSY: database is locked at BEGIN IMMEDIATE; .*no stopped process"
    with held(tmp_path), pytest.raises(StateUnavailableError, match=told):
        state.enter(CALL)


def test_a_stopped_writer_delays_the_first_call_less_than_a_second_and_the_next_ones_hardly(
    state: SqliteState, tmp_path: Path
) -> None:
    with held(tmp_path):
        first = seconds_until_refused(state)
        next_ones = min(seconds_until_refused(state) for _ in range(3))
    assert next_ones < STANDSTILL < first < 1
    assert state.enter(CALL).minute.remaining == 999


def test_calls_that_wait_for_a_stopped_writer_together_give_up_together(
    state: SqliteState, tmp_path: Path
) -> None:
    with held(tmp_path), ThreadPoolExecutor(CALLS) as threads:
        assert max(threads.map(seconds_until_refused, [state] * CALLS)) < 1


def test_after_an_outage_a_standstill_is_outlasted_again(
    state: SqliteState, tmp_path: Path
) -> None:
    with held(tmp_path):
        seconds_until_refused(state)
    state.enter(CALL)
    test_calls_outlast_a_writer_that_stands_still_for_a_moment(state, tmp_path)


def test_a_writer_of_the_database_is_not_waited_for(state: SqliteState, tmp_path: Path) -> None:
    state.enter(CALL)
    writer = sqlite3.connect(tmp_path / "scopebound.db", timeout=0, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE roles SET name = 'other'")
    began = time.monotonic()
    assert state.enter(CALL).granted
    assert time.monotonic() - began < STANDSTILL
    with state._file.transaction() as execute:
        before = execute("SELECT name FROM stored.roles").fetchall()
        writer.execute("COMMIT")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert execute("SELECT name FROM stored.roles").fetchall() == before
    writer.close()
