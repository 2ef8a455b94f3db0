"""A plan's binary file, read."""

import zlib
from collections.abc import Mapping
from typing import Any, Final

from scopebound_engine.errors import EngineError
from scopebound_engine.rego.binary.form import (
    HEADER,
    MAGIC,
    NO_PLACE,
    POSITION,
    SIZE,
    STATEMENTS,
    VERSIONS,
    Frame,
)

_OPERANDS: Final[Mapping[int, dict[str, Any]]] = {
    3: {"type": "bool", "value": True},
    4: {"type": "bool", "value": False},
}


def decode(data: bytes) -> tuple[dict[str, Any], Frame]:
    """The plan in a binary file, and what else is needed to write it again. Raises EngineError."""
    magic, *versions, _query, count, checksum, size, static, plans, functions, values = (
        HEADER.unpack_from(data)
    )
    if magic != MAGIC or tuple(versions) != VERSIONS or len(data) != HEADER.size + size:
        raise EngineError("the Rego engine wrote a plan in a form that is not known here")
    if zlib.crc32(data[HEADER.size :]) != checksum:
        raise EngineError("the Rego engine wrote a damaged plan")
    reader = _Reader(data, static + 1)
    for _ in range(reader.size()):
        reader.text(), reader.text()
    files = data[static : reader.at]
    strings = [{"value": reader.text()} for _ in range(reader.size())]
    builtins = data[reader.at : POSITION.unpack_from(data, plans)[0]]
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
    reader.at = POSITION.unpack_from(data, table)[0] + 1
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
        (value,) = SIZE.unpack_from(self._data, self.at)
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
        if kind not in STATEMENTS or place != NO_PLACE[0]:
            raise EngineError("the Rego engine wrote a statement that is not known here")
        name, fields = STATEMENTS[kind]
        return {"type": name, "stmt": {field: self._read[code]() for field, code in fields}}
