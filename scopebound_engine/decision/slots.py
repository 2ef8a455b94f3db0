"""How many calls of one session a process decides at once, and how many may wait for it."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from scopebound_engine.errors import OverloadError


class SessionSlots:
    """At most `size` evaluations of one session at once in this process, and `waiting` in line.

    A session that floods the engine is shed at once, before it holds the threads of others.
    """

    def __init__(self, size: int, waiting: int) -> None:
        self._size, self._waiting = size, waiting
        self._here: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._freed = threading.Condition()

    @contextmanager
    def take(self, session_id: str, deadline: float) -> Iterator[None]:
        """Hold a slot of the session. Raises OverloadError when none is free in time."""
        with self._line(session_id):
            self._enter(session_id, deadline)
            try:
                yield
            finally:
                self._count(self._busy, session_id, -1)

    @contextmanager
    def _line(self, session_id: str) -> Iterator[None]:
        with self._freed:
            if self._here[session_id] >= self._size + self._waiting:
                raise self._overload("were already waiting to be decided")
            self._here[session_id] += 1
        try:
            yield
        finally:
            self._count(self._here, session_id, -1)

    def _enter(self, session_id: str, deadline: float) -> None:
        with self._freed:
            if not self._freed.wait_for(
                lambda: self._busy[session_id] < self._size,
                timeout=max(0.0, deadline - time.monotonic()),
            ):
                raise self._overload("were being decided until the deadline")
            self._busy[session_id] += 1

    def _count(self, counter: Counter[str], session_id: str, change: int) -> None:
        with self._freed:
            counter[session_id] += change
            if not counter[session_id]:
                del counter[session_id]
            self._freed.notify_all()

    def _overload(self, what: str) -> OverloadError:
        return OverloadError(
            f"other calls of this session {what}; send fewer at once: {self._size} are decided "
            f"together and {self._waiting} wait"
        )
