"""Lanes: what costs seconds of processor time is done by one at a time on a node.

So that those who ask for decisions keep most of it. Rollbacks have a lane of their own: a mistake
is undone without waiting for the uploads that stand in line.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import BusyError, DatabaseUnavailableError

SECONDS: Final = 120.0
_RETRY_SECONDS: Final = 10


class Lanes:
    """The lanes of a node, for all its processes: lock files in its data folder.

    To take one raises BusyError after so many `seconds` in line.
    """

    def __init__(self, data_dir: Path, seconds: float = SECONDS) -> None:
        self._data_dir, self._seconds = data_dir, seconds

    def uploads(self) -> AbstractContextManager[None]:
        """For uploads, and for what was uploaded and not activated."""
        return self._lane("gate.lock")

    def rollbacks(self) -> AbstractContextManager[None]:
        """For rollbacks."""
        return self._lane("rollback.lock")

    @contextmanager
    def _lane(self, name: str) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(alone(self._data_dir / name, seconds=self._seconds))
            except DatabaseUnavailableError as error:
                raise BusyError(
                    f"others changed bundles on this node for {self._seconds:.0f} s; try again",
                    _RETRY_SECONDS,
                ) from error
            yield
