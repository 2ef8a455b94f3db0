"""What a call finds of its session: whether it stands; and what is looked at or forgotten."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, delete, insert, update

from scopebound_engine.database.engine import transaction
from scopebound_engine.database.schema import baselines, roles, sessions
from scopebound_engine.session.state.seam import UNLIMITED, Entry, SessionState, Window
from scopebound_engine.session.store import Sessions
from scopebound_engine.times import moment
from tests.roles import ROLE_ID, store_role
from tests.sessions import StateClock, execute_on, store_session

LATER = 4_000_000_000
CALL = Entry("s", ROLE_ID, 10, 10, slots=3)


@pytest.fixture(autouse=True)
def _stored(database: Engine) -> None:
    store_role(database)
    store_session(database, "s")


@pytest.fixture
def store(database: Engine) -> Sessions:
    return Sessions(database, time.time)


def rows(state: SessionState) -> int:
    return sum(
        execute_on(state, "SELECT count(*) FROM session_states")[0]
        + execute_on(state, "SELECT count(*) FROM call_ids")[0]
    )


def test_a_session_that_is_not_stored_is_revoked_and_leaves_no_trace(state: SessionState) -> None:
    stranger = replace(CALL, session_id="stranger", call_id="c", server="erp", per_server=5)
    for _ in range(2):
        found = state.enter(stranger)
        assert found.revoked_reason == "the session is not known here"
        assert not found.counted
        assert found.counts == (0, 0, 0)
        assert found.minute == Window(10, False, 0, 6)
        assert found.server == Window(5, False, 0, 12)
    assert rows(state) == 0


def test_a_session_that_was_opened_but_not_stored_is_not_known(state: SessionState) -> None:
    state.open("stranger", 10, 10, LATER)
    found = state.enter(replace(CALL, session_id="stranger"))
    assert found.revoked_reason == "the session is not known here"
    assert found.minute == Window(10, True, 10, 0)


@pytest.mark.parametrize(("reason", "seen"), [("lost laptop", "lost laptop"), ("", "revoked")])
def test_a_revoked_session_says_why_and_takes_nothing(
    reason: str, seen: str, state: SessionState, store: Sessions
) -> None:
    state.open("s", 10, 10, LATER)
    assert state.enter(CALL).revoked_reason is None
    store.revoke("s", reason)
    for _ in range(2):
        found = state.enter(CALL)
        assert found.revoked_reason is not None
        assert seen in found.revoked_reason
        assert found.minute.remaining == 9
        assert found.counts == (1, 0, 0)
    assert state.peek("s", 10, 10)[0].remaining == 9


def test_a_revoked_tree_is_seen_at_once_and_what_stands_beside_it_stands(
    state: SessionState, store: Sessions, database: Engine
) -> None:
    for child, parent in (("child", "s"), ("grandchild", "child"), ("sibling", "s")):
        store_session(database, child, parent_id=parent)
    names = ("s", "child", "grandchild", "sibling")
    calls = [replace(CALL, session_id=name) for name in names]
    assert [state.enter(call).revoked_reason for call in calls] == [None] * 4
    store.revoke("child", "stop")
    assert [state.enter(call).revoked_reason for call in calls] == [None, "stop", "stop", None]
    store.revoke("s", "all")
    assert [state.enter(call).revoked_reason for call in calls] == ["all", "stop", "stop", "all"]


def test_what_a_session_is_comes_before_what_its_role_is(
    state: SessionState, store: Sessions, database: Engine
) -> None:
    store.revoke("s", "stop")
    with transaction(database) as connection:
        connection.execute(update(roles).values(suspended_reason="audit"))
    assert state.enter(CALL).revoked_reason == "stop"
    assert state.enter(replace(CALL, role_id="gone")).revoked_reason == "stop"


def test_a_session_of_a_suspended_role_leaves_no_trace(
    state: SessionState, database: Engine
) -> None:
    with transaction(database) as connection:
        connection.execute(update(roles).values(suspended_reason="audit"))
    found = state.enter(replace(CALL, call_id="c"))
    assert found.revoked_reason == "role suspended: audit"
    assert rows(state) == 0


def test_a_session_that_is_forgotten_while_it_calls_is_not_known_any_more(
    state: SessionState, database: Engine
) -> None:
    state.enter(CALL)
    with transaction(database) as connection:
        connection.execute(delete(sessions))
    assert state.enter(CALL).revoked_reason == "the session is not known here"


def test_latch_and_baseline_are_read_by_every_call(
    state: SessionState, store: Sessions, database: Engine
) -> None:
    found = state.enter(CALL)
    assert (found.baseline_id, found.latched) == (None, False)
    with transaction(database) as connection:
        values = {"role_id": ROLE_ID, "fitted_at": moment(0), "document": {}}
        made = insert(baselines).values(values).returning(baselines.c.id)
        baseline_id = connection.execute(made).scalar_one()
        connection.execute(update(sessions).values(baseline_id=baseline_id))
    store.latch("s")
    found = state.enter(CALL)
    assert (found.baseline_id, found.latched) == (baseline_id, True)
    store.clear_latch("s")
    assert not state.enter(CALL).latched


def test_looking_at_buckets_takes_nothing(state: SessionState, state_clock: StateClock) -> None:
    state_clock.stop()
    empty = Window(2, False, 0, 30), Window(0, True, 0, 0)
    assert state.peek("s", 2, 0) == empty
    assert rows(state) == 0
    state.open("s", 2, 0, LATER)
    for _ in range(2):
        assert state.peek("s", 2, 0) == (Window(2, True, 2, 0), UNLIMITED)
    for _ in range(2):
        state.enter(replace(CALL, per_minute=2, per_hour=0))
    assert state.peek("s", 2, 0) == empty
    state_clock.advance(30)
    assert state.peek("s", 2, 0)[0] == Window(2, True, 1, 0)


def test_dropped_sessions_have_empty_buckets_no_counts_and_no_call_ids(
    state: SessionState, database: Engine
) -> None:
    named = replace(CALL, call_id="c")
    for session in ("t", "u"):
        store_session(database, session)
    for session in ("s", "t", "u"):
        state.open(session, 10, 10, LATER)
        state.enter(replace(named, session_id=session))
    assert state.counts_of(["s", "t", "u"]).keys() == {"s", "t", "u"}
    state.drop(["t", "s", "nobody"])
    assert state.counts_of(["s", "t", "u"]).keys() == {"u"}
    found = state.enter(named)
    assert (found.granted, found.replayed, found.counts) == (False, 0, (0, 0, 0))
    assert state.enter(replace(named, session_id="u")).replayed == 1
    state.drop([])


def test_what_nobody_dropped_is_swept_a_day_after_it_ended(
    state: SessionState, database: Engine
) -> None:
    day = timedelta(days=1)
    now = moment(time.time())
    for name, ended in (("old", day), ("recent", day - timedelta(minutes=1))):
        state.open(name, 1, 1, int((now - ended).timestamp()) - 1)
    state.enter(CALL)
    state.sweep()
    kept = execute_on(state, "SELECT session_id FROM session_states ORDER BY session_id")
    assert kept == [("recent",), ("s",)]


def test_state_that_was_lost_is_kept_as_long_as_its_session(
    state: SessionState, database: Engine
) -> None:
    expires_at = moment(LATER)
    store_session(database, "long", expires_at=expires_at)
    state.enter(replace(CALL, session_id="long"))
    assert execute_on(state, "SELECT expires_at FROM session_states") == [(LATER,)]
