"""The bucket that a session has for each MCP server which its role limits, beside its own."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from scopebound_engine.session.state.seam import UNLIMITED, Entry, SessionState, Window
from tests.roles import ROLE_ID, store_role
from tests.sessions import StateClock, execute_on, store_session

LATER = 4_000_000_000
CALL = Entry("s", ROLE_ID, 10, 10, slots=3)


@pytest.fixture(autouse=True)
def _stored(database: Engine) -> None:
    store_role(database)
    store_session(database, "s")


ERP = replace(CALL, server="erp", per_server=3)


def test_a_server_has_a_bucket_of_its_own_which_begins_full(
    state: SessionState, state_clock: StateClock
) -> None:
    state_clock.stop()
    state.open("s", 10, 10, LATER)
    crm = replace(ERP, server="crm", per_server=2)
    assert [state.enter(ERP).server, state.enter(crm).server, state.enter(ERP).server] == [
        Window(3, True, 2, 0),
        Window(2, True, 1, 0),
        Window(3, True, 1, 0),
    ]
    state_clock.advance(20)
    assert state.enter(ERP).server == Window(3, True, 1, 0)


def test_a_server_without_a_limit_and_no_server(state: SessionState) -> None:
    state.open("s", 10, 10, LATER)
    assert state.enter(replace(CALL, server="erp")).server == UNLIMITED
    assert state.enter(CALL).server is None
    assert execute_on(state, "SELECT CAST(servers AS text) FROM session_states") == [("{}",)]


def test_all_three_buckets_have_a_token_or_none_gives_one(
    state: SessionState, state_clock: StateClock
) -> None:
    state_clock.stop()
    state.open("s", 3, 4, LATER)
    tight = Entry("s", ROLE_ID, 3, 4, "erp", 1)
    assert state.enter(tight).granted
    refused = state.enter(tight)
    assert not refused.granted
    assert refused.server == Window(1, False, 0, 60)
    assert (refused.minute, refused.hour) == (Window(3, True, 2, 0), Window(4, True, 3, 0))
    other = replace(tight, server="crm", per_server=9)
    assert [state.enter(other).granted for _ in range(3)] == [True, True, False]
    found = state.enter(other)
    assert (found.minute.granted, found.server) == (False, Window(9, True, 7, 0))


@pytest.mark.parametrize("server", ["erp", 'a "b"\\', "$.x", "ü" * 100, "'; --", ""])
def test_a_server_may_have_any_name(server: str, state: SessionState) -> None:
    state.open("s", 10, 10, LATER)
    named = replace(ERP, server=server)
    assert [state.enter(named).granted for _ in range(4)] == [True] * 3 + [False]


def test_a_server_of_a_session_whose_state_was_lost_is_empty_and_fills(
    state: SessionState, state_clock: StateClock
) -> None:
    state_clock.stop()
    state.open("s", 0, 0, LATER)
    unlimited = replace(ERP, per_minute=0, per_hour=0)
    assert state.enter(unlimited).granted
    state.drop(["s"])
    assert state.enter(unlimited).server == Window(3, False, 0, 20)
    state_clock.advance(20)
    assert state.enter(unlimited).granted
    late = replace(unlimited, server="crm")
    assert [state.enter(late).granted for _ in range(2)] == [True, False]


def test_a_clock_set_back_takes_nothing_away_and_gives_nothing(
    state: SessionState, state_clock: StateClock
) -> None:
    state_clock.stop()
    state.open("s", 10, 10, LATER)
    assert state.enter(ERP).granted
    state_clock.advance(-3_600)
    found = state.enter(ERP)
    assert (found.minute.remaining, found.hour.remaining) == (8, 8)
    assert found.server == Window(3, True, 1, 0)


def test_a_clock_set_forward_gives_one_capacity_at_most(
    state: SessionState, state_clock: StateClock
) -> None:
    state_clock.stop()
    state.open("s", 10, 10, LATER)
    for _ in range(10):
        state.enter(CALL)
    state_clock.advance(10 * 86_400)
    assert [state.enter(CALL).granted for _ in range(11)] == [True] * 10 + [False]
