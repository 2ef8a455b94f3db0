"""When API keys were last used: noted in memory by requests, written by a thread of its own.

Coarse on purpose: a key is written at its first use, then at most once a minute by each process.
What was noted since goes with the process, and a write that fails is tried again a minute later.
"""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from scopebound_engine.errors import DatabaseUnavailableError

WRITE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0

log = structlog.get_logger()


class LastUses:
    """Notes uses, and writes them with `write`: epoch seconds by key id."""

    def __init__(
        self,
        write: Callable[[Mapping[str, float]], None],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._write, self._clock, self._monotonic = write, clock, monotonic
        self._noted: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._starting = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, key_id: str) -> None:
        """The key is used now. Never waits for the database."""
        self._noted[key_id] = self._clock()
        if self._thread is None:
            self._start()

    def write_due(self) -> None:
        """Write what was noted of keys that were not written in the last WRITE_SECONDS."""
        now = self._monotonic()
        due = [
            key_id
            for key_id in list(self._noted)
            if now - self._written.get(key_id, -math.inf) >= WRITE_SECONDS
        ]
        if not due:
            return
        uses = {key_id: self._noted.pop(key_id) for key_id in due}
        self._written |= dict.fromkeys(due, now)
        try:
            self._write(uses)
        except DatabaseUnavailableError as error:
            log.warning("last use of API keys not written", reason=str(error))
            for key_id, used_at in uses.items():
                self._noted.setdefault(key_id, used_at)

    def close(self) -> None:
        """End the thread, and write what is due."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self.write_due()

    def _start(self) -> None:
        # With the first request rather than the object: a thread does not survive gunicorn's fork.
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="last-uses", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            self.write_due()
