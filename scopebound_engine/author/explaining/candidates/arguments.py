"""Other arguments: what the role's constraints, environments and row limit leave open."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.author.explaining.candidates.change import Change, argument, closest
from scopebound_engine.author.explaining.samples import matching
from scopebound_engine.author.explaining.world import REMOVED, Document, at
from scopebound_engine.strict_json import dumps

# Of the values that one constraint allows.
_MOST: Final = 6
_DROPPED: Final = 1.5
# From here on doubles leave whole numbers out; a limit is left behind by a part of it.
_EXACT: Final = 1 << 53
_PARTS: Final = 1_000_000


def changes(document: Document) -> Iterator[Change]:
    """Those of the arguments that something of the role is about."""
    for path in _constrained(document):
        actual = at(document, ("call_args", *path))
        values = [value for entry in _of(document, path) for value in allowed(entry, actual)]
        for rank, value in enumerate(_distinct(values, actual)):
            yield argument(document, path, value, 1 + rank / 100)
        if actual is not REMOVED:
            yield argument(document, path, REMOVED, _DROPPED)
    scope = _object(_object(document["claims"]).get("data_scope"))
    yield from _one_of(document, "env", scope.get("allowed_envs"))
    yield from _rows(document, scope.get("max_rows"))


def satisfied(entry: Mapping[str, Any]) -> bool:
    """Whether a constraint is met, as far as it can be said without the policy."""
    if entry["present"] is False:
        return entry.get("required") is not True
    actual, value, operator = entry.get("actual"), entry["value"], entry["operator"]
    if entry.get("fit") is not True or "matched" in entry:
        return entry.get("matched") is True
    if operator in ("lt", "gt"):
        is_number = type(actual) in (int, float) and type(value) in (int, float)
        return is_number and bool(actual < value if operator == "lt" else actual > value)
    wanted = value if operator == "in" and isinstance(value, list) else [value]
    return dumps(actual) in map(dumps, wanted)


def allowed(entry: Mapping[str, Any], actual: Any) -> list[Any]:
    """Values that satisfy a constraint, the one that is closest to the actual value first."""
    operator, value = entry["operator"], entry["value"]
    if operator in ("lt", "gt") and type(value) in (int, float):
        return _inside(value, 1 if operator == "gt" else -1, actual)
    if operator == "in" and isinstance(value, list):
        return closest(value, actual)[:_MOST]
    if operator == "contains" and isinstance(value, str):
        return [f"{actual} {value}", value] if isinstance(actual, str) and actual else [value]
    if operator == "regex" and isinstance(value, str):
        return closest(matching(value), actual)[:_MOST]
    return [value] if operator == "eq" else []


def _inside(limit: float, side: int, actual: Any) -> list[float]:
    """Numbers just beyond a limit; a whole one, and before it one with cents for such a value."""
    if abs(limit) >= _EXACT:
        return [limit + side * abs(limit) / _PARTS]
    whole = math.floor(limit) + 1 if side > 0 else math.ceil(limit) - 1
    cents = round(limit + side / 100, 2)
    return [cents, whole] if type(actual) is float else [whole, cents]


def _constrained(document: Document) -> list[tuple[str, ...]]:
    """The places in the arguments of which a constraint is not met; none twice."""
    found: dict[tuple[str, ...], None] = {}
    for entry in document.get("constraints", ()):
        if not satisfied(entry):
            found |= dict.fromkeys(_places(document, entry["field"]))
    return list(found)


def _of(document: Document, path: tuple[str, ...]) -> list[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = document["constraints"]
    return [entry for entry in entries if path in _places(document, entry["field"])]


def _places(document: Document, field: str) -> list[tuple[str, ...]]:
    """What a field names: the key itself, and a path; where there is neither, the path."""
    names, path = [(field,)], tuple(field.split("."))
    found = [one for one in dict.fromkeys((*names, path)) if _is_there(document, one)]
    return found or [path]


def _is_there(document: Document, path: tuple[str, ...]) -> bool:
    return at(document, ("call_args", *path)) is not REMOVED


def _one_of(document: Document, name: str, choices: Any) -> Iterator[Change]:
    actual = at(document, ("call_args", name))
    if actual is not REMOVED and isinstance(choices, list) and actual not in choices and choices:
        for rank, choice in enumerate(closest(choices, actual)[:_MOST]):
            yield argument(document, (name,), choice, 1 + rank / 100)
        yield argument(document, (name,), REMOVED, _DROPPED)


def _rows(document: Document, most: Any) -> Iterator[Change]:
    actual = at(document, ("call_args", "limit"))
    if actual is REMOVED or type(most) is not int or most < 1:
        return
    is_number = type(actual) in (int, float)
    fitting = [math.floor(actual)] if is_number and 1 <= actual <= most else []
    ends = [1, most] if is_number and actual < 1 else [most, 1]
    for rank, value in enumerate(_distinct([*fitting, *ends], actual)):
        yield argument(document, ("limit",), value, 1 + rank / 100)
    yield argument(document, ("limit",), REMOVED, _DROPPED)


def _distinct(values: Sequence[Any], actual: Any) -> list[Any]:
    """Each once, without what is there already."""
    found = {dumps(value): value for value in values}
    if actual is not REMOVED:
        found.pop(dumps(actual), None)
    return list(found.values())


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
