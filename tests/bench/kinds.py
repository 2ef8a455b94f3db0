"""What a service's processes spend and hold, by the kinds that results tell of."""

from tests.bench.footprint import footprint, kinds
from tests.costs import cpu_seconds_of
from tests.postgres import PostgresServer
from tests.processes import descendants
from tests.servers import RunningServer

# The others are the master of the workers, the clerk, and jobs of a gate.
KINDS = ("workers", "evaluators", "others", "database")
_OF = {"worker": "workers", "evaluator": "evaluators", "spawner": "evaluators"}


def processor_seconds(server: RunningServer, postgres: PostgresServer | None) -> dict[str, float]:
    """What processes have spent, by kind; see `cpu_seconds_of`.

    The time of those that ended is of their parent's kind: an evaluator's is its spawner's.
    """
    spent = dict.fromkeys(KINDS, 0.0)
    for pid, kind in _processes(server, postgres).items():
        spent[kind] += cpu_seconds_of(pid)
    return spent


def megabytes(server: RunningServer, postgres: PostgresServer | None) -> dict[str, float]:
    """What processes hold, by kind, each page shared out among those that map it (PSS)."""
    held = dict.fromkeys(KINDS, 0.0)
    for pid, kind in _processes(server, postgres).items():
        if found := footprint(pid):
            held[kind] += found.pss / (1 << 20)
    return held


def _processes(server: RunningServer, postgres: PostgresServer | None) -> dict[int, str]:
    """The kind of each living process."""
    found = {pid: _OF.get(kind, "others") for pid, kind in kinds(server.process.pid).items()}
    if postgres is not None:
        postmaster = postgres.postmaster()
        found |= dict.fromkeys((postmaster, *descendants(postmaster)), "database")
    return found
