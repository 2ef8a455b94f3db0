"""Conditions whose outcome no call changes: numbers out of their range, `!=` any one of several.

The engine makes the input, so a number of it is within the minimum and maximum of the schema.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.bodies import Bodies
from scopebound_engine.rego.checks.documents import input_schema, written
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.statements import Local, Operand, Statement

_STEP: Final = "shapes"
_EQUALITIES: Final = frozenset({"eq", "equal", "neq"})
_MEMBER: Final = "internal.member_2"
# How each order is written, and its name with the sides exchanged.
_ORDERS: Final = {
    "lt": ("<", "gt"),
    "gt": (">", "lt"),
    "lte": ("<=", "gte"),
    "gte": (">=", "lte"),
}
_SEVERAL: Final = 2


def out_of_range(values: Values) -> Iterator[Finding]:
    """Comparisons that never hold for any number that the schema lets be there."""
    for item in values.plan.statements:
        if item.kind == "Equal" or item.callee in _EQUALITIES:
            left, right = item.reads
            yield from _unequal(values, item, left, right)
            yield from _unequal(values, item, right, left)
        elif item.callee == _MEMBER:
            for fill in values.elements(item.reads[1]) or ():
                yield from _unequal(values, item, item.reads[0], fill.reads[0])
        elif item.callee in _ORDERS:
            left, right = item.reads
            yield from _beyond(values, item, left, item.callee, right)
            yield from _beyond(values, item, right, _ORDERS[item.callee][1], left)


def _unequal(
    values: Values, item: Statement, operand: Operand, other: Operand
) -> Iterator[Finding]:
    least, most = _range(values, operand)
    number = _number(values, other)
    if number is not None and not least <= number <= most:
        yield _never(values, item, operand, f"is never {number:g}")


def _beyond(
    values: Values, item: Statement, operand: Operand, order: str, other: Operand
) -> Iterator[Finding]:
    least, most = _range(values, operand)
    number = _number(values, other)
    if number is None:
        return
    possible = {
        "lt": least < number,
        "lte": least <= number,
        "gt": most > number,
        "gte": most >= number,
    }
    if not possible[order]:
        yield _never(values, item, operand, f"is never {_ORDERS[order][0]} {number:g}")


def _range(values: Values, operand: Operand) -> tuple[float, float]:
    """The least and the greatest that an operand can be, as far as the schema says."""
    path = values.plan.path(operand.number) if isinstance(operand, Local) else ("", ())
    schema = (input_schema(path) or {}) if path[0] == "input" else {}
    return schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))


def _number(values: Values, operand: Operand) -> float | None:
    """The number that an operand is as a literal; None for everything else."""
    origin = values.origin(operand)
    writer = values.plan.writer(origin.number) if isinstance(origin, Local) else None
    if writer is None or writer.kind != "MakeNumberRef":
        return None
    return float(str(writer.reads[0]))


def _never(values: Values, item: Statement, operand: Operand, what: str) -> Finding:
    path = values.plan.path(operand.number) if isinstance(operand, Local) else ("", ())
    least, most = _range(values, operand)
    told = (input_schema(path) or {}).get("description", "")
    remedy = " ".join(filter(None, (f"it is {least:g} to {most:g}.", told)))
    return item.place.finding(_STEP, f"{written(path)} {what}", remedy)


def always_different(bodies: Bodies) -> Iterator[Finding]:
    """`some x in xs; y != x`: true of any two or more, since y differs from one of them."""
    for item in bodies.plan.calls.get("neq", ()):
        holder = item.block.parent
        for operand in item.reads if holder is not None and holder.kind == "Scan" else ():
            if _is_any_of(bodies, item, operand, holder):
                message = "this holds for every value: of two or more elements one always differs"
                remedy = "write: not x in […]"
                yield replace(item.place.finding(_STEP, message, remedy), level="warning")


def _is_any_of(bodies: Bodies, item: Statement, operand: Operand, scan: Statement | None) -> bool:
    """Whether an operand is an element of a scan that nothing else is asked of."""
    if scan is None or not isinstance(operand, Local):
        return False
    alone = {scan.fields["value"]}
    for number in (*alone, operand.number):
        readers = bodies.readers(number, item)
        passed = {r.target for r in readers if r.kind.startswith("AssignVar")}
        if any(reader is not item and reader.target not in passed for reader in readers):
            return False
        alone |= {target for target in passed if target is not None}
    if operand.number not in alone:
        return False
    fills = bodies.values.elements(scan.reads[0])
    return fills is None or len({bodies.values.origin(f.reads[0]) for f in fills}) >= _SEVERAL
