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
# Of others that took nothing meanwhile. On a busy machine one is not awake at once.
_MOST_COURTESIES: Final = 5
_IMPATIENT_SECONDS: Final = 1.0
_SEATS: Final = 256
_EMPTY: Final = -1


class Table:
    """How many connections each worker holds. Made before workers are forked.

    `admit` and `dismiss` are gunicorn's hooks `pre_fork` and `child_exit`, which run in the master.
    """

    def __init__(self) -> None:
        self._held = memoryview(mmap.mmap(-1, 8 * _SEATS)).cast("q")
        self._held[:] = memoryview(bytes(b"\xff" * 8 * _SEATS)).cast("q")

    def admit(self, arbiter: Any, worker: Any) -> None:
        """Give a worker that is about to start a seat of its own, if one is left."""
        taken = {other.seat.number for other in arbiter.WORKERS.values() if other.seat}
        free = next((number for number in range(_SEATS) if number not in taken), None)
        worker.seat = None if free is None else Seat(self._held, free)

    def dismiss(self, _arbiter: Any, worker: Any) -> None:
        """Have nobody wait for a worker that ended."""
        if worker.seat:
            worker.seat.leave()


class Seat:
    """A worker's own place in the table. For the thread that accepts, but for `hold`."""

    def __init__(
        self,
        held: memoryview,
        number: int,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.number = number
        self._held, self._monotonic, self._sleep = held, monotonic, sleep
        self._in_vain, self._impatient_until = 0, 0.0

    def hold(self, connections: int) -> None:
        """So many are held by now, and more are accepted."""
        self._held[self.number] = connections

    def leave(self) -> None:
        """No more are accepted here."""
        self._held[self.number] = _EMPTY

    def gives_way(self) -> bool:
        """Whether to leave a connection to a worker with fewer, which this one gave a moment."""
        others = self._others()
        least = min((held for held in others if held != _EMPTY), default=None)
        if least is None or self._held[self.number] <= least:
            return False
        if self._monotonic() < self._impatient_until:
            return False
        self._sleep(_COURTESY_SECONDS)
        self._in_vain = 0 if self._others() != others else self._in_vain + 1
        if self._in_vain < _MOST_COURTESIES:
            return True
        self._in_vain = 0
        self._impatient_until = self._monotonic() + _IMPATIENT_SECONDS
        return False

    def _others(self) -> list[int]:
        held = self._held.tolist()
        del held[self.number]
        return held
