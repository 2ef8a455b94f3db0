"""The contract of SessionState, on both back ends; what is one back end's own has its own file."""

import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, update

from scopebound_engine.database.engine import transaction
from scopebound_engine.database.schema import activations, bundles, roles
from scopebound_engine.errors import StateUnavailableError
from scopebound_engine.session.state.buckets import (
    HOUR_US,
    MINUTE_US,
    UNLIMITED,
    Window,
    refilled,
    window,
)
from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.state.sqlite import SqliteState
from tests.roles import ROLE_ID, store_role
from tests.sessions import store_session

FORK = get_context("fork")
LATER = 4_000_000_000
NOW = datetime(2026, 4, 29, tzinfo=UTC)
BUNDLE_ID = "feed6359-c16c-4d1c-910d-6440c8b95b60"


@pytest.fixture(autouse=True)
def _stored(database: Engine) -> None:
    store_role(database)
    for session in ("s", "t", "lost"):
        store_session(database, session)


def windows(state: SessionState, entry: Entry) -> tuple[Window, Window]:
    found = state.enter(entry)
    return found.minute, found.hour


def test_a_new_session_has_full_buckets_and_a_call_takes_one_of_each(state: SessionState) -> None:
    state.open("s", 3, 5, LATER)
    call = Entry("s", ROLE_ID, 3, 5)
    assert windows(state, call) == (Window(3, True, 2, 0), Window(5, True, 4, 0))
    assert windows(state, call) == (Window(3, True, 1, 0), Window(5, True, 3, 0))


def test_an_empty_minute_says_when_there_is_a_token_and_spares_the_hour(
    state: SessionState,
) -> None:
    state.open("s", 1, 5, LATER)
    state.enter(Entry("s", ROLE_ID, 1, 5))
    refused = state.enter(Entry("s", ROLE_ID, 1, 5))
    assert refused.minute == Window(1, False, 0, 60)
    assert refused.hour == Window(5, True, 4, 0)
    assert not refused.granted
    assert state.enter(Entry("s", ROLE_ID, 1, 5)).hour.remaining == 4


def test_an_empty_hour_spares_the_minute(state: SessionState) -> None:
    state.open("s", 5, 1, LATER)
    state.enter(Entry("s", ROLE_ID, 5, 1))
    refused = state.enter(Entry("s", ROLE_ID, 5, 1))
    assert refused.hour == Window(1, False, 0, 3600)
    assert refused.minute.granted
    assert state.enter(Entry("s", ROLE_ID, 5, 1)).minute == refused.minute


@pytest.mark.parametrize(("per_minute", "per_hour"), [(2, 0), (0, 2)])
def test_a_limit_of_zero_is_no_limit(per_minute: int, per_hour: int, state: SessionState) -> None:
    state.open("s", per_minute, per_hour, LATER)
    grants = [state.enter(Entry("s", ROLE_ID, per_minute, per_hour)).granted for _ in range(3)]
    assert grants == [True, True, False]


def test_without_limits_a_session_needs_no_buckets(state: SessionState) -> None:
    assert windows(state, Entry("lost", ROLE_ID, 0, 0)) == (UNLIMITED, UNLIMITED)
    assert Window(0, True, 0, 0) == UNLIMITED


def test_sessions_do_not_share_buckets(state: SessionState) -> None:
    for session in ("s", "t"):
        state.open(session, 1, 0, LATER)
        assert state.enter(Entry(session, ROLE_ID, 1, 0)).granted


def test_opening_again_does_not_refill(state: SessionState) -> None:
    state.open("s", 1, 1, LATER)
    state.enter(Entry("s", ROLE_ID, 1, 1))
    state.open("s", 1, 1, LATER)
    assert not state.enter(Entry("s", ROLE_ID, 1, 1)).granted


def test_a_session_that_was_not_opened_has_empty_buckets_that_fill(state: SessionState) -> None:
    limit = 600  # a token in each tenth of a second
    assert state.enter(Entry("lost", ROLE_ID, limit, 0)).minute == Window(limit, False, 0, 1)
    time.sleep(0.12)
    assert state.enter(Entry("lost", ROLE_ID, limit, 0)).granted


