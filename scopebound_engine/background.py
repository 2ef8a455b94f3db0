"""Processes that leave the processors to those who decide."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

# A third of what others get: calls that are decided now come first, and all else still comes to an
# end.
_NICE: Final = 5


def give_way() -> None:
    """Let the other processes of this session come first. To be called once, at the start."""
    os.nice(_NICE)


def step_back() -> None:
    """Let all other processes come first. To be called once, at the start."""
    give_way()
    # Where the kernel shares its time by session first (sched(7), autogroup), niceness counts only
    # within one: in the server's this would take from the share of those who decide.
    with suppress(OSError):
        if os.getsid(0) != os.getpid():
            os.setsid()
        Path("/proc/self/autogroup").write_text(str(_NICE), encoding="ascii")
