"""Rules that no answer depends on, above all denials that nobody gathers; and rules that a call
may choose."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.denials import is_violation, makers
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Function, Local

_STEP: Final = "denials"
_PLAN: Final = "plan"


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


def chosen_by_calls(plan: Plan) -> Iterator[Finding]:
    """References to a rule whose name is computed: what depends on what cannot be told."""
    for statement in plan.statements:
        if statement.kind == "CallDynamic":
            message = "which rule of a package this is depends on the call"
            remedy = "write out its name, or look the value up in data.json"
            yield statement.place.finding(_PLAN, message, remedy)


def _gathers(values: Values, function: Function, made: Collection[int]) -> bool:
    """Whether a rule's value, or what it puts into its set itself, may be a violation."""
    fills = values.plan.fills(function.result)
    held = [Local(function.result), *(fill.reads[0] for fill in fills)]
    return any(is_violation(values, operand, made) for operand in held)
