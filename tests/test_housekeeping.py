"""Jobs and the lanes they run in."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scopebound_engine.errors import JournalError
from scopebound_engine.housekeeping import Job, Lane, LaneReport, lanes


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def running(*jobs: Job) -> Iterator[dict[str, Lane]]:
    made = {lane.name: lane for lane in lanes(jobs)}
    for lane in made.values():
        lane.start()
    yield made
    for lane in made.values():
        lane.close()
        lane.join(5)


def test_a_job_is_done_again_and_again_until_the_end() -> None:
    done: list[float] = []
    with running(Job("count", 0.05, lambda: done.append(time.monotonic()))):
        assert eventually(lambda: len(done) > 3)
    count = len(done)
    time.sleep(0.2)
    assert len(done) == count


def test_a_job_that_fails_ends_neither_itself_nor_the_others_and_is_reported() -> None:
    tried: list[str] = []

    def fail() -> None:
        tried.append("fail")
        raise RuntimeError("a fault of the test")

    jobs = Job("fail", 0.05, fail), Job("do", 0.05, lambda: tried.append("do"))
    with running(*jobs) as made:
        assert eventually(lambda: tried.count("fail") > 1 and tried.count("do") > 1)
        report = made["upkeep"].report()
    assert report.problem == "fail: a fault of the test"
    assert 0 < report.failing_seconds < 10


def test_a_job_that_works_again_is_a_problem_no_more() -> None:
    is_broken = threading.Event()
    is_broken.set()

    def work() -> None:
        if is_broken.is_set():
            raise JournalError("the disk is full")

    with running(Job("write", 0.05, work)) as made:
        assert eventually(lambda: made["upkeep"].report().problem == "write: the disk is full")
        is_broken.clear()
        assert eventually(lambda: not made["upkeep"].report().problem)


def test_a_job_that_hangs_holds_up_its_own_lane_alone() -> None:
    released, done = threading.Event(), [0]

    def count() -> None:
        done[0] += 1

    jobs = Job("hang", 0.05, released.wait, "one"), Job("count", 0.05, count, "other")
    with running(*jobs) as made:
        assert eventually(lambda: made["one"].report().busy_seconds > 0.2)
        assert made["one"].report().job == "hang"
        before = done[0]
        assert eventually(lambda: done[0] > before + 2)
        released.set()


def test_a_lane_at_rest_has_nothing_to_report() -> None:
    [lane] = lanes([Job("later", 60, lambda: None)])
    assert lane.report() == LaneReport()
