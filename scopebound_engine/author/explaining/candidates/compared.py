"""What an author's own rules compared: each comparison turned around.

A rule that denies because `input.call_args.amount > 500` held is left alone by 500; one that asks
whether a value is listed, by one that is.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from scopebound_engine.author.explaining.candidates.arguments import allowed
from scopebound_engine.author.explaining.candidates.change import (
    Change,
    argument,
    closest,
    role,
    shown,
)
from scopebound_engine.author.explaining.samples import matching
from scopebound_engine.author.explaining.world import REMOVED, Document, Edit, at
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.format.matcher_specs import MatcherSpec
from scopebound_engine.rego.tracing.told import Comparison, Fired

_MIRRORED: Final = {"lt": "gt", "gt": "lt", "lte": "gte", "gte": "lte"}
_TURNED: Final = {"lt": "gte", "gte": "lt", "gt": "lte", "lte": "gt"}
_EQUAL: Final = ("Equal", "equal")
_MEMBER: Final = "internal.member_2"
_MOST: Final = 6
# Behind what the role itself says of arguments.
_COST: Final = 1.2
_DROPPED: Final = 1.5


def changes(document: Document, fired: Sequence[Fired], manifest: Manifest) -> Iterator[Change]:
    """Those of what the rules that denied compared."""
    for comparison in dict.fromkeys(
        map(_Once, (one for rule in fired for one in rule.comparisons))
    ):
        first, *rest = comparison.of.path
        values = list(_turned(comparison.of, at(document, comparison.of.path)))[:_MOST]
        if first == "call_args" and rest:
            for value in values:
                yield argument(document, rest, value, _DROPPED if value is REMOVED else _COST)
        elif first == "claims" and rest:
            for value in values:
                yield from _claim(document, rest, value)
        elif first == "matches" and len(rest) == 1 and rest[0] in manifest.matchers:
            yield from _matched(document, manifest.matchers[rest[0]])


class _Once:
    """A comparison that equals others of its values."""

    def __init__(self, of: Comparison) -> None:
        self.of = of
        self._key = repr(of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _turned(comparison: Comparison, actual: Any) -> Iterator[Any]:
    """Values for which the comparison comes out the other way."""
    operator, other = comparison.operator, comparison.other
    if operator in _TURNED:
        operator = _MIRRORED[operator] if comparison.swapped else operator
        wanted = _TURNED[operator] if comparison.held else operator
        if type(other) in (int, float):
            yield other if wanted in ("gte", "lte") else _beyond(other, wanted, actual)
        return
    if operator == _MEMBER and not comparison.swapped and isinstance(other, list):
        # What is left out is in no list; of one that it has to be in, the closest.
        yield from [REMOVED] if comparison.held else closest(other, actual)
        return
    is_equal = comparison.held if operator in _EQUAL else not comparison.held
    if type(other) is bool and type(actual) is bool:
        yield not actual
    # That a value is not false is how a plan says that it is there.
    elif not is_equal and other is not False:
        yield other
    yield REMOVED


def _beyond(limit: Any, wanted: str, actual: Any) -> Any:
    return allowed({"operator": wanted, "value": limit}, actual)[0]


def _claim(document: Document, path: Sequence[Any], value: Any) -> Iterator[Change]:
    before, edit = at(document, ("claims", *path)), Edit(("claims", *path), value)
    name = ".".join(map(str, path[1:] if path[0] == "bound" else path))
    if value is not REMOVED and before is not REMOVED:
        says = f"let the role's {name} be {shown(value)}"
        yield from role(name, before, value, says, edit, cost=_COST)


def _matched(document: Document, spec: MatcherSpec) -> Iterator[Change]:
    """Another text at the path of a matcher: one that it says yes to, or nothing at all."""
    first, *rest = spec.steps
    if first != "call_args" or not rest:
        return
    for value in _texts(spec, at(document, spec.steps)):
        yield argument(document, rest, value, _COST)
    yield argument(document, rest, REMOVED, _DROPPED)


def _texts(spec: MatcherSpec, actual: Any) -> list[str]:
    pattern = spec.patterns[0]
    if spec.operator == "regex":
        return closest(matching(pattern), actual)[:_MOST]
    if spec.operator == "cidr":
        return [pattern.partition("/")[0]]
    if spec.operator == "glob":
        return [pattern.replace("**", "a").replace("*", "a").replace("?", "a")]
    if spec.operator == "suffix" and isinstance(actual, str):
        return [f"{actual.partition('@')[0]}{pattern}", f"a{pattern}"]
    if spec.operator == "prefix" and isinstance(actual, str):
        return [f"{pattern}{actual}", pattern]
    return [pattern]
