"""How long a thread may still wait for the call that it answers.

A call waits in many places that know nothing of one another: for the turn at a look-up, for a
connection, for each answer of the database. Each has a bound of its own, and their sum is longer
than a call may take. Threads that answer no call have no budget and keep to those bounds.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Budget(threading.local):
    """When this thread's is spent, on the monotonic clock."""

    until = math.inf


_mine = _Budget()


@contextmanager
def ending(deadline: float) -> Iterator[None]:
    """In the block this thread waits no longer than until `deadline`, on the monotonic clock."""
    _mine.until = deadline
    try:
        yield
    finally:
        _mine.until = math.inf


def left(most: float) -> float:
    """Seconds that a wait may take which may take `most`; 0 where the budget is spent."""
    return min(most, max(0.0, _mine.until - time.monotonic()))


def is_spent() -> bool:
    """Whether nothing is left, so that a wait in vain says nothing about what was waited for."""
    return _mine.until <= time.monotonic()
