"""Built-ins over many values that the engine computes quietly wrong for some of them.

Measured with regopy 1.5.2: sum([5000, "0"]) is a value for which every comparison fails, where OPA
fails aloud.
"""

from collections.abc import Iterator
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.guards import Guards
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.statements import Operand

_STEP: Final = "built-ins"


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