def test_a_bucket_refills_with_time_and_no_further_than_its_limit(state: SessionState) -> None:
    limit = 1200  # a token in each 50 ms
    state.open("s", limit, 0, LATER)
    time.sleep(0.06)
    assert state.enter(Entry("s", ROLE_ID, limit, 0)).minute.remaining == limit - 1
    for _ in range(9):
        state.enter(Entry("s", ROLE_ID, limit, 0))
    drained = state.enter(Entry("s", ROLE_ID, limit, 0)).minute.remaining
    time.sleep(0.26)
    assert state.enter(Entry("s", ROLE_ID, limit, 0)).minute.remaining >= drained + 4


def test_the_largest_limits_fit(state: SessionState) -> None:
    largest = 1_000_000_000
    state.open("s", largest, largest, LATER)
    assert state.enter(Entry("s", ROLE_ID, largest, largest)).hour.remaining == largest - 1
    assert state.enter(Entry("lost", ROLE_ID, largest, largest)).hour.remaining < largest // 1000


def test_a_session_opened_with_larger_limits_is_held_to_the_smaller(state: SessionState) -> None:
    state.open("s", 100, 100, LATER)
    held = Window(5, True, 4, 0)
    assert windows(state, Entry("s", ROLE_ID, 5, 5)) == (held, held)


LIMITS = pytest.mark.parametrize("limit", [0, 5])


def suspend(database: Engine, reason: str | None) -> None:
    with transaction(database) as connection:
        connection.execute(update(roles).values(suspended_reason=reason))


@LIMITS
def test_a_suspended_role_is_seen_by_the_next_call_and_so_is_its_return(
    limit: int, state: SessionState, database: Engine
) -> None:
    state.open("s", limit, limit, LATER)
    for reason, seen in (
        (None, None),
        ("key leaked", "role suspended: key leaked"),
        ("", "role suspended"),
        (None, None),
    ):
        suspend(database, reason)
        assert state.enter(Entry("s", ROLE_ID, limit, limit)).revoked_reason == seen


@LIMITS
def test_a_role_that_is_gone_revokes_its_sessions(
    limit: int, state: SessionState, database: Engine
) -> None:
    state.open("s", limit, limit, LATER)
    assert state.enter(Entry("s", "another", limit, limit)).revoked_reason == "role deleted"
    with transaction(database) as connection:
        connection.execute(roles.delete())
    assert state.enter(Entry("s", ROLE_ID, limit, limit)).revoked_reason == "role deleted"


def test_a_call_of_a_suspended_role_takes_no_tokens(state: SessionState, database: Engine) -> None:
    state.open("s", 5, 0, LATER)
    suspend(database, "")
    assert state.enter(Entry("s", ROLE_ID, 5, 0)).minute == Window(5, True, 5, 0)
    suspend(database, None)
    assert state.enter(Entry("s", ROLE_ID, 5, 0)).minute.remaining == 4


def activate(database: Engine) -> int:
    """A new generation."""
    row = {"bundle_id": BUNDLE_ID, "activated_at": NOW, "actor": "me"}
    with transaction(database) as connection:
        added = insert(activations).values(row).returning(activations.c.generation)
        return connection.execute(added).scalar_one()


@pytest.fixture
def _bundle(database: Engine) -> None:
    row = {
        "id": BUNDLE_ID,
        "name": "b",
        "version": "1.0.0",
        "checksum": "",
        "identity": "",
        "bundle_path": "",
        "description": "",
        "uploaded_at": NOW,
    }
    with transaction(database) as connection:
        connection.execute(insert(bundles).values(row))


@LIMITS
@pytest.mark.usefixtures("_bundle")
def test_a_call_learns_the_generation_in_force_whatever_its_role_and_buckets(
    limit: int, state: SessionState, database: Engine
) -> None:
    state.open("s", limit, limit, LATER)
    assert state.enter(Entry("s", ROLE_ID, limit, limit)).generation == 0
    for _ in range(2):
        generation = activate(database)
        assert state.enter(Entry("s", ROLE_ID, limit, limit)).generation == generation
    suspend(database, "key leaked")
    assert state.enter(Entry("s", ROLE_ID, limit, limit)).generation == generation
    assert state.enter(Entry("s", "another", limit, limit)).generation == generation
    assert state.enter(Entry("lost", ROLE_ID, limit, limit)).generation == generation


