"""Counters that all processes of a node add up, and that outlive each of them.

A process has a file of its own, mapped into its memory, and its lock for as long as it lives: one
that comes later goes on with the file of one that died, however it died. The file's blocks are
there before it is mapped: on a disk that is full, a page without one would kill the process.

A file is entries of 256 bytes: a name, then sixteen numbers of eight bytes. The first one is the
header, whose first number says how many follow.
"""

import fcntl
import mmap
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog

NUMBERS: Final = 16
_NAME_BYTES: Final = 128
_WORD: Final = 8
_ENTRY_BYTES: Final = _NAME_BYTES + NUMBERS * _WORD
_ENTRY_WORDS: Final = _ENTRY_BYTES // _WORD
_ENTRIES: Final = 512
_BYTES: Final = _ENTRIES * _ENTRY_BYTES
_MAGIC: Final = b"scopebound tally 1".ljust(_NAME_BYTES, b"\0")
_COUNT: Final = _NAME_BYTES // _WORD
_MOST_FILES: Final = 256

log = structlog.get_logger()


class Tally:
    """The counters of this process. Safe for use by many threads."""

    def __init__(self, folder: Path) -> None:
        """Never raises: where no file can be had, these numbers end with the process."""
        self._folder = folder
        try:
            self._memory, self._is_shared = _own_file(folder), True
        except OSError as error:
            log.error("metrics are not kept", folder=str(folder), reason=error.strerror)
            self._memory, self._is_shared = mmap.mmap(-1, _BYTES), False
        self._words = memoryview(self._memory).cast("Q")
        self._lock = threading.Lock()
        if not _is_sound(self._memory):
            self._memory[:] = _MAGIC.ljust(_BYTES, b"\0")
        self._places = {name: place for place, name in _names(self._memory)}

    def place(self, name: str) -> int | None:
        """Where the first of the sixteen numbers of this name is; None where there is no room."""
        with self._lock:
            if name not in self._places:
                place = self._add(name.encode())
                if place is None:
                    return None
                self._places[name] = place
            return self._places[name]

    def add(self, changes: Iterable[tuple[int, int]]) -> None:
        """Add to numbers: their places, and how much."""
        words = self._words
        with self._lock:
            for place, amount in changes:
                words[place] += amount

    def total(self) -> dict[str, list[int]]:
        """The sums over all processes of the node, also of those that ended.

        Raises OSError: those of some processes alone would look as if counting had begun anew.
        """
        found: dict[str, list[int]] = {}
        for data in _files(self._folder) if self._is_shared else (bytes(self._memory),):
            _sum_up(found, data)
        return found

    def _add(self, name: bytes) -> int | None:
        number = self._words[_COUNT] + 1
        if number >= _ENTRIES or len(name) > _NAME_BYTES:
            return None
        start = number * _ENTRY_BYTES
        self._memory[start : start + len(name)] = name
        # Readers see it from now on.
        self._words[_COUNT] = number
        return number * _ENTRY_WORDS + _COUNT


def _own_file(folder: Path) -> mmap.mmap:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(_MOST_FILES):
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(folder / str(number), flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(descriptor, 0, _BYTES)
            memory = mmap.mmap(descriptor, _BYTES)
        except BlockingIOError:
            os.close(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        else:
            # The descriptor stays open with its lock, until the process ends.
            return memory
    raise OSError(0, "all files are taken")


def _files(folder: Path) -> Iterable[bytes]:
    for path in folder.iterdir():
        data = path.read_bytes()
        if _is_sound(data):
            yield data


def _is_sound(data: bytes | mmap.mmap) -> bool:
    count = int.from_bytes(data[_NAME_BYTES : _NAME_BYTES + _WORD], "little")
    return len(data) == _BYTES and data[:_NAME_BYTES] == _MAGIC and count < _ENTRIES


def _names(data: bytes | mmap.mmap) -> Iterable[tuple[int, str]]:
    count = int.from_bytes(data[_NAME_BYTES : _NAME_BYTES + _WORD], "little")
    for number in range(1, count + 1):
        start = number * _ENTRY_BYTES
        name = data[start : start + _NAME_BYTES].rstrip(b"\0")
        yield number * _ENTRY_WORDS + _COUNT, name.decode(errors="replace")


def _sum_up(found: dict[str, list[int]], data: bytes) -> None:
    words = memoryview(data).cast("Q")
    for place, name in _names(data):
        sums = found.setdefault(name, [0] * NUMBERS)
        for number in range(NUMBERS):
            sums[number] += words[place + number]
