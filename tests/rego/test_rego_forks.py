import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.rego.forks import run_forked


def run(number: int) -> dict[str, Any]:
    return {"number": number, "pid": os.getpid()}


def asked(groups: list[list[int]], ask: Any, processes: int = 2) -> dict[int, Any]:
    return dict(run_forked(groups, ask, lambda status: {"lost": status}, processes))


def test_every_number_gets_its_answer_from_another_process() -> None:
    answers = asked([[0, 1, 2], [3], [4, 5]], run)
    assert {number: answer["number"] for number, answer in answers.items()} == {
        n: n for n in range(6)
    }
    assert os.getpid() not in {answer["pid"] for answer in answers.values()}


@pytest.mark.parametrize(("processes", "used"), [(1, 1), (2, 2), (9, 4)])
def test_there_are_no_more_processes_than_are_wanted_or_useful(processes: int, used: int) -> None:
    def slow(number: int) -> dict[str, Any]:
        time.sleep(0.05)
        return run(number)

    answers = asked([[0], [1], [2], [3]], slow, processes)
    assert len({answer["pid"] for answer in answers.values()}) == used


def test_a_group_stays_with_one_process_while_there_are_others() -> None:
    def slow(number: int) -> dict[str, Any]:
        time.sleep(0.02)
        return run(number)

    answers = asked([[0, 1, 2, 3], [4, 5, 6, 7]], slow)
    first = {answers[number]["pid"] for number in range(3)}
    assert len(first) == 1
    assert first.isdisjoint({answers[number]["pid"] for number in range(4, 7)})


def test_nothing_to_ask_starts_nothing() -> None:
    assert asked([], run) == {}
    assert asked([[]], run) == {}


def test_a_number_that_ends_its_process_costs_no_other_its_answer() -> None:
    def crash(number: int) -> dict[str, Any]:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 4:
            os._exit(3)
        return run(number)

    answers = asked([list(range(6))], crash, 1)
    assert (answers.pop(2), answers.pop(4)) == ({"lost": -signal.SIGKILL}, {"lost": 3})
    assert answers.keys() == {0, 1, 3, 5}


def test_an_exception_ends_the_process_too() -> None:
    assert asked([[0]], lambda number: {"x": 1 // number}) == {0: {"lost": 1}}


def test_only_who_fails_alone_is_to_blame() -> None:
    calls: list[int] = []

    def second_fails(number: int) -> dict[str, Any]:
        calls.append(number)
        if len(calls) > 1:
            os._exit(1)
        return run(number)

    assert all("pid" in answer for answer in asked([[0, 1, 2]], second_fails, 1).values())


def test_a_worker_holds_nothing_of_the_process_that_forked_it() -> None:
    def descriptors(_: int) -> dict[str, Any]:
        return {"open": [path.name for path in Path("/proc/self/fd").iterdir()]}

    with Path("/dev/null").open("rb"):
        (answer,) = asked([[0]], descriptors).values()
    # Three streams, its connection, and what lists the folder.
    assert len(answer["open"]) == 5
