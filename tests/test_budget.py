"""The budget of a call: a bound for the waits of its thread, and of no other."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scopebound_engine import budget
from scopebound_engine.errors import LateCallError


def test_without_a_call_each_wait_has_its_own_bound() -> None:
    assert budget.left(0.5) == 0.5
    assert budget.left(math.inf) == math.inf


def test_a_call_shortens_the_waits_that_would_outlast_it() -> None:
    with budget.ending(time.monotonic() + 10):
        assert budget.left(0.5) == 0.5
        assert 9 < budget.left(60) <= 10
    assert budget.left(60) == 60


def test_a_spent_budget_leaves_nothing_and_never_less() -> None:
    with budget.ending(time.monotonic() - 1):
        assert budget.left(0.5) == 0
        assert budget.is_spent()
    assert not budget.is_spent()


def test_nothing_is_begun_with_too_little_time_left() -> None:
    budget.require("the database")
    with budget.ending(time.monotonic() + 10):
        budget.require("the database")
    with (
        budget.ending(time.monotonic() + 0.001),
        pytest.raises(LateCallError, match="before the database could be asked"),
    ):
        budget.require("the database")


def test_a_wait_that_was_cut_says_nothing_unless_it_was_long() -> None:
    assert not budget.cut_short(0.001)
    with budget.ending(time.monotonic()):
        assert budget.cut_short(0.001)
        assert not budget.cut_short(0.3)


def test_a_block_within_another_one_is_no_longer() -> None:
    with budget.ending(time.monotonic()):
        with budget.ending(time.monotonic() + 10):
            assert budget.left(1) == 0
        assert budget.left(1) == 0


def test_it_ends_with_the_block_whatever_happens_there() -> None:
    with pytest.raises(ValueError, match="no"), budget.ending(time.monotonic()):
        raise ValueError("no")
    assert budget.left(0.5) == 0.5


def test_other_threads_have_their_own() -> None:
    with budget.ending(time.monotonic()), ThreadPoolExecutor(1) as thread:
        assert thread.submit(budget.left, 0.5).result() == 0.5
