"""Expressions that mean something else here than the author thinks.

The engine orders values of different types as text ("60000" < 50000 is true), so both sides of `<`
must be known to be numbers; and a negated comparison holds where the value compared is missing.
"""

from collections.abc import Iterator
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.guards import Guards, may_be
from scopebound_engine.rego.checks.values import ANY, Kinds, Values
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Block, Local, Operand, Statement

_STEP: Final = "shapes"
_NO_NUMBER: Final[Kinds] = ANY - {"number"}
_ROUNDINGS: Final = frozenset({"floor", "ceil", "round"})
_ORDERS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def untyped_comparisons(values: Values) -> Iterator[Finding]:
    """Comparisons by order of something that is not known to be a number."""
    plan = values.plan
    guards = Guards(plan, ["is_number"])
    for name, sign in _ORDERS.items():
        for call in plan.calls.get(name, ()):
            for operand in call.reads:
                if not may_be(_NO_NUMBER, values, guards, call, operand):
                    continue
                message = f"an operand of {sign} is not known to be a number"
                # A guard beside the comparison would let "60000" past a rule against 50,000.
                remedy = (
                    "strings order as text: say in a rule of its own what is fine, with "
                    "is_number(…) and the comparison, and deny where that rule does not hold"
                )
                yield call.place.finding(_STEP, message, remedy)
                break


def rounded_comparisons(values: Values) -> Iterator[Finding]:
    """Comparisons by order of a rounded number: floor(1e20) is -9223372036854775808 here."""
    plan = values.plan
    for name, sign in _ORDERS.items():
        for call in plan.calls.get(name, ()):
            for operand in map(values.origin, call.reads):
                writer = plan.writer(operand.number) if isinstance(operand, Local) else None
                if writer is not None and writer.callee in _ROUNDINGS:
                    message = f"{writer.callee} of a large number is wrong, so {sign} of it is too"
                    yield call.place.finding(_STEP, message, "compare the number itself")


def negated_comparisons(plan: Plan) -> Iterator[Finding]:
    """`not` before a comparison of something that may be missing."""
    for statement in plan.statements:
        operands = _compared(statement)
        negation = statement.block.parent
        if operands is None or negation is None or negation.kind != "Not":
            continue
        if any(_read_within(plan, operand, statement.block) for operand in operands):
            yield negation.place.finding(
                _STEP,
                "a negated comparison is true where the value is missing",
                "move the comparison into a rule or function of its own and negate that",
            )


def _compared(statement: Statement) -> tuple[Operand, ...] | None:
    if statement.kind == "Equal" or statement.callee in {*_ORDERS, "neq", "equal"}:
        return statement.reads
    return None


def _read_within(plan: Plan, operand: Operand, block: Block) -> bool:
    """Whether an operand is looked up in a document inside of this block."""
    writer = plan.writer(operand.number) if isinstance(operand, Local) else None
    while writer is not None and writer.block is block:
        if writer.kind == "Dot":
            return True
        source = writer.reads[0] if writer.reads else None
        writer = plan.writer(source.number) if isinstance(source, Local) else None
    return False
