"""The clerk's process, started by `keeper.py` with a node's settings as variables.

It ends within two seconds when it is told to (SIGTERM), or when its standard input ends, which is
when who started it has died. What is under way may finish in that time, or is abandoned: a job
leaves nothing half done.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import structlog

from scopebound_engine.clerk import status
from scopebound_engine.clerk.jobs import Jobs
from scopebound_engine.clerk.status import Status
from scopebound_engine.config import from_env
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import DatabaseUnavailableError, ScopeboundError
from scopebound_engine.housekeeping import Lane, lanes
from scopebound_engine.logs import configure
from scopebound_engine.node import log_dir

LOCK_FILE: Final = "clerk.lock"
_END_SECONDS: Final = 1.2
_LOCK_POLL_SECONDS: Final = 0.1

log = structlog.get_logger()


def main() -> None:
    """Work until the end; does not return."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=_outlive_nobody, args=(ended,), daemon=True).start()
    stream = configure()
    code = 0
    try:
        work(ended)
    except ScopeboundError as error:
        log.error("the clerk cannot work", reason=str(error))
        code = 1
    stream.drain()
    # Threads that hang must not keep the process.
    os._exit(code)


def work(ended: threading.Event) -> None:
    """Do the jobs once no other clerk of the node does. Raises ConfigError."""
    config = from_env()
    with ExitStack() as stack:
        if not _take_turn(stack, config.data_dir / LOCK_FILE, ended):
            return
        jobs = Jobs(config)
        running = lanes(jobs.all)
        for lane in running:
            lane.start()
        while True:
            _say(log_dir(config), jobs, running)
            if ended.wait(status.WRITE_SECONDS):
                break
        for lane in running:
            lane.close()
        ends = time.monotonic() + _END_SECONDS
        jobs.close(_END_SECONDS)
        for lane in running:
            lane.join(max(0.0, ends - time.monotonic()))


def _outlive_nobody(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


def _take_turn(stack: ExitStack, lock: Path, ended: threading.Event) -> bool:
    """Hold the lock, which a clerk that is ending may still have; False at the end."""
    while not ended.is_set():
        try:
            stack.enter_context(alone(lock, seconds=0))
        except DatabaseUnavailableError:
            ended.wait(_LOCK_POLL_SECONDS)
        else:
            return True
    return False


def _say(folder: Path, jobs: Jobs, running: Sequence[Lane]) -> None:
    said = Status(
        at=time.time(),
        pid=os.getpid(),
        shipped=jobs.shipped,
        webhooks=jobs.waiting,
        lanes={lane.name: lane.report() for lane in running},
    )
    try:
        status.write(folder, said)
    except OSError as error:
        log.error("the clerk's status is not written", reason=str(error))
