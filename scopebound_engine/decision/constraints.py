"""What a role demands of the arguments of its tools, as facts: what is there, and does it match?

Whether it satisfies the operator is the policy's to say. The engine reads the arguments, tries
patterns on the real strings, and calls unfit what the policy could not compare exactly.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from scopebound_engine.errors import InputError
from scopebound_engine.matching.patterns import Budget, compile_pattern
from scopebound_engine.strict_json import dumps


def judged(
    tool_name: str | None, call_args: Mapping[str, Any], granted: Any, budget: Budget
) -> list[dict[str, Any]] | None:
    """An entry for each value that a constraint of the tool finds in the arguments.

    `granted` is the claim `parameter_constraints`. None where it is ill-formed.
    """
    rules = granted.get(tool_name, []) if isinstance(granted, dict) else None
    if not isinstance(rules, list) or not all(map(_well_formed, rules)):
        return None
    judge = _Judge(budget)
    return [
        {**rule, **judge.judged(rule["operator"], rule["value"], found)}
        for rule in rules
        for found in _readings(rule["field"], call_args)
    ]


def _well_formed(rule: Any) -> bool:
    return (
        isinstance(rule, dict)
        and isinstance(rule.get("field"), str)
        and isinstance(rule.get("operator"), str)
        and "value" in rule
        and isinstance(rule.get("required"), bool)
    )


# What a reading finds where there is no value: nothing, or something that is no object on the way.
_ABSENT: Final = object()
_BLOCKED: Final = object()


def _readings(name: str, call_args: Mapping[str, Any]) -> Iterator[Any]:
    """What a field names: the literal key, and the path through objects. `_ABSENT` if neither."""
    literal = call_args.get(name, _ABSENT)
    path = _at_path(name, call_args) if "." in name else _ABSENT
    if literal is not _ABSENT or path is _ABSENT:
        yield literal
    if path is not _ABSENT:
        yield path


def _at_path(name: str, call_args: Mapping[str, Any]) -> Any:
    value: Any = call_args
    for key in name.split("."):
        if not isinstance(value, dict):
            return _BLOCKED
        if key not in value:
            return _ABSENT
        value = value[key]
    return value


class _Judge:
    """Judges the values of one call, within its share of time."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._spelled: dict[int, tuple[bytes, bytes]] = {}

    def judged(self, operator: str, expected: Any, found: Any) -> dict[str, Any]:
        """`present`, `fit`, `actual` and `matched` of one value."""
        if found is _ABSENT:
            return {"present": False, "fit": True}
        if found is _BLOCKED or not self._comparable(operator, expected, found):
            return {"present": True, "fit": False}
        if operator not in ("contains", "regex"):
            return {"present": True, "fit": True, "actual": found}
        matched = self._matched(operator, expected, found)
        if matched is None:
            return {"present": True, "fit": False}
        return {"present": True, "fit": True, "actual": found, "matched": matched}

    def _comparable(self, operator: str, expected: Any, found: Any) -> bool:
        """Whether the engine compares the value as JSON does."""
        if operator in ("lt", "gt"):
            return type(found) in (int, float)
        if operator not in ("eq", "in"):
            return True
        wanted = expected if operator == "in" and type(expected) is list else [expected]
        return not self._too_alike([one for one in wanted if _of_a_kind(one, found)], found)

    def _too_alike(self, wanted: list[Any], found: Any) -> bool:
        """Whether the engine could take a value for one that it is not.

        It computes with 15 digits, so that 100.00000000000001 is its 100.
        """
        if not wanted or type(found) in (str, bool, type(None)):
            return False
        # A value that many constraints look at is spelled out once; it may have a megabyte.
        if id(found) not in self._spelled:
            self._spelled[id(found)] = (dumps(found), dumps(_rounded(found)))
        exact, coarse = self._spelled[id(found)]
        if any(dumps(one) == exact for one in wanted):
            return False
        return any(dumps(_rounded(one)) == coarse for one in wanted)

    def _matched(self, operator: str, expected: Any, found: Any) -> bool | None:
        """None where it cannot be said: not text, no usable pattern, or too long for the time."""
        if not isinstance(found, str) or not isinstance(expected, str):
            return None
        if operator == "contains":
            return expected in found if self._budget.spend(len(found)) else None
        try:
            pattern = compile_pattern(expected)
        except InputError:
            return None
        text = found.encode("utf-8")
        return pattern.found_in(text) if self._budget.spend(pattern.steps(len(text))) else None


def _of_a_kind(one: Any, other: Any) -> bool:
    """Whether two values can be equal as far as their types tell."""
    kinds = {type(one), type(other)}
    return len(kinds) == 1 or kinds <= {int, float}


def _rounded(value: Any) -> Any:
    """The value with every number written to 14 digits, which is fewer than the engine heeds."""
    if type(value) in (int, float):
        return f"{value:.13e}"
    if type(value) is list:
        return [_rounded(item) for item in value]
    if type(value) is dict:
        return {key: _rounded(item) for key, item in value.items()}
    return value
