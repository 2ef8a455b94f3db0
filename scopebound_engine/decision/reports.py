"""Tells the fleet what this worker runs, in a thread of its own.

Whoever activates a bundle waits for workers that were heard of lately: a worker that is busy
loading must not fall silent.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from scopebound_engine.bundle.fleet import Fleet, WorkerReport
from scopebound_engine.decision.problems import Problems
from scopebound_engine.errors import DatabaseUnavailableError

REPORT_SECONDS: Final = 0.5
_JOIN_SECONDS: Final = 2.0


class Reports:
    """Reports at once when something `changed`, and twice a second."""

    def __init__(
        self, fleet: Fleet, compose: Callable[[], WorkerReport], problems: Problems
    ) -> None:
        self._fleet, self._compose, self._problems = fleet, compose, problems
        self._changed, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="bundle-reports", daemon=True)

    def start(self) -> None:
        """Join the fleet."""
        for work in (self._bury, self._tell):
            self._problems.attempt("reporting", work)
        self._thread.start()

    def changed(self) -> None:
        """There is something to report."""
        self._changed.set()

    def close(self) -> None:
        """End the thread and leave the fleet."""
        self._closed.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)
        with suppress(DatabaseUnavailableError):
            self._fleet.leave(self._compose().worker_id)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._changed.wait(REPORT_SECONDS)
            self._changed.clear()
            self._problems.attempt("reporting", self._tell)

    def _tell(self) -> None:
        if not self._closed.is_set():
            self._fleet.report(self._compose())

    def _bury(self) -> None:
        """Take workers of this node out of the fleet that ended without leaving it."""
        own = self._compose()
        for worker in self._fleet.workers():
            # In a container that was started again the dead had the same process ids.
            is_dead = worker.pid == own.pid or not _lives(worker.pid)
            if worker.node_id == own.node_id and worker.worker_id != own.worker_id and is_dead:
                self._fleet.leave(worker.worker_id)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
