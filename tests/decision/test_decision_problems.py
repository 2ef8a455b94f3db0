"""What is wrong with a worker, now and last."""

import math

import pytest

from scopebound_engine.decision.problems import Problems
from scopebound_engine.errors import DatabaseUnavailableError
from tests.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def problems(clock: Clock) -> Problems:
    return Problems(clock, monotonic=clock)


def fail(error: Exception) -> None:
    raise error


def test_at_first_nothing_is_or_was_wrong(problems: Problems) -> None:
    assert problems.now() == ()
    assert problems.last() == ("", None)


def test_what_began_last_stands_first_and_others_add_theirs(clock: Clock) -> None:
    problems = Problems(clock, lambda: ("of another",), clock)
    problems.note("a", "first")
    problems.note("b", "second")
    assert problems.now() == ("second", "first", "of another")
    problems.note("a", "first again")
    assert problems.now()[0] == "first again"


def test_while_it_lasts_the_last_error_is_of_now_and_then_of_when_it_was_seen(
    problems: Problems, clock: Clock
) -> None:
    problems.note("a", "first")
    problems.note("b", "second")
    clock.now += 5
    assert problems.last() == ("second; first", clock.now)
    problems.clear("a")
    problems.clear("b")
    seen = clock.now
    clock.now += 5
    assert problems.last() == ("second; first", seen)
    problems.note("c", "short")
    problems.clear("c")
    assert problems.last() == ("short", clock.now)


def test_a_trouble_of_limited_time_is_over_by_itself(problems: Problems, clock: Clock) -> None:
    problems.note("a", "for ten seconds", seconds=10)
    clock.now += 9.9
    assert problems.now()
    clock.now += 0.1
    assert problems.now() == ()
    assert problems.last()[0] == "for ten seconds"


def test_what_work_raises_is_a_trouble_until_it_succeeds(problems: Problems) -> None:
    problems.attempt("work", lambda: fail(DatabaseUnavailableError("the database is away")))
    assert problems.now() == ("the database is away",)
    problems.attempt("other work", lambda: None)
    assert problems.now() == ("the database is away",)
    problems.attempt("work", lambda: fail(ZeroDivisionError("x")))
    assert problems.now() == ("the database is away",)
    problems.attempt("work", lambda: None)
    assert problems.now() == ()


@pytest.mark.parametrize("error", [ZeroDivisionError("by 0"), MemoryError(), KeyError("x")])
def test_a_fault_of_the_program_does_not_end_the_thread(
    problems: Problems, error: Exception
) -> None:
    problems.attempt("work", lambda: fail(error))
    [problem] = problems.now()
    assert type(error).__name__ in problem


def test_a_trouble_without_an_end_stays(problems: Problems, clock: Clock) -> None:
    problems.note("a", "for ever", seconds=math.inf)
    clock.now += 1e9
    assert problems.now() == ("for ever",)
