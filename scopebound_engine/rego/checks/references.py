"""What a plan refers to and is not there. The engine compiles all of it without a word.

A rule with such a reference is undefined for ever, and a deny rule that is undefined allows.
"""

from collections.abc import Iterator
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.statements import Local, Place, Statement

_STEP: Final = "plan"
# `every x in xs { not f(x) }` holds for any xs: the plan reads another variable, never written.
_UNSEEN: Final = (
    "the engine loses a variable of this expression, as it does after `not` inside of `every`",
    "move the expression into a function, and call that",
)


def broken_references(plan: Plan) -> Iterator[Finding]:
    """Everything of this module but the entrypoint, which not every plan has."""
    checks = (unknown_functions, wrong_arity, unbound_variables, early_reads, recursion)
    for check in checks:
        yield from check(plan)


def unknown_functions(plan: Plan) -> Iterator[Finding]:
    """Calls of what is neither a built-in nor a function of the policy."""
    for name, calls in plan.calls.items():
        if name in plan.functions or name in plan.builtins:
            continue
        for call in calls:
            remedy = "check the name, its package and its import"
            yield call.place.finding(_STEP, f"there is no function {_shown(name)}", remedy)


def wrong_arity(plan: Plan) -> Iterator[Finding]:
    """Calls with another number of arguments than the function takes."""
    for name, calls in plan.calls.items():
        wanted = _arity(plan, name)
        for call in calls:
            given = len(call.fields["args"]) - (2 if name in plan.functions else 0)
            if wanted not in (None, given):
                message = f"{_shown(name)} takes {wanted} arguments, here are {given}"
                yield call.place.finding(_STEP, message, "pass it what its definition takes")


def unbound_variables(plan: Plan) -> Iterator[Finding]:
    """Reads of a variable that nothing gives a value."""
    for function in plan.functions.values():
        seen: set[int] = set()
        for statement in function.statements:
            for read in _locals(statement):
                if read in seen or read in (0, 1, *function.params) or read in plan.writers:
                    continue
                seen.add(read)
                names = ", ".join(_undeclared(plan, statement.place))
                if names:
                    remedy = "check the spelling, or bind it with := or some … in"
                    yield statement.place.finding(_STEP, f"{names} is never given a value", remedy)
                else:
                    yield statement.place.finding(_STEP, *_UNSEEN)


def early_reads(plan: Plan) -> Iterator[Finding]:
    """Reads of a variable before what gives it a value: the engine keeps the order of a body."""
    for function in plan.functions.values():
        written = {0, 1, *function.params}
        for statement in function.statements:
            if any(read in plan.writers for read in {*_locals(statement)} - written):
                message = "a variable is used before the line that gives it a value"
                remedy = "move its := above this line"
                yield statement.place.finding(_STEP, message, remedy)
                break
            written.update(plan.written_by(statement))


def recursion(plan: Plan) -> Iterator[Finding]:
    """Rules that need their own value."""
    reported: set[str] = set()
    for cycle in _cycles(plan):
        if reported.isdisjoint(cycle):
            reported.update(cycle)
            chain = " → ".join(_shown(name) for name in (*cycle, cycle[0]))
            place = plan.functions[cycle[0]].place
            remedy = "break the circle: move what both need into a rule that calls neither"
            yield place.finding(_STEP, f"the rule depends on itself: {chain}", remedy)


def missing_entrypoint(plan: Plan, entrypoint: str) -> Iterator[Finding]:
    """An entrypoint that no rule defines; none where it is empty, since nothing names it."""
    if not entrypoint:
        return
    name = "g0.data." + entrypoint.replace("/", ".")
    function = plan.functions.get(name)
    if function is None or function.params:
        remedy = "name a rule as package/rule in the manifest"
        yield Finding(_STEP, f"no rule defines the entrypoint {entrypoint}", remedy=remedy)


def _locals(statement: Statement) -> Iterator[int]:
    for operand in statement.reads:
        if isinstance(operand, Local):
            yield operand.number


def _undeclared(plan: Plan, place: Place) -> list[str]:
    """The names that may be meant; the plan itself has only numbers, and not always places."""
    if not place.line:
        return []
    package = plan.sources[place.file].package
    size = len(package)
    paths = (function.path for function in plan.functions.values())
    rules = [path[size] for path in paths if path[:size] == package and len(path) > size]
    return Module(plan.sources[place.file]).undeclared(place.line, rules)


def _arity(plan: Plan, name: str) -> int | None:
    if name in plan.functions:
        return len(plan.functions[name].params)
    arguments = plan.builtins.get(name, {}).get("args")
    return len(arguments) if arguments is not None else None


def _cycles(plan: Plan) -> Iterator[list[str]]:
    """Chains of calls that end where they begin: at least one of each knot of such rules."""
    done: set[str] = set()
    for start in plan.functions:
        chain = {start: iter(plan.callees[start])} if start not in done else {}
        while chain:
            name = next(reversed(chain))
            callee = next(chain[name], None)
            if callee is None:
                done.add(name)
                del chain[name]
            elif callee in chain:
                names = list(chain)
                yield names[names.index(callee) :]
            elif callee in plan.functions and callee not in done:
                chain[callee] = iter(plan.callees[callee])


def _shown(name: str) -> str:
    return name.partition(".data.")[2] or name
