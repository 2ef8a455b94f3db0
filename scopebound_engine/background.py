"""Processes that leave the processors to those who decide."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

# A third of what others get: calls that are decided now come first, and all else still comes to an
# end.
_NICE: Final = 5
_EVERY_SECONDS: Final = 0.1


def give_way() -> None:
    """Let the other processes of this session come first."""
    # Not os.nice: those that started this one may have given way themselves.
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def step_back() -> None:
    """Let all other processes come first."""
    give_way()
    # Where the kernel shares its time by session first (sched(7), autogroup), niceness counts only
    # within one: in the server's this would take from the share of those who decide.
    with suppress(OSError):
        if os.getsid(0) != os.getpid():
            os.setsid()
        _step_back_as_session()


def _step_back_as_session() -> None:
    """The kernel takes one such change in a tenth of a second from all who are not root."""
    group = Path("/proc/self/autogroup")
    try:
        group.write_text(str(_NICE), encoding="ascii")
    except BlockingIOError:
        time.sleep(2 * _EVERY_SECONDS)
        group.write_text(str(_NICE), encoding="ascii")
