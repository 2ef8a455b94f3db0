"""Seats for requests that take seconds, so that they never hold all the threads of a worker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scopebound_engine.errors import BusyError


class Seats:
    """So many requests of a kind at once in this process; whoever finds no seat is told to wait.

    To wait here would hold a thread as well, which those who ask for decisions need.
    """

    def __init__(self, size: int, retry_after_seconds: int = 5) -> None:
        self._size, self._retry_after_seconds = size, retry_after_seconds
        self._free = threading.Semaphore(size)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a seat. Raises BusyError."""
        if not self._free.acquire(blocking=False):
            raise BusyError(
                f"{self._size} requests like this one are under way; try again",
                self._retry_after_seconds,
            )
        try:
            yield
        finally:
            self._free.release()
