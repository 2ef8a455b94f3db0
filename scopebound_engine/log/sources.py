"""What there is to verify: a journal's folder or some of its files, or exports of the log."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from scopebound_engine.errors import InputError
from scopebound_engine.log import checkpoints, segments

_CHUNK: Final = 1 << 20
# Twice what a record may have; a longer line is cut into pieces that are no records.
_LONGEST: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """Files whose lines follow one another.

    A journal is that of one node, and its first record is `due`; an export may hold several nodes'.
    `checkpoints` is the file that lies with a whole journal.
    """

    files: tuple[Path, ...]
    is_journal: bool
    due: int = 0
    checkpoints: Path | None = None

    def bytes(self) -> int:
        """How much there is to read. Raises OSError."""
        return sum(file.stat().st_size for file in self.files)


def sources(paths: Sequence[Path]) -> list[Source]:
    """What these folders and files are; files of one journal belong together. Raises InputError."""
    found: list[Source] = []
    apart: dict[Path, list[int]] = {}
    for path in paths:
        first = _first_of(path)
        if path.is_dir():
            found.append(_journal(path))
        elif not path.is_file():
            raise InputError("", f"{path} is neither a file nor a folder")
        elif first is None:
            found.append(Source((path,), is_journal=False))
        else:
            apart.setdefault(path.parent, []).append(first)
    return found + [_segments(folder, sorted(firsts)) for folder, firsts in apart.items()]


def lines(file: Path, progress: Callable[[int], object]) -> Iterator[tuple[int, bytes, bool]]:
    """The lines of a file: number, from 1; bytes without a newline; whether one was there.

    `progress` is told how many bytes were read. Raises OSError.
    """
    number, parts, size = 0, list[bytes](), 0
    with file.open("rb", buffering=0) as read:
        while chunk := read.read(_CHUNK):
            progress(len(chunk))
            first, *others = chunk.split(b"\n")
            parts.append(first)
            size += len(first)
            for other in others:
                number += 1
                yield number, b"".join(parts), True
                parts, size = [other], len(other)
            if size > _LONGEST:
                number += 1
                yield number, b"".join(parts), True
                parts, size = [], 0
    if size:
        yield number + 1, b"".join(parts), False


def _journal(folder: Path) -> Source:
    for place in (folder, folder / "log"):
        firsts, beside = segments.listing(place), place / checkpoints.FILE
        if firsts or beside.exists():
            found = _segments(place, firsts)
            return replace(found, checkpoints=beside if beside.exists() else None)
    raise InputError("", f"{folder} holds no journal: no file journal-<number>.jsonl is there")


def _segments(folder: Path, firsts: Sequence[int]) -> Source:
    files = tuple(segments.path(folder, first) for first in firsts)
    for file in files:
        if not file.is_file():
            raise InputError("", f"{file} is no file")
    return Source(files, is_journal=True, due=firsts[0] if firsts else 1)


def _first_of(path: Path) -> int | None:
    """The number of the first line of a segment; None for another file."""
    return next(
        (n for n in segments.listing(path.parent) if segments.path(path.parent, n) == path), None
    )
