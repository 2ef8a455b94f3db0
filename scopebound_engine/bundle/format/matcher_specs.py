"""The matchers that a manifest declares: patterns that the engine tries before a policy is asked.

`{"name": {"path": "<JSON Pointer>", "<operator>": "<pattern>" | ["<pattern>", …]}}`; of several
patterns one has to match. This module reads them and tells what is wrong with their shape; whether
RE2 accepts a regex is told by `bundle/matchers.py`, which this must not load.

A path is a JSON Pointer (https://www.rfc-editor.org/rfc/rfc6901) to a text of the Rego input.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from scopebound_engine.strict_json import quote, type_name

MAX_MATCHERS: Final = 64
# Of all matchers together: RE2 keeps up to 2 MiB for each, in every worker.
MAX_PATTERNS: Final = 256
MAX_PATTERN_CHARACTERS: Final = 2_000
_LONGEST_PATH: Final = 256

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])+)+")
_PLACES: Final = "/tool_name, /mcp_server, /child/role, /call_args/… or /claims/…"
_TEXTS: Final = (("tool_name",), ("mcp_server",), ("child", "role"))
_OBJECTS: Final = ("call_args", "claims")
_NETWORK: Final = re.compile(r"[0-9A-Fa-f.:]+/[0-9]+")
_GLOB_PIECE: Final = re.compile(r"\\(?P<literal>.)|(?P<wild>\*+|\?)|(?P<plain>[^\\])", re.S)
# IPv6 that leads to the IPv4 address it holds: RFC 4291 2.5.5, RFC 2765 2.1, RFC 6052 2.1,
# RFC 8215, RFC 3056, RFC 4380.
_HOLDING_IPV4: Final = [
    ipaddress.IPv6Network(holding)
    for holding in (
        *("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"),
        *("2002::/16", "2001::/32"),
    )
]
_HOLDING_NONE: Final = {ipaddress.IPv6Network("::/128"), ipaddress.IPv6Network("::1/128")}

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class MatcherSpec:
    """One matcher as declared; `operator` is a key of OPERATORS."""

    path: str
    operator: str
    patterns: tuple[str, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """The keys that the path goes by."""
        return tuple(
            step.replace("~1", "/").replace("~0", "~") for step in self.path.split("/")[1:]
        )


def read(raw: Mapping[str, Mapping[str, Any]]) -> Mapping[str, MatcherSpec]:
    """The matchers by name, of a document in which nothing is wrong."""
    specs = {}
    for name, fields in raw.items():
        (operator,) = fields.keys() - {"path"}
        specs[name] = MatcherSpec(fields["path"], operator, tuple(_listed(fields[operator])))
    return MappingProxyType(specs)


def wrong(raw: Any) -> Iterator[str]:
    """A sentence for each thing wrong with the field `matchers`."""
    if not isinstance(raw, dict):
        yield f"matchers is {type_name(raw)}, not an object"
        return
    if len(raw) > MAX_MATCHERS:
        yield f"matchers has {len(raw)} entries; at most {MAX_MATCHERS} are computed for a call"
    patterns = sum(_counts(raw))
    if patterns > MAX_PATTERNS:
        yield f"matchers has {patterns} patterns; at most {MAX_PATTERNS} are kept"
    for name, fields in raw.items():
        if not _NAME.fullmatch(name):
            what = "a matcher's name is 1 to 64 of a-z, 0-9 and '_', a letter first"
            yield f"matchers: {quote(name[:64])} is no name: {what}"
        for sentence in _wrong_fields(fields):
            yield f"matchers.{name[:64]}: {sentence}"


def network(pattern: str) -> IPNetwork:
    """The addresses that a cidr pattern names. Raises ValueError that says what is wrong."""
    if not _NETWORK.fullmatch(pattern):
        raise ValueError("write an address and the length of its prefix, like 10.0.0.0/8")
    named = ipaddress.ip_network(pattern)
    if holds_ipv4(named):
        raise ValueError("IPv4 addresses written as IPv6 are never matched; write the IPv4 network")
    return named


def holds_ipv4(network: IPNetwork) -> bool:
    """Whether all its addresses are IPv6 that stands for IPv4: a way around a rule about either."""
    if not isinstance(network, ipaddress.IPv6Network) or network in _HOLDING_NONE:
        return False
    return any(network.subnet_of(holding) for holding in _HOLDING_IPV4)


def glob_regex(glob: str) -> str:
    r"""The RE2 pattern that matches what a glob does, which is always the whole text.

    `*` stands for any run of characters, `?` for one, both without `/`, `@` and the control
    characters U+0000 to U+001F and U+007F; `**` for any run of any characters; `\` makes the next
    character itself. Raises ValueError for what other globs have beyond this.
    """
    return rf"\A{''.join(_glob_pieces(glob))}\z"


_WILD: Final = {"**": r"(?s:.*)", "*": r"[^/@\x00-\x1f\x7f]*", "?": r"[^/@\x00-\x1f\x7f]"}


def _glob_pieces(glob: str) -> Iterator[str]:
    end = 0
    for piece in _GLOB_PIECE.finditer(glob):
        if (wild := piece["wild"]) is None:
            yield _literal(piece["literal"], piece["plain"])
        elif wild not in _WILD:
            raise ValueError("more than two * in a row say nothing that ** does not")
        else:
            yield _WILD[wild]
        end = piece.end()
    if end != len(glob):
        raise ValueError(r"a \ at the end stands for nothing; write \\ for itself")


def _literal(escaped: str | None, plain: str | None) -> str:
    if plain is not None and plain in "[]{}":
        raise ValueError(
            f"{plain} is not a wildcard here: write several patterns or a regex, or \\{plain} for "
            "the character itself"
        )
    return re.escape(escaped or plain or "")


def _no_check(_pattern: str) -> None:
    """Any text will do."""


# What each operator demands of a pattern; raises ValueError.
OPERATORS: Final[Mapping[str, Callable[[str], object]]] = {
    "regex": _no_check,
    "glob": glob_regex,
    "cidr": network,
    "prefix": _no_check,
    "suffix": _no_check,
    "casefold_equals": _no_check,
}


def _wrong_fields(fields: Any) -> Iterator[str]:
    if not isinstance(fields, dict):
        yield f"it is {type_name(fields)}, not an object"
        return
    operators = [name for name in fields if name != "path"]
    if "path" not in fields or len(operators) != 1 or operators[0] not in OPERATORS:
        yield f"it must have exactly path and one of {', '.join(OPERATORS)}"
        return
    yield from _wrong_path(fields["path"])
    yield from _wrong_patterns(operators[0], fields[operators[0]])


def _wrong_path(path: Any) -> Iterator[str]:
    if not (isinstance(path, str) and len(path) <= _LONGEST_PATH and _POINTER.fullmatch(path)):
        yield f"path must be a JSON Pointer, one of {_PLACES}"
        return
    steps = MatcherSpec(path, "", ()).steps
    if steps not in _TEXTS and (len(steps) < 2 or steps[0] not in _OBJECTS):
        yield f"path {quote(path)} names nothing that is matched; write {_PLACES}"


def _wrong_patterns(operator: str, patterns: Any) -> Iterator[str]:
    listed = _listed(patterns)
    if not listed:
        yield f"{operator} is an empty list, which nothing matches; write a pattern"
    for pattern in listed:
        if not isinstance(pattern, str):
            yield f"a {operator} is {type_name(pattern)}, not a string"
        elif not 0 < len(pattern) <= MAX_PATTERN_CHARACTERS:
            yield f"a {operator} must have 1 to {MAX_PATTERN_CHARACTERS} characters"
        else:
            yield from _refused(operator, pattern)


def _refused(operator: str, pattern: str) -> Iterator[str]:
    try:
        OPERATORS[operator](pattern)
    except ValueError as error:
        yield f"{operator} {quote(pattern[:64])}: {error}"


def _listed(patterns: Any) -> list[Any]:
    return patterns if isinstance(patterns, list) else [patterns]


def _counts(raw: Mapping[str, Any]) -> Iterator[int]:
    """How many patterns each matcher has."""
    for fields in raw.values():
        if isinstance(fields, dict):
            yield sum(len(_listed(fields[name])) for name in fields if name != "path")
