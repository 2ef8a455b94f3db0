"""Signs checkpoints of the journal as it grows.

One is due when 1,000 records came since the last one, or 10 s passed and any came. What it covers
is on the disk before it is signed, so that no crash makes a log shorter than its checkpoint.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from scopebound_engine.errors import InputError, JournalError
from scopebound_engine.log import chain, checkpoints, ending, notes, segments
from scopebound_engine.log.checkpoints import Checkpoint, node_of
from scopebound_engine.log.journal import Head
from scopebound_engine.log.notes import SignerKey
from scopebound_engine.log.status import CHECKPOINTS, Status

RECORDS: Final = 1_000
SECONDS: Final = 10.0


class Checkpointer:
    """Signs for one node; one process at a time does."""

    def __init__(
        self,
        folder: Path,
        key: SignerKey,
        head: Callable[[], Head],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._file, self._key = folder, folder / checkpoints.FILE, key
        self._node = node_of(key.verifier)
        self._head, self._clock = head, clock
        self._status = Status(folder, CHECKPOINTS)
        self._last: Checkpoint | None = None
        self._signed_at = float(self._status.read().get("signed_at", 0))

    def run(self) -> None:
        """Sign the journal as it is now, if that is due.

        Raises JournalError when it cannot be read or synced, when the checkpoint cannot be written,
        and when the journal has not what was signed before.
        """
        try:
            self._sign_if_due()
        except OSError as error:
            problem = f"no checkpoint can be written to {self._file}: {error.strerror or error}"
            with suppress(OSError):
                self._say(problem)
            raise JournalError(problem) from error

    def prune(self) -> None:
        """Forget checkpoints of records that retention has removed. Raises JournalError."""
        try:
            if firsts := segments.listing(self._folder):
                checkpoints.prune(self._file, firsts[0])
        except FileNotFoundError:
            return
        except OSError as error:
            raise JournalError(
                f"old checkpoints in {self._file} cannot be removed: {error.strerror or error}"
            ) from error

    def _sign_if_due(self) -> None:
        last, head = self._last or self._newest(), self._head()
        self._last = last
        if head.seq < last.size or (head.seq == last.size and head.hash != last.hash):
            problem = (
                f"the log in {self._folder} ends with record {head.seq} and is not the one whose "
                f"{last.size} records were signed; see `scopebound-engine log verify`. Until it is "
                "restored no checkpoint is signed"
            )
            self._say(problem)
            raise JournalError(problem)
        waited = self._clock() - self._signed_at
        if head.seq - last.size >= RECORDS or (head.seq > last.size and waited >= SECONDS):
            self._sync(last.size)
            new = Checkpoint(self._node, head.seq, head.hash)
            checkpoints.append(self._file, [checkpoints.signed(new, self._key)])
            self._last, self._signed_at = new, self._clock()
        self._say("")

    def _newest(self) -> Checkpoint:
        """The last one that was signed, also by a key that is lost since."""
        note = checkpoints.newest(self._file)
        try:
            found = Checkpoint.parse(notes.parse(note).text) if note else None
        except InputError as error:
            raise JournalError(
                f"the last checkpoint in {self._file} is damaged ({error}), so none is signed "
                "behind it; restore the file, or move it away and restart"
            ) from error
        return found or Checkpoint(self._node, 0, chain.GENESIS)

    def _sync(self, signed: int) -> None:
        """Bring all records behind this one to the disk."""
        firsts = segments.listing(self._folder)
        ends = [*firsts[1:], signed + 2]
        for first, behind in zip(firsts, ends, strict=True):
            if behind > signed + 1:
                _sync(segments.path(self._folder, first))
        _sync(self._folder)

    def _say(self, problem: str) -> None:
        found: dict[str, Any] = {"problem": problem, "signed_at": self._signed_at}
        if self._last is not None:
            found["size"] = self._last.size
        self._status.write(found)


def last_line(folder: Path) -> Head:
    """The last whole line of the journal in this folder, read beside those who write.

    What they append meanwhile is for the next time; they take no whole line back. Raises OSError.
    """
    for first in reversed(segments.listing(folder)):
        descriptor = os.open(segments.path(folder, first), os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = ending.read(descriptor, 0, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
        if found.seq:
            return Head(found.seq, found.hash)
    return Head(0, chain.GENESIS)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
