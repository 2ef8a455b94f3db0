import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scopebound_engine.errors import (
    EvaluationError,
    EvaluatorCrashedError,
    EvaluatorTimeoutError,
    OverloadError,
)
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.verdict import ALLOW
from tests.processes import wait_until_gone
from tests.rego.pools import (
    CODES,
    CRASH,
    DEADLINE,
    LOOP,
    PROGRAM,
    SLACK,
    busy,
    evaluators_of,
    expect,
    soon,
    spawners_of,
    started,
    until,
)


@pytest.fixture
def pool() -> Iterator[EvaluatorPool]:
    with started() as it:
        yield it.pool


def test_a_loop_is_killed_at_its_deadline_and_replaced(pool: EvaluatorPool) -> None:
    assert DEADLINE <= expect(EvaluatorTimeoutError, pool, LOOP) < DEADLINE + SLACK
    assert pool.evaluate({"do": "allow"}, soon()) is ALLOW
    assert until(lambda: pool.alive() == 2)


def test_a_loop_is_killed_at_an_earlier_deadline_of_the_call(pool: EvaluatorPool) -> None:
    before = time.monotonic()
    with pytest.raises(EvaluatorTimeoutError):
        pool.evaluate(LOOP, soon(0.1))
    assert time.monotonic() - before < 0.1 + SLACK


def test_a_crash_is_an_error_at_once_and_replaced(pool: EvaluatorPool) -> None:
    assert expect(EvaluatorCrashedError, pool, CRASH) < DEADLINE + SLACK
    assert pool.evaluate({"do": "allow"}, soon()) is ALLOW
    assert until(lambda: pool.alive() == 2)


def test_loops_on_all_evaluators_at_once_leave_the_pool_at_strength(pool: EvaluatorPool) -> None:
    def loop(_: int) -> None:
        with pytest.raises((EvaluatorTimeoutError, OverloadError)):
            pool.evaluate(LOOP, soon(0.6))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(loop, range(6)))
    assert pool.evaluate({"do": "allow"}, soon()) is ALLOW
    assert until(lambda: pool.alive() == 2)


def test_memory_is_limited_and_what_was_eaten_is_given_back() -> None:
    with started(size=1, seconds=10) as it:
        with pytest.raises(EvaluationError, match=r"bad_alloc|ended"):
            it.pool.evaluate({"do": "eat memory", "seed": "x"}, soon(10))
        assert it.pool.evaluate({"do": "allow"}, soon()) is ALLOW
        assert wait_until_gone(set(it.evaluators), 1) == set()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_idle_evaluators_that_die_are_replaced_without_an_error(how: int) -> None:
    with started() as it:
        for pid in it.evaluators:
            os.kill(pid, how)
        for _ in range(20):
            assert it.pool.evaluate({"do": "allow"}, soon()) is ALLOW
        assert until(lambda: it.pool.alive() == 2)


def test_an_evaluator_killed_in_mid_evaluation_is_an_error_at_once() -> None:
    with started(size=1, seconds=5) as it:
        killer = threading.Timer(0.1, os.kill, (it.evaluators[0], signal.SIGKILL))
        killer.start()
        assert expect(EvaluatorCrashedError, it.pool, LOOP) < 0.1 + SLACK
        killer.join()
        assert it.pool.evaluate({"do": "allow"}, soon()) is ALLOW


def test_a_frozen_evaluator_is_late_and_replaced() -> None:
    with started(size=1) as it:
        os.kill(it.evaluators[0], signal.SIGSTOP)
        assert expect(EvaluatorTimeoutError, it.pool, {"do": "allow"}) < DEADLINE + SLACK
        assert it.pool.evaluate({"do": "allow"}, soon()) is ALLOW
        assert wait_until_gone(set(it.evaluators), 1) == set()


def test_the_death_of_the_spawner_is_mended_while_calls_are_served() -> None:
    others = spawners_of(os.getpid())
    with started() as it:
        for _ in range(3):
            (former,) = spawners_of(os.getpid()) - others
            evaluators = evaluators_of(former)
            os.kill(former, signal.SIGKILL)
            for _ in range(10):
                assert it.pool.evaluate({"do": "allow"}, soon()) is ALLOW
            assert wait_until_gone({former, *evaluators}, 2) == set()
            new = spawners_of(os.getpid()) - others
            assert until(lambda new=new: [len(evaluators_of(pid)) for pid in new] == [2])
            assert until(lambda: it.pool.alive() == 2)
        assert DEADLINE <= expect(EvaluatorTimeoutError, it.pool, LOOP) < DEADLINE + SLACK
        assert it.pool.evaluate({"do": "allow"}, soon()) is ALLOW


def test_stopped_evaluators_of_a_dead_spawner_are_ended_too() -> None:
    with started() as it:
        for pid in it.evaluators:
            os.kill(pid, signal.SIGSTOP)
        os.kill(it.spawner, signal.SIGKILL)
        assert wait_until_gone({it.spawner, *it.evaluators}, 2) == set()
        assert it.pool.evaluate({"do": "allow"}, soon()) is ALLOW


def test_overload_is_told_from_a_late_policy() -> None:
    with started(size=1, seconds=1) as it, ThreadPoolExecutor(1) as threads:
        looping = threads.submit(expect, EvaluatorTimeoutError, it.pool, LOOP)
        assert until(lambda: busy(it.evaluators[0]))
        before = time.monotonic()
        with pytest.raises(OverloadError, match="all 1 evaluators were busy"):
            it.pool.evaluate({"do": "allow"}, soon(0.2))
        assert time.monotonic() - before < 0.2 + SLACK
        assert looping.result() < 1 + SLACK


MASTER = """
import sys, threading, time
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from tests.rego.pools import LOOP, made
pool = made(size=2, seconds=float(sys.argv[1]))
pool.start(10)
threading.Thread(target=lambda: pool.evaluate(LOOP, time.monotonic() + 60), daemon=True).start()
time.sleep(0.2)
print("looping", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("seconds", "with_spawner"), [("30", False), ("0.6", True)])
def test_nothing_outlives_a_killed_master(seconds: str, with_spawner: bool) -> None:
    master = subprocess.Popen(
        [sys.executable, "-c", MASTER, seconds],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert master.stdout is not None
    assert master.stdout.readline() == b"looping\n"
    (spawner,) = spawners_of(master.pid)
    below = {spawner, *evaluators_of(spawner)}
    assert len(below) == 3
    assert any(busy(pid) for pid in below)
    if with_spawner:
        # Then only the alarm is left to end the one that loops.
        os.kill(spawner, signal.SIGKILL)
    master.kill()
    master.wait()
    master.stdout.close()
    assert wait_until_gone(below, 1.5) == set()


def test_each_that_replaces_a_lost_one_is_told_of() -> None:
    told: list[str] = []
    pool = EvaluatorPool(
        PROGRAM,
        size=2,
        evaluation_seconds=DEADLINE,
        codes=CODES,
        on_replaced=lambda: told.append("replaced"),
    )
    pool.start(10)
    try:
        assert told == []
        expect(EvaluatorCrashedError, pool, CRASH)
        assert until(lambda: told == ["replaced"])
    finally:
        pool.close()
