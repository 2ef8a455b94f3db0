"""Call ids: the same call that comes again finds what it found first, another one with its id not.

On both back ends, as the contract has it: within 30 seconds, three times at most.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from scopebound_engine.session.state.seam import (
    CALL_IDS_PER_SESSION,
    Entry,
    SessionFacts,
    SessionState,
)
from scopebound_engine.session.store import Sessions
from tests.roles import ROLE_ID, store_role
from tests.sessions import StateClock, execute_on, store_session

LATER = 4_000_000_000
LIMIT = 60
CALL = Entry("s", ROLE_ID, LIMIT, LIMIT, "erp", LIMIT, slots=2, call_id="c-1", digest="d")
PLAIN = replace(CALL, call_id=None)


@pytest.fixture(autouse=True)
def _opened(database: Engine, state: SessionState, state_clock: StateClock) -> None:
    store_role(database)
    state_clock.stop()
    for session in ("s", "t"):
        store_session(database, session)
        state.open(session, LIMIT, LIMIT, LATER)


def left(state: SessionState) -> tuple[int, int, int, int]:
    """Whole tokens in the three buckets, and the calls that are counted."""
    found = state.enter(PLAIN)
    assert found.server is not None
    # This call took one of each itself.
    return (
        found.minute.remaining + 1,
        found.hour.remaining + 1,
        found.server.remaining + 1,
        sum(found.counts),
    )


def test_a_call_that_comes_again_finds_what_it_found_first(state: SessionState) -> None:
    state.enter(PLAIN)
    first = state.enter(CALL)
    assert (first.replayed, first.conflict, first.counted) == (0, False, True)
    assert first.counts == (1, 0)
    state.enter(replace(PLAIN, slot=1))
    for number in (1, 2, 3):
        again = state.enter(CALL)
        assert again == replace(first, replayed=number)
        assert not again.counted
    assert left(state) == (LIMIT - 3, LIMIT - 3, LIMIT - 3, 3)


def test_what_comes_more_often_is_a_new_call_that_may_come_again(state: SessionState) -> None:
    replays = [state.enter(CALL).replayed for _ in range(9)]
    assert replays == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert left(state) == (LIMIT - 3, LIMIT - 3, LIMIT - 3, 3)


def test_what_comes_later_is_a_new_call(state: SessionState, state_clock: StateClock) -> None:
    state.enter(CALL)
    state_clock.advance(29.999999)
    assert state.enter(CALL).replayed == 1
    state_clock.advance(0.000001)
    assert state.enter(CALL).replayed == 0
    state_clock.advance(29)
    assert state.enter(CALL).replayed == 1


def test_the_time_runs_from_the_first_call_not_from_the_last(
    state: SessionState, state_clock: StateClock
) -> None:
    state.enter(CALL)
    for seconds, replayed in ((20, 1), (9, 2), (1, 0)):
        state_clock.advance(seconds)
        assert state.enter(CALL).replayed == replayed


def test_another_call_with_the_same_id_is_a_conflict_and_takes_nothing(
    state: SessionState,
) -> None:
    state.enter(CALL)
    other = replace(CALL, digest="another", slot=1)
    for _ in range(3):
        found = state.enter(other)
        assert (found.conflict, found.replayed, found.counted) == (True, 0, False)
    assert state.enter(CALL).replayed == 1
    assert left(state) == (LIMIT - 1, LIMIT - 1, LIMIT - 1, 1)


def test_a_conflict_is_one_when_all_replays_are_used_too(state: SessionState) -> None:
    for _ in range(4):
        state.enter(CALL)
    assert state.enter(replace(CALL, digest="another")).conflict


def test_an_id_may_be_given_to_another_call_after_its_time(
    state: SessionState, state_clock: StateClock
) -> None:
    state.enter(CALL)
    state_clock.advance(30)
    other = replace(CALL, digest="another")
    assert not state.enter(other).conflict
    assert state.enter(other).replayed == 1
    assert state.enter(CALL).conflict


def test_ids_are_the_sessions_own_and_exact(state: SessionState) -> None:
    state.enter(CALL)
    for other in (
        replace(CALL, session_id="t", digest="another"),
        replace(CALL, call_id="C-1", digest="another"),
        replace(CALL, call_id="c-1 ", digest="another"),
        replace(CALL, call_id="%", digest="another"),
        replace(CALL, call_id="ü" * 128),
    ):
        found = state.enter(other)
        assert (found.replayed, found.conflict) == (0, False)


def test_calls_without_an_id_are_never_the_same(state: SessionState) -> None:
    assert [state.enter(PLAIN).replayed for _ in range(3)] == [0, 0, 0]
    assert left(state)[3] == 3


def test_a_refused_call_comes_again_as_refused(
    state: SessionState, state_clock: StateClock
) -> None:
    tight = Entry("t", ROLE_ID, 1, 0, call_id="c-2")
    state.enter(replace(tight, call_id="c-1"))
    assert not state.enter(tight).granted
    state_clock.advance(20)
    again = state.enter(tight)
    assert (again.granted, again.replayed) == (False, 1)
    assert again.minute.retry_after_seconds == 60


def test_a_replay_sees_what_is_in_force_now(state: SessionState, database: Engine) -> None:
    sessions = Sessions(database, lambda: 1_777_000_000)
    assert not state.enter(CALL).latched
    sessions.latch("s")
    assert state.enter(CALL).latched
    sessions.revoke("s", "stop")
    revoked = state.enter(CALL)
    assert revoked.revoked_reason == "stop"
    assert not revoked.counted


def test_a_revoked_session_leaves_no_call_id(state: SessionState, database: Engine) -> None:
    Sessions(database, lambda: 1_777_000_000).revoke("s", "stop")
    state.enter(CALL)
    assert execute_on(state, "SELECT count(*) FROM call_ids") == [(0,)]


def test_of_parallel_sends_one_in_four_is_a_call(state: SessionState) -> None:
    with ThreadPoolExecutor(8) as threads:
        found: list[SessionFacts] = list(threads.map(state.enter, [CALL] * 48))
    assert Counter(each.replayed for each in found) == {0: 12, 1: 12, 2: 12, 3: 12}
    first = Counter(each.counts[0] for each in found)
    assert first == dict.fromkeys(range(12), 4)
    assert left(state) == (LIMIT - 12, LIMIT - 12, LIMIT - 12, 12)


def test_a_session_keeps_no_more_call_ids_than_it_has_places(state: SessionState) -> None:
    state.enter(CALL)
    other = replace(CALL, call_id="c-2")
    state.enter(other)
    execute_on(state, f"UPDATE session_states SET calls_named = {CALL_IDS_PER_SESSION}")
    assert state.enter(replace(CALL, call_id="c-3")).replayed == 0
    assert execute_on(state, "SELECT count(*) FROM call_ids") == [(2,)]
    assert state.enter(other).replayed == 1
    assert state.enter(replace(CALL, digest="another")).conflict is False


def test_old_call_ids_are_swept(state: SessionState, state_clock: StateClock) -> None:
    for number in range(250):
        state.enter(replace(CALL, call_id=f"old-{number}"))
    state_clock.advance(61)
    state.enter(CALL)
    state.sweep()
    assert execute_on(state, "SELECT call_id FROM call_ids") == [("c-1",)]
    assert state.enter(CALL).replayed == 1


def test_call_ids_that_may_still_come_again_are_not_swept(
    state: SessionState, state_clock: StateClock
) -> None:
    state.enter(CALL)
    state_clock.advance(29)
    state.sweep()
    assert state.enter(CALL).replayed == 1
