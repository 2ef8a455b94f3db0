"""What this worker says of itself, told to the fleet by a thread of its own.

Whoever activates a bundle waits for workers that were heard of lately: a worker that is busy
loading must not fall silent.
"""

import os
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from scopebound_engine.bundle.registry.fleet import Fleet, WorkerReport
from scopebound_engine.decision.active import ActiveBundle
from scopebound_engine.decision.problems import Problems
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.times import moment

REPORT_SECONDS: Final = 0.5
_JOIN_SECONDS: Final = 2.0


class Reports:
    """Reports twice a second, and at once when something changed."""

    def __init__(
        self,
        fleet: Fleet,
        active: ActiveBundle,
        problems: Problems,
        *,
        node_id: str,
        clock: Callable[[], float],
    ) -> None:
        self._fleet, self._active, self._problems = fleet, active, problems
        self._worker_id, self._node_id, self._clock = str(uuid.uuid4()), node_id, clock
        self._prepared = self._failed = 0
        self._loaded_at: float | None = None
        self._changed, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="bundle-reports", daemon=True)

    def start(self) -> None:
        """Join the fleet."""
        for work in (self._bury, self._tell):
            self._problems.attempt("reporting", work)
        self._thread.start()

    def prepared(self, proposal_id: int) -> None:
        """This proposal's bundle could be run at once."""
        self._prepared = proposal_id
        self._changed.set()

    def failed(self, proposal_id: int) -> None:
        """This proposal's bundle cannot be run; the last of the problems says why."""
        self._failed = proposal_id
        self._changed.set()

    def answered(self, proposal_id: int) -> bool:
        """Whether that proposal was prepared or failed."""
        return proposal_id in (self._prepared, self._failed)

    def loaded(self) -> None:
        """Another bundle decides from now on."""
        self._loaded_at = self._clock()
        self._changed.set()

    def report(self) -> WorkerReport:
        """What this worker runs and has prepared, and what is or was last wrong with it."""
        loaded = self._active.current
        error, error_at = self._problems.last()
        return WorkerReport(
            worker_id=self._worker_id,
            node_id=self._node_id,
            pid=os.getpid(),
            generation=loaded.ref.generation if loaded else 0,
            checksum=loaded.ref.checksum if loaded else None,
            prepared=self._prepared,
            failed=self._failed,
            error=error,
            error_at=None if error_at is None else moment(error_at),
            loaded_at=None if self._loaded_at is None else moment(self._loaded_at),
        )

    def close(self) -> None:
        """End the thread and leave the fleet."""
        self._closed.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)
        with suppress(DatabaseUnavailableError):
            self._fleet.leave(self._worker_id)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._changed.wait(REPORT_SECONDS)
            self._changed.clear()
            self._problems.attempt("reporting", self._tell)

    def _tell(self) -> None:
        if not self._closed.is_set():
            self._fleet.report(self.report())

    def _bury(self) -> None:
        """Take workers of this node out of the fleet that ended without leaving it."""
        for worker in self._fleet.workers():
            # In a container that was started again the dead had the same process ids.
            is_dead = worker.pid == os.getpid() or not _lives(worker.pid)
            if worker.node_id == self._node_id and is_dead:
                self._fleet.leave(worker.worker_id)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # Killed, and its parent has not taken notice: Linux calls it a zombie.
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
