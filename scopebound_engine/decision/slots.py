"""How many calls of one session a process decides at once, and how many may wait for it."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scopebound_engine import baton
from scopebound_engine.errors import OverloadError


@dataclass(slots=True)
class _Session:
    """The calls of one session: how many are being decided, and a lock that frees each in line."""

    busy: int = 0
    line: deque[threading.Lock] = field(default_factory=deque)


class SessionSlots:
    """At most `size` evaluations of one session at once in this process, and `waiting` in line.

    A session that floods the engine is shed at once, before it holds the threads of others. A slot
    that is freed is given to who has waited longest, and nobody else is woken.
    """

    def __init__(self, size: int, waiting: int) -> None:
        self._size, self._waiting = size, waiting
        self._sessions: dict[str, _Session] = {}
        self._changing = threading.Lock()

    @contextmanager
    def take(self, session_id: str, deadline: float) -> Iterator[None]:
        """Hold a slot of the session. Raises OverloadError when none is free in time."""
        self._come(session_id, deadline)
        try:
            yield
        finally:
            self._go(session_id)

    def _come(self, session_id: str, deadline: float) -> None:
        with self._changing:
            session = self._sessions.setdefault(session_id, _Session())
            if session.busy < self._size:
                session.busy += 1
                return
            if len(session.line) >= self._waiting:
                raise self._overload("were already waiting to be decided")
            mine = threading.Lock()
            mine.acquire()
            session.line.append(mine)
        with baton.lent():
            is_given = mine.acquire(timeout=max(0.0, deadline - time.monotonic()))
        if not is_given:
            self._give_up(session, mine)

    def _give_up(self, session: _Session, mine: threading.Lock) -> None:
        with self._changing:
            if mine in session.line:  # else a slot was given at the last moment
                session.line.remove(mine)
                raise self._overload("were being decided until the deadline")

    def _go(self, session_id: str) -> None:
        with self._changing:
            session = self._sessions[session_id]
            if session.line:
                session.line.popleft().release()
                return
            session.busy -= 1
            if not session.busy:
                del self._sessions[session_id]

    def _overload(self, what: str) -> OverloadError:
        return OverloadError(
            f"other calls of this session {what}; send fewer at once: {self._size} are decided "
            f"together and {self._waiting} wait"
        )
