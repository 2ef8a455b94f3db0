"""What comes next in a node's journal, as far as one transaction takes.

Whatever is wrong with a journal is named and does not hold up what comes after it. Where the line
that was read last is not there any more, as after a restored backup, all of the journal is read
again: whoever stores it must know what is stored already.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scopebound_engine.errors import LineError
from scopebound_engine.log import chain, cursors, entries, segments
from scopebound_engine.log.cursors import Cursor
from scopebound_engine.log.entries import Entry
from scopebound_engine.log.segments import Position

MOST_LINES: Final = 2_000
MOST_BYTES: Final = 4 << 20

_REACH: Final = 1 << 16
_VERIFY: Final = "`scopebound-engine log verify` says what happened to it"


@dataclass(slots=True)
class Batch:
    """Entries in their order, the cursor behind them, and a sentence for each thing wrong.

    `is_full`: there may be more behind them; else that was all.
    """

    cursor: Cursor
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    segments: set[int] = field(default_factory=set)
    size: int = 0
    is_full: bool = False


def read(folder: Path, node: str, cursor: Cursor, most_lines: int = MOST_LINES) -> Batch:
    """What is behind the cursor; only whole lines. Raises OSError."""
    batch, count = Batch(cursor), 0
    for line, after in _lines(folder, cursor, batch):
        _add(batch, node, line, after)
        count += 1
        if count >= most_lines or batch.size >= MOST_BYTES:
            batch.is_full = True
            break
    if not count:
        batch.cursor = cursor
    return batch


def last_number(folder: Path) -> int:
    """The number of the journal's last line; 0 without one. Raises OSError."""
    listed = segments.listing(folder)
    if not listed:
        return 0
    with segments.path(folder, listed[-1]).open("rb") as file:
        reach, size = _REACH, file.seek(0, os.SEEK_END)
        while True:
            file.seek(max(0, size - reach))
            *whole, _ = file.read(reach).split(b"\n")
            for line in reversed(whole):
                with suppress(LineError):
                    return chain.split(line).seq
            if reach >= size:
                return listed[-1] - 1
            reach *= 8


def _lines(folder: Path, cursor: Cursor, batch: Batch) -> Iterator[tuple[bytes, Position]]:
    # Listed first: a segment that has one behind it grows no more.
    listed = segments.listing(folder)
    first = _beginning_of(listed[0] if listed else 1)
    position = cursor.position() if cursor.segment else first
    if not cursors.is_there(folder, cursor):
        batch.problems.append(
            f"line {cursor.seq} is in the database but not in {folder} where it was; all of the "
            f"journal is read again; {_VERIFY}"
        )
        batch.cursor, position = Cursor(seq=first.seq - 1), first
    for start in (position, *(_beginning_of(one) for one in listed if one > position.segment)):
        for line, after in segments.lines(folder, start):
            # What follows is told by the listing, not by numbers of lines that may be forged.
            if after.segment != start.segment:
                break
            yield line, after


def _beginning_of(segment: int) -> Position:
    return Position(segment, 0, segment)


def _add(batch: Batch, node: str, line: bytes, after: Position) -> None:
    due = batch.cursor.seq + 1
    seq = due
    try:
        entry = entries.read(line)
    except LineError as error:
        batch.problems.append(f"what should be line {due} is not in the database: {error}")
    else:
        seq = entry.row.seq
        batch.entries.append(entry)
        batch.problems.extend(_oddities(node, entry, due))
    batch.cursor = Cursor(after.segment, after.offset, seq, len(line), chain.digest(line))
    batch.segments.add(after.segment)
    batch.size += len(line)


def _oddities(node: str, entry: Entry, due: int) -> Iterator[str]:
    row = entry.row
    if row.seq != due:
        yield f"line {row.seq} stands where line {due} was due; {_VERIFY}"
    if row.node != node:
        yield f"line {row.seq} is of the node {row.node[:80]}, and this is {node}; {_VERIFY}"
