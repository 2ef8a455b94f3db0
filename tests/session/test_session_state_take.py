"""Buckets that are no session's, on both back ends."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from scopebound_engine.session.state.buckets import Window
from scopebound_engine.session.state.seam import SessionState
from tests.sessions import StateClock, execute_on

BUCKET = "provision key role"


@pytest.fixture(autouse=True)
def _stopped(state_clock: StateClock) -> None:
    state_clock.stop()


def test_a_bucket_is_full_at_first_and_says_when_there_is_more(state: SessionState) -> None:
    found = [state.take(BUCKET, 3) for _ in range(4)]
    assert found[:3] == [Window(3, True, left, 0) for left in (2, 1, 0)]
    assert found[3] == Window(3, False, 0, 20)


def test_time_brings_tokens_back_up_to_the_limit(
    state: SessionState, state_clock: StateClock
) -> None:
    for _ in range(3):
        state.take(BUCKET, 3)
    state_clock.advance(19.5)
    assert state.take(BUCKET, 3) == Window(3, False, 0, 1)
    state_clock.advance(0.5)
    assert state.take(BUCKET, 3).granted
    assert not state.take(BUCKET, 3).granted
    state_clock.advance(10**6)
    assert [state.take(BUCKET, 3).remaining for _ in range(3)] == [2, 1, 0]
    assert not state.take(BUCKET, 3).granted


def test_a_clock_that_goes_backwards_brings_nothing(
    state: SessionState, state_clock: StateClock
) -> None:
    assert [state.take(BUCKET, 2).granted for _ in range(3)] == [True, True, False]
    state_clock.advance(-3600)
    assert not state.take(BUCKET, 2).granted


def test_buckets_are_told_apart_by_name(state: SessionState) -> None:
    found = [state.take(name, 1).granted for name in ("a", "b", "a", "b")]
    assert found == [True, True, False, False]


def test_a_lower_limit_holds_at_once(state: SessionState) -> None:
    assert state.take(BUCKET, 100).granted
    assert [state.take(BUCKET, 2).granted for _ in range(3)] == [True, True, False]


def test_a_bucket_that_was_lost_is_full(state: SessionState) -> None:
    state.take(BUCKET, 1)
    execute_on(state, "DELETE FROM session_states RETURNING session_id")
    assert state.take(BUCKET, 1).granted


def test_many_at_once_get_no_more_than_there_are(state: SessionState) -> None:
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: state.take(BUCKET, 25), range(60)))
    assert sum(window.granted for window in found) == 25
    assert sorted(window.remaining for window in found if window.granted) == list(range(25))
