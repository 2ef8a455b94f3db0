import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from scopebound_engine.access.last_uses import WRITE_SECONDS, LastUses
from scopebound_engine.errors import DatabaseUnavailableError


class Table:
    """What is written, by a thread whose name is kept; can be away."""

    def __init__(self) -> None:
        self.now = 1_777_464_000.0
        self.writes: list[dict[str, float]] = []
        self.writers: set[str] = set()
        self.away = False
        self.uses = LastUses(self._write, lambda: self.now, lambda: self.now)

    def _write(self, uses: Mapping[str, float]) -> None:
        self.writers.add(threading.current_thread().name)
        if self.away:
            raise DatabaseUnavailableError("away")
        self.writes.append(dict(uses))


@pytest.fixture
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.uses.close()


@pytest.fixture
def still() -> Table:
    """Notes are only written when the test says so: its thread has ended."""
    made = Table()
    made.uses.note("start")
    made.uses.close()
    made.writes.clear()
    return made


def test_a_thread_of_its_own_writes_the_first_use_within_seconds(table: Table) -> None:
    table.uses.note("a")
    deadline = time.monotonic() + 5
    while not table.writes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert table.writes == [{"a": 1_777_464_000.0}]
    assert table.writers == {"last-uses"}


def test_a_key_is_written_once_a_minute_with_its_latest_use(still: Table) -> None:
    start = still.now
    for second in range(180):
        still.now = start + second
        for _ in range(3):
            still.uses.note("a")
        still.uses.write_due()
    assert still.writes == [{"a": start + at} for at in (0, WRITE_SECONDS, 2 * WRITE_SECONDS)]


def test_keys_are_written_together_and_only_if_used(still: Table) -> None:
    still.uses.note("a")
    still.uses.note("b")
    still.uses.write_due()
    still.now += WRITE_SECONDS
    still.uses.write_due()
    still.uses.note("b")
    still.uses.write_due()
    assert [set(write) for write in still.writes] == [{"a", "b"}, {"b"}]


def test_a_write_that_fails_is_tried_again_a_minute_later(still: Table) -> None:
    still.uses.note("a")
    still.away = True
    still.uses.write_due()
    still.away = False
    still.now += WRITE_SECONDS - 1
    still.uses.note("b")
    still.uses.write_due()
    assert still.writes == [{"b": still.now}]
    still.now += 1
    still.uses.write_due()
    assert still.writes[1:] == [{"a": still.now - WRITE_SECONDS}]


def test_a_use_during_a_failing_write_is_not_taken_back(still: Table) -> None:
    still.uses.note("a")
    still.away = True
    still.uses.write_due()
    still.now += WRITE_SECONDS
    still.uses.note("a")
    still.away = False
    still.uses.write_due()
    assert still.writes == [{"a": still.now}]


def test_a_failing_write_does_not_end_the_thread_nor_reach_the_caller(table: Table) -> None:
    table.away = True
    table.uses.note("a")
    deadline = time.monotonic() + 5
    while not table.writers and time.monotonic() < deadline:
        time.sleep(0.05)
    assert table.writers == {"last-uses"}
    table.away = False
    table.uses.note("b")
    while not table.writes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [set(write) for write in table.writes] == [{"b"}]


def test_what_is_due_is_written_at_the_end() -> None:
    table = Table()
    table.uses.note("a")
    table.uses.close()
    assert [set(write) for write in table.writes] == [{"a"}]


def test_nothing_runs_before_the_first_use_nor_after_the_end() -> None:
    before = threading.active_count()
    table = Table()
    assert threading.active_count() == before
    table.uses.note("a")
    assert threading.active_count() == before + 1
    table.uses.close()
    assert threading.active_count() == before
