"""Answers of the database that are remembered for a moment, so that not every call asks it."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from scopebound_engine import baton, budget
from scopebound_engine.errors import DatabaseUnavailableError

SECONDS: Final = 0.5
MAX_ENTRIES: Final = 1_000
# A call must be answered before its client gives up, however many look up unknown keys.
TURN_SECONDS: Final = 0.5

T = TypeVar("T")


class Remembered(Generic[T]):
    """Asks at most once in SECONDS for each key, one thread at a time; "unknown" is an answer too.

    That the database is away is remembered as long: the threads that wait for their turn learn of
    it together, instead of finding out one after the other.
    """

    def __init__(self, look_up: Callable[[str], T], monotonic: Callable[[], float]) -> None:
        self._look_up, self._monotonic = look_up, monotonic
        self._answers: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._away: tuple[float, str] | None = None
        self._turn = threading.Lock()

    def get(self, key: str) -> T:
        """What `look_up(key)` said, at most SECONDS ago. Raises what it raises."""
        answer = self._fresh(key)
        if answer is None:
            with baton.lent():
                is_mine = self._turn.acquire(timeout=budget.left(TURN_SECONDS))
            if not is_mine:
                raise DatabaseUnavailableError(
                    "too many other look-ups were waiting for the database; try again"
                )
            try:
                answer = self._fresh(key) or self._ask(key)
            finally:
                self._turn.release()
        return answer[1]

    def _fresh(self, key: str) -> tuple[float, T] | None:
        answer = self._answers.get(key)
        return answer if answer and self._monotonic() - answer[0] < SECONDS else None

    def _ask(self, key: str) -> tuple[float, T]:
        asked = self._monotonic()
        if self._away and asked - self._away[0] < SECONDS:
            raise DatabaseUnavailableError(self._away[1])
        try:
            answer = (asked, self._look_up(key))
        except DatabaseUnavailableError as error:
            if not budget.cut_short(self._monotonic() - asked):
                self._away = (self._monotonic(), str(error))
            raise
        self._away = None
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > MAX_ENTRIES:
            self._answers.popitem(last=False)
        return answer
