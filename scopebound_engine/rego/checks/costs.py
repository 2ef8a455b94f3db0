"""What would make every call slow: bounds on rules, on literals that are rebuilt, and on data.

Measured with regopy 1.5.2: a definition costs about 2 µs per call, as there is no index of rules,
and 10,000 of them take 35 s to compile. The shipped policies have 150, for twelve deny codes. A
literal of n elements is built anew in each evaluation with n² comparisons, for 20 of them 0.13 ms,
for 200 of them 12 ms. Data is searched element by element, 1,000 of them in 0.5 ms, 20,000 in 12.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.source.syntax import Head, Module
from scopebound_engine.rego.source.tokens import Source

_STEP: Final = "costs"
# What has too many rules is not compiled, which makes it a step of its own.
_SIZE: Final = "size"
_FILLED_BY: Final = {
    "SetAdd": "set",
    "ObjectInsert": "object",
    "ObjectInsertOnce": "object",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """More than `warn` are a warning, more than `most` an error."""

    warn: int
    most: int


RULES: Final = Bound(400, 1_000)
# Nobody waits for these when a call is judged, but the gate does.
TEST_RULES: Final = Bound(5_000, 5_000)
LITERAL_ELEMENTS: Final = Bound(20, 200)
DATA_ENTRIES: Final = Bound(1_000, 10_000)


def too_many_rules(modules: Iterable[Module], bound: Bound = RULES) -> Iterator[Finding]:
    """More rules than are bearable, counted by their heads; nothing is compiled for it."""
    heads = [(module.source, head) for module in modules for head in module.heads]
    message = f"{len(heads)} rules; more than"
    remedy = "move what differs only in values into data.json"
    for source, head in islice(heads, bound.most, bound.most + 1):
        place = _place(source, head)
        yield Finding(_SIZE, f"{message} {bound.most} are refused", *place, remedy)
        return
    if len(heads) > bound.warn:
        finding = Finding(_STEP, f"{message} {bound.warn} slow every call down", remedy=remedy)
        yield replace(finding, level="warning")


def _place(source: Source, head: Head) -> tuple[str, int, int]:
    return source.path, *source.place(source.tokens[head.start].start)


def large_literals(plan: Plan, bound: Bound = LITERAL_ELEMENTS) -> Iterator[Finding]:
    """Sets and objects that are written out with many elements."""
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
        if size > bound.warn:
            message = f"a literal of {size} elements, built anew for every call"
            remedy = f"move it to data.json, or write an array (over {bound.warn})"
            finding = made[target].place.finding(_STEP, message, remedy)
            yield _weighed(finding, size, bound)


def large_data(value: Any, bound: Bound = DATA_ENTRIES, path: str = "data") -> Iterator[Finding]:
    """Objects and arrays of the data document with many entries."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    if len(value) > bound.warn:
        message = f"{path} has {len(value)} entries; more than {bound.warn} are slow to search"
        remedy = f"more than {bound.most} are refused: every search goes through all of them"
        yield _weighed(Finding(_STEP, message, remedy=remedy), len(value), bound)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from large_data(item, bound, f"{path}.{key}")


def _weighed(finding: Finding, size: int, bound: Bound) -> Finding:
    return finding if size > bound.most else replace(finding, level="warning")
