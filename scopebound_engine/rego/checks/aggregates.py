"""Built-ins over many values that the engine computes quietly wrong for some arguments.

Measured with regopy 1.5.2: sum([5000, "0"]) is a value for which every comparison fails, where OPA
fails aloud, and so is array.slice of what is no array; count of a string counts its JSON escapes,
so that four line breaks are eight.
"""

from collections.abc import Iterator
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.guards import Guards, may_be
from scopebound_engine.rego.checks.values import ANY, Kinds, Values
from scopebound_engine.rego.statements import Operand

_STEP: Final = "built-ins"
_COLLECTIONS: Final = ("is_array", "is_object", "is_set")
_TEXT: Final[Kinds] = frozenset(("string",))
_NO_ARRAY: Final[Kinds] = ANY - {"array"}


def unsafe_sums(values: Values) -> Iterator[Finding]:
    """Calls of sum with anything that is not known to be a number."""
    guards = Guards(values.plan, ["is_number"])
    for call in values.plan.calls.get("sum", ()):
        if not all(_of_numbers(values, guards, operand) for operand in call.reads):
            message = "sum is given what is not known to be only numbers: no comparison would hold"
            remedy = (
                "write sum([n | some x in …; n := x.…; is_number(n)]), "
                "and deny what is not a number in a rule of its own"
            )
            yield call.place.finding(_STEP, message, remedy)


def _of_numbers(values: Values, guards: Guards, collection: Operand) -> bool:
    """Whether all elements are numbers by what made them, by schema or data, or by is_number."""
    fills = values.elements(collection)
    if fills is None:
        return values.element_kinds(collection) == {"number"}
    return all(
        values.is_number(fill.reads[0]) or guards.hold(fill, fill.reads[0]) for fill in fills
    )


def counted_texts(values: Values) -> Iterator[Finding]:
    """Calls of count with what may be a string."""
    guards = Guards(values.plan, _COLLECTIONS)
    for call in values.plan.calls.get("count", ()):
        if any(may_be(_TEXT, values, guards, call, operand) for operand in call.reads):
            message = "count is given what may be a string, of which it counts the escapes too"
            remedy = (
                "test it with is_array(…), is_object(…) or is_set(…) in the same rule; "
                "the length of a text is for a constraint of the role: regex ^.{8,}$"
            )
            yield call.place.finding(_STEP, message, remedy)


def unsafe_slices(values: Values) -> Iterator[Finding]:
    """Calls of array.slice with what may be no array."""
    guards = Guards(values.plan, ["is_array"])
    for call in values.plan.calls.get("array.slice", ()):
        if any(may_be(_NO_ARRAY, values, guards, call, operand) for operand in call.reads[:1]):
            message = "array.slice is given what may be no array: no comparison would hold"
            yield call.place.finding(_STEP, message, "test it with is_array(…) in the same rule")
