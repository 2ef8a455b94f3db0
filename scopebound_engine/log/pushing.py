"""Sends the newest checkpoint off the host, where nobody who changes the log can change it.

It is POSTed as text/plain to SCOPEBOUND_CHECKPOINT_URL. What fails is tried again, ever more
seldom; what is sent then is the newest one, which covers all those before it.
"""

import http.client
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import structlog

from scopebound_engine.errors import ConfigError
from scopebound_engine.log import checkpoints
from scopebound_engine.log.status import PUSH, Status

# The whole of an attempt, however slowly names are looked up and bytes come.
ATTEMPT_SECONDS: Final = 5.0
_IO_SECONDS: Final = 3.0
_LONGEST_PAUSE: Final = 60.0
_CONNECTIONS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}

log = structlog.get_logger()


class Pusher:
    """Sends to one URL. Raises ConfigError for one that cannot be."""

    def __init__(
        self, folder: Path, url: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._file, self._url = folder / checkpoints.FILE, urlsplit(url)
        if self._url.scheme not in _CONNECTIONS or not self._url.hostname:
            raise ConfigError("SCOPEBOUND_CHECKPOINT_URL must begin with https:// or http://.")
        self._status, self._monotonic = Status(folder, PUSH), monotonic
        self._attempt: _Attempt | None = None
        self._sent: bytes | None = None
        self._failures, self._next_at = 0, 0.0

    def run(self) -> None:
        """Send the newest checkpoint if it was not sent, and if it is time to. Raises OSError."""
        note = checkpoints.newest(self._file)
        if note is None or note == self._sent or self._monotonic() < self._next_at:
            return
        if self._attempt is None or not self._attempt.is_alive():
            self._attempt = _Attempt(self._url, note)
            self._attempt.start()
            self._attempt.join(ATTEMPT_SECONDS)
        if self._attempt.problem:
            self._failed(self._attempt.problem)
        else:
            self._sent, self._failures = self._attempt.note, 0
            self._status.write({"problem": ""})

    def _failed(self, problem: str) -> None:
        self._failures += 1
        self._next_at = self._monotonic() + min(_LONGEST_PAUSE, 2.0**self._failures)
        problem = f"checkpoints are not taken by {self._url.hostname}: {problem}"
        log.warning("checkpoint not sent", reason=problem, failures=self._failures)
        self._status.write({"problem": problem})


class _Attempt(threading.Thread):
    """One POST; `problem` is empty once it was taken."""

    def __init__(self, url: SplitResult, note: bytes) -> None:
        super().__init__(name="checkpoint", daemon=True)
        self._url, self.note = url, note
        self.problem = f"no answer within {ATTEMPT_SECONDS:.0f} s"

    def run(self) -> None:
        """Send; redirects are not followed."""
        url = self._url
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection = _CONNECTIONS[url.scheme](url.netloc.rpartition("@")[2], timeout=_IO_SECONDS)
        try:
            connection.request("POST", target, self.note, {"Content-Type": "text/plain"})
            status = connection.getresponse().status
            self.problem = "" if 200 <= status < 300 else f"it answered {status}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.problem = str(error) or type(error).__name__
        finally:
            connection.close()
