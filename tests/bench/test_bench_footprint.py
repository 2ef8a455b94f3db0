import mmap
import os
import subprocess
import sys

import pytest

from tests.bench.footprint import Footprint, footprint, footprints

HOLDING = """
import mmap, sys
held = mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE)
held.write(b"x" * (32 << 20))
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_a_process_writes_to_counts_as_anonymous() -> None:
    before = footprint(os.getpid())
    with mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE) as held:
        held.write(b"x" * (32 << 20))
        after = footprint(os.getpid())
    assert before is not None
    assert after is not None
    assert after.anonymous - before.anonymous == pytest.approx(32 << 20, rel=0.05)
    assert after.anonymous <= after.pss <= after.rss


def test_a_process_that_has_ended_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert footprint(process.pid) is None
    process.wait()
    assert footprint(process.pid) is None


def test_processes_below_count_by_what_they_are() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = footprints(os.getpid())
        process.communicate()
    assert found["master"].processes == 1
    assert found["other"].anonymous > 32 << 20


def test_footprints_add_up() -> None:
    assert Footprint(1, 2, 3, 4) + Footprint(5, 6, 7, 8) == Footprint(6, 8, 10, 12)
