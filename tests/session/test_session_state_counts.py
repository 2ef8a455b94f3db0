"""Calls are counted by slot, exactly, however many threads make them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from scopebound_engine.errors import StateUnavailableError
from scopebound_engine.session.state.seam import Entry, SessionState
from tests.roles import ROLE_ID, store_role
from tests.sessions import StateClock, store_session

LATER = 4_000_000_000
CALL = Entry("s", ROLE_ID, 10, 10, slots=3)


@pytest.fixture(autouse=True)
def _stored(database: Engine) -> None:
    store_role(database)
    store_session(database, "s")


def test_calls_are_counted_by_slot_and_found_by_the_next(state: SessionState) -> None:
    found = [state.enter(replace(CALL, slot=slot)).counts for slot in (0, 2, 2, 1)]
    assert found == [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 0, 2)]
    assert state.counts_of(["s"]) == {"s": (1, 1, 2)}


def test_a_slot_past_the_last_is_the_last(state: SessionState) -> None:
    for slot in (2, 3, 2**31 - 2):
        state.enter(replace(CALL, slot=slot))
    state.uncount("s", 99)
    assert state.counts_of(["s"]) == {"s": (0, 0, 2)}


def test_many_tools_are_counted(state: SessionState) -> None:
    many = replace(CALL, per_minute=0, per_hour=0, slots=3_000)
    for slot in (0, 2_998, 2_999, 2_999):
        state.enter(replace(many, slot=slot))
    assert state.enter(many).counts == (1, *[0] * 2_997, 1, 2)


def test_a_call_that_finds_no_token_is_counted_until_it_is_taken_out(state: SessionState) -> None:
    """Whether it is denied for that is the policy's judgement."""
    state.open("s", 1, 0, LATER)
    tight = replace(CALL, per_minute=1, per_hour=0)
    assert state.enter(tight).granted
    refused = state.enter(tight)
    assert (refused.granted, refused.counted) == (False, True)
    assert state.counts_of(["s"]) == {"s": (2, 0, 0)}
    state.uncount("s", 0)
    assert state.counts_of(["s"]) == {"s": (1, 0, 0)}


def test_a_denied_call_is_taken_out_of_the_counts_and_gets_no_token_back(
    state: SessionState,
) -> None:
    state.open("s", 10, 10, LATER)
    for slot in (0, 1):
        state.enter(replace(CALL, slot=slot))
    state.uncount("s", 1)
    state.uncount("s", 1)
    found = state.enter(CALL)
    assert found.counts == (1, 0, 0)
    assert found.hour.remaining == 7


def test_nothing_is_taken_out_of_what_made_no_calls(state: SessionState) -> None:
    state.uncount("nobody", 0)
    state.open("s", 1, 1, LATER)
    state.uncount("s", 0)
    assert state.counts_of(["s", "nobody"]) == {}


def test_counts_may_begin_anew(state: SessionState) -> None:
    state.open("s", 10, 10, LATER)
    for _ in range(3):
        state.enter(CALL)
    state.forget_counts("s")
    assert state.counts_of(["s"]) == {}
    found = state.enter(CALL)
    assert (found.counts, found.minute.remaining) == ((0, 0, 0), 6)
    assert state.counts_of(["s"]) == {"s": (1, 0, 0)}


CALLS, LIMIT = 320, 50


def test_calls_of_eight_threads_are_accounted_for_exactly(
    state: SessionState, state_clock: StateClock
) -> None:
    """No token is given twice, none is lost, and each call finds one more than another."""
    state_clock.stop()
    state.open("s", LIMIT, LIMIT + 10, LATER)
    call = Entry("s", ROLE_ID, LIMIT, LIMIT + 10, "erp", LIMIT + 20)

    def enter(_: int) -> tuple[bool, int, int] | None:
        try:
            found = state.enter(call)
        except StateUnavailableError:  # a loaded machine
            return None
        return found.granted, found.minute.remaining, found.counts[0]

    with ThreadPoolExecutor(8) as threads:
        found = [each for each in threads.map(enter, range(CALLS)) if each is not None]
    assert len(found) > CALLS // 2
    assert sorted(left for granted, left, _ in found if granted) == list(range(LIMIT))
    assert sorted(before for _, _, before in found) == list(range(len(found)))
    state_clock.advance(60 * 7 / LIMIT)
    assert sum(state.enter(call).granted for _ in range(20)) == 7


def test_counting_and_taking_out_at_once_loses_nothing(state: SessionState) -> None:
    unlimited = replace(CALL, per_minute=0, per_hour=0)

    def call_and_take_out(number: int) -> None:
        state.enter(unlimited)
        if number % 2:
            state.uncount("s", 0)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call_and_take_out, range(100)))
    assert state.counts_of(["s"]) == {"s": (50, 0, 0)}


def test_first_calls_at_once_of_a_session_that_was_not_opened(state: SessionState) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(state.enter, [CALL] * 8))
    assert sorted(each.counts[0] for each in found) == list(range(8))
    assert not any(each.granted for each in found)
