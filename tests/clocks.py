"""Clocks for tests: one that stands where it is put, one that is ahead of the real time."""

import time
from dataclasses import dataclass


@dataclass
class Clock:
    """Stands at `now`, in seconds; the test moves it. For wall clocks and monotonic ones."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Ahead:
    """The time of the host, and as many seconds more as the test wants."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead
