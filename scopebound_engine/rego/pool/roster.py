"""Which evaluators are ready, which of them are free, and who waits for one. For all threads.

Who waits longest is served first: whoever gave one back could otherwise take it again before any
waiting thread has woken up, and under load some callers would wait until their deadline. Of the
free evaluators the last used is taken first: its memory is still in the processor's caches.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from scopebound_engine import baton
from scopebound_engine.errors import EvaluatorsClosedError, OverloadError
from scopebound_engine.rego.pool.children import Evaluator, Spawner

# An evaluation begun closer to its deadline would likely be killed in its midst, and with its
# evaluator gone the next caller would wait longer: overload would feed itself.
LEAST_SECONDS: Final = 0.005


class _Waiter:
    """A thread that waits to be handed an evaluator; None when there will be none."""

    __slots__ = ("evaluator", "handed")

    def __init__(self) -> None:
        self.evaluator: Evaluator | None = None
        self.handed = threading.Lock()
        self.handed.acquire()

    def hand(self, evaluator: Evaluator | None) -> None:
        self.evaluator = evaluator
        self.handed.release()


class Roster:
    """Ready evaluators. Who takes one gives it back or loses it; `on_loss` hears of losses."""

    def __init__(self, on_loss: Callable[[], None]) -> None:
        self._on_loss = on_loss
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._ready: set[Evaluator] = set()
        self._free: list[Evaluator] = []
        self._waiting: deque[_Waiter] = deque()
        self._lost: list[Evaluator] = []
        self._busy = 0
        self.closed = False
        self.trouble = ""

    def take(self, deadline: float) -> Evaluator:
        """A free evaluator, for this thread alone.

        Waits until shortly before the deadline, a time of `time.monotonic()`. Raises OverloadError
        when none is free by then, EvaluatorsClosedError when the roster is closed.
        """
        seconds = deadline - LEAST_SECONDS - time.monotonic()
        with self._lock:
            self._check_open()
            if seconds <= 0:
                raise OverloadError("the call's deadline came before its evaluation could begin")
            if self._free:
                self._busy += 1
                return self._free.pop()
            waiter = _Waiter()
            self._waiting.append(waiter)
        with baton.lent():
            waiter.handed.acquire(timeout=seconds)
        with self._lock:
            if waiter.evaluator is None:
                self._check_open()
                self._waiting.remove(waiter)
                raise self._overload()
            return waiter.evaluator

    def give_back(self, evaluator: Evaluator) -> None:
        """It answered and is free again, or lost if it was retired meanwhile."""
        with self._lock:
            self._leave()
            if evaluator in self._ready:
                self._offer(evaluator)
                return
        self._bury(evaluator)

    def lose(self, evaluator: Evaluator) -> None:
        """It must not be asked again."""
        with self._lock:
            self._leave()
            self._ready.discard(evaluator)
        self._bury(evaluator)

    def admit(self, evaluator: Evaluator) -> None:
        """A new one, ready to be asked."""
        with self._lock:
            self._ready.add(evaluator)
            self._offer(evaluator)

    def retire(self, evaluator: Evaluator) -> None:
        """It is lost at once if it is free, otherwise when its user is done with it."""
        with self._lock:
            self._ready.discard(evaluator)
            if evaluator not in self._free:
                return
            self._free.remove(evaluator)
        self._bury(evaluator)

    def close(self, seconds: float) -> None:
        """Lets nobody take one any more, and waits for so many seconds for those who have one."""
        with self._lock:
            self.closed = True
            while self._waiting:
                self._waiting.popleft().hand(None)
            self._lost += self._free
            self._free.clear()
            self._ready.clear()
            self._idle.wait_for(lambda: self._busy == 0, seconds)

    def ready(self, spawner: Spawner | None = None) -> list[Evaluator]:
        """Those that can be asked now or soon, all or of one spawner."""
        with self._lock:
            return [one for one in self._ready if spawner is None or one.spawner is spawner]

    def collect(self) -> list[Evaluator]:
        """The lost ones since the last call."""
        with self._lock:
            lost, self._lost = self._lost, []
            return lost

    def _offer(self, evaluator: Evaluator) -> None:
        if self._waiting:
            self._busy += 1
            self._waiting.popleft().hand(evaluator)
        else:
            self._free.append(evaluator)

    def _leave(self) -> None:
        self._busy -= 1
        if self._busy == 0:
            self._idle.notify_all()

    def _bury(self, evaluator: Evaluator) -> None:
        with self._lock:
            self._lost.append(evaluator)
        self._on_loss()

    def _check_open(self) -> None:
        if self.closed:
            raise EvaluatorsClosedError("the evaluators of this bundle have been closed")

    def _overload(self) -> OverloadError:
        if self._ready:
            return OverloadError(
                f"all {len(self._ready)} evaluators were busy until the call's deadline; raise "
                "SCOPEBOUND_EVALUATORS, or find what makes evaluations slow"
            )
        trouble = f": {self.trouble}" if self.trouble else ""
        return OverloadError(f"no evaluator is ready, all are being replaced{trouble}")
