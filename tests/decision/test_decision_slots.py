"""Slots: how many calls of one session are decided at once, and how many may wait."""

import threading
import time

import pytest

from scopebound_engine.decision.slots import SessionSlots
from scopebound_engine.errors import OverloadError


def soon(seconds: float = 0.05) -> float:
    return time.monotonic() + seconds


def test_a_session_has_two_slots_and_the_third_call_is_told() -> None:
    slots = SessionSlots(2, 8)
    with slots.take("s", soon()), slots.take("s", soon()):
        started = time.monotonic()
        with pytest.raises(OverloadError, match="send fewer"), slots.take("s", soon()):
            pytest.fail("a third slot was given")
        assert time.monotonic() - started >= 0.05
    with slots.take("s", soon()):
        pass


def test_beyond_those_who_may_wait_a_call_is_shed_at_once() -> None:
    slots, waiting = SessionSlots(1, 1), threading.Event()

    def wait() -> None:
        waiting.set()
        with slots.take("s", soon(5)):
            pass

    with slots.take("s", soon()):
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        time.sleep(0.05)
        started = time.monotonic()
        with pytest.raises(OverloadError, match="already waiting"), slots.take("s", soon(5)):
            pytest.fail("one more was let in")
        assert time.monotonic() - started < 1
    thread.join()


def test_sessions_do_not_wait_for_each_other() -> None:
    slots = SessionSlots(1, 8)
    with slots.take("a", soon()), slots.take("b", soon()):
        pass


def test_a_freed_slot_is_given_to_who_waits() -> None:
    slots, taken = SessionSlots(1, 8), threading.Event()

    def wait() -> None:
        with slots.take("s", soon(5)):
            taken.set()

    with slots.take("s", soon()):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not taken.wait(0.05)
    assert taken.wait(2)
    waiting.join()


def test_a_slot_is_freed_when_its_call_fails() -> None:
    slots = SessionSlots(1, 8)
    with pytest.raises(ZeroDivisionError), slots.take("s", soon()):
        raise ZeroDivisionError
    with slots.take("s", soon()):
        pass
