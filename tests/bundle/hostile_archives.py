"""Archives that somebody made to be misread, each with words of the finding that refuses it.

Wherever the trick leaves it possible, a trusted key signed exactly what the archive seems to hold:
then nothing but the archive's own fault can refuse it.
"""

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from scopebound_engine.bundle.signature import SIGNATURES, sign
from tests.bundle.bundle_samples import END, KEY, files, header, manifest, member, pax, tar_gz

RULE = b"scopebound/main.rego"
EVIL = b"package scopebound\n\ndecision := true\n"
MIB = 1 << 20


class Hostile(NamedTuple):
    """How to make it, and what its refusal says."""

    build: Callable[[], bytes]
    says: str


def signed_files(**more: bytes) -> dict[str, bytes]:
    """The files of a bundle, some of them hostile, and the signature over all."""
    sources = files(**more)
    return {**sources, SIGNATURES: sign(sources, KEY)}


def packed(
    *extra: bytes, sources: Mapping[str, bytes] | None = None, first: bytes = b"", end: bytes = END
) -> bytes:
    """A signed bundle, with more blocks before and after its own members."""
    whole = signed_files() if sources is None else sources
    own = [member(name.encode(), content) for name, content in whole.items()]
    return tar_gz(first, *own, *extra, end=end)


def named(name: bytes, content: bytes = EVIL) -> bytes:
    """A bundle with one more file, which is signed under the name that it seems to have."""
    seen = name.decode("utf-8", "backslashreplace")
    signature = signed_files(**{seen: content})[SIGNATURES]
    return packed(member(name, content), sources={**files(), SIGNATURES: signature})


def kind(letter: bytes, name: bytes = b"scopebound/b.rego", content: bytes = b"") -> bytes:
    return packed(member(name, content, letter))


def linked(letter: bytes, target: bytes, *extra: bytes) -> bytes:
    return packed(with_field(header(b"scopebound/link", kind=letter), 157, target), *extra)


def without(*names: str) -> bytes:
    return packed(sources={n: c for n, c in signed_files().items() if n not in names})


def odd(**fields: bytes) -> bytes:
    """A bundle whose first member's header is odd."""
    return packed(first=member(b"a.rego", b"x", **fields))


def with_field(block: bytes, offset: int, field: bytes) -> bytes:
    """A member whose header holds these bytes, and a right checksum."""
    changed = bytearray(block)
    changed[offset : offset + len(field)] = field
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:512])
    return bytes(changed)


def by_tarfile(info: tarfile.TarInfo, content: bytes = EVIL) -> bytes:
    """A bundle that Python's tarfile wrote, with one more member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as out:
        for name, data in signed_files().items():
            own = tarfile.TarInfo(name)
            own.size = len(data)
            out.addfile(own, io.BytesIO(data))
        if info.isreg():
            info.size = len(content)
        out.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def link_by_tarfile(target: str) -> bytes:
    info = tarfile.TarInfo("scopebound/link.rego")
    info.type, info.linkname = tarfile.SYMTYPE, target
    return by_tarfile(info)


def pax_by_tarfile(name: str = "scopebound/b.rego", **records: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.pax_headers = {keyword.replace("__", "."): value for keyword, value in records.items()}
    return by_tarfile(info)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, content in signed_files().items():
            out.writestr(name, content)
    return buffer.getvalue()


def plain_tar() -> bytes:
    return gzip.decompress(packed())


def gzip_header(flags: int, extra: bytes) -> bytes:
    """A bundle behind a gzip header with these flags and fields (RFC 1952, 2.3)."""
    tar = plain_tar()
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + extra
    trailer = struct.pack("<LL", zlib.crc32(tar), len(tar))
    return head + packer.compress(tar) + packer.flush() + trailer


def manifests_that_differ() -> bytes:
    opa = {"metadata": {"scopebound": manifest(entrypoint="scopebound/other")}}
    return packed(sources=signed_files(**{".manifest": json.dumps(opa).encode()}))


TWINS: dict[str, tuple[bytes, str]] = {
    "a twin in upper case": (b"scopebound/Main.rego", "lower-case ASCII"),
    "a twin in another folder's case": (b"Scopebound/main.rego", "lower-case ASCII"),
    "a twin with an accent, composed": ("scopebound/máin.rego".encode(), "lower-case ASCII"),
    "a twin with an accent, decomposed": ("scopebound/ma\u0301in.rego".encode(), "lower-case"),
    "a twin in fullwidth letters": ("scopebound/\uff4dain.rego".encode(), "lower-case ASCII"),
    "a twin with a Cyrillic letter": ("scopebound/m\u0430in.rego".encode(), "lower-case ASCII"),
    "a twin with a dotless i": ("scopebound/ma\u0131n.rego".encode(), "lower-case ASCII"),
    "a twin with a zero-width blank": ("scopebound/main\u200b.rego".encode(), "lower-case ASCII"),
    "a name that is shown reversed": ("scopebound/\u202eoger.niam".encode(), "lower-case ASCII"),
    "a twin with a final blank": (b"scopebound/main.rego ", "lower-case ASCII"),
    "a twin with a final dot": (b"scopebound/main.rego.", "not a name of a bundle's file"),
    "a folder's twin with a final dot": (b"scopebound./main.rego", "not a name of a bundle's"),
    "a twin as another stream of the file": (b"scopebound/main.rego::$data", "not a name"),
    "a twin in 8.3 form": (b"scopeb~1/main.rego", "not a name of a bundle's file"),
    "a twin with a doubled slash": (b"scopebound//main.rego", "not a name of a bundle's file"),
    "a twin over a dot folder": (b"scopebound/./main.rego", "not a name of a bundle's file"),
}

NAMES: dict[str, tuple[bytes, str]] = {
    "a path upwards": (b"../evil.rego", "leads out of the bundle"),
    "a path down and upwards": (b"scopebound/../../evil.rego", "leads out of the bundle"),
    "an absolute path upwards": (b"/../etc/evil.rego", "leads out of the bundle"),
    "a path upwards for Windows": (b"..\\evil.rego", "not a name of a bundle's file"),
    "a drive of Windows": (b"c:/evil.rego", "not a name of a bundle's file"),
    "a share of Windows": (b"\\\\host\\share\\evil.rego", "not a name of a bundle's file"),
    "a device of Windows": (b"scopebound/con.rego", "name of a device on Windows"),
    "a folder that is a device": (b"aux/evil.rego", "name of a device on Windows"),
    "a device with a longer name": (b"scopebound/com1.more.rego", "name of a device on Windows"),
    "a home folder": (b"~/evil.rego", "not a name of a bundle's file"),
    "a URL": (b"file:///etc/evil.rego", "not a name of a bundle's file"),
    "a hidden file": (b"scopebound/.evil.rego", "nothing hidden"),
    "a hidden folder": (b".git/evil.rego", "nothing hidden"),
    "an option": (b"-evil.rego", "not a name of a bundle's file"),
    "a line break in a name": (b"scopebound/a\nb.rego", "not a name of a bundle's file"),
    "a terminal escape in a name": (b"scopebound/\x1b[2J.rego", "\\x1b[2J.rego: not a name"),
    "a name that is not UTF-8": (b"scopebound/\xff\xfe.rego", "not a name of a bundle's file"),
    "a name of dots": (b".../evil.rego", "not a name of a bundle's file"),
    "no name": (b"", "not a name of a bundle's file"),
    "what macOS leaves": (b"scopebound/._main.rego", "COPYFILE_DISABLE=1"),
    "what macOS leaves in zips": (b"__MACOSX/main.rego", "not a name of a bundle's file"),
    "a program": (b"scopebound/run.sh", "no place in a bundle"),
    "an archive inside": (b"scopebound/more.tar.gz", "no place in a bundle"),
    "compiled policy": (b"policy.wasm", "no place in a bundle"),
    "data in YAML": (b"scopebound/data.yaml", "write it as data.json"),
    "a signature in a folder": (b"scopebound/.signatures.json", "nothing hidden"),
    "a manifest in a folder": (b"scopebound/manifest.json", "no place in a bundle"),
    "a signature without its dot": (b"signatures.json", "no place in a bundle"),
}

ARCHIVES: dict[str, Hostile] = {
    **{name: Hostile(lambda n=raw: named(n), says) for name, (raw, says) in TWINS.items()},
    **{name: Hostile(lambda n=raw: named(n), says) for name, (raw, says) in NAMES.items()},
    # Names in other places than the name
    "a path upwards in the prefix": Hostile(
        lambda: packed(member(b"evil.rego", EVIL, prefix=b"..")), "leads out of the bundle"
    ),
    "a name that goes on after a NUL": Hostile(
        lambda: packed(member(b"scopebound/b.rego\0../evil.rego", EVIL)), "goes on after a NUL"
    ),
    "a prefix that goes on after a NUL": Hostile(
        lambda: packed(member(b"b.rego", EVIL, prefix=b"scopebound\0/..")), "goes on after a NUL"
    ),
    "a folder upwards": Hostile(lambda: kind(b"5", b"../../etc/"), "name leads out of the bundle"),
    "a folder with content": Hostile(lambda: kind(b"5", b"a/", EVIL), "folder entry has content"),
    "a folder of the kind of files": Hostile(lambda: kind(b"\0", b"scopebound/b/"), "not a name"),
    "a name of 246 bytes": Hostile(
        lambda: packed(member(b"b" * 90 + b".rego", prefix=b"a" * 150)), "more than 200 bytes"
    ),
    # One name, two contents
    "the same file twice": Hostile(
        lambda: packed(member(RULE, files()[RULE.decode()])), "there twice"
    ),
    "a file replaced by a later one": Hostile(lambda: packed(member(RULE, EVIL)), "there twice"),
    "a file before the one it shadows": Hostile(
        lambda: packed(first=member(RULE, EVIL)), "there twice"
    ),
    "a file twice, once absolute": Hostile(
        lambda: packed(member(b"/" + RULE, EVIL)), "there twice"
    ),
    "a file twice, once below ./": Hostile(
        lambda: packed(member(b".//./" + RULE, EVIL)), "there twice"
    ),
    "the signature twice": Hostile(
        lambda: packed(member(b".signatures.json", b"{}")), ".signatures.json: the file is there"
    ),
    "the manifest twice": Hostile(
        lambda: packed(first=member(b"./manifest.json", b"{}")), "manifest.json: the file is there"
    ),
    "two manifests that differ": Hostile(manifests_that_differ, '"entrypoint" is not what manif'),
    "a file that is a folder too": Hostile(
        lambda: named(RULE + b"/b.rego"), "main.rego is a file and a folder at once"
    ),
    # What is no file
    "a hard link": Hostile(lambda: linked(b"1", RULE), "a hard link"),
    "a symbolic link outwards": Hostile(lambda: linked(b"2", b"/etc/passwd"), "a symbolic link"),
    "a file behind a symbolic link": Hostile(
        lambda: linked(b"2", b"/etc", member(b"scopebound/link/evil.rego", EVIL)),
        "a symbolic link",
    ),
    "a symbolic link of tarfile": Hostile(
        lambda: link_by_tarfile("../../../etc/passwd"), "a symbolic link"
    ),
    "a link with a target of 300 bytes": Hostile(
        lambda: link_by_tarfile("../" * 100), "pax records change how a file is read: linkpath"
    ),
    "a character device": Hostile(lambda: kind(b"3"), "a character device"),
    "a block device": Hostile(lambda: kind(b"4"), "a block device"),
    "a FIFO": Hostile(lambda: kind(b"6"), "a FIFO"),
    "a contiguous file": Hostile(lambda: kind(b"7", content=EVIL), "a contiguous file"),
    "a sparse file of GNU": Hostile(lambda: kind(b"S"), "a sparse file"),
    "a dump of a folder": Hostile(lambda: kind(b"D", b"scopebound/"), "an entry of kind b'D'"),
    "a continued file": Hostile(lambda: kind(b"M", RULE, EVIL), "a continued file"),
    "a volume label": Hostile(lambda: kind(b"V", b"label"), "a volume label"),
    "pax records of Solaris": Hostile(lambda: kind(b"X", b"h", EVIL), "an entry of kind b'X'"),
    "an unknown kind": Hostile(lambda: kind(b"\xff"), "an entry of kind"),
    # A second place for name and size
    "a long name of GNU": Hostile(
        lambda: packed(member(b"././@LongLink", b"../evil.rego\0", b"L"), member(RULE, EVIL)),
        "a GNU long name",
    ),
    "a long link of GNU": Hostile(
        lambda: packed(member(b"././@LongLink", b"/etc/passwd\0", b"K"), member(b"a", b"", b"2")),
        "a GNU long link name",
    ),
    "a path in pax records": Hostile(
        lambda: pax_by_tarfile(path="../evil.rego"), "how a file is read: path"
    ),
    "a path in global pax records": Hostile(
        lambda: packed(first=member(b"h", pax(path=RULE.decode()), b"g")), "is read: path"
    ),
    "a path in pax records, which is the name": Hostile(
        lambda: packed(first=member(b"h", pax(path="./" + RULE.decode()), b"x")), "is read: path"
    ),
    "a size in pax records": Hostile(
        lambda: packed(first=member(b"h", pax(size="0"), b"x")), "how a file is read: size"
    ),
    "a size in global pax records": Hostile(
        lambda: packed(first=member(b"h", pax(size="1"), b"g")), "how a file is read: size"
    ),
    "a sparse file in pax records": Hostile(
        lambda: pax_by_tarfile(**{"GNU__sparse__major": "1", "GNU__sparse__name": "evil.rego"}),
        "GNU.sparse.major, GNU.sparse.name",
    ),
    "a character set in pax records": Hostile(
        lambda: packed(first=member(b"h", pax(hdrcharset="BINARY"), b"x")), "hdrcharset"
    ),
    "an unknown pax record": Hostile(
        lambda: pax_by_tarfile(SCHILY__realsize="1"), "SCHILY.realsize"
    ),
    "a path behind a harmless pax record": Hostile(
        lambda: pax_by_tarfile(comment="1 path=../evil.rego\n", path="../evil.rego"), "read: path"
    ),
    "a pax record that is too long": Hostile(
        lambda: packed(first=member(b"h", b"99 comment=a\n", b"x")), "a damaged record"
    ),
    "a pax record that is too short": Hostile(
        lambda: packed(first=member(b"h", b"8 path=../evil.rego\n", b"x")), "a damaged record"
    ),
    "a name over ASCII in pax records": Hostile(
        lambda: pax_by_tarfile("scopebound/é.rego"), "how a file is read: path"
    ),
    # Headers
    "a wrong checksum of a header": Hostile(
        lambda: odd(checksum=b"001234\0 "), "the checksum of the header at byte 0 is wrong"
    ),
    "a negative size": Hostile(lambda: odd(size=b"-0000000001\0"), "at byte 0 is not octal"),
    "a negative size in base 256": Hostile(lambda: odd(size=b"\xff" * 12), "is not octal"),
    "a size in base 256": Hostile(lambda: odd(size=b"\x80" + bytes(10) + b"\1"), "is not octal"),
    "a size that is not octal": Hostile(lambda: odd(size=b"00000000008\0"), "is not octal"),
    "a size with more behind it": Hostile(lambda: odd(size=b"00000000001x"), "is not octal"),
    "an empty size": Hostile(lambda: odd(size=bytes(12)), "is not octal"),
    "a size of 8 GiB": Hostile(lambda: odd(size=b"77777777777\0"), "ends inside a.rego"),
    "a size that swallows the next header": Hostile(
        lambda: odd(size=b"00000001001\0"), "no ustar, pax or GNU header"
    ),
    "a time that other readers stop at": Hostile(
        lambda: packed(with_field(member(b"scopebound/b.rego", EVIL), 136, b"1.5")), "is not octal"
    ),
    "an owner that other readers stop at": Hostile(
        lambda: packed(with_field(member(b"scopebound/b.rego", EVIL), 108, b"root")), "not octal"
    ),
    "a header of before ustar": Hostile(lambda: odd(magic=bytes(8)), "no ustar, pax or GNU header"),
    "a header in between": Hostile(
        lambda: packed(bytes(511) + b"\1"), "no ustar, pax or GNU header at byte"
    ),
    # Ends
    "a second tar after the first": Hostile(
        lambda: packed(end=END + member(RULE, EVIL) + END), "follows the end of the tar archive"
    ),
    "a member behind a block of zeros": Hostile(
        lambda: packed(end=bytes(512) + member(RULE, EVIL) + END), "follows the end of the tar"
    ),
    "a secret after the end": Hostile(
        lambda: packed(end=END + bytes(511) + b"\1"), "follows the end of the tar archive"
    ),
    "no end": Hostile(lambda: packed(end=b""), "has no end: two blocks of zeros"),
    "half an end": Hostile(lambda: packed(end=bytes(512)), "has no end: two blocks of zeros"),
    # The gzip layer
    "a second gzip member": Hostile(
        lambda: packed() + tar_gz(member(RULE, EVIL)), "follows the end of the gzip data"
    ),
    "an empty second gzip member": Hostile(
        lambda: packed() + gzip.compress(b""), "follows the end of the gzip data"
    ),
    "a zip behind the gzip": Hostile(lambda: packed() + zipped(), "follows the end of the gzip"),
    "zeros after the gzip": Hostile(lambda: packed() + bytes(512), "follows the end of the gzip"),
    "a gzip cut in its header": Hostile(lambda: packed()[:6], "the gzip data ends early"),
    "a gzip cut in its data": Hostile(lambda: packed()[:200], "the gzip data ends early"),
    "a gzip cut in its trailer": Hostile(lambda: packed()[:-3], "the gzip data ends early"),
    "a wrong CRC": Hostile(
        lambda: packed()[:-8] + b"\0\0\0\0" + packed()[-4:], "the gzip data is damaged"
    ),
    "a wrong length": Hostile(lambda: packed()[:-4] + bytes(4), "the gzip data is damaged"),
    "unknown flags of gzip": Hostile(lambda: gzip_header(0xE0, b""), "the gzip data is damaged"),
    "a wrong CRC of the gzip header": Hostile(
        lambda: gzip_header(2, b"\0\0"), "the gzip data is damaged"
    ),
    "gzip in gzip": Hostile(lambda: gzip.compress(packed()), "no ustar, pax or GNU header"),
    "a zip": Hostile(zipped, "this is not gzip"),
    "a tar": Hostile(plain_tar, "this is not gzip"),
    "a tar.bz2": Hostile(lambda: bz2.compress(plain_tar()), "this is not gzip"),
    "a tar.xz": Hostile(lambda: lzma.compress(plain_tar()), "this is not gzip"),
    "a page of HTML": Hostile(lambda: b"<!doctype html><title>502", "this is not gzip"),
    "nothing": Hostile(lambda: b"", "this is not gzip"),
    # Too much, too little
    "a bomb": Hostile(lambda: gzip.compress(bytes(64 * MIB)), "inflates to more than 8388608"),
    "a bomb behind the bundle": Hostile(
        lambda: packed(end=bytes(64 * MIB)), "inflates to more than 8388608 bytes"
    ),
    "a file over its limit": Hostile(
        lambda: packed(member(b"big.rego", b"#" * (MIB + 1))), "over the 1048576 allowed"
    ),
    "five thousand small files": Hostile(
        lambda: packed(*(member(b"r%d.rego" % n) for n in range(5_000))), "more than 512 files"
    ),
    "five thousand links": Hostile(
        lambda: packed(*(member(b"l%d" % n, b"", b"2") for n in range(5_000))), "too much is wrong"
    ),
    "an empty archive": Hostile(tar_gz, "the archive holds no file"),
    "an archive of folders": Hostile(lambda: tar_gz(member(b"./", b"", b"5")), "holds no file"),
    "no signature": Hostile(lambda: without(SIGNATURES), "the bundle is not signed"),
    "no manifest, though signed": Hostile(lambda: without("manifest.json"), "signed but missing"),
    "a signature nested for ever": Hostile(
        lambda: packed(sources={**files(), SIGNATURES: b'{"signatures":' + b"[" * 100_000}),
        "the signature file cannot be read",
    ),
    "line ends changed after signing": Hostile(
        lambda: packed(
            sources={
                **signed_files(),
                RULE.decode(): files()[RULE.decode()].replace(b"\n", b"\r\n"),
            }
        ),
        "the file is not as it was signed",
    ),
}
