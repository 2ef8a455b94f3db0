"""What a service's processes spend and hold, by what they are."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.postgres import PostgresServer
from tests.processes import descendants
from tests.servers import RunningServer

_TICK = os.sysconf("SC_CLK_TCK")
# The master of the workers is among the others, and the clerk.
KINDS = ("workers", "evaluators", "others", "database")


def processes(server: RunningServer, postgres: PostgresServer | None) -> Iterator[tuple[str, int]]:
    """Each living process of a service: its kind, and its id."""
    yield "others", server.process.pid
    for pid, command in descendants(server.process.pid).items():
        if "rego.pool.spawner" in command:
            yield "evaluators", pid
        else:
            yield "others" if "scopebound_engine.clerk" in command else "workers", pid
    if postgres is not None:
        postmaster = postgres.postmaster()
        yield from (("database", pid) for pid in (postmaster, *descendants(postmaster)))


def processor_seconds(server: RunningServer, postgres: PostgresServer | None) -> dict[str, float]:
    """What living processes have spent, by kind; see proc_pid_stat(5)."""
    spent = dict.fromkeys(KINDS, 0.0)
    for kind, pid in processes(server, postgres):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended since
        spent[kind] += (int(fields[11]) + int(fields[12])) / _TICK
    return spent


def megabytes(server: RunningServer, postgres: PostgresServer | None) -> dict[str, float]:
    """What processes hold, by kind: their share of each page (PSS), see proc_pid_smaps(5)."""
    held = dict.fromkeys(KINDS, 0.0)
    for kind, pid in processes(server, postgres):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        held[kind] += int(rollup.partition("\nPss:")[2].split()[0]) / 1024
    return held
