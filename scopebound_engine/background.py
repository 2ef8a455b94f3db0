"""Processes that leave the processors to those who decide."""

import ctypes
import os
import platform
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

# A third of what others get: calls that are decided now come first, and all else still comes to an
# end.
_NICE: Final = 5
_EVERY_SECONDS: Final = 0.1

# `sched_setattr` has no function in C's library; its numbers are the kernel's, for 64 bits.
_NUMBERS: Final = {"x86_64": 314, "aarch64": 274}
_SCHED_SETATTR: Final = _NUMBERS.get(platform.machine()) if sys.maxsize > 1 << 32 else None
# Version 0 of struct sched_attr (linux/sched/types.h): its size, policy, flags, niceness, priority,
# runtime, deadline, period.
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
# Others have 1 to 3 ms. With a hundred a process that was interrupted may wait for a second.
_SLICE_NS: Final = 10_000_000


def give_way() -> None:
    """Let the other processes of this session come first."""
    # Not os.nice: those that started this one may have given way themselves.
    niceness = max(_NICE, os.getpriority(os.PRIO_PROCESS, 0))
    os.setpriority(os.PRIO_PROCESS, 0, niceness)
    _let_itself_be_interrupted(niceness)


def step_back() -> None:
    """Let all other processes come first."""
    give_way()
    # Where the kernel shares its time by session first (sched(7), autogroup), niceness counts only
    # within one: in the server's this would take from the share of those who decide.
    with suppress(OSError):
        if os.getsid(0) != os.getpid():
            os.setsid()
        _step_back_as_session()


def _let_itself_be_interrupted(niceness: int) -> None:
    """Have the kernel run whoever wakes at once, not when this one's time is up.

    From Linux 6.12 on who asks for long slices of time yields to those with shorter ones. Niceness
    alone lets a process run for several milliseconds first: with it the clerk doubled the 99th
    percentile of calls at 60 % of a node's peak. Kernels that know nothing of it do nothing.
    """
    # An operator may have chosen another policy.
    if _SCHED_SETATTR is not None and os.sched_getscheduler(0) == os.SCHED_OTHER:
        wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, niceness, 0, _SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(_SCHED_SETATTR, 0, wanted, 0)


def _step_back_as_session() -> None:
    """The kernel takes one such change in a tenth of a second from all who are not root."""
    group = Path("/proc/self/autogroup")
    try:
        group.write_text(str(_NICE), encoding="ascii")
    except BlockingIOError:
        time.sleep(2 * _EVERY_SECONDS)
        group.write_text(str(_NICE), encoding="ascii")
