"""Where the answers of matchers go in a plan: into variables, helpers, lists, and out of them.

Wider than `Plan.path`, which gives up where a variable may be one thing or another: what is asked
here is whether it may be an answer at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from scopebound_engine.rego.checks.documents import steps_of_get
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.plan import Element
from scopebound_engine.rego.statements import INPUT, Block, Local, Operand, Statement

# Steps from the input: it itself, all matches, or the answer of one; "*" for whichever.
Trace = tuple[str, ...]
Traces = frozenset[Trace]
NOWHERE: Final[Traces] = frozenset()
_MATCHES: Final[Trace] = ("matches",)
ANY: Final = "*"
# How rules write the two documents.
INPUT_ITSELF: Final = "input"
MATCHES: Final = "input.matches"


class Tracer:
    """Answers for the operands of a plan."""

    def __init__(self, values: Values) -> None:
        self._values, self._plan = values, values.plan
        self._known: dict[tuple[int, Block | None], Traces] = {}

    def answers(self, operand: Operand, block: Block) -> frozenset[str]:
        """The matchers whose answer an operand may be where this block reads it."""
        return frozenset(
            trace[1] for trace in self._traces(operand, block) if len(trace) > len(_MATCHES)
        )

    def whole(self, operand: Operand, block: Block) -> str:
        """Which document an operand may be, INPUT_ITSELF or MATCHES; empty for neither."""
        traces = self._traces(operand, block)
        return MATCHES if _MATCHES in traces else INPUT_ITSELF if () in traces else ""

    def listed(self, operand: Operand) -> frozenset[str]:
        """The matchers whose answers may be among the elements of an array or a set."""
        fills = self._values.elements(operand) or ()
        return frozenset[str]().union(*(self.answers(f.reads[0], f.block) for f in fills))

    def taken(self, statement: Statement) -> frozenset[str]:
        """The matchers that a statement reads out of input.matches."""
        return frozenset(trace[1] for trace in self._looked_up(statement) if len(trace) > 1)

    def _traces(self, operand: Operand, block: Block | None) -> Traces:
        if not isinstance(operand, Local):
            return NOWHERE
        key = operand.number, block
        if key not in self._known:
            self._known[key] = NOWHERE  # what depends on itself is nothing
            self._known[key] = frozenset(self._found(operand.number, block))
        return self._known[key]

    def _found(self, number: int, block: Block | None) -> Iterator[Trace]:
        if number == INPUT:
            yield ()
        for call, operand in self._plan.callers(number):
            yield from self._traces(operand, call.block)
        for writer in self._writers(number, block):
            yield from self._written(writer, number)

    def _writers(self, number: int, block: Block | None) -> list[Statement]:
        """What may have written a variable; bodies share them, but each writes its own before."""
        writers = [item for item in self._plan.writers.get(number, ()) if _writes(item)]
        around = set[Block]()
        while block is not None:
            around.add(block)
            block = block.parent.block if block.parent is not None else None
        return [item for item in writers if item.block in around] or writers

    def _written(self, writer: Statement, number: int) -> Traces:
        if writer.kind.startswith("AssignVar"):
            return self._traces(writer.reads[0], writer.block)
        if writer.callee in self._plan.functions:
            return self._traces(Local(self._plan.functions[writer.callee].result), None)
        if writer.kind == "Scan" and number == writer.fields["value"]:
            return self._scanned(writer)
        return self._looked_up(writer)

    def _scanned(self, scan: Statement) -> Traces:
        source = scan.reads[0]
        found = {(*_MATCHES, name) for name in self.listed(source)}
        return frozenset(found | _steps(self._traces(source, scan.block), [Element(0)]))

    def _looked_up(self, statement: Statement) -> Traces:
        """What is looked up in the input, or in input.matches."""
        steps = self.steps(statement)
        if not steps:
            return NOWHERE
        return frozenset(_steps(self._traces(statement.reads[0], statement.block), steps))

    def steps(self, statement: Statement) -> Sequence[str | Element]:
        """The keys by which a statement looks something up; none where it does not."""
        if statement.kind == "Dot":
            return [self._plan.step(statement.reads[1])]
        if statement.callee == "object.get" and len(statement.reads) > 1:
            return [*steps_of_get(self._plan, statement.reads[1])]
        return ()


def _writes(statement: Statement) -> bool:
    return statement.kind != "ResetLocal"


def _steps(traces: Iterable[Trace], steps: Iterable[str | Element]) -> set[Trace]:
    """Where steps lead from somewhere, as far as that is in input.matches."""
    found = {*traces}
    for step in steps:
        named = step if isinstance(step, str) else ANY
        found = {(*trace, named) for trace in found}
    return {trace for trace in found if trace[:1] == _MATCHES and len(trace) <= len(_MATCHES) + 1}
