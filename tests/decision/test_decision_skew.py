"""How far a node's clock is from the database's: measured now and then, on both databases."""

import time

import pytest
from sqlalchemy import Engine

from scopebound_engine.bundle.registry.fleet import Fleet
from scopebound_engine.decision.skew import LOOK_SECONDS, Skew
from scopebound_engine.errors import DatabaseUnavailableError
from tests.clocks import Clock
from tests.sessions import StateClock


def test_a_node_that_is_ahead_says_by_how_much(database: Engine, state_clock: StateClock) -> None:
    skew = Skew(Fleet(database).clock_us, time.time)
    state_clock.advance(-3)
    skew.look()
    if database.dialect.name == "sqlite":
        assert skew.ms is None
    else:
        assert skew.ms == pytest.approx(3_000, abs=900)


def test_the_middle_of_asking_is_compared_with_what_was_answered() -> None:
    clock = Clock()

    def answered() -> int:
        clock.now += 0.2
        return 1_000_000_000

    skew = Skew(answered, clock)
    assert skew.ms is None
    skew.look()
    assert skew.ms == 100.0


def test_it_asks_every_few_seconds_and_keeps_what_it_knows_through_an_outage() -> None:
    clock, asked = Clock(), list[float]()

    def answered() -> int:
        asked.append(clock.now)
        if len(asked) > 1:
            raise DatabaseUnavailableError("away")
        return 999_000_000

    skew = Skew(answered, clock, monotonic=clock)
    skew.look()
    clock.now += LOOK_SECONDS - 0.1
    skew.look()
    assert len(asked) == 1
    clock.now += 0.2
    with pytest.raises(DatabaseUnavailableError):
        skew.look()
    assert skew.ms == 1_000.0
