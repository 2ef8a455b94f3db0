"""Processes as the kernel lists them."""

import time
from pathlib import Path


def parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # it ended between the listing and the look
        fields = text.rpartition(")")[2].split()
        if fields[0] != "Z":
            found[int(stat.parent.name)] = int(fields[1])
    return found


def descendants(pid: int) -> dict[int, str]:
    """All living processes below this one, with their command lines."""
    table = parents()
    found: dict[int, str] = {}
    layer = {pid}
    while layer:
        layer = {child for child, parent in table.items() if parent in layer}
        found |= {child: command(child) for child in layer}
    return found


def command(pid: int) -> str:
    """The command line of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def name(pid: int) -> str:
    """What the process calls itself, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    """The living children of a process."""
    return [child for child, parent in parents().items() if parent == pid]


def wait_until_gone(pids: set[int], seconds: float) -> set[int]:
    """Those that still live after so many seconds."""
    deadline = time.monotonic() + seconds
    while (alive := pids & parents().keys()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive
