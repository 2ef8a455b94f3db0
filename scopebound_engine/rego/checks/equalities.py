"""Equalities and searches that can never hold, whatever the call: they compare different kinds.

The engine makes the input, so a path of it has the type and the enum of the schema. A deny rule
that asks for another is silent, and an allowance that asks for the opposite always holds.
"""

from collections.abc import Iterator
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.documents import input_schema, written
from scopebound_engine.rego.checks.values import ANY, Values, listed
from scopebound_engine.rego.statements import Local, Operand, Statement

_STEP: Final = "shapes"
_EQUALITIES: Final = frozenset({"eq", "equal", "neq"})
# `x in xs`, and `k, x in xs`.
_MEMBERS: Final = {"internal.member_2": 0, "internal.member_3": 1}
_COLLECTIONS: Final = frozenset({"array", "object", "set"})


def impossible_equalities(values: Values) -> Iterator[Finding]:
    """Comparisons for equality of two things of which the schema says that they never are."""
    for statement in values.plan.statements:
        if statement.kind == "Equal" or statement.callee in _EQUALITIES:
            left, right = statement.reads
            yield from _unequal(values, statement, left, right)


def impossible_members(values: Values) -> Iterator[Finding]:
    """Searches in what has no elements, or for what none of the elements is."""
    for statement in values.plan.statements:
        if statement.callee in _MEMBERS:
            element, collection = statement.reads[_MEMBERS[statement.callee] :]
            yield from _no_collection(values, statement, collection)
            yield from _no_member(values, statement, element, collection)
        if statement.kind == "Scan":
            yield from _no_collection(values, statement, statement.reads[0])


def _unequal(
    values: Values, statement: Statement, left: Operand, right: Operand
) -> Iterator[Finding]:
    kinds, others = values.kinds(left), values.kinds(right)
    # A test for null is caution: it says what is to be done should a fact be missing after all.
    if kinds.isdisjoint(others) and {"null"} not in (kinds, others):
        message = f"{_named(values, left)} never equals {_named(values, right)}"
        yield statement.place.finding(_STEP, message, _remedy(values, left, right))
    for operand, other in ((left, right), (right, left)):
        yield from _outside(values, statement, operand, values.literal(other))


def _no_collection(values: Values, statement: Statement, collection: Operand) -> Iterator[Finding]:
    kinds = values.kinds(collection)
    if kinds.isdisjoint(_COLLECTIONS):
        message = f"{_named(values, collection)} has no elements to look through"
        remedy = 'compare it with ==, or write the right side of `in` as a list: ["a", "b"]'
        yield statement.place.finding(_STEP, message, remedy)


def _no_member(
    values: Values, statement: Statement, element: Operand, collection: Operand
) -> Iterator[Finding]:
    kinds = values.kinds(element)
    is_object = values.kinds(collection) == {"object"}
    held = values.entry_kinds(collection) if is_object else values.element_kinds(collection)
    # Nothing is an element of a list that is empty as written, which is a way to switch off.
    if held and kinds.isdisjoint(held) and kinds != {"null"}:
        message = f"no element of {_named(values, collection)} is {listed(kinds)}"
        remedy = f"its elements are {listed(held)}; write both with the same type"
        if is_object:
            remedy = f"`in` looks at an object's values, {listed(held)}; its keys: object.keys(…)"
        yield statement.place.finding(_STEP, message, remedy)
        return
    for fill in values.elements(collection) or ():
        if values.literal(fill.reads[0]) is not None:
            yield from _unequal(values, statement, element, fill.reads[0])


def _outside(
    values: Values, statement: Statement, operand: Operand, literal: str | None
) -> Iterator[Finding]:
    """A literal that is not among those that the schema lists for a path."""
    if literal is None or not isinstance(operand, Local):
        return
    path = values.plan.path(operand.number)
    enum = (input_schema(path) or {}).get("enum", ()) if path[0] == "input" else ()
    name = written(path)
    if _is_type_name(values, operand):
        enum, name = sorted(ANY), "type_name(…)"
    if enum and literal not in enum:
        message = f'{name} is never "{literal}"'
        yield statement.place.finding(_STEP, message, f"it is one of {', '.join(enum)}")


def _is_type_name(values: Values, operand: Local) -> bool:
    origin = values.origin(operand)
    writer = values.plan.writer(origin.number) if isinstance(origin, Local) else None
    return writer is not None and writer.callee == "type_name"


def _remedy(values: Values, left: Operand, right: Operand) -> str:
    """What to write, by the side that a document gives."""
    for operand, other in ((left, right), (right, left)):
        if isinstance(operand, Local) and values.plan.path(operand.number)[0] == "input":
            path, kinds = values.plan.path(operand.number), values.kinds(operand)
            if kinds == ANY - {"set"}:
                return "the input has no sets: write an array, or gather its elements in a set"
            held = f"{written(path)} is {listed(kinds)}"
            told = (input_schema(path) or {}).get("description", "")
            return f"{held}: {told}" if told else f"{held}, not {listed(values.kinds(other))}"
    return "write both sides with the same type"


def _named(values: Values, operand: Operand) -> str:
    literal = values.literal(operand)
    if literal is not None:
        return f'"{literal}"'
    if isinstance(operand, Local):
        path = values.plan.path(operand.number)
        if isinstance(path[0], str):
            return written(path)
    kinds = values.kinds(operand)
    return "this" if kinds == ANY else listed(kinds)
