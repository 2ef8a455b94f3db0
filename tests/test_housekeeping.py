"""Jobs that one worker of a node does."""

import time
from collections.abc import Callable
from pathlib import Path

from scopebound_engine.housekeeping import Housekeeper, Job


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_one_of_two_does_the_job_and_the_other_goes_on_when_it_ends(tmp_path: Path) -> None:
    done: list[str] = []
    first = Housekeeper(tmp_path / "lock", [Job("count", 0.1, lambda: done.append("first"))])
    second = Housekeeper(tmp_path / "lock", [Job("count", 0.1, lambda: done.append("second"))])
    first.start()
    assert eventually(lambda: "first" in done)
    second.start()
    before = len(done)
    assert eventually(lambda: len(done) > before + 1)
    assert set(done) == {"first"}
    first.close()
    assert eventually(lambda: "second" in done)
    second.close()


def test_a_job_that_fails_ends_neither_itself_nor_the_others(tmp_path: Path) -> None:
    tried: list[str] = []

    def fail() -> None:
        tried.append("fail")
        raise RuntimeError("a fault of the test")

    jobs = [Job("fail", 0.1, fail), Job("do", 0.1, lambda: tried.append("do"))]
    keeper = Housekeeper(tmp_path / "lock", jobs)
    keeper.start()
    assert eventually(lambda: tried.count("fail") > 1 and tried.count("do") > 1)
    keeper.close()
