"""The end of a journal, where one process at a time appends lines.

The file is the only truth: a process that gets the lock looks whether the segment grew since its
own last line, and if so reads there which line others wrote last, or that the segment is over. So
there is no second file that could disagree. The lock is an flock on the segment itself.

While a process holds it all others wait, so it lets go of the interpreter's lock only to write: a
disk that hangs must not stop the whole process.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from scopebound_engine import baton, whole_file
from scopebound_engine.log import chain, ending, quick, segments
from scopebound_engine.log.sync import Syncer

Note = Callable[[str, Mapping[str, Any]], bytes]
_LONGEST_PAUSE: Final = 0.002
_PAUSE_STEP: Final = 20e-6


class Tail:
    """One process's view of the end; used by one thread at a time. Everything raises OSError.

    `note` makes the record of an event of the journal itself.
    """

    def __init__(
        self, folder: Path, node: str, segment_bytes: int, note: Note, syncer: Syncer
    ) -> None:
        self._folder, self._node, self._most = folder, node, segment_bytes
        self._note, self._syncer = note, syncer
        self.seq, self.hash = 0, chain.GENESIS
        known = segments.listing(folder)
        self._enter(known[-1] if known else 1)

    def lock(self, deadline: float) -> None:
        """Be the one who may append. Raises TimeoutError at the deadline (monotonic)."""
        while True:
            self._wait(deadline)
            locked = self._descriptor
            try:
                elsewhere = self._catch_up()
                if elsewhere is None:
                    return
                self._enter(elsewhere)
            except BaseException:
                quick.unlock(locked)
                raise
            quick.unlock(locked)
            self._syncer.leave(locked)

    def unlock(self) -> None:
        """Let others append."""
        quick.unlock(self._descriptor)

    def append(self, records: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Append a line for each of these records; the lock is held.

        Returns how many are there, whole, and why the others are not: of those there is nothing.
        """
        lines, seq, hash_ = [], self.seq, self.hash
        for seq, record in enumerate(records, self.seq + 1):
            lines.append(line := chain.compose(self._node, hash_, seq, record))
            hash_ = chain.digest(line)
        data = b"".join(lines)
        written, problem = self._write(data)
        if problem is not None:
            lines = list(_whole(lines, written))
            data = b"".join(lines)
            seq, hash_ = self.seq + len(lines), chain.digest(lines[-1]) if lines else self.hash
            with suppress(OSError):  # else the next one to get the lock repairs it
                os.ftruncate(self._descriptor, self._size + len(data))
        if lines:
            self._advance(data, seq, hash_)
        return len(lines), problem

    def free_bytes(self) -> int:
        """What the disk has room for."""
        found = os.fstatvfs(self._descriptor)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Leave the segment to the syncer, which closes it."""
        self._syncer.leave(self._descriptor)

    def is_gone(self) -> bool:
        """Whether the segment is not to be found in its folder, or is another file now."""
        try:
            named = segments.path(self._folder, self._segment).stat()
        except OSError:
            return True
        mine = os.fstat(self._descriptor)
        return (mine.st_dev, mine.st_ino) != (named.st_dev, named.st_ino)

    def reopen(self) -> None:
        """Go on in the newest segment, or in a new one."""
        old = self._descriptor
        self._enter(max(segments.listing(self._folder), default=self.seq + 1))
        self._syncer.leave(old)

    def _enter(self, first: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(segments.path(self._folder, first), flags, 0o600)
        self._segment, self._size = first, 0

    def _look_back(self) -> int | None:
        """Learn the last line before a segment in which there is none yet.

        Where the segment of that line is not over, the journal goes on there: who made this one
        does not belong here.
        """
        for first in reversed(segments.listing(self._folder)):
            if first >= self._segment:
                continue
            descriptor = os.open(segments.path(self._folder, first), os.O_RDONLY | os.O_CLOEXEC)
            try:
                found = ending.read(descriptor, 0, quick.size(descriptor))
            finally:
                os.close(descriptor)
            if found.seq:
                self._learn(found)
                return None if found.over else first
        return None

    def _learn(self, found: ending.Ending) -> None:
        if found.seq > self.seq:
            self.seq, self.hash = found.seq, found.hash

    def _wait(self, deadline: float) -> None:
        pause = 0.0
        while not quick.flock(self._descriptor):
            if time.monotonic() >= deadline:
                raise TimeoutError("another process of this node keeps the journal locked")
            with baton.lent():
                time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause + _PAUSE_STEP)

    def _catch_up(self) -> int | None:
        """Learn what others wrote, repair what one of them tore.

        The segment in which the journal goes on, if that is another one.
        """
        size, known, mine = quick.size(self._descriptor), self._size, self.seq
        found = ending.Ending(size)
        if size != known:
            found = ending.read(self._descriptor, known if size > known else 0, size)
            self._size = found.size
            self._learn(found)
        if not self._size and self.seq + 1 != self._segment:
            before = self._look_back()
            if before is not None:
                return before
        if found.over:
            return self._next()
        if size > self._size:
            self._repair(size)
        elif found.seq < mine and (found.seq or size < known):
            last = max(found.seq, self._segment - 1)
            self._tell("log.repaired", {"missing": [last + 1, mine]})
        if self._size < self._most or os.pwrite(self._descriptor, b"\n", self._size) != 1:
            return None
        return self._next()

    def _next(self) -> int:
        return max(self.seq + 1, *segments.listing(self._folder))

    def _repair(self, size: int) -> None:
        """Put torn bytes aside and say so in their place."""
        torn = os.pread(self._descriptor, size - self._size, self._size)
        kept = self._folder / f"torn-{self.seq + 1:020d}"
        if not kept.exists():
            whole_file.write(kept, torn, mode=0o600)
        self._tell("log.repaired", {"bytes": len(torn), "kept_in": kept.name})
        os.ftruncate(self._descriptor, self._size)

    def _tell(self, event: str, details: Mapping[str, Any]) -> None:
        line = chain.compose(self._node, self.hash, self.seq + 1, self._note(event, details))
        _, problem = self._write(line)
        if problem is not None:
            raise problem
        self._advance(line, self.seq + 1, chain.digest(line))

    def _write(self, data: bytes) -> tuple[int, OSError | None]:
        written = 0
        try:
            while written < len(data):
                rest = memoryview(data)[written:] if written else data
                written += os.pwrite(self._descriptor, rest, self._size + written)
        except OSError as error:
            return written, error
        return written, None

    def _advance(self, data: bytes, seq: int, hash_: str) -> None:
        self._syncer.wrote(self._descriptor, self._size, data)
        self._size += len(data)
        self.seq, self.hash = seq, hash_


def _whole(lines: Sequence[bytes], written: int) -> Sequence[bytes]:
    for number, line in enumerate(lines):
        if written < len(line):
            return lines[:number]
        written -= len(line)
    return lines
