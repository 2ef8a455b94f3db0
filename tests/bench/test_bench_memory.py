"""The short form of `make bench-memory`; it finds a leak of some kilobytes a call."""

import statistics

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
    workers = SETTINGS["workers"]

    def usual(kind: str) -> int:
        """While a bundle comes, and while one goes, there are more."""
        return statistics.mode(moment.of(kind).processes for moment in moments[-30:])

    assert [usual(kind) for kind in ("master", "worker", "clerk")] == [1, workers, 1]
    # Of the bundle in force and of the one before it.
    assert [usual(kind) for kind in ("spawner", "evaluator")] == [2 * workers, 4 * workers]
    rows = {row["name"]: row for row in table(moments)}
    assert {"master", "worker", "spawner", "evaluator", "clerk", ALL} <= rows.keys()
    parts = sum(row["last_mb"] for name, row in rows.items() if name != ALL)
    assert rows[ALL]["last_mb"] == pytest.approx(parts)
