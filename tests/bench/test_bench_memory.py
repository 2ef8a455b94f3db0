"""The short form of `make bench-memory`; it finds a leak of some kilobytes a call."""

import pytest

from tests.bench.memory import ALL, SETTINGS, Moment, growing, measured, table

CALLS, ACTIVATIONS = 1_000, 4


@pytest.fixture(scope="module")
def moments() -> list[Moment]:
    return measured(CALLS, ACTIVATIONS)


def test_memory_stays_while_calls_are_decided_and_bundles_change(moments: list[Moment]) -> None:
    assert moments[-1].requests >= CALLS
    assert moments[-1].activations == ACTIVATIONS
    assert growing(moments, ALL).share < 0.1


def test_every_process_of_the_server_is_counted(moments: list[Moment]) -> None:
    workers, held = SETTINGS["workers"], moments[-1].held
    assert held["master"].processes == held["clerk"].processes == 1
    assert held["worker"].processes == workers
    # Of the bundle in force and of the one before it.
    assert held["spawner"].processes == 2 * workers
    assert held["evaluator"].processes == 4 * workers
    rows = {row["name"]: row for row in table(moments)}
    assert {"master", "worker", "spawner", "evaluator", "clerk", ALL} <= rows.keys()
    parts = sum(row["last_mb"] for name, row in rows.items() if name != ALL)
    assert rows[ALL]["last_mb"] == pytest.approx(parts)
