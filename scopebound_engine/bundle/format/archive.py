"""A bundle's bytes: a tar.gz in and a map of files out, and back again reproducibly.

What `read` returns is safe to hand on as names and bytes: bounded, unique, of the few kinds that a
bundle holds. It says nothing about who wrote it; that is `signature.verify`.
"""

import re
import struct
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from scopebound_engine.bundle.format import manifest
from scopebound_engine.bundle.format.envelope import SIGNATURES
from scopebound_engine.bundle.format.tar import BLOCK, Member, inflate, members, printable
from scopebound_engine.errors import ArchiveError, Finding

DATA: Final = "data.json"
_ROOT_FILES: Final = frozenset({manifest.FILE, manifest.OPA_FILE, SIGNATURES})
_HOLDS: Final = "a bundle holds .rego, data.json, manifest.json, .manifest and .signatures.json"
# Lower case only and no dot at the end: on some disks such names are one file with another.
_SEGMENT: Final = r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_-])?"
_NAME: Final = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file, "Naming Conventions"
_DEVICE: Final = re.compile(r"(^|/)(con|prn|aux|nul|(com|lpt)[0-9])([./]|$)")
_SMALLER: Final = "leave out what is not policy"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold at most. Bytes are counted inflated."""

    inflated_bytes: int = 8 << 20
    file_bytes: int = 1 << 20
    files: int = 512
    name_bytes: int = 200


LIMITS: Final = Limits()


def read(data: bytes, limits: Limits = LIMITS) -> dict[str, bytes]:
    """The files of a tar.gz by name (`scopebound/main.rego`), sorted.

    Raises ArchiveError with a finding for everything wrong, as far as it can be read.
    """
    files: dict[str, bytes] = {}
    findings: list[Finding] = []
    try:
        for member in members(inflate(data, limits.inflated_bytes), findings):
            _admit(member, files, findings, limits)
    except ArchiveError as lost:
        findings.extend(lost.findings)
    findings.extend(_nested(files))
    if not files and not findings:
        findings.append(Finding("bytes", "the archive holds no file", remedy=_HOLDS))
    if findings:
        raise ArchiveError("the archive is not a bundle", findings)
    return dict(sorted(files.items()))


def write(files: Mapping[str, bytes], limits: Limits = LIMITS) -> bytes:
    """The tar.gz of these files; the same files give the same bytes (with the same zlib).

    It is read back, so what `read` would refuse raises ArchiveError here.
    """
    tar = b"".join(_member(name, files[name]) for name in sorted(files)) + bytes(2 * BLOCK)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # RFC 1952, 2.3.1: no flags, no time, slowest compression, operating system unknown.
    data = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + packer.compress(tar) + packer.flush()
    data += struct.pack("<LL", zlib.crc32(tar), len(tar))
    read(data, limits)
    return data


def refusals(names: Iterable[str]) -> list[Finding]:
    """Why files of these names cannot be in a bundle; nothing where they all can."""
    return [finding for name in names if (finding := _refusal(name, LIMITS))]


def _admit(
    member: Member, files: dict[str, bytes], findings: list[Finding], limits: Limits
) -> None:
    # `tar -C FOLDER .` writes ./name, `opa build` writes /name.
    name = re.sub(r"^(?:\.?/)+", "", member.name)
    refusal = _refusal(name, limits)
    if refusal is not None:
        findings.append(refusal)
    elif name in files:
        remedy = "pack the folder anew; tar -r adds a second copy"
        findings.append(Finding("bytes", "the file is there twice", name, remedy=remedy))
    elif len(member.data) > limits.file_bytes:
        what = f"the file has {len(member.data)} bytes, over the {limits.file_bytes} allowed"
        findings.append(Finding("bytes", what, name, remedy=_SMALLER))
    else:
        files[name] = member.data
    if len(files) > limits.files:
        what = f"it holds more than {limits.files} files; the rest was not read"
        raise ArchiveError("the archive cannot be read", [Finding("bytes", what, remedy=_SMALLER)])


def _refusal(name: str, limits: Limits) -> Finding | None:
    path, message, remedy = PurePosixPath(name), "", ""
    if name in _ROOT_FILES:
        return None
    if len(name.encode()) > limits.name_bytes:
        message, remedy = f"the name has more than {limits.name_bytes} bytes", "shorten it"
    elif path.name.startswith("._"):
        message = "macOS put its own metadata into the archive"
        remedy = "write it with: COPYFILE_DISABLE=1 tar -czf …"
    elif ".." in path.parts:
        message, remedy = "the name leads out of the bundle", "pack its folder: tar -C FOLDER ."
    elif not _NAME.fullmatch(name):
        message = "not a name of a bundle's file"
        remedy = "use lower-case ASCII letters, digits, '_', '-' and '.'; nothing hidden"
    elif _DEVICE.search(name):
        message, remedy = "the name of a device on Windows", "rename it"
    elif path.name in {"data.yaml", "data.yml"}:
        message, remedy = "YAML is not read here", "write it as data.json"
    elif path.suffix != ".rego" and path.name != DATA:
        message, remedy = "a file that has no place in a bundle", _HOLDS
    return Finding("bytes", message, printable(name), remedy=remedy) if message else None


def _nested(files: Mapping[str, bytes]) -> list[Finding]:
    return [
        Finding("bytes", f"{parent} is a file and a folder at once", name, remedy="rename one")
        for name in files
        for parent in map(str, PurePosixPath(name).parents)
        if parent in files
    ]


def _member(name: str, content: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    try:
        header = info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except ValueError as error:
        finding = Finding("bytes", f"no tar header can hold the name: {error}", printable(name))
        raise ArchiveError("the files do not fit an archive", [finding]) from error
    return header + content + bytes(-len(content) % BLOCK)
