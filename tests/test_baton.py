"""The baton: one thread computes at a time, nobody waits for long, and who waits lends it."""

import threading
import time

from scopebound_engine import baton

LONG = 2.0


def in_a_thread(act: threading.Event) -> tuple[threading.Thread, threading.Event]:
    """A thread that takes the baton, says so, and keeps it until `act` is set."""
    has_it = threading.Event()

    def work() -> None:
        baton.take()
        has_it.set()
        act.wait(LONG)
        baton.leave()

    thread = threading.Thread(target=work)
    thread.start()
    return thread, has_it


def test_the_baton_goes_to_who_waits_when_it_is_left() -> None:
    baton.take()
    done = threading.Event()
    thread, has_it = in_a_thread(done)
    assert not has_it.wait(0.005)
    baton.leave()
    assert has_it.wait(LONG)
    done.set()
    thread.join()


def test_who_waits_for_something_else_lends_the_baton_and_has_it_again_after_it() -> None:
    done = threading.Event()
    baton.take()
    with baton.lent():
        thread, has_it = in_a_thread(done)
        assert has_it.wait(LONG)
        done.set()
        thread.join()
    second, has_it = in_a_thread(done)
    second.join(0.001)
    baton.leave()
    second.join()


def test_nobody_waits_long_for_a_baton_that_is_not_left() -> None:
    done = threading.Event()
    thread, has_it = in_a_thread(done)
    assert has_it.wait(LONG)
    began = time.monotonic()
    baton.take()
    assert time.monotonic() - began < LONG / 2
    baton.leave()  # it was never this thread's: the other one still has it
    third, third_has_it = in_a_thread(done)
    assert not third_has_it.wait(0.005)
    done.set()
    thread.join()
    third.join()


def test_who_has_no_baton_has_none_to_lend() -> None:
    with baton.lent():
        pass
    baton.leave()
    baton.take()
    baton.leave()
