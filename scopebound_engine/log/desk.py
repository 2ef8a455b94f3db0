"""Threads of one process take turns at the journal, and who has its turn writes for all that wait.

So the lock between the processes, and the file, are touched once for many records; and a thread
whose record another one wrote goes on at once, without a turn of its own.
"""

import threading
import time
from collections.abc import Iterable

from scopebound_engine import baton


class UncertainError(TimeoutError):
    """The time was over while another thread was writing the record."""


class Entry:
    """A record on its way into the journal; an empty one is only somebody's who wants a turn.

    Settled, it has its number, or the reason why it is not in the journal.
    """

    __slots__ = ("abandoned", "problem", "record", "seq", "settled", "signal")

    def __init__(self, record: bytes = b"") -> None:
        self.record = record
        self.seq = 0
        self.problem: OSError | None = None
        self.settled = self.abandoned = False
        self.signal = threading.Lock()
        self.signal.acquire()


class Desk:
    """The queue, and who has its turn."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._queue: list[Entry] = []
        self._turn: Entry | None = None

    def come(self, entry: Entry, deadline: float) -> bool:
        """Queue until it is one's turn: True; or until another has settled it: False.

        Raises TimeoutError at the deadline (monotonic): it is not in the journal; UncertainError
        where that is not known yet.
        """
        with self._changing:
            self._queue.append(entry)
            if self._turn is None:
                self._turn = entry
                return True
        with baton.lent():
            entry.signal.acquire(timeout=max(0.0, deadline - time.monotonic()))
        with self._changing:
            if entry.settled or self._turn is entry:
                return not entry.settled
            if entry in self._queue:
                self._queue.remove(entry)
                raise TimeoutError("other threads of this process went first for too long")
            entry.abandoned = True
        raise UncertainError("the disk takes too long")

    def take(self) -> list[Entry]:
        """All records that wait; who has the turn settles them."""
        with self._changing:
            taken = [entry for entry in self._queue if entry.record]
            self._queue = [entry for entry in self._queue if not entry.record]
            return taken

    def settle(self, entries: Iterable[Entry]) -> list[Entry]:
        """Tell those who wait for these; returns those for which nobody waits any more."""
        with self._changing:
            abandoned = []
            for entry in entries:
                entry.settled = True
                entry.signal.release()
                if entry.abandoned:
                    abandoned.append(entry)
            return abandoned

    def leave(self, entry: Entry) -> None:
        """End one's turn; the next one has it."""
        with self._changing:
            if entry in self._queue:
                self._queue.remove(entry)
            self._turn = self._queue[0] if self._queue else None
            if self._turn is not None:
                self._turn.signal.release()
