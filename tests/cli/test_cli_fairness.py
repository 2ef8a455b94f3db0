"""Of several workers the one that holds the fewest connections takes a new one."""

from collections.abc import Callable
from types import SimpleNamespace

from scopebound_engine.cli.fairness import Seat, Table


class Time:
    """A clock that only sleeping moves, and what happens while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1
        self.meanwhile()


def seats(*held: int | None) -> tuple[list[Seat], Time]:
    """Of workers that hold so many; None: it accepts none."""
    table, time = Table(len(held)), Time()
    made = [Seat(table, number, lambda: time.now, time.sleep) for number in range(len(held))]
    for seat, number in zip(made, held, strict=True):
        if number is not None:
            seat.hold(number)
    return made, time


def pending() -> bool:
    return True


def nothing() -> bool:
    return False


def test_who_holds_as_few_as_any_other_takes_it_at_once() -> None:
    (one, *_), time = seats(3, 3, 5)
    assert not one.gives_way(pending)
    assert time.slept == 0


def test_who_holds_more_leaves_it_to_one_that_takes_it() -> None:
    (one, two), time = seats(4, 3)
    time.meanwhile = two.take
    for _ in range(20):
        assert one.gives_way(pending)


def test_who_does_not_take_what_is_left_to_it_is_not_waited_for_again_soon() -> None:
    (one, _), time = seats(4, 3)
    assert [one.gives_way(pending) for _ in range(6)] == [True] * 5 + [False]
    assert time.slept == 5
    time.now += 1
    assert one.gives_way(pending)


def test_one_that_stands_still_costs_no_courtesy_to_others() -> None:
    (one, two, _), time = seats(4, 3, 3)
    time.meanwhile = two.take
    for _ in range(20):
        assert one.gives_way(pending)
    two.hold(4)
    assert not one.gives_way(pending)


def test_where_nothing_is_left_to_take_nobody_was_slow() -> None:
    (one, _), _ = seats(4, 3)
    for _ in range(20):
        assert one.gives_way(nothing)


def test_a_lone_worker_and_one_whose_others_accept_none_wait_for_nobody() -> None:
    for held in ((7,), (7, None, None)):
        (one, *_), time = seats(*held)
        assert not one.gives_way(pending)
        assert time.slept == 0


def test_each_worker_has_a_seat_of_its_own_and_of_one_that_ended_nothing_is_left() -> None:
    table, arbiter = Table(), SimpleNamespace(WORKERS={})
    first, second, third = (SimpleNamespace(seat=None) for _ in range(3))
    for pid, worker in enumerate((first, second)):
        table.admit(arbiter, worker)
        arbiter.WORKERS[pid] = worker
    assert isinstance(first.seat, Seat)
    assert isinstance(second.seat, Seat)
    first.seat.hold(9)
    second.seat.hold(2)
    assert first.seat.gives_way(nothing)
    del arbiter.WORKERS[1]
    table.dismiss(arbiter, second)
    assert not first.seat.gives_way(nothing)
    table.admit(arbiter, third)
    assert third.seat.number == second.seat.number != first.seat.number


def test_more_workers_than_seats_do_without() -> None:
    table, arbiter = Table(2), SimpleNamespace(WORKERS={})
    for pid in range(3):
        worker = SimpleNamespace(seat=None)
        table.admit(arbiter, worker)
        arbiter.WORKERS[pid] = worker
    assert arbiter.WORKERS[2].seat is None
