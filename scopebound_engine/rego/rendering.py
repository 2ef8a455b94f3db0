"""Values of the engine as Rego writes them, for people: bounded, and a set is not an array.

Read off the tree of nodes, which no string in it can forge. For child processes only.
"""

import json
from collections.abc import Iterator
from typing import Final

from scopebound_engine.rego import native

MORE: Final = "…"
_WORDS: Final = {native.TRUE: "true", native.FALSE: "false", native.NULL: "null"}
# Of a set as many elements are looked at, and so much of each.
_ELEMENTS: Final = 200
_ELEMENT: Final = 400
_BRACKETS: Final = {
    native.ARRAY: ("[", "]"),
    native.OBJECT: ("{", "}"),
}


def rendered(node: int, limit: int) -> str:
    """The value of a node; what is longer than `limit` characters ends with `MORE`."""
    text = ""
    for part in _parts(_value(node)):
        text += part
        if len(text) > limit:
            return text[: limit - len(MORE)] + MORE
    return text


def pairs(node: int, limit: int, most: int) -> list[tuple[list[str], str]]:
    """The first so many elements of an array of pairs, each of an array and a value."""
    return [
        (
            [rendered(part, limit) for part in native.node_children(native.node_child(pair, 0))],
            rendered(native.node_child(pair, 1), limit),
        )
        for pair in native.node_children(_value(node))[:most]
    ]


def _value(node: int) -> int:
    """The value in what a query gives: results and terms hold one each."""
    while native.node_kind(node) in (native.RESULTS, native.RESULT, native.TERMS):
        node = native.node_child(node, 0)
    return node


def _parts(node: int) -> Iterator[str]:
    kind = native.node_kind(node)
    if kind == native.SET:
        yield _set(node)
    elif kind in _BRACKETS:
        yield from _collection(node, *_BRACKETS[kind])
    elif kind == native.STRING:
        yield _string(native.node_value(node))
    elif kind in _WORDS:
        yield _WORDS[kind]
    elif kind in (native.INT, native.FLOAT):
        yield native.node_value(node).decode("ascii", "replace")
    else:
        yield f"(node of kind {kind})"


def _collection(node: int, opening: str, closing: str) -> Iterator[str]:
    children = native.node_size(node)
    for index in range(children):
        yield ", " if index else opening
        child = native.node_child(node, index)
        if native.node_kind(child) == native.OBJECT_ITEM:
            yield from _parts(native.node_child(child, 0))
            yield ": "
            child = native.node_child(child, 1)
        yield from _parts(child)
    yield closing if children else opening + closing


def _set(node: int) -> str:
    """In the order of the texts: two sets that are the same look the same."""
    elements = native.node_children(node)
    if not elements:
        return "set()"
    texts = sorted(rendered(element, _ELEMENT) for element in elements[:_ELEMENTS])
    more = [MORE] if len(elements) > _ELEMENTS else []
    return "{" + ", ".join([*texts, *more]) + "}"


def _string(body: bytes) -> str:
    # Some built-ins leave the quotes on; others leave a string unescaped, which is shown as it is.
    quoted = body if body.startswith(b'"') and len(body) > 1 else b'"' + body + b'"'
    try:
        return json.dumps(json.loads(quoted), ensure_ascii=False)
    except ValueError:
        return json.dumps(body.decode("utf-8", "replace"), ensure_ascii=False)
