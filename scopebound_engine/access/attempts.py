"""Wrong API keys, counted by the address they come from.

Each process counts for itself: an address has as many attempts as this at each worker. Nobody's
right key is refused for the address it comes from, since behind a proxy all callers share one; what
is limited is how often that address is told that a key is wrong.
"""

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from scopebound_engine.errors import TooManyAttemptsError

MOST: Final = 20
SECONDS: Final = 60.0
MAX_ADDRESSES: Final = 4_096

log = structlog.get_logger()


def _tell(address: str) -> None:
    log.warning("too many wrong API keys", address=address)


@dataclass(slots=True)
class _Address:
    """The times of its latest wrong keys, and when it was last told of."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=MOST))
    told_at: float = -math.inf


class WrongKeys:
    """The wrong keys of the last minute. Safe for use by many threads.

    Of more than MAX_ADDRESSES addresses the one that was quiet for longest is forgotten. `tell`
    learns of an address with too many, at most once in SECONDS; the log does.
    """

    def __init__(self, monotonic: Callable[[], float], tell: Callable[[str], None] = _tell) -> None:
        self._monotonic, self._tell = monotonic, tell
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, address: str) -> None:
        """One more from this address.

        Raises TooManyAttemptsError when MOST came from there in the SECONDS before.
        """
        with self._lock:
            now = self._monotonic()
            found = self._find(address)
            too_many = len(found.times) == MOST and now - found.times[0] < SECONDS
            found.times.append(now)
            if not too_many:
                return
            wait = math.ceil(found.times[0] + SECONDS - now)
            tell = now - found.told_at >= SECONDS
            found.told_at = now if tell else found.told_at
        if tell:
            self._tell(address)
        raise TooManyAttemptsError(
            f"more than {MOST} wrong API keys came from this address within {SECONDS:.0f} s; "
            f"correct the key, and wait {wait} s before another try",
            retry_after_seconds=wait,
        )

    def _find(self, address: str) -> _Address:
        found = self._addresses.setdefault(address, _Address())
        self._addresses.move_to_end(address)
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        return found
