"""One thread of this process at a time, in the order in which they came.

Python's locks let whoever asks at the right moment go before those who wait, some of them for
seconds.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock with a queue."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        # Each waits for a lock of its own; the first one's was released: it has its turn.
        self._queue: deque[threading.Lock] = deque()

    @contextmanager
    def take(self, seconds: float) -> Iterator[None]:
        """Have one's turn, waiting for it at most so long.

        Raises sqlite3.OperationalError, as SQLite itself does where another process writes.
        """
        mine = threading.Lock()
        mine.acquire()
        with self._changing:
            self._queue.append(mine)
            if self._queue[0] is mine:
                mine.release()
        try:
            if not mine.acquire(timeout=seconds):
                raise sqlite3.OperationalError(
                    "database is locked by other writers of this process"
                )
            yield
        finally:
            self._leave(mine)

    def _leave(self, mine: threading.Lock) -> None:
        with self._changing:
            was_first = self._queue[0] is mine
            self._queue.remove(mine)
            if was_first and self._queue:
                self._queue[0].release()
