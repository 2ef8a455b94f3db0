import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scopebound_engine.errors import EvaluationError, OverloadError
from scopebound_engine.rego.pool.roster import Roster


class Idle:
    """Stands for an evaluator; the roster only keeps it."""

    def __init__(self, spawner: Any = None) -> None:
        self.spawner = spawner


def roster_of(*evaluators: Any) -> tuple[Roster, list[None]]:
    losses: list[None] = []
    roster = Roster(on_loss=lambda: losses.append(None))
    for evaluator in evaluators:
        roster.admit(evaluator)
    return roster, losses


def soon(seconds: float = 1.0) -> float:
    return time.monotonic() + seconds


def test_the_last_to_become_free_is_taken_first() -> None:
    one, two = Idle(), Idle()
    roster, _ = roster_of(one, two)
    assert roster.take(soon()) is two
    assert roster.take(soon()) is one
    roster.give_back(two)
    assert roster.take(soon()) is two


def test_an_empty_roster_says_that_and_why_nothing_is_ready() -> None:
    roster, _ = roster_of()
    with pytest.raises(OverloadError, match=r"no evaluator is ready, all are being replaced$"):
        roster.take(soon(0.02))
    roster.trouble = "no memory"
    with pytest.raises(OverloadError, match="being replaced: no memory"):
        roster.take(soon(0.02))


def test_one_that_comes_free_wakes_one_who_waits() -> None:
    evaluator: Any = Idle()
    roster, _ = roster_of(evaluator)
    taken = roster.take(soon())
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(roster.take, soon(5))
        time.sleep(0.02)
        roster.give_back(taken)
        assert waiting.result(1) is evaluator


def test_who_waits_longest_is_served_first() -> None:
    evaluator: Any = Idle()
    roster, _ = roster_of(evaluator)
    roster.take(soon())
    served: list[int] = []

    def wait(number: int) -> None:
        taken = roster.take(soon(5))
        served.append(number)
        roster.give_back(taken)

    with ThreadPoolExecutor(6) as threads:
        for number in range(5):
            threads.submit(wait, number)
            time.sleep(0.01)
        roster.give_back(evaluator)
        # The thread that gave it back does not get ahead of those who wait.
        wait(5)
    assert served == [0, 1, 2, 3, 4, 5]


def test_one_who_gave_up_waiting_is_not_handed_anything() -> None:
    evaluator: Any = Idle()
    roster, _ = roster_of(evaluator)
    roster.take(soon())
    for _ in range(3):
        with pytest.raises(OverloadError, match="all 1 evaluators were busy"):
            roster.take(soon(0.02))
    roster.give_back(evaluator)
    assert roster.take(soon()) is evaluator


def test_many_threads_share_few_and_none_is_held_twice() -> None:
    evaluators: list[Any] = [Idle() for _ in range(3)]
    roster, _ = roster_of(*evaluators)
    held: set[Any] = set()
    lock = threading.Lock()

    def use(_: int) -> None:
        for _ in range(200):
            evaluator = roster.take(soon(20))
            with lock:
                assert evaluator not in held
                held.add(evaluator)
            with lock:
                held.remove(evaluator)
            roster.give_back(evaluator)

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(use, range(24)))
    assert set(roster.ready()) == set(evaluators)


def test_one_retired_in_use_is_lost_when_it_is_given_back() -> None:
    evaluator: Any = Idle()
    roster, losses = roster_of(evaluator)
    roster.take(soon())
    roster.retire(evaluator)
    assert (roster.ready(), roster.collect(), losses) == ([], [], [])
    roster.give_back(evaluator)
    assert (roster.collect(), losses) == ([evaluator], [None])
    with pytest.raises(OverloadError):
        roster.take(soon(0.02))


def test_each_loss_is_collected_once() -> None:
    idle: Any = Idle()
    used: Any = Idle()
    roster, losses = roster_of(idle, used)
    roster.lose(roster.take(soon()))
    roster.retire(idle)
    roster.retire(idle)
    assert roster.collect() == [used, idle]
    assert roster.collect() == []
    assert len(losses) == 2


def test_those_of_another_spawner_are_told_apart() -> None:
    old, new = Idle("old"), Idle("new")
    roster, _ = roster_of(old, new)
    assert roster.ready("new") == [new]


def test_close_waits_for_those_in_use_and_lets_nobody_in() -> None:
    roster, _ = roster_of(Idle(), Idle())
    used = roster.take(soon())
    with ThreadPoolExecutor(1) as threads:
        closing = threads.submit(roster.close, 5)
        time.sleep(0.05)
        assert not closing.done()
        with pytest.raises(EvaluationError, match="closed"):
            roster.take(soon())
        roster.give_back(used)
        closing.result(1)
    assert len(roster.collect()) == 2
