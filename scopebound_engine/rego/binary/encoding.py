"""A plan's binary file, written."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.rego.binary.form import (
    HEADER,
    MAGIC,
    NO_PLACE,
    POSITION,
    SIZE,
    STATEMENTS,
    VERSIONS,
    Frame,
    text,
)

_PLANS: Final = b"\x02"
_FUNCTIONS: Final = b"\x03"
_BY_NAME: Final = {
    name: (bytes([number]) + NO_PLACE, fields) for number, (name, fields) in STATEMENTS.items()
}


class Encoder:
    """Writes plans that share a document, each with the functions that it needs."""

    def __init__(self, document: Mapping[str, Any], frame: Frame) -> None:
        self._frame = frame
        strings = [text(entry["value"]) for entry in document["static"]["strings"]]
        self._static = frame.files + _list(strings) + frame.builtins
        self._plans = {
            plan["name"]: text(plan["name"]) + _blocks(plan["blocks"])
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
        body, positions = self._static, [HEADER.size]
        chosen = {name: self._plans[name] for name in plans}
        for mark, parts in (
            (_PLANS, chosen),
            (_FUNCTIONS, {name: changed.get(name) or self._functions[name] for name in functions}),
        ):
            section, table = _with_table(mark, parts, HEADER.size + len(body))
            positions.append(HEADER.size + len(body) + len(section))
            body += section + table
        positions.append(HEADER.size + len(body))
        body += self._frame.data
        counts = (self._frame.locals, zlib.crc32(body), len(body))
        return HEADER.pack(MAGIC, *VERSIONS, -1, *counts, *positions) + body


def _with_table(mark: bytes, parts: Mapping[str, bytes], start: int) -> tuple[bytes, bytes]:
    section, entries = mark + SIZE.pack(len(parts)), []
    positions: list[bytes] = []
    at = start + len(section)
    for name, part in parts.items():
        positions.append(text(name) + POSITION.pack(at))
        at += len(part)
        entries.append(part)
    # The engine writes its tables sorted by name.
    table = POSITION.pack(start) + _list(sorted(positions, key=lambda entry: entry[4:-8]))
    return section + b"".join(entries), table


def _function(function: Mapping[str, Any]) -> bytes:
    path = [text(part) for part in function["path"]]
    params = [SIZE.pack(number) for number in function["params"]]
    return b"".join(
        (
            text(function["name"]),
            *(bytes([len(path)]), *path),
            *(bytes([len(params)]), *params),
            SIZE.pack(function["return"]),
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
    return (b"\x01" if kind == "local" else b"\x02") + SIZE.pack(value)


def _block(block: Mapping[str, Any]) -> bytes:
    return _list([_statement(statement) for statement in block["stmts"]])


def _blocks(blocks: Sequence[Mapping[str, Any]]) -> bytes:
    return _list([_block(block) for block in blocks])


def _list(parts: Sequence[bytes]) -> bytes:
    return SIZE.pack(len(parts)) + b"".join(parts)


_WRITE: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "u": SIZE.pack,
    "i": lambda value: value.to_bytes(8, "little", signed=True),
    "o": _operand,
    "O": lambda values: bytes([len(values)]) + b"".join(map(_operand, values)),
    "p": lambda values: bytes([len(values)]) + b"".join(map(SIZE.pack, values)),
    "s": text,
    "b": _block,
    "B": _blocks,
}
