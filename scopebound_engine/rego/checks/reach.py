"""Rules that no answer depends on, above all those that would deny: nobody gathers them."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.denials import is_violation, makers
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.statements import Function, Local

_STEP: Final = "denials"


def unheard(values: Values, entrypoint: str) -> Iterator[Finding]:
    """The rules that the entrypoint does not reach; an error for one that makes violations."""
    plan, made = values.plan, makers(values.plan)
    reached = plan.reachable("g0.data." + entrypoint.replace("/", "."))
    for name, function in plan.functions.items():
        if name in reached:
            continue
        path = f"data.{'.'.join(function.path)}"
        if name in made.values() or _gathers(values, function, made):
            message = f"{path} makes violations that {entrypoint} never sees: it denies nothing"
            remedy = "give it the package and the name of the rules that are gathered"
            yield function.place.finding(_STEP, message, remedy)
        else:
            message = f"{path} is used by nothing that {entrypoint} reaches"
            finding = function.place.finding(_STEP, message, "check its name, or take it out")
            yield replace(finding, level="warning")


def _gathers(values: Values, function: Function, made: Collection[int]) -> bool:
    """Whether a rule's value, or what it puts into its set itself, may be a violation."""
    fills = values.plan.fills(function.result)
    held = [Local(function.result), *(fill.reads[0] for fill in fills)]
    return any(is_violation(values, operand, made) for operand in held)
