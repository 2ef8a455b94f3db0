"""Threads of a worker that answer calls take turns at computing, and give way where they wait.

CPython lets go of its interpreter's lock in every system call, and whichever thread waits for that
lock has it then: with eight calls under way each of the thirty system calls of a call becomes two
switches of threads, which together cost more than the call. Who has the turn finds nobody waiting.

It is a courtesy, no lock: nothing relies on being alone, and who has waited for `_PATIENCE` goes on
without it, so that one thread that is held up where nobody expected it holds up nobody for longer.
"""

import threading
from contextlib import AbstractContextManager
from typing import Final

_PATIENCE: Final = 0.02

_turn: Final = threading.Lock()


class _Mine(threading.local):
    """Whether this thread has the turn."""

    it = False


_mine: Final = _Mine()


def take() -> None:
    """Wait for the turn, though not for long."""
    _mine.it = _turn.acquire(timeout=_PATIENCE)


def leave() -> None:
    """Let others have the turn, for good: before what may take long, and at the end."""
    if _mine.it:
        _mine.it = False
        _turn.release()


class _GivenWay:
    """The context of `given_way`; its own, since the library's for generators takes three times."""

    __slots__ = ("_had_it",)

    def __enter__(self) -> None:
        self._had_it = _mine.it
        leave()

    def __exit__(self, *_: object) -> None:
        if self._had_it:
            take()


def given_way() -> AbstractContextManager[None]:
    """For the time of a wait others have the turn, if this thread has it."""
    return _GivenWay()
