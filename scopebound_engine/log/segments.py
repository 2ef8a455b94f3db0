"""The files of a journal: `journal-<number of its first line>.jsonl`, one after another.

An empty line ends a segment: the journal goes on in the file that begins with the next number.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"journal-([0-9]{20})\.jsonl")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two lines: `offset` bytes into the segment whose first line is `segment`.

    `seq` is the number of the line that begins there.
    """

    segment: int
    offset: int
    seq: int


START: Final = Position(1, 0, 1)


def path(folder: Path, first: int) -> Path:
    """Where the segment lies that begins with this line."""
    return folder / f"journal-{first:020d}.jsonl"


def listing(folder: Path) -> list[int]:
    """The first lines' numbers of the segments, in order. Raises OSError, but not for no folder."""
    try:
        names = [file.name for file in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)


def lines(folder: Path, position: Position) -> Iterator[tuple[bytes, Position]]:
    """The lines from there on, each without its newline and with the place behind it.

    Ends at the last whole line: what is behind it is being written, or was torn by a crash and will
    be repaired by who writes next. Raises OSError.
    """
    over = True
    while over:
        over = False
        for line, after in _lines_of(path(folder, position.segment), position):
            if over := not line:
                break
            position = after
            yield line, after
        # No segment is over before its first line, but whoever meddles with one can write so.
        if over := over and position.seq > position.segment:
            position = Position(position.seq, 0, position.seq)


def _lines_of(file: Path, position: Position) -> Iterator[tuple[bytes, Position]]:
    rest = b""
    with suppress(FileNotFoundError), file.open("rb") as segment:
        segment.seek(position.offset)
        while chunk := segment.read(_CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                position = replace(
                    position, offset=position.offset + len(line) + 1, seq=position.seq + 1
                )
                yield line, position
