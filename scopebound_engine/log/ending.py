"""How a segment ends: its last line that is one, whether it is over, and what is torn behind."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from scopebound_engine.errors import LineError
from scopebound_engine.log import chain, quick

_GROWTH: Final = 8


@dataclass(frozen=True, slots=True)
class Ending:
    """`size` bytes are whole lines. `seq` and `hash` are the last one's; 0 and "" without a line.

    `over`: behind them stands the empty line that ends a segment, and nothing else.
    """

    size: int
    seq: int = 0
    hash: str = ""
    over: bool = False


def read(descriptor: int, known: int, size: int) -> Ending:
    """The ending of the first `size` bytes of a file, of which `known` are whole lines.

    What others wrote is read from its end back to the first line that is one: behind it are the
    bytes of a writer that was killed, or what a crash of the machine left. Raises OSError.
    """
    over = _is_over(descriptor, size)
    for line, end in _backwards(descriptor, known, size - over):
        try:
            link = chain.split(line)
        except LineError:
            over = False
        else:
            return Ending(end, link.seq, chain.digest(line), over)
    return Ending(known, over=over and size - over == known)


def _is_over(descriptor: int, size: int) -> bool:
    start = max(size - 2, 0)
    last = _read(descriptor, size - start, start)
    return last == b"\n\n" or (last == b"\n" and not start)


def _backwards(descriptor: int, known: int, size: int) -> Iterator[tuple[bytes, int]]:
    """Each line that ends with a newline, the last one first, and where it ends."""
    reach, end = quick.READ_BYTES, size
    while end > known:
        start = max(known, end - reach)
        data = _read(descriptor, end - start, start)
        whole = data.rfind(b"\n") + 1
        begin = data.rfind(b"\n", 0, max(whole - 1, 0)) + 1
        if begin == 0 and start > known:
            reach *= _GROWTH  # a line, or what is torn, is longer than what was read
            continue
        if not whole:
            return
        yield data[begin:whole], start + whole
        end = start + begin


def _read(descriptor: int, length: int, offset: int) -> bytes:
    if length <= quick.READ_BYTES:
        return quick.read(descriptor, length, offset)
    return os.pread(descriptor, length, offset)
