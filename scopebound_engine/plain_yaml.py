"""YAML that means one thing: what is written is what is read. The only importer of yaml.

YAML 1.1 and 1.2 disagree on plain words such as `no`, `010`, `12:30` or `2026-04-29`, so none of
them is guessed at. A plain scalar is a number, a boolean or null where JSON writes it so (and null
where nothing stands); it is text where every reader takes it for text; all else is refused until it
is put in quotes. Keys are text and stand once. https://yaml.org/spec/1.2.2/#103-core-schema
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from scopebound_engine import strict_json
from scopebound_engine.errors import Finding, FindingsError, InputError

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 200_000
_WIDTH: Final = 100

_STEP: Final = "yaml"
_CORE: Final = "tag:yaml.org,2002:"
_TEXT: Final = _CORE + "str"
_UNCLEAR: Final = "!unclear"
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)"
_JSON: Final = (
    (_CORE + "null", re.compile(r"(?:null)?\Z")),
    (_CORE + "bool", re.compile(r"(?:true|false)\Z")),
    (_CORE + "int", re.compile(_NUMBER + r"\Z")),
    (_CORE + "float", re.compile(_NUMBER + r"(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")),
)
_JSON_TAGS: Final = frozenset(tag for tag, _ in _JSON)
_COLLECTION_TAGS: Final = frozenset({_CORE + "seq", _CORE + "map"})
_UNCLEAR_SCALAR: Final = (
    "{} does not mean the same to every reader of YAML; put it in quotes if it is text, or write"
    " it as JSON does (true, false, null, 10, 0.5)"
)
_FOREIGN_TAG: Final = "the tag {} is not understood; leave it out"
# What YAML 1.2's core schema takes for a number; 1.1 does not take all of it for one.
_NUMBER_1_2: Final = re.compile(
    r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)\Z"
)
# First character of a plain scalar -> what it may be, the first that fits; otherwise it is text.
# PyYAML's own table, that of YAML 1.1, says what else is not text to everyone.
_PLAIN: Final = {
    first: [*_JSON, (_UNCLEAR, _NUMBER_1_2), *((_UNCLEAR, pattern) for _, pattern in others)]
    for first, others in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class YamlError(FindingsError):
    """A text is not YAML that is read here; carries findings with lines."""


@dataclass(frozen=True, slots=True)
class Document:
    """A value and where its parts stand in the text."""

    value: Any
    _root: yaml.Node

    def line(self, path: str) -> int:
        """The line (1-based) of what is at a dotted path, or of the nearest that holds it."""
        node, line = self._root, self._root.start_mark.line + 1
        while path:
            fits = [part for part in _parts(node) if f"{path}.".startswith(f"{part[0]}.")]
            if not fits:
                break
            key, start, node = max(fits, key=lambda part: len(part[0]))
            line, path = start.start_mark.line + 1, path[len(key) + 1 :]
        return line


def load(text: str, file: str) -> Document:
    """The one document in a text; `file` is its name in findings.

    Raises YamlError.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise _unreadable(problem, file, mark) from error
    except yaml.YAMLError as error:
        raise _unreadable(" ".join(str(error).split()), file, None) from error
    except RecursionError as error:
        raise _unreadable("it is nested too deep", file, None) from error
    if root is None:
        raise _unreadable("there is nothing in it", file, None)
    reader = _Reader(file)
    value = reader.value(root)
    if reader.findings:
        raise YamlError(f"{file} is not clear", reader.findings)
    return Document(value, root)


def dump(value: Any) -> str:
    """The text of a JSON value, which `load` takes back to the same value."""
    return yaml.dump(
        value,
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=None,
        sort_keys=False,
        width=_WIDTH,
    )


def _unreadable(problem: str, file: str, mark: yaml.Mark | None) -> YamlError:
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return YamlError(f"{file} cannot be read", [Finding(_STEP, problem, file, line, column)])


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _PLAIN


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _PLAIN

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # Without its escapes U+0085 is written raw by PyYAML, and read as a line break.
        return self.represent_scalar(_TEXT, data, style=None if data.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


def _parts(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Key or index of each part, the node with which it begins, and its value."""
    if isinstance(node, yaml.SequenceNode):
        yield from ((str(index), item, item) for index, item in enumerate(node.value))
    elif isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), key, item) for key, item in node.value)


class _Reader:
    """Turns nodes into values and keeps what is wrong with them, with their paths."""

    def __init__(self, file: str) -> None:
        self.findings: list[Finding] = []
        self._file, self._count = file, 0

    def value(self, node: yaml.Node, path: tuple[str, ...] = ()) -> Any:
        """The value of a node; None where it has none, which is a finding."""
        self._count += 1
        if len(path) > MAX_DEPTH or self._count > MAX_VALUES:
            # An alias may hold itself, or others many times over.
            raise _unreadable(
                f"it is nested deeper than {MAX_DEPTH} levels or has more than {MAX_VALUES} values",
                self._file,
                node.start_mark,
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in _COLLECTION_TAGS:
            self._find(node, path, _FOREIGN_TAG.format(node.tag))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [
            self.value(item, (*path, _named(item) or str(index)))
            for index, item in enumerate(node.value)
        ]

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, item in node.value:
            key = self._key(key_node, path)
            if key in found:
                self._find(key_node, path, f"the key {strict_json.quote(key)} stands twice")
            found[key] = self.value(item, (*path, key))
        return found

    def _key(self, node: yaml.Node, path: tuple[str, ...]) -> str:
        key = self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if not isinstance(key, str) and node.tag != _UNCLEAR:
            self._find(node, path, "a key must be text; put it in quotes")
        return key if isinstance(key, str) else str(node.value)

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str, ...]) -> Any:
        try:
            if node.tag in _JSON_TAGS:
                return strict_json.loads(node.value.encode() or b"null")
            if node.tag == _TEXT:
                # Through JSON, so that NUL and lone surrogates are refused as the server does.
                return strict_json.loads(json.dumps(node.value).encode())
        except InputError as error:
            self._find(node, path, error.detail)
            return None
        unclear = _UNCLEAR_SCALAR.format(node.value)
        self._find(node, path, unclear if node.tag == _UNCLEAR else _FOREIGN_TAG.format(node.tag))
        return None

    def _find(self, node: yaml.Node, path: tuple[str, ...], mistake: str) -> None:
        message, mark = ": ".join(filter(None, (".".join(path), mistake))), node.start_mark
        self.findings.append(Finding(_STEP, message, self._file, mark.line + 1, mark.column + 1))


def _named(node: yaml.Node) -> str | None:
    """The name that a mapping gives itself."""
    names = (item.value for key, _, item in _parts(node) if key == "name")
    return next((name for name in names if isinstance(name, str)), None)
