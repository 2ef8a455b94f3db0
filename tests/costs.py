"""What processes and PostgreSQL have spent: processor time, transactions, bytes written ahead."""

import os
from pathlib import Path
from typing import NamedTuple

from tests.processes import descendants

_TICK = os.sysconf("SC_CLK_TCK")


class Costs(NamedTuple):
    """Seconds, and what was spent in them: processor seconds, transactions, bytes written ahead."""

    seconds: float
    nodes: float
    database: float
    transactions: float
    bytes_ahead: float

    def since(self, before: "Costs") -> "Costs":
        """What was spent after an earlier moment."""
        return Costs(*(now - then for now, then in zip(self, before, strict=True)))

    def beyond(self, idle: "Costs") -> "Costs":
        """Without what idle nodes would have spent in as many seconds."""
        share = self.seconds / idle.seconds
        spent = (now - share * then for now, then in zip(self[1:], idle[1:], strict=True))
        return Costs(self.seconds, *spent)

    def each(self, number: float) -> "Costs":
        """One part of so many: of calls, or of seconds."""
        return Costs(*(part / number for part in self))


def cpu_seconds(pid: int) -> float:
    """What a process and all below it have spent, those that ended included."""
    return sum(map(cpu_seconds_of, (pid, *descendants(pid))))


def cpu_seconds_of(pid: int) -> float:
    """What one process and its children that ended have spent; see proc_pid_stat(5).

    Nothing for one that has ended since: its parent has its time.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICK
