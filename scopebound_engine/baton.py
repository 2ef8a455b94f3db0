"""Of the threads that answer calls one computes at a time, and lends the baton where it waits.

CPython lets go of its interpreter's lock in every system call, and whichever thread waits for that
lock has it then: with eight calls under way each of the thirty system calls of a call becomes two
switches of threads (109 calls of futex a request, with the baton 26). Who has the baton finds
nobody waiting.

It is a courtesy, no lock: nothing relies on being alone, and who has waited for `_PATIENCE` goes on
without it, so that a thread that is held up where nobody expected it delays others no longer.
"""

import threading
from contextlib import AbstractContextManager
from typing import Final

_PATIENCE: Final = 0.02

_baton: Final = threading.Lock()


class _Mine(threading.local):
    """Whether this thread has the baton."""

    it = False


_mine: Final = _Mine()


def take() -> None:
    """Wait for the baton, though not for long."""
    _mine.it = _baton.acquire(timeout=_PATIENCE)


def leave() -> None:
    """Let others have it, for good: before what may take long, and at the end."""
    if _mine.it:
        _mine.it = False
        _baton.release()


class _Lent:
    """The context of `lent`. No generator, since it is made for every wait of every call."""

    __slots__ = ("_had_it",)

    def __enter__(self) -> None:
        self._had_it = _mine.it
        leave()

    def __exit__(self, *_: object) -> None:
        if self._had_it:
            take()


def lent() -> AbstractContextManager[None]:
    """For the time of a wait others have the baton, if this thread has it."""
    return _Lent()
