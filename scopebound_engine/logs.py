"""Operational logs: one JSON object a line on standard error. Decisions are not logged here.

A log that cannot be written must not change an answer: a full disk or a reader that stalls would
else turn a denial into a dropped connection, which a client that fails open takes for an allow. So
a thread writes, from a bounded line of messages; what does not fit or cannot be written is lost,
and counted in the next line that can.
"""

import atexit
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict

_request: Final[ContextVar[Mapping[str, str]]] = ContextVar("request", default={})  # noqa: B039
_MOST_WAITING: Final = 1_000
_DRAIN_SECONDS: Final = 1.0


def configure() -> "PatientStream":
    """Let structlog write JSON lines to standard error, and quiet what is chatty below."""
    stream = PatientStream(sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            named,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, stream)),
        cache_logger_on_first_use=True,
    )
    return stream


def name(request: Mapping[str, str]) -> None:
    """Have what this thread logs, and what it hands on with its context, say whose request it is.

    One variable for all names: structlog's own way sets and resets one for each.
    """
    _request.set(request)


def named(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """The processor of structlog that says it."""
    return {**_request.get(), **fields}


def hush() -> None:
    """For commands whose output is theirs: log errors alone, and to standard error."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )


class PatientStream:
    """A text stream that neither blocks nor raises. Its thread is made anew after a fork."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._starting = threading.Lock()
        self._pid = 0
        self._lost = 0
        self._waiting: queue.Queue[str] = queue.Queue(_MOST_WAITING)

    def write(self, text: str) -> int:
        """Queue a text to be written."""
        if self._pid != os.getpid():
            self._start()
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Nothing: the thread flushes."""

    def drain(self, seconds: float = _DRAIN_SECONDS) -> None:
        """Wait until all is written, but not for ever."""
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _start(self) -> None:
        with self._starting:
            if self._pid != os.getpid():
                self._waiting = queue.Queue(_MOST_WAITING)
                self._pid = os.getpid()
                atexit.register(self.drain)
                threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def _write_all(self) -> None:
        while True:
            text = self._waiting.get()
            try:
                if self._lost:
                    self._stream.write(f'{{"event": "log lines lost", "lines": {self._lost}}}\n')
                    self._lost = 0
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                # A disk that is full, a pipe without a reader, a stream that is closed.
                self._lost += 1
            finally:
                self._waiting.task_done()