@pytest.mark.usefixtures("_bundle")
def test_an_activation_counts_from_its_commit_and_is_not_waited_for(
    state: SessionState, database: Engine
) -> None:
    row = {"bundle_id": BUNDLE_ID, "activated_at": NOW, "actor": "me"}
    with transaction(database, lock="bundles") as connection:
        connection.execute(insert(activations).values(row))
        began = time.monotonic()
        assert state.enter(Entry("s", ROLE_ID, 0, 0)).generation == 0
        assert time.monotonic() - began < 0.2
    assert state.enter(Entry("s", ROLE_ID, 0, 0)).generation == 1


def test_a_call_does_not_wait_for_someone_who_changes_roles(
    state: SessionState, database: Engine
) -> None:
    state.open("s", 5, 5, LATER)
    with transaction(database, lock="roles") as connection:
        connection.execute(update(roles).values(suspended_reason="not yet"))
        began = time.monotonic()
        assert state.enter(Entry("s", ROLE_ID, 5, 5)).revoked_reason is None
        assert time.monotonic() - began < 0.2
    assert state.enter(Entry("s", ROLE_ID, 5, 5)).revoked_reason == "role suspended: not yet"


CALLS, LIMIT = 60, 100


def hammer(url: str | None, folder: Path) -> int:
    """One worker: 4 threads that call as fast as they can; how many calls were granted."""
    state = PostgresState(url) if url else SqliteState(folder)

    def call(_: int) -> bool:
        try:
            return state.enter(Entry("s", ROLE_ID, LIMIT, LIMIT)).granted
        except StateUnavailableError:  # a loaded machine; it counts as a denial
            return False

    with ThreadPoolExecutor(4) as threads:
        granted = sum(threads.map(call, range(4 * CALLS)))
    state.close()
    return granted


def test_workers_together_are_granted_what_one_would_be(
    state: SessionState, database_url: str | None, tmp_path: Path
) -> None:
    state.open("s", LIMIT, LIMIT, LATER)
    began = time.monotonic()
    with ProcessPoolExecutor(3, mp_context=FORK) as workers:
        granted = sum(workers.map(hammer, [database_url] * 3, [tmp_path] * 3))
    refilled_at_most = 1 + int((time.monotonic() - began) * LIMIT / 3600)
    assert LIMIT - 5 <= granted <= LIMIT + refilled_at_most


INHERITED: list[SessionState] = []


def enter_in_child() -> tuple[int, bool]:
    return os.getpid(), INHERITED[-1].enter(Entry("s", ROLE_ID, 2, 2)).granted


def test_state_that_was_used_before_a_fork_works_on_both_sides_of_it(state: SessionState) -> None:
    state.open("s", 2, 2, LATER)
    INHERITED.append(state)
    with ProcessPoolExecutor(1, mp_context=FORK) as child:
        pid, granted = child.submit(enter_in_child).result()
    assert granted
    assert pid != os.getpid()
    assert state.enter(Entry("s", ROLE_ID, 2, 2)).granted
    assert not state.enter(Entry("s", ROLE_ID, 2, 2)).granted


def test_the_arithmetic_is_exact() -> None:
    assert refilled(0, 7, MINUTE_US - 1, MINUTE_US) == 7 * MINUTE_US - 7
    assert refilled(0, 7, 2**60, MINUTE_US) == 7 * MINUTE_US
    assert refilled(5, 7, -1, MINUTE_US) == 5
    assert window(7, MINUTE_US - 1, MINUTE_US) == Window(7, False, 0, 1)
    assert window(7, MINUTE_US, MINUTE_US) == Window(7, True, 1, 0)
    assert window(1, 0, HOUR_US).retry_after_seconds == 3600
    assert window(1, HOUR_US - 1_000_001, HOUR_US).retry_after_seconds == 2
