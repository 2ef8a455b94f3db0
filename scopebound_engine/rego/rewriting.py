"""Changes of a compiled plan in place: new variables and strings, new statements, and a walk.

The document is plan.json's, which `compiler.compile_placed` gives together with the frame that
loads it again. What is changed is loaded so:

    document, frame = compile_placed(modules, entrypoints, data)
    variables = Variables(frame.locals)
    for listing in walk(document):
        listing.statements[:] = [assign(True, variables.new()), *listing.statements]
    encoder = Encoder(document, replace(frame, locals=variables.count))
    LoadedPlan(encoder.encode(entrypoints, functions))

A variable that no function resets keeps its value from wherever it was written until the query
ends: the engine has one frame for the whole plan. `frames.pack` must be told of such variables.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A statement or operand as the document has it.
Raw = dict[str, Any]


@dataclass
class Variables:
    """How many variables a plan has; those of a compiled one are numbered from 0, without gaps."""

    count: int

    def new(self) -> int:
        """A variable that no statement uses."""
        self.count += 1
        return self.count - 1


class Strings:
    """A plan's table of strings (`document["static"]["strings"]`), to which new ones are added."""

    def __init__(self, table: list[dict[str, str]]) -> None:
        self._table = table
        self._indices = {entry["value"]: index for index, entry in enumerate(table)}

    def index(self, text: str) -> int:
        """Where a text stands in the table. String constants of a policy keep their quotes."""
        if text not in self._indices:
            self._indices[text] = len(self._table)
            self._table.append({"value": text})
        return self._indices[text]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place as the document has it: the file's index, row from 0, column from 0 in bytes."""

    file: int
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of statements, to be changed in place; `spots` are those of the statements it had.

    A statement without a spot of its own has the last one before it, as in `statements.Place`; None
    where there is none.
    """

    function: Mapping[str, Any]
    statements: list[Raw]
    spots: tuple[Spot | None, ...]


def walk(document: Mapping[str, Any]) -> list[Listing]:
    """All lists of statements of all functions, outer ones first. Found before any is changed."""
    return [listing for function in document["funcs"]["funcs"] for listing in listings(function)]


def listings(function: Mapping[str, Any]) -> list[Listing]:
    """The lists of statements of one function or plan, outer ones first."""
    found: list[Listing] = []
    spot: Spot | None = None
    for part in function["blocks"]:
        spot = _collect(function, part["stmts"], spot, found)
    return found


def _collect(
    function: Mapping[str, Any],
    statements: list[Raw],
    spot: Spot | None,
    found: list[Listing],
) -> Spot | None:
    """Adds a list and those inside of it; the last spot in them."""
    at, spots = len(found), []
    for statement in statements:
        fields = statement["stmt"]
        if "row" in fields:
            spot = Spot(fields["file"], fields["row"], fields["col"])
        spots.append(spot)
        for part in inner(statement):
            spot = _collect(function, part["stmts"], spot, found)
    found.insert(at, Listing(function, statements, tuple(spots)))
    return spot


def inner(statement: Mapping[str, Any]) -> Iterator[Raw]:
    """The blocks inside of a statement."""
    fields = statement["stmt"]
    yield from fields.get("blocks", ())
    if "block" in fields:
        yield fields["block"]


def local(number: int) -> Raw:
    """A variable as an operand."""
    return {"type": "local", "value": number}


def text(index: int) -> Raw:
    """A string of the table as an operand."""
    return {"type": "string_index", "value": index}


def boolean(value: bool) -> Raw:
    """A constant as an operand."""
    return {"type": "bool", "value": value}


def alternatives(*parts: Sequence[Raw]) -> Raw:
    """Tries each of these lists in turn, up to its first statement that fails; never fails."""
    return _statement("Block", blocks=[{"stmts": list(part)} for part in parts])


def assign(source: Raw, target: int) -> Raw:
    """Gives a variable the value of an operand."""
    return _statement("AssignVar", source=source, target=target)


def reset(target: int) -> Raw:
    """Makes a variable undefined."""
    return _statement("ResetLocal", target=target)


def defined(source: int) -> Raw:
    """Fails if a variable is undefined."""
    return _statement("IsDefined", source=source)


def call(function: str, args: Sequence[Raw], result: int) -> Raw:
    """Calls a function, whose first two arguments are input and data, or a built-in.

    Fails if the result is undefined.
    """
    return _statement("Call", func=function, args=list(args), result=result)


def dot(source: Raw, key: Raw, target: int) -> Raw:
    """Looks a key up. Fails if there is none."""
    return _statement("Dot", source=source, key=key, target=target)


def make_array(target: int) -> Raw:
    """An empty array."""
    return _statement("MakeArray", capacity=0, target=target)


def append(array: int, value: Raw) -> Raw:
    """Puts a value at the end of an array."""
    return _statement("ArrayAppend", array=array, value=value)


def make_object(target: int) -> Raw:
    """An empty object."""
    return _statement("MakeObject", target=target)


def insert(into: int, key: Raw, value: Raw) -> Raw:
    """Puts a value into an object, in place of what it has there."""
    return _statement("ObjectInsert", key=key, value=value, object=into)


def give(source: int) -> Raw:
    """Ends a function with the value of a variable."""
    return _statement("ReturnLocal", source=source)


def make_int(value: int, target: int) -> Raw:
    """An integer of 64 bits."""
    return _statement("MakeNumberInt", value=value, target=target)


def add_result(value: int) -> Raw:
    """Adds to a query's results an object whose only key is "result"."""
    return _statement("ResultSetAdd", value=value)


def _statement(kind: str, **fields: Any) -> Raw:
    return {"type": f"{kind}Stmt", "stmt": fields}
