"""Checkpoints as they are read from files to verify a log by, and what is wrong with them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from scopebound_engine.errors import InputError
from scopebound_engine.log import checkpoints
from scopebound_engine.log.flaws import Flaw, Place
from scopebound_engine.log.notes import VerifierKey
from scopebound_engine.log.walk import Seal

_LONGEST_LINE: Final = 1 << 16


class SealFile:
    """A file of checkpoints, of which what comes later is not read.

    So the records that they speak of are in the journal, even while more of both are written.
    `flaw` is the first thing wrong with them and `refused` how many are not believed; `is_half`
    is whether the last one is not whole, as a crash may leave it. Raises OSError.
    """

    def __init__(self, path: Path, keys: Sequence[VerifierKey], behind: int = 0) -> None:
        """Of one that is in order only what is needed can be read: those `behind` a size."""
        self.path, self._keys, self._behind = path, keys, behind
        found = path.stat()
        self._size, self._inode = found.st_size, found.st_ino
        self._reset()

    def of(self, node: str) -> Iterator[Seal]:
        """The checkpoints of a node that are believed, in the order of their sizes."""
        self._reset()
        last = 0
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino != self._inode:
                return  # It was pruned since: what of it was there then is not known.
            start = checkpoints.place_behind(file, self._behind) if self._behind else 0
            file.seek(start)
            for line, note in checkpoints.split(self._lines(file)):
                place = Place(str(self.path), 0 if start else line)
                try:
                    found = checkpoints.opened(note, self._keys)
                except InputError as error:
                    self.is_half = file.tell() >= self._size and checkpoints.is_half(note)
                    if not self.is_half:
                        self._refuse(place, node, f"this checkpoint is not believed: {error}")
                    continue
                if found.node != node:
                    continue
                if found.size < last:
                    self._refuse(place, node, f"a checkpoint of {last} records stands before this")
                    continue
                last = found.size
                yield Seal(found.size, found.hash, place)

    def _reset(self) -> None:
        self.flaw: Flaw | None = None
        self.refused, self.is_half = 0, False

    def _refuse(self, place: Place, node: str, message: str) -> None:
        self.refused += 1
        self.flaw = self.flaw or Flaw("checkpoint", node, 0, 0, place, message)

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        while line := file.readline(min(_LONGEST_LINE, self._size - file.tell())):
            yield line
