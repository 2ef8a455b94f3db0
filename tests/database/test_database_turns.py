import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scopebound_engine.database.turns import Turns


def test_turns_are_taken_in_the_order_of_arrival() -> None:
    turns, order = Turns(), list[int]()

    def take(n: int) -> None:
        with turns.take(5):
            order.append(n)

    with ThreadPoolExecutor(8) as threads, turns.take(5):
        for n in range(8):
            threads.submit(take, n)
            time.sleep(0.01)
    assert order == list(range(8))


def test_who_gave_up_is_passed_over() -> None:
    turns, asked = Turns(), threading.Barrier(2)

    def take(seconds: float) -> None:
        asked.wait(5)
        with turns.take(seconds):
            pass

    with ThreadPoolExecutor(2) as threads:
        with turns.take(5):
            hasty = threads.submit(take, 0.05)
            asked.wait(5)
            with pytest.raises(sqlite3.OperationalError, match="by other writers of this process"):
                hasty.result(5)
            patient = threads.submit(take, 5)
            asked.wait(5)
        assert patient.result(5) is None
    with turns.take(0):
        pass
