"""Values of an evaluation with where they come from, and how they are read out of the engine.

They are read node by node, typed: what a string holds never counts for anything but a string.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError
from scopebound_engine.rego import native

# Nodes of one value; a larger one is not looked at any closer.
_MOST: Final = 20_000
_CONSTANTS: Final = {native.TRUE: True, native.FALSE: False, native.NULL: None}


class Set(list[Any]):
    """The elements of a set."""


class Unknown:
    """A value that is not known here."""


UNKNOWN: Final = Unknown()
# The steps to a value from one of the documents, "input" or "data".
Path = tuple[str | int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """`content` is JSON, a Set, or UNKNOWN. `path` is where it stands, `maker` the built-in whose
    result it is, `element` whether it was met while going through what a rule gave.
    """

    content: Any
    path: Path | None = None
    maker: str = ""
    element: bool = False

    def at(self, key: "Value") -> "Value | None":
        """What it holds under a key; None where there is nothing."""
        content, step = self.content, key.content
        if content is UNKNOWN or step is UNKNOWN:
            return Value(UNKNOWN)
        found = held(content, step)
        if found is None:
            return None
        if self.path is None or type(step) not in (str, int):
            return Value(found[0])
        return Value(found[0], (*self.path, step))


NOTHING: Final = Value(UNKNOWN)


def held(content: Any, step: Any) -> tuple[Any] | None:
    """What a document holds under a key, alone in a tuple; None where there is nothing."""
    if isinstance(content, Set):
        return (step,) if step in content else None
    if type(content) is dict and type(step) is str and step in content:
        return (content[step],)
    if type(content) is list and type(step) is int and 0 <= step < len(content):
        return (content[step],)
    return None


def read(node: int) -> Any:
    """The content of a node; UNKNOWN where it is no value that JSON can carry, or too large."""
    return _Reader().read(node)


def text_of(node: int) -> str | None:
    """The text of a string; None for anything else."""
    return _text(node) if native.node_kind(node) == native.STRING else None


def _text(node: int) -> str | None:
    body = native.node_value(node)
    # Some built-ins leave the quotes on; an escaped body has no bare quote in it.
    quoted = body if body.startswith(b'"') else b'"' + body + b'"'
    try:
        return str(json.loads(quoted))
    except ValueError:
        return None


class _Reader:
    def __init__(self) -> None:
        self._left = _MOST

    def read(self, node: int) -> Any:
        self._left -= 1
        if self._left < 0:
            return UNKNOWN
        kind = native.node_kind(node)
        if kind == native.STRING:
            text = _text(node)
            return UNKNOWN if text is None else text
        if kind == native.OBJECT:
            return self._object(native.node_children(node))
        if kind in (native.ARRAY, native.SET):
            items = [self.read(child) for child in native.node_children(node)]
            return _known(Set(items) if kind == native.SET else items, items)
        if kind in (native.INT, native.FLOAT):
            return _number(native.node_value(node))
        return _CONSTANTS.get(kind, UNKNOWN)

    def _object(self, items: Sequence[int]) -> Any:
        result: dict[str, Any] = {}
        for item in items:
            key, value = (native.node_child(item, index) for index in (0, 1))
            name = text_of(key)
            if name is None:
                return UNKNOWN
            result[name] = self.read(value)
        return _known(result, result.values())


def _known(whole: Any, parts: Any) -> Any:
    return UNKNOWN if any(part is UNKNOWN for part in parts) else whole


def _number(text: bytes) -> Any:
    try:
        return strict_json.loads(text)
    except InputError:
        return UNKNOWN
