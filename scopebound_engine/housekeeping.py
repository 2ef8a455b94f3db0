"""What a node does from time to time: jobs, and the lanes in which they run one after the other.

Lanes are threads, so that a job that hangs, or takes long, holds up those of its own lane only.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from scopebound_engine.errors import ScopeboundError

# What failed is tried again after its own pause, but not later than this.
RETRY_SECONDS: Final = 60.0
# As often is it logged that a job fails as before.
_REMIND_SECONDS: Final = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done every so many seconds, for the first time that long after the start.

    It may be abandoned at any point, when its process ends.
    """

    name: str
    seconds: float
    run: Callable[[], object]
    lane: str = "upkeep"


@dataclass(frozen=True, slots=True)
class LaneReport:
    """`job` is under way for `busy_seconds`, or empty; `problem` lasts for `failing_seconds`."""

    job: str = ""
    busy_seconds: float = 0.0
    problem: str = ""
    failing_seconds: float = 0.0


@dataclass(slots=True)
class _Trouble:
    """A job that fails: since when (monotonic), with which words, and when they were logged."""

    since: float
    reason: str = ""
    logged_at: float = 0.0


class Lane:
    """Runs its jobs in a thread."""

    def __init__(self, name: str, jobs: Sequence[Job]) -> None:
        self.name, self._jobs = name, tuple(jobs)
        self._closed = threading.Event()
        self._under_way: tuple[Job, float] | None = None
        self._troubles: dict[str, _Trouble] = {}
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def close(self) -> None:
        """Begin with no more jobs."""
        self._closed.set()

    def join(self, seconds: float) -> None:
        """Wait so long for the job that is under way."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def report(self) -> LaneReport:
        """What it does now, and what of it failed last and longest."""
        now, under_way = time.monotonic(), self._under_way
        job, busy = ("", 0.0) if under_way is None else (under_way[0].name, now - under_way[1])
        troubles = [(one.since, name, one.reason) for name, one in self._troubles.copy().items()]
        if not troubles:
            return LaneReport(job, busy)
        since, name, reason = min(troubles)
        return LaneReport(job, busy, f"{name}: {reason}", now - since)

    def _run(self) -> None:
        due = {job: time.monotonic() + job.seconds for job in self._jobs}
        while True:
            job = min(due, key=due.__getitem__)
            if self._closed.wait(max(0.0, due[job] - time.monotonic())):
                return
            pause = job.seconds if self._do(job) else min(job.seconds, RETRY_SECONDS)
            due[job] = time.monotonic() + pause

    def _do(self, job: Job) -> bool:
        self._under_way = (job, time.monotonic())
        try:
            job.run()
        except Exception as error:  # noqa: BLE001  # logged; must not end the other jobs
            self._failed(job, error)
            return False
        finally:
            self._under_way = None
        if self._troubles.pop(job.name, None):
            log.info("job works again", job=job.name)
        return True

    def _failed(self, job: Job, error: Exception) -> None:
        now, is_known = time.monotonic(), isinstance(error, ScopeboundError)
        trouble = self._troubles.setdefault(job.name, _Trouble(now))
        reason = str(error) or type(error).__name__
        if reason != trouble.reason or now - trouble.logged_at >= _REMIND_SECONDS:
            trouble.reason, trouble.logged_at = reason, now
            log.error("job failed", job=job.name, reason=reason, exc_info=not is_known)


def lanes(jobs: Sequence[Job]) -> tuple[Lane, ...]:
    """A lane for each that the jobs name."""
    names = dict.fromkeys(job.lane for job in jobs)
    return tuple(Lane(name, [job for job in jobs if job.lane == name]) for name in names)
