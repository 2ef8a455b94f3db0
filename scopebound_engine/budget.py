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
from typing import Final

from scopebound_engine.errors import LateCallError

# An answer that is well comes within. To begin with less time left would only break a connection.
_LEAST_SECONDS: Final = 0.05
# Who was silent for so long would have been no longer.
_TELLING_SECONDS: Final = 0.2


class _Budget(threading.local):
    """When this thread's is spent, on the monotonic clock."""

    until = math.inf


_mine: Final = _Budget()


@contextmanager
def ending(deadline: float) -> Iterator[None]:
    """In the block this thread waits no longer than until `deadline`, on the monotonic clock."""
    former = _mine.until
    _mine.until = min(former, deadline)
    try:
        yield
    finally:
        _mine.until = former


def left(most: float) -> float:
    """Seconds that a wait may take which may take `most`; 0 where the budget is spent."""
    return min(most, max(0.0, _mine.until - time.monotonic()))


def require(what: str) -> None:
    """Raises LateCallError where too little is left to begin `what`."""
    if is_spent():
        raise LateCallError(f"the call's time was over before {what} could be asked; try again")


def is_spent() -> bool:
    """Whether too little is left to begin anything: waits that it cut may end a little early."""
    return left(_LEAST_SECONDS) < _LEAST_SECONDS


def cut_short(waited: float) -> bool:
    """Whether a wait in vain of so many seconds says nothing about what was waited for."""
    return is_spent() and waited < _TELLING_SECONDS
