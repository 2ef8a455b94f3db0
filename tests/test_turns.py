"""Turns: one thread computes at a time, nobody waits for long, and who waits gives way."""

import threading
import time

from scopebound_engine import turns

LONG = 2.0


def in_a_thread(act: threading.Event) -> tuple[threading.Thread, threading.Event]:
    """A thread that takes the turn, says so, and keeps it until `act` is set."""
    has_it = threading.Event()

    def work() -> None:
        turns.take()
        has_it.set()
        act.wait(LONG)
        turns.leave()

    thread = threading.Thread(target=work)
    thread.start()
    return thread, has_it


def test_the_turn_goes_to_who_waits_when_it_is_left() -> None:
    turns.take()
    done = threading.Event()
    thread, has_it = in_a_thread(done)
    assert not has_it.wait(0.005)
    turns.leave()
    assert has_it.wait(LONG)
    done.set()
    thread.join()


def test_who_waits_for_something_else_gives_way_and_has_the_turn_again_after_it() -> None:
    done = threading.Event()
    turns.take()
    with turns.given_way():
        thread, has_it = in_a_thread(done)
        assert has_it.wait(LONG)
        done.set()
        thread.join()
    second, has_it = in_a_thread(done)
    second.join(0.001)
    turns.leave()
    second.join()


def test_nobody_waits_long_for_a_turn_that_is_not_left() -> None:
    done = threading.Event()
    thread, has_it = in_a_thread(done)
    assert has_it.wait(LONG)
    began = time.monotonic()
    turns.take()
    assert time.monotonic() - began < LONG / 2
    turns.leave()  # it was never this thread's: the other one still has it
    third, third_has_it = in_a_thread(done)
    assert not third_has_it.wait(0.005)
    done.set()
    thread.join()
    third.join()


def test_who_has_no_turn_has_none_to_give() -> None:
    with turns.given_way():
        pass
    turns.leave()
    turns.take()
    turns.leave()
