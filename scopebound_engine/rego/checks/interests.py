"""What of a call a policy looks at: the arguments that it reads, the tools that it names.

Whoever tries a policy with calls learns from this which calls reach more than its first line.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from scopebound_engine.rego.checks.documents import document_reads, values_at
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Path, Plan
from scopebound_engine.rego.statements import Local, Operand, Statement

_ARGUMENTS: Final = "call_args"
_TOOL: Final[Path] = ("input", ("tool_name",))
_EQUALITIES: Final = frozenset({"eq", "equal", "neq"})
_MEMBER: Final = "internal.member_2"


def arguments(plan: Plan) -> list[tuple[str, ...]]:
    """The paths below `input.call_args` that rules read, without those that lead to others."""
    paths = {_literal_steps(path) for _, path in document_reads(plan, "input")}
    below = {path[1:] for path in paths if path[:1] == (_ARGUMENTS,) and len(path) > 1}
    return sorted(path for path in below if not any(_leads(path, other) for other in below))


def tools(values: Values, data: Any) -> list[str]:
    """The texts that rules compare `input.tool_name` with; `data` is the data document."""
    found = {name for item in values.plan.statements for name in _named(values, item, data)}
    return sorted(found)


def _literal_steps(path: Path) -> tuple[str, ...]:
    """A path as far as literals name its steps."""
    steps: list[str] = []
    for step in path[1]:
        if not isinstance(step, str):
            break
        steps.append(step)
    return tuple(steps)


def _leads(path: Sequence[str], other: Sequence[str]) -> bool:
    return len(path) < len(other) and tuple(other[: len(path)]) == tuple(path)


def _named(values: Values, statement: Statement, data: Any) -> Iterator[str]:
    if statement.kind == "Equal" or statement.callee in _EQUALITIES:
        left, right = statement.reads
        for operand, other in ((left, right), (right, left)):
            literal = values.literal(other)
            if literal is not None and _is_tool(values.plan, operand):
                yield literal
    if statement.callee == _MEMBER and _is_tool(values.plan, statement.reads[0]):
        yield from _elements(values, statement.reads[1], data)


def _elements(values: Values, collection: Operand, data: Any) -> Iterator[str]:
    for fill in values.elements(collection) or ():
        literal = values.literal(fill.reads[0])
        if literal is not None:
            yield literal
    path = values.plan.path(collection.number) if isinstance(collection, Local) else ("", ())
    for held in values_at(data, path) if path[0] == "data" else ():
        yield from (item for item in held if isinstance(item, str))


def _is_tool(plan: Plan, operand: Operand) -> bool:
    return isinstance(operand, Local) and plan.path(operand.number) == _TOOL
