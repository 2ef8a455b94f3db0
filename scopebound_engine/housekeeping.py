"""What a node does from time to time, in one of its workers: whichever holds the lock.

A worker that ends lets go of the lock, and another one goes on.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import DatabaseUnavailableError, ScopeboundError

_LOOK_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done every so many seconds, for the first time that long after the start."""

    name: str
    seconds: float
    run: Callable[[], object]


class Housekeeper:
    """Runs jobs one after the other in a thread of its own."""

    def __init__(self, lock: Path, jobs: Sequence[Job]) -> None:
        self._lock, self._jobs = lock, tuple(jobs)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Begin, in the background, once no other worker of the node does it."""
        self._thread.start()

    def close(self) -> None:
        """End after the job that is under way."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            try:
                with alone(self._lock, seconds=0):
                    self._keep()
            except DatabaseUnavailableError:
                continue  # Another worker of the node does it.
            except ScopeboundError as error:
                log.error("housekeeping cannot begin", reason=str(error))

    def _keep(self) -> None:
        due = {job: time.monotonic() + job.seconds for job in self._jobs}
        while not self._closed.wait(_LOOK_SECONDS):
            for job in self._jobs:
                if time.monotonic() >= due[job]:
                    self._do(job)
                    due[job] = time.monotonic() + job.seconds

    def _do(self, job: Job) -> None:
        try:
            job.run()
        except ScopeboundError as error:
            log.warning("housekeeping waits", job=job.name, reason=str(error))
        except Exception as error:  # one job that fails must not end the others
            log.error("housekeeping failed", job=job.name, exc_info=error)
