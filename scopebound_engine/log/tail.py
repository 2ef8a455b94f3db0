"""The end of a journal, where one process at a time appends lines.

The file is the only truth: a process that gets the lock looks whether the segment grew since its
own last line, and if so reads there which line others wrote last, or that the segment is over. So
there is no second file that could disagree.

The lock is an flock on the segment. It, the file's size and the reading are asked of libc by calls
that keep the interpreter's lock: none of them waits for the disk, and a process that lets go of the
interpreter's lock while it holds the journal's can wait milliseconds for it, and all processes of
the node with it. Writing does let go of it, because a disk that hangs must not stop the process.
"""

import ctypes
import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from scopebound_engine.log import chain, segments

_LIBC: Final = ctypes.PyDLL(None, use_errno=True)
_LIBC.lseek.restype = ctypes.c_int64
_LIBC.lseek.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int)
_LONGEST_PAUSE: Final = 0.002


class Tail:
    """One process's view of the end; used by one thread at a time. Everything raises OSError."""

    def __init__(self, folder: Path, node: str, segment_bytes: int) -> None:
        self.folder, self._node, self._most = folder, node, segment_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.segment = max(segments.listing(folder), default=1)
        self._size, self.seq, self.hash = 0, self.segment - 1, chain.GENESIS
        self.descriptor = self._open()

    def lock(self, deadline: float) -> None:
        """Be the one who may append. Raises TimeoutError at the deadline (monotonic)."""
        pause = 0.0
        while True:
            while _LIBC.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if time.monotonic() >= deadline:
                    raise TimeoutError("another process of this node keeps the journal locked")
                time.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause + 20e-6)
            if not self._catch_up():
                return
            self._go_on()

    def unlock(self) -> None:
        """Let others append."""
        _LIBC.flock(self.descriptor, fcntl.LOCK_UN)

    def append(self, records: Sequence[bytes]) -> int:
        """Append a line for each of these records; the lock is held.

        Returns how many stand there whole; they do, whatever else was written is taken off again.
        """
        before, lines = (self.seq, self.hash), []
        seq, prev = before
        for record in records:
            seq += 1
            lines.append(line := chain.compose(self._node, prev, seq, record))
            prev = chain.digest(line)
        data = b"".join(lines)
        written = os.pwrite(self.descriptor, data, self._size)
        if written == len(data):
            self.seq, self.hash, self._size = seq, prev, self._size + written
            return len(lines)
        return self._keep_whole(lines, written)

    def _keep_whole(self, lines: Sequence[bytes], written: int) -> int:
        for number, line in enumerate(lines):
            if written < len(line):
                os.ftruncate(self.descriptor, self._size)
                return number
            written -= len(line)
            self.seq, self.hash, self._size = (
                self.seq + 1,
                chain.digest(line),
                self._size + len(line),
            )
        return len(lines)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(segments.path(self.folder, self.segment), flags, 0o600)

    def _catch_up(self) -> bool:
        """Whether the segment is over."""
        size = _LIBC.lseek(self.descriptor, 0, os.SEEK_END)
        if size != self._size:
            return self._read(os.pread(self.descriptor, size - self._size, self._size))
        if size < self._most:
            return False
        return os.pwrite(self.descriptor, b"\n", size) == 1

    def _read(self, grown: bytes) -> bool:
        whole = grown.rfind(b"\n") + 1
        over = grown == b"\n" or grown.endswith(b"\n\n", 0, whole)
        end = whole - over
        if end:
            line = grown[grown.rfind(b"\n", 0, end - 1) + 1 : end]
            self.seq, self.hash = chain.split(line).seq, chain.digest(line)
            self._size += end
        if whole < len(grown):
            os.ftruncate(self.descriptor, self._size)
        return over

    def _go_on(self) -> None:
        old, self.segment = self.descriptor, self.seq + 1
        self.descriptor, self._size = self._open(), 0
        os.close(old)

    def close(self) -> None:
        """Let go of the file."""
        with suppress(OSError):
            os.close(self.descriptor)
