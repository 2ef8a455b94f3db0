import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scopebound_engine import budget
from scopebound_engine.access.remembered import MAX_ENTRIES, SECONDS, Remembered
from scopebound_engine.errors import DatabaseUnavailableError


class Table:
    """What is asked: counts, and can be away."""

    def __init__(self) -> None:
        self.now = 10.0
        self.asked: list[str] = []
        self.away = False
        self.seconds = 0.0
        self._one = threading.Lock()
        self.remembered = Remembered(self._look_up, lambda: self.now)

    def _look_up(self, key: str) -> str | None:
        assert self._one.acquire(blocking=False), "two threads ask at once"
        time.sleep(self.seconds)
        self._one.release()
        self.asked.append(key)
        if self.away:
            raise DatabaseUnavailableError("away")
        return key.upper() if key != "unknown" else None


def test_an_answer_is_remembered_for_a_moment_unknown_or_not() -> None:
    table = Table()
    for key, answer in (("a", "A"), ("unknown", None)):
        assert [table.remembered.get(key) for _ in range(3)] == [answer] * 3
    table.now += SECONDS
    table.remembered.get("a")
    assert table.asked == ["a", "unknown", "a"]


def test_a_second_is_more_than_an_answer_lives() -> None:
    assert SECONDS < 1


def test_many_threads_ask_once() -> None:
    table = Table()
    table.seconds = 0.02
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(table.remembered.get, ["a"] * 32)) == {"A"}
    assert table.asked == ["a"]


def test_threads_that_wait_learn_together_that_the_database_is_away() -> None:
    table = Table()
    table.away, table.seconds = True, 0.02

    def ask(number: int) -> bool:
        try:
            table.remembered.get(f"key-{number}")
        except DatabaseUnavailableError:
            return True
        return False

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(32)))
    assert len(table.asked) == 1


def test_the_database_is_found_again() -> None:
    table = Table()
    table.away = True
    with pytest.raises(DatabaseUnavailableError):
        table.remembered.get("a")
    table.away = False
    table.now += SECONDS
    assert table.remembered.get("a") == "A"
    assert table.remembered.get("b") == "B"


def test_a_call_waits_for_its_turn_no_longer_than_it_may() -> None:
    table = Table()
    table.seconds = SECONDS
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(table.remembered.get, "a")
        time.sleep(SECONDS / 10)
        began = time.monotonic()
        with budget.ending(began + SECONDS / 10), pytest.raises(DatabaseUnavailableError):
            table.remembered.get("b")
        assert time.monotonic() - began < SECONDS / 2
        assert asking.result() == "A"


def test_that_a_call_had_no_time_left_is_not_taken_for_a_database_that_is_away() -> None:
    table = Table()
    table.away = True
    with budget.ending(time.monotonic()), pytest.raises(DatabaseUnavailableError):
        table.remembered.get("a")
    table.away = False
    assert table.remembered.get("a") == "A"


def test_no_more_than_so_many_answers_are_kept() -> None:
    table = Table()
    for number in range(MAX_ENTRIES + 1):
        table.remembered.get(f"key-{number}")
    table.asked.clear()
    table.remembered.get("key-1")
    table.remembered.get("key-0")
    assert table.asked == ["key-0"]
