"""What an append to the journal costs: `python -m tests.log_bench [RECORD_BYTES]`.

Each row is a number of processes and threads that append at once, as fast as they can or so many
records a second over all, beside threads in the same processes that compute without a pause. A
latency is that of one append; CPU is that of all threads of a process, so it means something only
without such neighbours.
"""

import json
import multiprocessing
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Literal

from scopebound_engine.log.journal import Journal
from tests.load import latency

SECONDS = 3.0


@dataclass(frozen=True)
class Case:
    """One row; a rate of 0 is as fast as it goes."""

    processes: int
    threads: int
    rate: int = 0
    neighbours: int = 0
    sync: Literal["timer", "each"] = "timer"

    def __str__(self) -> str:
        pace = f"{self.rate}/s" if self.rate else "at full speed"
        beside = f", beside {self.neighbours} that compute" if self.neighbours else ""
        return f"{self.processes} x {self.threads} threads, {pace}, {self.sync}{beside}"


CASES = (
    Case(1, 1),
    Case(1, 8),
    Case(1, 8, rate=500),
    Case(1, 8, rate=500, neighbours=1),
    Case(4, 16),
    Case(4, 16, rate=500),
    Case(4, 16, rate=500, neighbours=1),
    Case(1, 1, sync="each"),
    Case(1, 16, sync="each"),
    Case(4, 16, rate=500, sync="each"),
)


def run(case: Case, folder: Path, record: bytes, begin: Barrier, seconds: float) -> list[float]:
    """One process's appends: how long each took, and last the CPU seconds of one."""
    journal, took = Journal(folder, "node-1", sync=case.sync), list[float]()
    journal.append(record)
    pause = case.processes * case.threads / case.rate if case.rate else 0.0
    ended = threading.Event()

    def append(number: int) -> None:
        due = time.monotonic() + pause * number / case.threads
        until = time.monotonic() + seconds
        while due < until if pause else time.monotonic() < until:
            if pause:
                time.sleep(max(0.0, due - time.monotonic()))
                due += pause
            begun = time.perf_counter()
            journal.append(record, time.monotonic() + 30)
            took.append(time.perf_counter() - begun)

    def compute() -> None:
        while not ended.is_set():
            sum(range(1_000))

    appending = [threading.Thread(target=append, args=(each,)) for each in range(case.threads)]
    computing = [threading.Thread(target=compute) for _ in range(case.neighbours)]
    begin.wait()
    cpu = time.process_time()
    for thread in computing + appending:
        thread.start()
    for thread in appending:
        thread.join()
    ended.set()
    return [*took, (time.process_time() - cpu) / len(took)]


def measure(case: Case, record: bytes, seconds: float = SECONDS) -> str:
    """A row of figures."""
    folder = Path(tempfile.mkdtemp(prefix="scopebound-bench-"))
    spawn = multiprocessing.get_context("spawn")
    try:
        with spawn.Manager() as manager, spawn.Pool(case.processes) as pool:
            begin = manager.Barrier(case.processes)
            given = [(case, folder / "log", record, begin, seconds)] * case.processes
            found = pool.starmap(run, given, chunksize=1)
    finally:
        shutil.rmtree(folder)
    took = [each for one in found for each in one[:-1]]
    cpu = sum(one[-1] for one in found) / len(found)
    figures = f"{len(took) / seconds:8.0f}/s  {latency(took)}  CPU {cpu * 1e6:.0f} us"
    return f"{case!s:62} {figures}"


def main() -> None:
    """Print all rows."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    record = json.dumps({"padding": "x" * size}).encode()
    print(f"appends of {size} bytes, {SECONDS:.0f} s each")
    for case in CASES:
        print(measure(case, record), flush=True)


if __name__ == "__main__":
    main()
