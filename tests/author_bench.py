"""How long the workbench takes for the shipped policies: what an author waits for.

Each command runs as a process of its own, three times; the quickest counts, for a machine may be
busy with other things.
"""

import subprocess
import sys
import time
from pathlib import Path

POLICIES = Path(__file__).parent.parent / "policies"
# What an author may be asked to wait, in seconds.
AIMS = {"check": 1.0, "test": 3.0, "cover": 5.0, "mutate": 20.0}
RUNS = 3


def seconds(command: str) -> float:
    """How long a command took, which has to find nothing."""
    started = time.perf_counter()
    program = [sys.executable, "-m", "scopebound_engine", "policy", command, str(POLICIES)]
    subprocess.run(program, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Print a line for each command."""
    for command, aim in AIMS.items():
        took = min(seconds(command) for _ in range(RUNS))
        print(f"policy {command:8} {took:6.2f} s  (aim {aim:g} s)", flush=True)


if __name__ == "__main__":
    main()
