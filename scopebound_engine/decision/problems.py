"""What is wrong with a worker: now, by the kind of thing, and what was last."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from scopebound_engine.errors import ScopeboundError

_SEPARATOR: Final = "; "

log = structlog.get_logger()


class Problems:
    """One sentence for each kind of trouble, logged when it begins or changes and when it ends.

    `elsewhere` tells of troubles that are kept by others. Safe for many threads.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        elsewhere: Callable[[], tuple[str, ...]] = tuple,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._elsewhere, self._monotonic = clock, elsewhere, monotonic
        self._lock = threading.Lock()
        self._until: dict[str, tuple[str, float]] = {}
        self._last = ("", 0.0)

    def note(self, kind: str, sentence: str, *, seconds: float = math.inf) -> None:
        """There is this trouble, until it is cleared or for so many seconds."""
        with self._lock:
            former, _ = self._until.pop(kind, ("", 0.0))
            self._until[kind] = (sentence, self._monotonic() + seconds)
            self._last = (sentence, self._clock())
        if former != sentence:
            log.error("worker in trouble", kind=kind, reason=sentence)

    def clear(self, kind: str) -> None:
        """There is no trouble of this kind any more."""
        with self._lock:
            former = self._until.pop(kind, None)
        if former is not None:
            log.info("worker out of trouble", kind=kind, was=former[0])

    def attempt(self, kind: str, work: Callable[[], None]) -> None:
        """Do what a thread does again and again: what it raises is a trouble of this kind.

        It ends with the first time that raises nothing.
        """
        try:
            work()
        except Exception as error:  # a thread that ended would leave its worker behind for good
            if kind in self._until:
                return
            if isinstance(error, ScopeboundError):
                self.note(kind, str(error))
            else:
                log.error("worker failed", kind=kind, exc_info=error)
                self.note(kind, f"{kind} failed, the log has the details: {error!r}")
        else:
            self.clear(kind)

    def now(self) -> tuple[str, ...]:
        """What is wrong now, what began last first."""
        with self._lock:
            at = self._monotonic()
            own = [sentence for sentence, until in self._until.values() if at < until]
        return (*reversed(own), *self._elsewhere())

    def last(self) -> tuple[str, float | None]:
        """What is wrong now, or was last, and the time at which it still was, in epoch seconds.

        None where nothing ever was.
        """
        sentences = self.now()
        with self._lock:
            if sentences:
                self._last = (_SEPARATOR.join(sentences), self._clock())
            return self._last if self._last[0] else ("", None)
