"""The engine's binary form of a plan, read and written: twenty times faster than its JSON.

The format is rego-cpp's "Rego Bundle Binary" (https://microsoft.github.io/rego-cpp/cpp/rbb.html),
version 1: a header with a CRC-32, then sections for constants, plans, functions and data, all
numbers little-endian. The document made of it has the shape of plan.json, without places: regopy
1.5.2 writes none. Files, built-ins and data are passed through as bytes; the built-ins that the
document lists are all the names that are called and not defined.
"""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scopebound_engine.errors import EngineError

_HEADER: Final = struct.Struct("<8sBBb5xII5Q")
_MAGIC: Final = b"REGOBUND"
_VERSIONS: Final = (1, 1)
_SIZE: Final = struct.Struct("<I")
_POSITION: Final = struct.Struct("<Q")
_PLANS: Final = b"\x02"
_FUNCTIONS: Final = b"\x03"
_NO_PLACE: Final = b"\x01"

# The statements by their number, with their fields in order. u: local or index, i: 64-bit integer,
# o: operand, O: list of operands, p: list of string indices, s: function, b: block, B: blocks.
_STATEMENTS: Final[Mapping[int, tuple[str, tuple[tuple[str, str], ...]]]] = {
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
FIELDS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = dict(_STATEMENTS.values())
_BY_NAME: Final = {
    name: (bytes([number]) + _NO_PLACE, fields) for number, (name, fields) in _STATEMENTS.items()
}
_OPERANDS: Final[Mapping[int, dict[str, Any]]] = {
    3: {"type": "bool", "value": True},
    4: {"type": "bool", "value": False},
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a file is passed through: the parts before and after the strings, and the data."""

    locals: int
    files: bytes
    builtins: bytes
    data: bytes

    def without_files(self) -> "Frame":
        """The same without the text of the modules, which nothing refers to but places."""
        return replace(self, files=self.files[:1] + _SIZE.pack(0))

    def declares(self, builtin: str) -> bool:
        """Whether a built-in of this name is called, which the engine may know by name alone."""
        return _text(builtin) in self.builtins


def decode(data: bytes) -> tuple[dict[str, Any], Frame]:
    """The plan in a binary file, and what else is needed to write it again. Raises EngineError."""
    magic, *versions, _query, count, checksum, size, static, plans, functions, values = (
        _HEADER.unpack_from(data)
    )
    if magic != _MAGIC or tuple(versions) != _VERSIONS or len(data) != _HEADER.size + size:
        raise EngineError("the Rego engine wrote a plan in a form that is not known here")
    if zlib.crc32(data[_HEADER.size :]) != checksum:
        raise EngineError("the Rego engine wrote a damaged plan")
    reader = _Reader(data, static + 1)
    for _ in range(reader.size()):
        reader.text(), reader.text()
    files = data[static : reader.at]
    strings = [{"value": reader.text()} for _ in range(reader.size())]
    builtins = data[reader.at : _POSITION.unpack_from(data, plans)[0]]
    document: dict[str, Any] = {
        "plans": {"plans": _section(reader, data, plans, reader.plan)},
        "funcs": {"funcs": _section(reader, data, functions, reader.function)},
    }
    defined = {function["name"] for function in document["funcs"]["funcs"]}
    called = [{"name": name, "decl": {}} for name in sorted(reader.called - defined)]
    document["static"] = {"strings": strings, "files": [], "builtin_funcs": called}
    return document, Frame(count, files, builtins, data[values:])


def _section(reader: "_Reader", data: bytes, table: int, read: Any) -> list[dict[str, Any]]:
    # A section's pointer leads to its table of positions, which begins with the section's own.
    reader.at = _POSITION.unpack_from(data, table)[0] + 1
    return [read() for _ in range(reader.size())]


class _Reader:
    """Reads a file from a position on, which moves."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at
        self.called: set[str] = set()
        self._read = {
            "u": self.size,
            "i": self._integer,
            "o": self._operand,
            "O": lambda: [self._operand() for _ in range(self._byte())],
            "p": lambda: [self.size() for _ in range(self._byte())],
            "s": self._callee,
            "b": self._block,
            "B": self._blocks,
        }

    def plan(self) -> dict[str, Any]:
        return {"name": self.text(), "blocks": self._blocks()}

    def function(self) -> dict[str, Any]:
        return {
            "name": self.text(),
            "path": [self.text() for _ in range(self._byte())],
            "params": [self.size() for _ in range(self._byte())],
            "return": self.size(),
            "blocks": self._blocks(),
        }

    def size(self) -> int:
        (value,) = _SIZE.unpack_from(self._data, self.at)
        self.at += 4
        return int(value)

    def text(self) -> str:
        size = self.size()
        self.at += size
        return self._data[self.at - size : self.at].decode("utf-8")

    def _callee(self) -> str:
        name = self.text()
        self.called.add(name)
        return name

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _integer(self) -> int:
        self.at += 8
        return int.from_bytes(self._data[self.at - 8 : self.at], "little", signed=True)

    def _operand(self) -> dict[str, Any]:
        kind = self._byte()
        if kind in _OPERANDS:
            return _OPERANDS[kind]
        return {"type": "local" if kind == 1 else "string_index", "value": self.size()}

    def _block(self) -> dict[str, Any]:
        return {"stmts": [self._statement() for _ in range(self.size())]}

    def _blocks(self) -> list[dict[str, Any]]:
        return [self._block() for _ in range(self.size())]

    def _statement(self) -> dict[str, Any]:
        kind, place = self._byte(), self._byte()
        if kind not in _STATEMENTS or place != _NO_PLACE[0]:
            raise EngineError("the Rego engine wrote a statement that is not known here")
        name, fields = _STATEMENTS[kind]
        return {"type": name, "stmt": {field: self._read[code]() for field, code in fields}}


class Encoder:
    """Writes plans that share a document, each with the functions that it needs."""

    def __init__(self, document: Mapping[str, Any], frame: Frame) -> None:
        self._frame = frame
        strings = [_text(entry["value"]) for entry in document["static"]["strings"]]
        self._static = frame.files + _list(strings) + frame.builtins
        self._plans = {
            plan["name"]: _text(plan["name"]) + _blocks(plan["blocks"])
            for plan in document["plans"]["plans"]
        }
        self._functions = {
            function["name"]: _function(function) for function in document["funcs"]["funcs"]
        }

    def encode(
        self,
        plans: Sequence[str],
        functions: Sequence[str],
        instead: Sequence[Mapping[str, Any]] = (),
    ) -> bytes:
        """The file with these plans and functions, by name.

        Functions of the document's kind in `instead` take the place of those of their names.
        """
        changed = {function["name"]: _function(function) for function in instead}
        body, positions = self._static, [_HEADER.size]
        chosen = {name: self._plans[name] for name in plans}
        for mark, parts in (
            (_PLANS, chosen),
            (_FUNCTIONS, {name: changed.get(name) or self._functions[name] for name in functions}),
        ):
            section, table = _with_table(mark, parts, _HEADER.size + len(body))
            positions.append(_HEADER.size + len(body) + len(section))
            body += section + table
        positions.append(_HEADER.size + len(body))
        body += self._frame.data
        counts = (self._frame.locals, zlib.crc32(body), len(body))
        return _HEADER.pack(_MAGIC, *_VERSIONS, -1, *counts, *positions) + body


def _with_table(mark: bytes, parts: Mapping[str, bytes], start: int) -> tuple[bytes, bytes]:
    section, entries = mark + _SIZE.pack(len(parts)), []
    positions: list[bytes] = []
    at = start + len(section)
    for name, part in parts.items():
        positions.append(_text(name) + _POSITION.pack(at))
        at += len(part)
        entries.append(part)
    # The engine writes its tables sorted by name.
    table = _POSITION.pack(start) + _list(sorted(positions, key=lambda entry: entry[4:-8]))
    return section + b"".join(entries), table


def _function(function: Mapping[str, Any]) -> bytes:
    path = [_text(part) for part in function["path"]]
    params = [_SIZE.pack(number) for number in function["params"]]
    return b"".join(
        (
            _text(function["name"]),
            *(bytes([len(path)]), *path),
            *(bytes([len(params)]), *params),
            _SIZE.pack(function["return"]),
            _blocks(function["blocks"]),
        )
    )


def _statement(statement: Mapping[str, Any]) -> bytes:
    head, fields = _BY_NAME[statement["type"]]
    values = statement["stmt"]
    return head + b"".join([_WRITE[code](values[field]) for field, code in fields])


def _operand(operand: Mapping[str, Any]) -> bytes:
    kind, value = operand["type"], operand["value"]
    if kind == "bool":
        return b"\x03" if value else b"\x04"
    return (b"\x01" if kind == "local" else b"\x02") + _SIZE.pack(value)


def _block(block: Mapping[str, Any]) -> bytes:
    return _list([_statement(statement) for statement in block["stmts"]])


def _blocks(blocks: Sequence[Mapping[str, Any]]) -> bytes:
    return _list([_block(block) for block in blocks])


def _list(parts: Sequence[bytes]) -> bytes:
    return _SIZE.pack(len(parts)) + b"".join(parts)


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return _SIZE.pack(len(data)) + data


_WRITE: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "u": _SIZE.pack,
    "i": lambda value: value.to_bytes(8, "little", signed=True),
    "o": _operand,
    "O": lambda values: bytes([len(values)]) + b"".join(map(_operand, values)),
    "p": lambda values: bytes([len(values)]) + b"".join(map(_SIZE.pack, values)),
    "s": _text,
    "b": _block,
    "B": _blocks,
}
