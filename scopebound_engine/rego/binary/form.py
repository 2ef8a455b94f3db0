"""What stands in a plan's binary file: its header, its statements, and what is passed through.

The format is rego-cpp's "Rego Bundle Binary" (https://microsoft.github.io/rego-cpp/cpp/rbb.html),
version 1: a header with a CRC-32, then sections for constants, plans, functions and data, all
numbers little-endian. The document made of it has the shape of plan.json, without places: regopy
1.5.2 writes none. Files, built-ins and data are passed through as bytes; the built-ins that the
document lists are all the names that are called and not defined.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

HEADER: Final = struct.Struct("<8sBBb5xII5Q")
MAGIC: Final = b"REGOBUND"
VERSIONS: Final = (1, 1)
SIZE: Final = struct.Struct("<I")
POSITION: Final = struct.Struct("<Q")
NO_PLACE: Final = b"\x01"

# The statements by their number, with their fields in order. u: local or index, i: 64-bit integer,
# o: operand, O: list of operands, p: list of string indices, s: function, b: block, B: blocks.
STATEMENTS: Final[Mapping[int, tuple[str, tuple[tuple[str, str], ...]]]] = {
    number: (name, tuple((field, kind) for kind, field in (part.split(":") for part in parts)))
    for number, (name, *parts) in enumerate(
        (
            ("ArrayAppendStmt", "u:array", "o:value"),
            ("AssignIntStmt", "i:value", "u:target"),
            ("AssignVarOnceStmt", "o:source", "u:target"),
            ("AssignVarStmt", "o:source", "u:target"),
            ("BlockStmt", "B:blocks"),
            ("BreakStmt", "u:index"),
            ("CallDynamicStmt", "O:path", "O:args", "u:result"),
            ("CallStmt", "s:func", "O:args", "u:result"),
            ("DotStmt", "o:source", "o:key", "u:target"),
            ("EqualStmt", "o:a", "o:b"),
            ("IsArrayStmt", "o:source"),
            ("IsDefinedStmt", "u:source"),
            ("IsObjectStmt", "o:source"),
            ("IsSetStmt", "o:source"),
            ("IsUndefinedStmt", "u:source"),
            ("LenStmt", "o:source", "u:target"),
            ("MakeArrayStmt", "u:capacity", "u:target"),
            ("MakeNullStmt", "u:target"),
            ("MakeNumberIntStmt", "i:value", "u:target"),
            ("MakeNumberRefStmt", "u:index", "u:target"),
            ("MakeObjectStmt", "u:target"),
            ("MakeSetStmt", "u:target"),
            ("NotEqualStmt", "o:a", "o:b"),
            ("NotStmt", "b:block"),
            ("ObjectInsertStmt", "o:key", "o:value", "u:object"),
            ("ObjectInsertOnceStmt", "o:key", "o:value", "u:object"),
            ("ObjectMergeStmt", "u:a", "u:b", "u:target"),
            ("ResetLocalStmt", "u:target"),
            ("ResultSetAddStmt", "u:value"),
            ("ReturnLocalStmt", "u:source"),
            ("ScanStmt", "u:source", "u:key", "u:value", "b:block"),
            ("SetAddStmt", "o:value", "u:set"),
            ("WithStmt", "u:local", "o:value", "p:path", "b:block"),
        ),
        start=1,
    )
}
# The fields of a statement by its name, each with how it is written.
FIELDS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = dict(STATEMENTS.values())


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a file is passed through: the parts before and after the strings, and the data."""

    locals: int
    files: bytes
    builtins: bytes
    data: bytes

    def without_files(self) -> "Frame":
        """The same without the text of the modules, which nothing refers to but places."""
        return replace(self, files=self.files[:1] + SIZE.pack(0))

    def declares(self, builtin: str) -> bool:
        """Whether a built-in of this name is called, which the engine may know by name alone."""
        return text(builtin) in self.builtins


def text(value: str) -> bytes:
    """A text as it is written: its size in bytes, and UTF-8."""
    data = value.encode("utf-8")
    return SIZE.pack(len(data)) + data
