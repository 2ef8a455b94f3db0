"""The bodies of rules in a plan, and what stands in each of them.

A body is a conjunction: each lookup in it has to find something, even one for a text that is only
shown. What stands behind `not`, in a comprehension or in `every` may be missing, and the body
counts all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from scopebound_engine.rego.checks.denials import is_violation, makers
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Path
from scopebound_engine.rego.statements import Block, Local, Operand, Statement

# A path with "*" for every element, so that those of two bodies can be compared.
Plain = tuple[str, ...]
ANY_ELEMENT: Final = "*"
# What fails by itself, and not for want of a value.
_CONDITIONS: Final = frozenset(
    ("Equal", "IsArray", "IsObject", "IsSet", "Len", "Not", "NotEqual", "Scan")
)
_MADE: Final = frozenset({"MakeArray", "MakeObject", "MakeSet"})


@dataclass(frozen=True, eq=False)
class Body:
    """One body of a rule or function: `end` gives the value, `statements` must all succeed."""

    end: Statement
    statements: Sequence[Statement]

    @property
    def is_sure(self) -> bool:
        """Whether no condition of it can fail, so that it is the last `else`, or the only body."""
        return not any(item.kind in _CONDITIONS for item in self.statements)


class Bodies:
    """Answers for the functions of a plan."""

    def __init__(self, values: Values) -> None:
        self.values, self.plan = values, values.plan
        self._makers = makers(values.plan)
        self.of = cache(self._of)

    @cached_property
    def violations(self) -> Sequence[Body]:
        """The bodies that add a violation to a set of them."""
        return [
            body
            for name, function in self.plan.functions.items()
            for body in self.of(name)
            if body.end.kind == "SetAdd"
            and is_violation(self.values, body.end.reads[0], self._makers)
            and function.result == body.end.fields["set"]
        ]

    @cached_property
    def denying(self) -> Sequence[tuple[Body, Body]]:
        """Each violation's body with itself and with each body of the helpers that it asks."""
        found: list[tuple[Body, Body]] = []
        for violation in self.violations:
            waiting = [violation]
            for body in waiting:
                found.append((violation, body))
                asked = [inner for call in self.asked(body) for inner in self.of(call.callee)]
                waiting += [inner for inner in asked if inner not in waiting]
        return found

    def _of(self, name: str) -> Sequence[Body]:
        """The bodies of a function; a `default` is one of them."""
        function = self.plan.functions[name]
        ends = list[Statement]()
        waiting, seen = [function.result], {function.result}
        for number in waiting:
            for writer in self._givers(name, number):
                source = writer.reads[0]
                chained = isinstance(source, Local) and self._is_chain(name, source.number)
                if chained and isinstance(source, Local) and source.number not in seen:
                    waiting.append(source.number)
                    seen.add(source.number)
                elif not chained:
                    ends.append(writer)
        return [Body(end, self._around(end)) for end in ends]

    def _givers(self, name: str, number: int) -> list[Statement]:
        """What gives a function its value or puts elements into the set that is its value."""
        writers = [*self.plan.writers.get(number, ()), *self.plan.fills(number)]
        return [
            item
            for item in writers
            if item.block.function == name and item.kind in {"AssignVarOnce", "SetAdd"}
        ]

    def _is_chain(self, name: str, number: int) -> bool:
        """Whether a variable collects what one of the branches of `else` gives."""
        return bool(self.plan.writers.get(number)) and all(
            item.kind in {"AssignVarOnce", "ResetLocal"} and item.block.function == name
            for item in self.plan.writers[number]
        )

    def _around(self, end: Statement) -> Sequence[Statement]:
        # What stands in no body is common to all of them, and prepares them only.
        holders = [item for item in (end, *end.enclosing()) if item.block.parent is not None]
        return [item for holder in reversed(holders) for item in self.plan.siblings(holder)]

    def is_total(self, name: str) -> bool:
        """Whether a function is a set or an object of several parts, which may be empty."""
        result = self.plan.functions[name].result
        return any(item.kind in _MADE for item in self.plan.writers.get(result, ()))

    # Paths

    def path(self, operand: Operand, at: Statement) -> Path:
        """The path of an operand; bodies share variables, so that of the body it is read in."""
        if not isinstance(operand, Local):
            return str(operand), ()
        root, steps = self.plan.path(operand.number)
        if not isinstance(root, Local):
            return root, steps
        writers = self._writers.get((root.number, scope(at)), ())
        if len(writers) != 1 or not writers[0].kind.startswith("AssignVar"):
            return root, steps
        source, above = self.path(writers[0].reads[0], writers[0])
        return source, (*above, *steps)

    def plain(self, operand: Operand, at: Statement) -> Plain:
        """The path of an operand in comparable form; empty where it is traced to no document."""
        root, steps = self.path(operand, at)
        if isinstance(root, Local):
            return (f"#{root.number}", *_plain(steps)) if steps else ()
        return (root, *_plain(steps)) if steps else ()

    # What is asked

    def readers(self, number: int, at: Statement) -> Sequence[Statement]:
        """The statements that read a variable in the body of this statement."""
        return self._readers.get((number, scope(at)), ())

    @cached_property
    def _readers(self) -> Mapping[tuple[int, Block], Sequence[Statement]]:
        return _by_body(self.plan.readers)

    @cached_property
    def _writers(self) -> Mapping[tuple[int, Block], Sequence[Statement]]:
        return _by_body(self.plan.writers)

    def is_tested(self, statement: Statement) -> bool:
        """Whether a call stands as an expression of its own, or is compared with true."""
        readers = self.readers(statement.target or 0, statement)
        return any(item.kind in {"NotEqual", "Equal"} for item in readers)

    def asked(self, body: Body) -> list[Statement]:
        """The calls of helpers that must be true."""
        called = [item for item in body.statements if item.callee in self.plan.functions]
        return [item for item in called if self.is_tested(item)]

    def reads(self, body: Body) -> Iterator[tuple[Plain, Statement]]:
        """The lookups of a body with their paths."""
        for item in body.statements:
            if item.kind == "Dot" and item.target is not None:
                yield self.plain(Local(item.target), item), item

    def inside(self, negated: Statement) -> Sequence[Statement]:
        """The statements behind a `not`."""
        return self._behind.get(negated, ())

    @cached_property
    def _behind(self) -> Mapping[Statement, Sequence[Statement]]:
        found: dict[Statement, list[Statement]] = {}
        for item in self.plan.statements:
            for outer in item.enclosing():
                if outer.kind == "Not":
                    found.setdefault(outer, []).append(item)
        return found


def _by_body(
    statements: Mapping[int, Sequence[Statement]],
) -> Mapping[tuple[int, Block], Sequence[Statement]]:
    found: dict[tuple[int, Block], list[Statement]] = {}
    for number, items in statements.items():
        for item in items:
            if item.kind != "ResetLocal":
                found.setdefault((number, scope(item)), []).append(item)
    return found


def scope(statement: Statement) -> Block:
    """The block of the body that a statement belongs to; variables are shared beyond it."""
    block = statement.block
    while block.parent is not None and block.parent.block.parent is not None:
        block = block.parent.block
    return block


def starts(path: Plain, prefix: Plain) -> bool:
    """Whether a path leads to another, or beyond it."""
    return path[: len(prefix)] == prefix


def _plain(steps: Sequence[object]) -> tuple[str, ...]:
    return tuple(step if isinstance(step, str) else ANY_ELEMENT for step in steps)
