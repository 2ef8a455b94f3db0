"""Brings what was written to the disk: by a timer, or as soon as somebody waits for it.

A disk that fails to take written bytes says so once, and the kernel then holds them for written. So
they are kept here until the disk has them; after a failure they are written anew, again and again,
until it took them. Meanwhile nothing may be acknowledged.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_fdatasync: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)  # not on macOS

# What is kept here must have bounds also where the disk hangs; it is synced early where it is much.
_MANY_BYTES: Final = 8 << 20
MOST_BYTES: Final = 64 << 20

# How soon is tried again what failed.
_AGAIN_SECONDS: Final = 0.2

_Writes = dict[int, list[tuple[int, bytes]]]


class Syncer:
    """What one process wrote to segments and the disk may not have yet."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self._changed = threading.Condition(threading.Lock())
        self._writes: _Writes = defaultdict(list)
        self._bytes = 0
        self._left: list[int] = []
        self._named: set[int] = set()
        self._written = self._synced = 0
        self._waited = self._again = self._ended = False
        self.problem: OSError | None = None

    def wrote(self, descriptor: int, offset: int, data: bytes) -> None:
        """Take note of bytes that were written."""
        with self._changed:
            self._writes[descriptor].append((offset, data))
            self._bytes += len(data)
            self._written += 1
            if self._written == self._synced + 1 or self._bytes > _MANY_BYTES:
                self._changed.notify_all()

    def leave(self, descriptor: int) -> None:
        """Close a segment once the disk has it."""
        with self._changed:
            self._left.append(descriptor)

    def check(self) -> None:
        """Raises OSError while the disk does not take what was written."""
        if self.problem is not None:
            raise self.problem
        if self._bytes > MOST_BYTES:
            raise TimeoutError("the disk is far behind with what was written")

    def wait(self, deadline: float) -> None:
        """Wait until all that is written so far is on the disk.

        Raises TimeoutError at the deadline (monotonic), OSError when the disk does not take it.
        """
        with self._changed:
            mine, self._waited = self._written, True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._synced >= mine or self.problem, deadline - time.monotonic()
            )
            if self._synced >= mine:
                return
            if self.problem is not None:
                raise self.problem
        raise TimeoutError("the disk did not take what was written in time")

    def run(self, after: Callable[[], bool]) -> None:
        """Sync until `end`, calling `after` each time, and also while it says so."""
        while not self._ended:
            with self._changed:
                self._changed.wait_for(self._has_work)
                fine = self.problem is None and not self._again
                pause = self._seconds if fine else min(self._seconds, _AGAIN_SECONDS)
                self._changed.wait_for(self._is_urgent, pause)
            self.sync()
            self._again = after()

    def wake(self) -> None:
        """Have `run` call its function soon."""
        with self._changed:
            self._again = True
            self._changed.notify_all()

    def sync(self) -> None:
        """Bring to the disk what is written so far. Sets `problem`, raises nothing."""
        with self._changed:
            writes, self._writes = self._writes, defaultdict(list)
            left, self._left = self._left, []
            until, again, self._waited = self._written, self.problem is not None, False
        try:
            for descriptor, parts in writes.items():
                self._bring(descriptor, parts if again else [])
            problem = None
        except OSError as error:
            problem = error
        with self._changed:
            self.problem = problem
            if problem is None:
                self._synced = until
                self._bytes -= sum(len(data) for parts in writes.values() for _, data in parts)
            else:
                for descriptor, parts in writes.items():
                    self._writes[descriptor][:0] = parts
                self._left[:0] = left
            self._changed.notify_all()
        if problem is None:
            self._close(left)

    def end(self) -> None:
        """Have `run` return."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _has_work(self) -> bool:
        return self._written > self._synced or self._again or self._ended

    def _is_urgent(self) -> bool:
        # With a problem it is tried again at its own pace, whoever waits.
        urgent = self._waited or self._bytes > _MANY_BYTES
        return self._ended or (urgent and self.problem is None)

    def _bring(self, descriptor: int, parts: list[tuple[int, bytes]]) -> None:
        for offset, data in parts:
            os.pwrite(descriptor, data, offset)
        _fdatasync(descriptor)
        if descriptor not in self._named:
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._named.add(descriptor)

    def _close(self, descriptors: list[int]) -> None:
        for descriptor in descriptors:
            self._named.discard(descriptor)
            with suppress(OSError):
                os.close(descriptor)
