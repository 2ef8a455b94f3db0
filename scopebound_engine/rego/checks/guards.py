"""Conditions like is_number(…) that a body makes, and what they hold for."""

from collections.abc import Iterable

from scopebound_engine.rego.checks.values import Kinds, Values
from scopebound_engine.rego.plan import Path, Plan
from scopebound_engine.rego.statements import Block, Local, Operand, Statement


class Guards:
    """The calls of these built-ins in a plan that must be true for their body to count."""

    def __init__(self, plan: Plan, builtins: Iterable[str]) -> None:
        self._plan = plan
        self._guards: list[tuple[Path, Block]] = [
            (_identity(plan, call.reads[0]), call.block)
            for name in builtins
            for call in plan.calls.get(name, ())
            if call.reads and _is_condition(plan, call)
        ]

    def hold(self, statement: Statement, operand: Operand) -> bool:
        """Whether one of them must be true of this operand wherever the statement counts.

        A body is a conjunction, so the guard may stand before or after. It is in the same block or
        one around it; or further inside, where only iteration opens a block: the rest of the body.
        """
        identity = _identity(self._plan, operand)
        around = {statement.block, *(outer.block for outer in statement.enclosing())}
        return any(
            identity == guarded and (block in around or _continues(block, statement.block))
            for guarded, block in self._guards
        )


def may_be(
    unwanted: Kinds, values: Values, guards: Guards, at: Statement, operand: Operand
) -> bool:
    """Whether a value may be so at a statement; of a parameter, by what the calls pass."""
    waiting = [(at, operand)]
    seen: set[Operand] = set()
    for statement, current in waiting:
        if unwanted.isdisjoint(values.kinds(current)) or guards.hold(statement, current):
            continue
        origin = values.origin(current)
        calls = values.plan.callers(origin.number) if isinstance(origin, Local) else ()
        if not calls:
            return True
        waiting += calls if origin not in seen else ()
        seen.add(origin)
    return False


def _continues(inner: Block, outer: Block) -> bool:
    while inner is not outer:
        if inner.parent is None or inner.parent.kind != "Scan":
            return False
        inner = inner.parent.block
    return True


def _is_condition(plan: Plan, call: Statement) -> bool:
    """Whether a call stands as an expression of its own, which must hold."""
    return any(
        statement.kind == "NotEqual" and statement.reads == (Local(call.target or 0), False)
        for statement in plan.siblings(call)
    )


def _identity(plan: Plan, operand: Operand) -> Path:
    return plan.path(operand.number) if isinstance(operand, Local) else (str(operand), ())
