"""How much memory the processes of a server hold, by what they are.

Shared pages count in parts (PSS of /proc/PID/smaps_rollup, see proc(5)), so that the processes'
sizes add up to what the server takes from the machine.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.processes import command, parents

# What a process is, told by its command line; in this order, since a fork keeps its parent's.
_KINDS = {
    "scopebound_engine.clerk": "clerk",
    "scopebound_engine.rego.pool.spawner": "spawner",
    "scopebound_engine serve": "worker",
}


@dataclass(frozen=True)
class Footprint:
    """Bytes of all processes of a kind together; `anonymous` is PSS that no file stands behind."""

    processes: int
    pss: int
    anonymous: int
    rss: int

    def __add__(self, other: "Footprint") -> "Footprint":
        return Footprint(
            self.processes + other.processes,
            self.pss + other.pss,
            self.anonymous + other.anonymous,
            self.rss + other.rss,
        )


def footprints(master: int) -> dict[str, Footprint]:
    """What a server's processes hold now, by kind; those that end meanwhile are left out."""
    found: dict[str, Footprint] = {}
    for pid, kind in kinds(master).items():
        held = footprint(pid)
        if held is not None:
            found[kind] = found[kind] + held if kind in found else held
    return found


def kinds(master: int) -> dict[int, str]:
    """Every process of a server, and what it is: `other` is the job of a gate, for example."""
    table, found, layer = parents(), {master: "master"}, {master}
    while layer := {pid for pid, parent in table.items() if parent in layer}:
        found |= {pid: _kind(pid, found[table[pid]]) for pid in layer}
    return found


def footprint(pid: int) -> Footprint | None:
    """What one process holds; None where it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    sizes = {}
    for line in text.splitlines()[1:]:
        name, _, size = line.partition(":")
        sizes[name] = int(size.split()[0]) * 1024
    if not sizes:
        return None  # it has ended and waits for its parent
    return Footprint(1, sizes["Pss"], sizes["Pss_Anon"], sizes["Rss"])


def _kind(pid: int, parent: str) -> str:
    if parent == "spawner":
        return "evaluator"
    line = command(pid)
    return next((kind for words, kind in _KINDS.items() if words in line), "other")
