"""Checkpoints: how many records a node's log had and the hash of the last one, signed by the node.

Each is a signed note (`notes`) in the form of https://c2sp.org/tlog-checkpoint:

    scopebound-engine/<node id>
    <number of records>
    <base64 of the hash of the last record's line>

The hash is that of a chain (`chain.digest`) and not the root of a Merkle tree, whose place it
takes. A file of checkpoints holds one after another, each with an empty line behind it; nothing is
ever appended behind half a checkpoint.
"""

import base64
import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from scopebound_engine import whole_file
from scopebound_engine.errors import InputError
from scopebound_engine.log import chain, notes
from scopebound_engine.log.notes import SIGNATURE_MARK, SignerKey, VerifierKey

FILE: Final = "checkpoints"
_ORIGIN: Final = "scopebound-engine/"
_HASH_BYTES: Final = 32
_MARK: Final = SIGNATURE_MARK.encode()
_NEXT: Final = re.compile(
    rb"\n\n" + re.escape(_ORIGIN.encode()) + rb"[^\n]{1,200}\n([0-9]{1,19})\n"
)
_BEGINNING: Final = _ORIGIN.encode()
# What is read to find the last note; none is nearly as long.
_LONGEST: Final = 1 << 16
# Too few to write a file anew for.
_SPARED_BYTES: Final = 1 << 20
# Base64 of an id and an Ed25519 signature.
_SIGNATURE_LENGTH: Final = 92


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The node's records 1 to `size`, of which the last has this `hash`, in hex."""

    node: str
    size: int
    hash: str

    def text(self) -> str:
        """What is signed."""
        head = base64.b64encode(bytes.fromhex(self.hash)).decode()
        return f"{_ORIGIN}{self.node}\n{self.size}\n{head}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint that a note's text is. Raises InputError."""
        origin, size, head, *more = [*text.split("\n"), "", "", ""]
        if not origin.startswith(_ORIGIN) or any(more):
            raise InputError("", f"{text[:80]!r} is no checkpoint of a scopebound-engine log")
        if not (size.isascii() and size.isdecimal()) or size != str(int(size[:20])):
            raise InputError("", f"{size[:40]!r} is no number of records")
        hashed = notes.decoded(head)
        if len(hashed) != _HASH_BYTES:
            raise InputError("", f"{head[:80]!r} is no SHA-256")
        return cls(origin.removeprefix(_ORIGIN), int(size), hashed.hex())


def key_name(node: str) -> str:
    """What the keys of a node are called: as its checkpoints begin."""
    return f"{_ORIGIN}{node}"


def node_of(key: VerifierKey) -> str:
    """Whose key it is. Raises InputError for a key of something else."""
    if not key.name.startswith(_ORIGIN):
        raise InputError("", f"{key.name[:80]!r} is not the key of a scopebound-engine log")
    return key.name.removeprefix(_ORIGIN)


def empty(node: str) -> Checkpoint:
    """The checkpoint of a log without records, which is true of every log's beginning."""
    return Checkpoint(node, 0, chain.GENESIS)


def signed(checkpoint: Checkpoint, key: SignerKey) -> bytes:
    """The note of a checkpoint."""
    return notes.sign(checkpoint.text(), key)


def opened(note: bytes, keys: Iterable[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note, signed by a key of its own node. Raises InputError."""
    parsed = notes.parse(note)
    key = notes.verified(parsed, keys)
    checkpoint = Checkpoint.parse(parsed.text)
    if key.name != key_name(checkpoint.node):
        raise InputError("", f"a checkpoint of {checkpoint.node[:80]!r} is signed by {key.name!r}")
    return checkpoint


def append(file: Path, added: Iterable[bytes]) -> None:
    """Append notes, which are on the disk when this returns. Raises OSError.

    Half a note, which a crash left at the end, is cut off; other things that do not belong there
    stay, for whoever verifies. One process at a time may append.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, _LONGEST, max(0, size - _LONGEST))
        half = tail[_whole(tail) :]
        if is_half(half):
            size -= len(half)
            os.ftruncate(descriptor, size)
        elif half:
            size += os.pwrite(descriptor, b"\n\n", size)
        _write(descriptor, b"".join(note + b"\n" for note in added), size)
    finally:
        os.close(descriptor)


def prune(file: Path, first: int) -> None:
    """Forget those that speak only of records before `first`, but for some. Raises OSError.

    The newest ones stay. Nobody may append meanwhile.
    """
    with file.open("rb") as former:
        start = place_behind(former, first - 2)
        if start < _SPARED_BYTES:
            return
        former.seek(start)
        with whole_file.writing(file, mode=0o600) as kept:
            shutil.copyfileobj(former, kept)


def is_half(note: bytes) -> bool:
    """Whether this is the beginning of a checkpoint whose end was never written."""
    if not note or note[: len(_BEGINNING)] != _BEGINNING[: len(note)]:
        return False
    text, empty_line, signature = note.partition(b"\n\n")
    whole = len(_MARK) + text.find(b"\n") + len(" ") + _SIGNATURE_LENGTH + len("\n")
    return not empty_line or len(signature) < whole


def newest(file: Path) -> bytes | None:
    """The last whole note of a file; None where there is none yet. Raises OSError."""
    try:
        with file.open("rb") as opened_file:
            size = opened_file.seek(0, os.SEEK_END)
            opened_file.seek(max(0, size - _LONGEST))
            tail = opened_file.read()
    except FileNotFoundError:
        return None
    return next(reversed([note for _, note in split(tail[: _whole(tail)].splitlines(True))]), None)


def split(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The notes among the lines of a file, each with the number of its first line, from 1.

    What stands there and is none is given too, for whoever parses it; so is half a note at the end.
    """
    first, gathered, is_signed = 1, b"", False
    for number, line in enumerate(lines, 1):
        is_over = is_signed and not line.startswith(_MARK)
        if gathered and (is_over or line.startswith(_BEGINNING)):
            yield first, gathered
            gathered, is_signed = b"", False
        if not gathered and line == b"\n":
            continue
        first = first if gathered else number
        gathered += line
        is_signed = line.startswith(_MARK) or len(gathered) > _LONGEST
    if gathered:
        yield first, gathered


def place_behind(file: BinaryIO, size: int) -> int:
    """Where to begin to read to find all checkpoints of more than `size` records.

    The file is in their order. Whether its notes are sound is not looked at. Raises OSError.
    """
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > _LONGEST:
        middle = (low + high) // 2
        file.seek(middle)
        part = file.read(_LONGEST // 2)
        found = _NEXT.search(part)
        if found is None or int(found[1]) > size:
            high = middle
        else:
            low = middle + found.start() + 2
    return low


def _write(descriptor: int, data: bytes, end: int) -> None:
    try:
        if os.pwrite(descriptor, data, end) < len(data):
            raise OSError(errno.ENOSPC, "no room for a checkpoint")
        os.fsync(descriptor)
    except OSError:
        # Nothing that is half there, or that may not survive, is left for the next one.
        with suppress(OSError):
            os.ftruncate(descriptor, end)
        raise


def _whole(tail: bytes) -> int:
    """How much of the end of a file is whole notes."""
    last = tail.rfind(b"\n" + _MARK)
    while last >= 0:
        behind = tail.find(b"\n\n", last + 1)
        if behind >= 0:
            return behind + 2
        last = tail.rfind(b"\n" + _MARK, 0, last)
    return 0
