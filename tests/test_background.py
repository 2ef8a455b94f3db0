"""Stepping back: a low priority, also where the kernel shares its time by session first."""

import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
_ASKED = """
import os
from pathlib import Path
from scopebound_engine.background import step_back
step_back()
print(os.getpriority(os.PRIO_PROCESS, 0), os.getsid(0) == os.getpid())
group = Path("/proc/self/autogroup")
print(group.read_text() if group.exists() else "")
"""

_SLICES = """
import threading
from scopebound_engine.background import give_way
def told():
    for line in open("/proc/thread-self/sched"):
        if line.startswith("se.slice"):
            print(line.split()[-1])
told()
give_way()
told()
thread = threading.Thread(target=told)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("leads_its_session", [False, True])
def test_a_process_that_steps_back_is_nice_and_so_is_its_session(leads_its_session: bool) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _ASKED],
        check=True,
        capture_output=True,
        text=True,
        start_new_session=leads_its_session,
    ).stdout.split()
    assert said[:2] == ["5", "True"]
    if AUTOGROUP.exists():
        assert said[-2:] == ["nice", "5"]


def test_a_process_that_gives_way_lets_itself_be_interrupted_and_so_do_its_threads() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _SLICES], check=True, capture_output=True, text=True
    ).stdout.split()
    if not said:
        pytest.skip("this kernel does not tell slices of time")
    own, given, of_a_thread = map(int, said)
    if given == own:
        pytest.skip("this kernel gives everyone the same slices of time")
    assert own < given == of_a_thread
