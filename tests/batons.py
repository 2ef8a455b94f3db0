"""A thread that has the baton, and others that cannot do without it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scopebound_engine import baton

_LONG = 5.0


class Others:
    """Calls in other threads."""

    @staticmethod
    def compute() -> None:
        """One takes the baton and leaves it. Fails where it has to wait for it."""
        thread = threading.Thread(target=_take_and_leave, daemon=True)
        thread.start()
        thread.join(_LONG)
        assert not thread.is_alive(), "the baton is held by a thread that waits"


@contextmanager
def holding_the_baton(monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    """This thread has it in the block, and nobody goes on without it."""
    monkeypatch.setattr(baton, "_PATIENCE", 2 * _LONG)
    baton.take()
    try:
        yield Others()
    finally:
        baton.leave()


def _take_and_leave() -> None:
    baton.take()
    baton.leave()
