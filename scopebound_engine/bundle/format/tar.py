"""The members of a tar.gz, read strictly and in memory.

`tarfile` cannot serve here: it takes duplicate members, lets pax records replace names and sizes,
stops at the first block of zeros whatever follows, and reads on over a damaged header. Two readers
that see different files in one archive are how a signed bundle is made to mean something else, so
whatever readers are known to disagree on is refused.

Formats: gzip is RFC 1952; ustar and pax are POSIX.1-2001 (`pax`, "ustar Interchange Format"); GNU
is the `old_gnu_header` of GNU tar's manual, "Basic Tar Format".
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from scopebound_engine.errors import ArchiveError, Finding

BLOCK: Final = 512
_ZEROS: Final = bytes(BLOCK)
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_POSIX, _GNU = b"ustar\x0000", b"ustar  \x00"
# Mode, uid, gid, mtime and the two of a device are not used here, but some readers take a header in
# which they cannot read one for the end. Octal, blank, or base 256, as GNU tar writes large ids.
_OTHER_NUMBERS: Final = ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))
_NUMBER: Final = re.compile(rb" *[0-7]*[ \0]*|[\x80\xff].*", re.DOTALL)
_REWRITE: Final = "write it with: tar --format=ustar -czf bundle.tar.gz -C FOLDER ."

_REFUSED_KINDS: Final = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"S": "a sparse file",
    b"V": "a volume label",
    b"M": "a continued file",
    # ustar holds names of 255 bytes; a second place for a name is one that a reader may overlook.
    b"L": "a GNU long name",
    b"K": "a GNU long link name",
}
# Records that say nothing of a member's name, size or content. LIBARCHIVE and SCHILY.xattr are
# what macOS writes.
_HARMLESS_RECORDS: Final = re.compile(
    r"mtime|atime|ctime|uid|gid|uname|gname|comment"
    r"|LIBARCHIVE\.(creationtime|xattr\..*)|SCHILY\.(xattr\..*|fflags|dev|ino|nlink)"
    r"|RHT\.security\.selinux",
    re.DOTALL,
)
_RECORD_LENGTH: Final = re.compile(rb"([1-9][0-9]{0,7}) ")
_MOST_FINDINGS: Final = 100


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file as the archive names it: the name is not checked yet."""

    name: str
    data: bytes


def inflate(data: bytes, max_bytes: int) -> bytes:
    """What one gzip member holds, at most `max_bytes` of it. Raises ArchiveError."""
    if not data.startswith(_GZIP_MAGIC):
        raise _lost("this is not gzip", f"a bundle is a tar.gz; {_REWRITE}")
    # 16 + 15: zlib reads the gzip header and checks CRC and length itself.
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise _lost(f"the gzip data is damaged ({error})", "send the archive again") from error
    if len(inflated) > max_bytes:
        raise _lost(f"it inflates to more than {max_bytes} bytes", "leave out what is not policy")
    if not stream.eof:
        raise _lost("the gzip data ends early", "send the whole archive")
    if stream.unused_data:
        raise _lost("something follows the end of the gzip data", _REWRITE)
    return inflated


def members(tar: bytes, findings: list[Finding]) -> Iterator[Member]:
    """The regular files, in order; folder entries are passed over.

    What is refused is added to `findings` and reading goes on. Raises ArchiveError where it cannot:
    a damaged header, an archive that ends early or goes on after its end.
    """
    position = 0
    while (header := tar[position : position + BLOCK]) != _ZEROS:
        kind, name, size = _header(header, position)
        start = position + BLOCK
        position = start + -(-size // BLOCK) * BLOCK
        if position > len(tar):
            raise _lost(f"the archive ends inside {printable(name)}", "send the whole archive")
        content = tar[start : start + size]
        if kind in {b"0", b"\0"}:
            yield Member(name, content)
        else:
            findings.extend(_refused(kind, name, content))
        if len(findings) > _MOST_FINDINGS:
            raise _lost("too much is wrong with it; the rest was not read", _REWRITE)
    _check_end(tar, position)


def printable(name: str) -> str:
    """A name from an archive, fit for a message: escaped and bounded."""
    return name.encode("unicode_escape").decode()[:120]


def _header(header: bytes, position: int) -> tuple[bytes, str, int]:
    if len(header) < BLOCK:
        raise _lost("the archive has no end: two blocks of zeros", "send the whole archive")
    magic = header[257:265]
    if magic not in {_POSIX, _GNU}:
        raise _lost(f"no ustar, pax or GNU header at byte {position}", _REWRITE)
    if _octal(header[148:156], position) != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
        raise _lost(f"the checksum of the header at byte {position} is wrong", "send it again")
    if not all(_NUMBER.fullmatch(header[start:end]) for start, end in _OTHER_NUMBERS):
        raise _not_octal(position)
    name = _text(header[:100], position)
    # GNU keeps times where ustar keeps the first part of a long name.
    prefix = _text(header[345:500], position) if magic == _POSIX else ""
    return (
        header[156:157],
        f"{prefix}/{name}" if prefix else name,
        _octal(header[124:136], position),
    )


def _octal(field: bytes, position: int) -> int:
    digits = re.fullmatch(rb" *([0-7]+)[ \0]+", field)
    if digits is None:
        raise _not_octal(position)
    return int(digits[1], 8)


def _text(field: bytes, position: int) -> str:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise _lost(f"a name of the header at byte {position} goes on after a NUL", _REWRITE)
    return text.decode("utf-8", "backslashreplace")


def _refused(kind: bytes, name: str, content: bytes) -> Iterator[Finding]:
    where = printable(name)
    if kind == b"5":
        if content:
            yield _finding("a folder entry has content", where)
        if ".." in name.split("/"):
            yield _finding("the folder's name leads out of the bundle", where)
    elif kind in {b"x", b"g"}:
        unfit = _unfit_records(content)
        if unfit:
            what = ", ".join(printable(record) for record in unfit[:5])
            yield _finding(f"pax records change how a file is read: {what}", where)
    else:
        what = _REFUSED_KINDS.get(kind, f"an entry of kind {kind!r}")
        yield _finding(f"{what}; a bundle holds regular files only", where)


def _unfit_records(content: bytes) -> list[str]:
    """Keywords of the records that are not known to be harmless.

    A record is `LENGTH KEYWORD=VALUE` and a newline; LENGTH counts the whole record.
    """
    unfit: list[str] = []
    position = 0
    while position < len(content):
        length = _RECORD_LENGTH.match(content, position)
        if length is None:
            return [*unfit, "(a damaged record)"]
        end = position + int(length[1])
        keyword, equals, _ = content[length.end() : end].partition(b"=")
        if not equals or end > len(content) or content[end - 1] != ord("\n"):
            return [*unfit, "(a damaged record)"]
        text = keyword.decode("utf-8", "backslashreplace")
        if not _HARMLESS_RECORDS.fullmatch(text):
            unfit.append(text)
        position = end
    return unfit


def _check_end(tar: bytes, position: int) -> None:
    if len(tar) < position + 2 * BLOCK:
        raise _lost("the archive has no end: two blocks of zeros", "send the whole archive")
    if tar.count(0, position) != len(tar) - position:
        raise _lost("something follows the end of the tar archive", _REWRITE)


def _finding(message: str, file: str) -> Finding:
    return Finding("bytes", message, file=file, remedy=_REWRITE)


def _not_octal(position: int) -> ArchiveError:
    return _lost(f"a number of the header at byte {position} is not octal", _REWRITE)


def _lost(message: str, remedy: str) -> ArchiveError:
    return ArchiveError("the archive cannot be read", [Finding("bytes", message, remedy=remedy)])
