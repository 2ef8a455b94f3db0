"""How much one transaction takes on: SQLite has one writer at a time, and others have to write too.

On PostgreSQL writers do not wait for each other, and nothing is held back.
"""

import time
from typing import Final

from sqlalchemy import Engine

# So long a transaction may keep SQLite's other writers waiting, and so long they have after it.
_SQLITE_SECONDS: Final = 0.05
_SQLITE_PAUSE_SECONDS: Final = 0.01
_FEWEST: Final = 20
_FIRST: Final = 200


class Pace:
    """The number of rows for the next transaction, after how long the last ones took."""

    def __init__(self, engine: Engine, most: int) -> None:
        """`most` rows at any time."""
        self._most, self._is_bound = most, engine.dialect.name == "sqlite"
        self.rows = min(most, _FIRST) if self._is_bound else most

    def took(self, seconds: float) -> None:
        """Take note of how long others could not write."""
        if self._is_bound:
            factor = min(2.0, _SQLITE_SECONDS / max(seconds, 1e-6))
            self.rows = min(self._most, max(_FEWEST, int(self.rows * factor)))

    def pause(self) -> None:
        """Let others write."""
        if self._is_bound:
            time.sleep(_SQLITE_PAUSE_SECONDS)
