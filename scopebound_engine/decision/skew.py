"""How far this node's clock is from the database's, by which an auditor puts nodes in order."""

import math
import time
from collections.abc import Callable
from typing import Final

LOOK_SECONDS: Final = 5.0


class Skew:
    """Measures when it is time to."""

    def __init__(
        self,
        database_us: Callable[[], int | None],
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`database_us` gives epoch microseconds, or None where there is no other clock."""
        self._database_us, self._clock, self._monotonic = database_us, clock, monotonic
        self._look_at = -math.inf
        self._ms: float | None = None

    @property
    def ms(self) -> float | None:
        """Milliseconds that this node is ahead, as they were last measured; None: not known."""
        return self._ms

    def look(self) -> None:
        """Do what is due, every 5 s. Raises DatabaseUnavailableError."""
        if self._monotonic() < self._look_at:
            return
        self._look_at = self._monotonic() + LOOK_SECONDS
        asked = self._clock()
        there_us = self._database_us()
        if there_us is not None:
            # The server looked at its clock somewhere between; in the middle, most likely.
            here_us = (asked + self._clock()) / 2 * 1_000_000
            self._ms = round((here_us - there_us) / 1_000, 3)
