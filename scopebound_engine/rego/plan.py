"""The compiled plan as a whole: who calls whom, and where a value comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from scopebound_engine.rego.source.tokens import Source
from scopebound_engine.rego.statements import (
    DATA,
    INPUT,
    Block,
    Local,
    Operand,
    Statement,
    StatementReader,
)


@dataclass(frozen=True, slots=True)
class Element:
    """A step of a path that no literal names: an element of a scan, or a computed key."""

    number: int


# The root of a path: "input", "data", or the variable that cannot be traced further back.
Path = tuple["str | Local", tuple["str | Element", ...]]
# The statements that put an element into an array or a set, with the field that names the latter.
_FILLS: Final = {"ArrayAppend": "array", "SetAdd": "set"}
_READ: Final = ("source", "a", "b")


class Plan:
    """A plan with the sources it was compiled from, for places and packages."""

    def __init__(self, document: Mapping[str, Any], modules: Mapping[str, str]) -> None:
        self.sources = {path: Source(path, text) for path, text in modules.items()}
        static = document["static"]
        reader = StatementReader(static, self.sources)
        self.builtins: Mapping[str, Mapping[str, Any]] = {
            builtin["name"]: builtin["decl"] for builtin in static.get("builtin_funcs", ())
        }
        self.entrypoints = [plan["name"] for plan in document["plans"]["plans"]]
        self.functions = {
            function["name"]: reader.function(function) for function in document["funcs"]["funcs"]
        }

    @property
    def statements(self) -> Iterator[Statement]:
        """Every statement of every function."""
        for function in self.functions.values():
            yield from function.statements

    @cached_property
    def writers(self) -> Mapping[int, Sequence[Statement]]:
        """The statements that give a variable its value, by its number."""
        result: dict[int, list[Statement]] = {}
        for statement in self.statements:
            for number in self.written_by(statement):
                result.setdefault(number, []).append(statement)
        return result

    @staticmethod
    def written_by(statement: Statement) -> Sequence[int]:
        """The variables that a statement gives a value."""
        if statement.kind == "Scan":
            return statement.fields["key"], statement.fields["value"]
        return () if statement.target is None else (statement.target,)

    @cached_property
    def readers(self) -> Mapping[int, Sequence[Statement]]:
        """The statements that read a variable, by its number."""
        result: dict[int, list[Statement]] = {}
        for statement in self.statements:
            operands = {item.number for item in statement.reads if isinstance(item, Local)}
            # Statements without operands name what they read by its number alone.
            named = {item for item in map(statement.fields.get, _READ) if type(item) is int}
            for number in operands | named:
                result.setdefault(number, []).append(statement)
        return result

    @cached_property
    def calls(self) -> Mapping[str, Sequence[Statement]]:
        """The calls of each function or built-in, by its name."""
        result: dict[str, list[Statement]] = {}
        for statement in self.statements:
            if statement.kind == "Call":
                result.setdefault(statement.callee, []).append(statement)
        return result

    @cached_property
    def _fills(self) -> Mapping[int, Sequence[Statement]]:
        result: dict[int, list[Statement]] = {}
        for statement in self.statements:
            if (field := _FILLS.get(statement.kind)) is not None:
                result.setdefault(statement.fields[field], []).append(statement)
        return result

    def fills(self, number: int) -> Sequence[Statement]:
        """The statements that put elements into the array or set of this variable."""
        return self._fills.get(number, ())

    @cached_property
    def _inserts(self) -> Mapping[int, Sequence[Statement]]:
        result: dict[int, list[Statement]] = {}
        for statement in self.statements:
            if statement.kind.startswith("ObjectInsert"):
                result.setdefault(statement.fields["object"], []).append(statement)
        return result

    def inserts(self, number: int) -> Sequence[Statement]:
        """The statements that put a value into the object of this variable."""
        return self._inserts.get(number, ())

    @cached_property
    def callees(self) -> Mapping[str, Sequence[str]]:
        """The functions and built-ins that each function calls, each once."""
        return {
            name: list(dict.fromkeys(item.callee for item in function.statements if item.callee))
            for name, function in self.functions.items()
        }

    def reachable(self, *starts: str) -> frozenset[str]:
        """The functions that those called `starts` need, themselves included."""
        found = self.functions.keys() & starts
        waiting = list(found)
        for name in waiting:
            new = {*self.callees[name]} & self.functions.keys() - found
            found |= new
            waiting += new
        return frozenset(found)

    @cached_property
    def _blocks(self) -> Mapping[Block, Sequence[Statement]]:
        result: dict[Block, list[Statement]] = {}
        for statement in self.statements:
            result.setdefault(statement.block, []).append(statement)
        return result

    def siblings(self, statement: Statement) -> Sequence[Statement]:
        """All statements of the block that this one stands in."""
        return self._blocks[statement.block]

    @cached_property
    def _paths(self) -> dict[int, Path]:
        return {INPUT: ("input", ()), DATA: ("data", ())}

    def path(self, number: int) -> Path:
        """The document path that a variable holds, as far as it can be traced."""
        if number not in self._paths:
            self._paths[number] = (Local(number), ())  # a cycle ends here
            self._paths[number] = self._trace(number)
        return self._paths[number]

    def writer(self, number: int) -> Statement | None:
        """The one statement that gives a variable its value, where there is just one.

        Bodies of one function share variables: several that pass on the same value are one, too.
        """
        writers = [writer for writer in self.writers.get(number, ()) if writer.kind != "ResetLocal"]
        passes_on = all(writer.kind.startswith("AssignVar") for writer in writers)
        same = len({writer.reads for writer in writers}) == 1
        return writers[0] if len(writers) == 1 or (same and passes_on) else None

    def _trace(self, number: int) -> Path:
        if number in self._params:
            return self._passed(number)
        writers = [writer for writer in self.writers.get(number, ()) if writer.kind != "ResetLocal"]
        # A body that the compiler copied writes the same once more.
        found = {self._written(writer, number) for writer in writers}
        return found.pop() if len(found) == 1 else (Local(number), ())

    def _written(self, writer: Statement, number: int) -> Path:
        """The path of what a statement writes into a variable."""
        if writer.callee in self.functions:
            function = self.functions[writer.callee]
            root, steps = self.path(function.result)
            # A rule has one value for all; a function may give each of its callers another.
            fixed = isinstance(root, str) and all(isinstance(step, str) for step in steps)
            return (root, steps) if fixed or not function.params else (Local(number), ())
        source = writer.reads[0] if writer.reads else None
        if not isinstance(source, Local):
            return Local(number), ()
        root, steps = self.path(source.number)
        if writer.kind.startswith("AssignVar"):
            return root, steps
        if writer.kind == "Dot":
            return root, (*steps, self.step(writer.reads[1]))
        if writer.kind == "Scan" and number == writer.fields["value"]:
            return root, (*steps, Element(number))
        return Local(number), ()

    @cached_property
    def _params(self) -> Mapping[int, Sequence[tuple[Statement, Operand]]]:
        # What `with` replaces a function in is compiled once more, with the same variables.
        result: dict[int, list[tuple[Statement, Operand]]] = {}
        for name, function in self.functions.items():
            for index, number in enumerate(function.params):
                result.setdefault(number, []).extend(
                    (call, operand)
                    for call in self.calls.get(name, ())
                    # Of a call with too few arguments, a finding of its own, there is none.
                    for operand in call.reads[2 + index : 3 + index]
                )
        return result

    def callers(self, number: int) -> Sequence[tuple[Statement, Operand]]:
        """The calls that pass a parameter, each with what it passes; empty for what is none."""
        return self._params.get(number, ())

    def _passed(self, number: int) -> Path:
        """The path of a parameter: the one of all arguments, but for the elements they stand for.

        A parameter has one value in a call, so that it is one element for all of its function.
        """
        found = {
            self._alike(self.path(operand.number), number) if isinstance(operand, Local) else None
            for _, operand in self.callers(number)
        }
        path = found.pop() if len(found) == 1 else None
        return path if path is not None and isinstance(path[0], str) else (Local(number), ())

    @staticmethod
    def _alike(path: Path, number: int) -> Path:
        root, steps = path
        return root, tuple(step if isinstance(step, str) else Element(number) for step in steps)

    def step(self, key: Operand) -> str | Element:
        """What a key adds to a path: itself where it is a literal, directly or by a variable."""
        if not isinstance(key, Local):
            return str(key)
        number = key.number
        # A variable that is only passed on is the same key under another number.
        while (writer := self.writer(number)) is not None and writer.kind.startswith("AssignVar"):
            source = writer.reads[0]
            if not isinstance(source, Local):
                return str(source)
            number = source.number
        return Element(number)
