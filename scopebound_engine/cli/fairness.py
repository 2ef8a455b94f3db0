"""Which worker takes a new connection: the one that holds the fewest.

All workers wait at one listening socket, and the one that runs first takes what has come. Chance so
gives one of two workers 40 of 64 connections, or all of four, and calls queue there while the other
worker idles: with calls of 1.6 ms at three quarters of what two processors can do, the 99th
percentile was 8 ms with equal shares and 30 to 120 ms with those of chance.

So workers tell one another how many they hold, in memory that they share, and who is ahead lets
others go first. It is a courtesy: who takes nothing that is left to it is not waited for soon.
"""

import mmap
import time
from collections.abc import Callable
from typing import Any, Final

_COURTESY_SECONDS: Final = 0.002
# In which another worker took nothing. On a busy machine one is not awake at once.
_MOST_COURTESIES: Final = 5
_IMPATIENT_SECONDS: Final = 1.0
_SEATS: Final = 256
_NOWHERE: Final = -1


class Table:
    """What each worker holds and has taken. Made before workers are forked.

    `admit` and `dismiss` are gunicorn's hooks `pre_fork` and `child_exit`, which run in the master.
    """

    def __init__(self, seats: int = _SEATS) -> None:
        self.held = memoryview(mmap.mmap(-1, 8 * seats)).cast("q")
        self.taken = memoryview(mmap.mmap(-1, 8 * seats)).cast("q")
        for number in range(seats):
            self.held[number] = _NOWHERE

    def admit(self, arbiter: Any, worker: Any) -> None:
        """Give a worker that is about to start a seat of its own, if one is left."""
        occupied = {other.seat.number for other in arbiter.WORKERS.values() if other.seat}
        free = next((one for one in range(len(self.held)) if one not in occupied), None)
        worker.seat = None if free is None else Seat(self, free)

    def dismiss(self, _arbiter: Any, worker: Any) -> None:
        """Have nobody wait for a worker that ended."""
        if worker.seat:
            worker.seat.leave()


class Seat:
    """A worker's own place at the table. For the thread that accepts, but for `hold`."""

    def __init__(
        self,
        table: Table,
        number: int,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.number = number
        self._table, self._monotonic, self._sleep = table, monotonic, sleep
        self._in_vain: dict[int, int] = {}
        self._ignored_until: dict[int, float] = {}

    def hold(self, connections: int) -> None:
        """So many are held by now, and more are accepted."""
        self._table.held[self.number] = connections

    def leave(self) -> None:
        """No more are accepted here."""
        self._table.held[self.number] = _NOWHERE

    def take(self) -> None:
        """One was accepted here."""
        self._table.taken[self.number] += 1

    def gives_way(self, is_pending: Callable[[], bool]) -> bool:
        """Whether to leave a connection to workers with fewer, to which this one gave a moment.

        `is_pending` tells whether there is still one to accept.
        """
        taken = {number: self._table.taken[number] for number in self._others_with_fewer()}
        if not taken:
            return False
        self._sleep(_COURTESY_SECONDS)
        if is_pending():
            for number, before in taken.items():
                self._judge(number, self._table.taken[number] != before)
        return True

    def _others_with_fewer(self) -> list[int]:
        own, now = self._table.held[self.number], self._monotonic()
        return [
            number
            for number, held in enumerate(self._table.held)
            if _NOWHERE < held < own and self._ignored_until.get(number, now) <= now
        ]

    def _judge(self, number: int, is_awake: bool) -> None:
        vain = 0 if is_awake else self._in_vain.get(number, 0) + 1
        if vain == _MOST_COURTESIES:
            vain, self._ignored_until[number] = 0, self._monotonic() + _IMPATIENT_SECONDS
        self._in_vain[number] = vain
