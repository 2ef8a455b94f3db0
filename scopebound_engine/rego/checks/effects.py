"""What comes of a condition within its rule or function.

The plan says of a condition only that what follows it in its block is left out where it fails. So
what comes of it is what is written there and read elsewhere: the result, an element of a set, or a
variable whose being defined another condition asks for, as `every` and `else` do.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Block, Local, Operand, Statement

_OVERWRITES: Final = ("AssignVar", "AssignVarOnce", "Call", "Dot", "Scan")
# The fields that name what a statement puts something into.
_FILLED: Final = ("array", "set", "object")


class Effect(NamedTuple):
    """One thing that comes of a condition where it holds.

    The function `gives` the value `operand` as its result, `adds` it to a set that is its result;
    the condition `at` `holds` or `fails`; or it is `unknown` what.
    """

    kind: Literal["gives", "adds", "holds", "fails", "unknown"]
    operand: Operand | None = None
    at: Statement | None = None


class Effects:
    """Answers for the conditions of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._statements = list(plan.statements)
        self._index = {statement: index for index, statement in enumerate(self._statements)}
        self._known: dict[Statement, Sequence[Effect]] = {}

    def of(self, condition: Statement) -> Sequence[Effect]:
        """All that comes of a condition; nothing where nobody needs what it guards."""
        if condition not in self._known:
            self._known[condition] = tuple(dict.fromkeys(self._found(condition)))
        return self._known[condition]

    def _found(self, condition: Statement) -> Iterator[Effect]:
        holder = condition.block.parent
        if holder is not None and holder.kind == "Not":
            yield Effect("fails", at=holder)
        result = self._plan.functions[condition.block.function].result
        guarded = self._guarded(condition)
        for statement in guarded:
            for number, value in _writes(self._plan, statement):
                if number != result:
                    yield from self._read_later(number, value, result, guarded)
                elif statement.kind.startswith("AssignVar"):
                    yield Effect("gives", value)
                elif statement.kind == "SetAdd":
                    yield Effect("adds", value)
                else:
                    yield Effect("unknown")

    def _guarded(self, condition: Statement) -> Sequence[Statement]:
        """What is done only where the condition holds: the rest of its block."""
        rest = list[Statement]()
        for index in range(self._index[condition] + 1, len(self._statements)):
            statement = self._statements[index]
            if condition.block not in _blocks_around(statement):
                break
            if condition not in statement.enclosing():
                rest.append(statement)
        return rest

    def _read_later(
        self, number: int, value: Operand | None, result: int, guarded: Sequence[Statement]
    ) -> Iterator[Effect]:
        """What comes of a variable where it is read although it may not have been written."""
        last = self._index[guarded[-1]]
        for reader in self._plan.readers.get(number, ()):
            if self._index[reader] <= last or self._overwritten(number, reader, guarded):
                continue
            if reader.kind == "IsUndefined":
                # `else` and `default` write another value; then it is one or the other.
                if not any(number in self._plan.written_by(s) for s in self._guarded(reader)):
                    yield Effect("fails", at=reader)
            elif reader.kind == "IsDefined":
                # The value is passed on, which is an effect of its own.
                if not any(s.reads == (Local(number),) for s in self._guarded(reader)):
                    yield Effect("holds", at=reader)
            elif reader.kind.startswith("AssignVar") and reader.target == result:
                yield Effect("gives", value)
            else:
                yield Effect("unknown")

    def _overwritten(self, number: int, reader: Statement, guarded: Sequence[Statement]) -> bool:
        """Whether a variable certainly has another value when it is read: bodies share them."""
        around = {*_blocks_around(reader)}
        return any(
            writer.kind in _OVERWRITES
            and writer.block in around
            and self._index[writer] < self._index[reader]
            and writer not in guarded
            for writer in self._plan.writers.get(number, ())
        )


def _blocks_around(statement: Statement) -> Iterator[Block]:
    yield statement.block
    for outer in statement.enclosing():
        yield outer.block


def _writes(plan: Plan, statement: Statement) -> Iterator[tuple[int, Operand | None]]:
    """The variables that a statement writes or adds to, and what, where it is one operand."""
    value = statement.reads[-1] if statement.reads else None
    for number in plan.written_by(statement):
        yield number, value if statement.kind.startswith("AssignVar") else None
    for name in _FILLED:
        if type(statement.fields.get(name)) is int:
            yield statement.fields[name], value
