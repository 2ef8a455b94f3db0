"""What would make every call slow: bounds on rules, on literals that are rebuilt, and on data.

Measured with regopy 1.5.2: a deny rule costs 2 µs per call, as there is no index of rules; 10,000
rules take 35 s to compile; a set or object is searched element by element, and a literal of n
elements is built anew in each evaluation with n² comparisons.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.plan import Plan

_STEP: Final = "costs"
_FILLED_BY: Final = {
    "SetAdd": "set",
    "ObjectInsert": "object",
    "ObjectInsertOnce": "object",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of each a policy may have."""

    rules: int = 1_000
    literal_elements: int = 20
    data_entries: int = 1_000


BOUNDS: Final = Bounds()


def too_much(plan: Plan, data: Mapping[str, Any], bounds: Bounds = BOUNDS) -> Iterator[Finding]:
    """All that is over its bound."""
    if len(plan.functions) > bounds.rules:
        message = f"{len(plan.functions)} rules and functions; at most {bounds.rules} are allowed"
        yield Finding(_STEP, message, remedy="move what differs only in values into data.json")
    yield from _large_literals(plan, bounds)
    yield from _large_data(data, "data", bounds)


def _large_literals(plan: Plan, bounds: Bounds) -> Iterator[Finding]:
    made = {
        statement.target: statement
        for statement in plan.statements
        if statement.kind in {"MakeSet", "MakeObject"}
    }
    # What is added in another block is the work of a comprehension or a rule, not of a literal.
    sizes = Counter(
        maker.target
        for statement in plan.statements
        if (field := _FILLED_BY.get(statement.kind)) is not None
        and (maker := made.get(statement.fields[field])) is not None
        and maker.block is statement.block
    )
    for target, size in sizes.items():
        if size > bounds.literal_elements:
            message = f"a literal of {size} elements, built anew for every call"
            remedy = f"move it to data.json, or write an array (over {bounds.literal_elements})"
            yield made[target].place.finding(_STEP, message, remedy)


def _large_data(value: Any, path: str, bounds: Bounds) -> Iterator[Finding]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    if len(value) > bounds.data_entries:
        message = f"{path} has {len(value)} entries; at most {bounds.data_entries} are allowed"
        yield Finding(_STEP, message, remedy="every search goes through all of them")
    for key, item in items:
        if isinstance(item, dict | list):
            yield from _large_data(item, f"{path}.{key}", bounds)
