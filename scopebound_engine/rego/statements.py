"""The statements of a compiled plan as values, with their places in the source.

The plan is OPA's intermediate representation (https://www.openpolicyagent.org/docs/ir) as regopy
1.5.2 saves it. Three things of it are worth knowing: every rule and function is a `Function`, named
`g0.data.<package>.<rule>`; a local variable has one number in the whole plan, 0 being the input and
1 the data; a body's statements nest where they iterate, so that what follows a scan is inside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.source.tokens import Source

INPUT: Final = 0
DATA: Final = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands in the source; line and column from 1, 0 for nowhere."""

    file: str
    line: int
    column: int

    def finding(self, step: str, message: str, remedy: str = "") -> Finding:
        """A finding here."""
        return Finding(step, message, self.file, self.line, self.column, remedy)


@dataclass(frozen=True, slots=True)
class Local:
    """The variable with this number, as an operand."""

    number: int


Operand = Local | str | bool


@dataclass(frozen=True, eq=False)
class Block:
    """A list of statements, and where it hangs: `parent` is the statement that holds it.

    Blocks of one statement are alternatives: each is tried.
    """

    function: str
    parent: "Statement | None"


@dataclass(frozen=True, eq=False)
class Statement:
    """One statement. `kind` is OPA's name without "Stmt"; operands are decoded."""

    kind: str
    block: Block
    place: Place
    target: int | None
    reads: tuple[Operand, ...]
    fields: Mapping[str, Any]

    @property
    def callee(self) -> str:
        """The name of the function that a Call calls; "" for all others."""
        return str(self.fields["func"]) if self.kind == "Call" else ""

    def enclosing(self) -> Iterator["Statement"]:
        """The statements around this one, innermost first."""
        parent = self.block.parent
        while parent is not None:
            yield parent
            parent = parent.block.parent


@dataclass(frozen=True)
class Function:
    """A rule or function. `path` is its package and name; `params` are those the author wrote."""

    name: str
    path: tuple[str, ...]
    params: tuple[int, ...]
    result: int
    place: Place
    statements: tuple[Statement, ...]


# The fields that a statement reads, where they are not those that most have.
_COMMON: Final = ("source", "a", "b", "value")
_READS: Final[Mapping[str, tuple[str, ...]]] = {
    "ScanStmt": ("source",),
    "ObjectInsertStmt": ("key", "value"),
    "ObjectInsertOnceStmt": ("key", "value"),
    "AssignIntStmt": (),
    "MakeNumberIntStmt": (),
    "IsDefinedStmt": (),
    "IsUndefinedStmt": (),
    "ReturnLocalStmt": (),
    "ObjectMergeStmt": (),
}


class StatementReader:
    """Makes values of the document plan.json, whose files are named by the paths of `sources`."""

    def __init__(self, static: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
        self._files = [file["value"] for file in static["files"]]
        self._strings = [string["value"] for string in static["strings"]]
        self._sources = sources

    def function(self, raw: Mapping[str, Any]) -> Function:
        """A function with all its statements, those nested in one after it."""
        statements: list[Statement] = []
        place = Place("", 0, 0)
        for block in raw["blocks"]:
            place = self._read(block["stmts"], Block(raw["name"], None), place, statements)
        place = statements[0].place if statements else place
        params, path = tuple(raw["params"][2:]), tuple(raw["path"][1:])
        return Function(raw["name"], path, params, raw["return"], place, tuple(statements))

    def _read(self, raw: Sequence[Any], block: Block, place: Place, into: list[Statement]) -> Place:
        """Appends statements in order, those nested in one after it. The last place seen."""
        for item in raw:
            fields = item["stmt"]
            place = self._place(fields) or place
            statement = Statement(
                kind=item["type"].removesuffix("Stmt"),
                block=block,
                place=place,
                target=_target(fields),
                reads=tuple(self._operands(item["type"], fields)),
                fields=fields,
            )
            into.append(statement)
            for inner in (*fields.get("blocks", ()), *_one(fields.get("block"))):
                place = self._read(inner["stmts"], Block(block.function, statement), place, into)
        return place

    def _place(self, fields: Mapping[str, Any]) -> Place | None:
        if "row" not in fields:
            return None
        path = self._files[fields["file"]]
        column = self._sources[path].column_of_byte(fields["row"], fields["col"])
        return Place(path, fields["row"] + 1, column)

    def _operands(self, kind: str, fields: Mapping[str, Any]) -> Iterator[Operand]:
        """What a statement reads, in the order of OPA's documentation; a number as its text."""
        if kind == "MakeNumberRefStmt":
            yield self._string(fields["index"])
        names = ("source", "key", "value") if kind == "DotStmt" else _READS.get(kind, _COMMON)
        for name in names:
            raw = fields.get(name)
            if isinstance(raw, int) and not isinstance(raw, bool):
                yield Local(raw)
            elif isinstance(raw, Mapping):
                yield self._operand(raw)
        # A rule or function of the policy takes input and data first.
        yield from map(self._operand, fields.get("args", ()))

    def _operand(self, raw: Mapping[str, Any]) -> Operand:
        kind, value = raw["type"], raw["value"]
        if kind == "local":
            return Local(value)
        if kind == "bool":
            return bool(value)
        return self._string(value)

    def _string(self, index: int) -> str:
        """The string constant or number literal with this index; strings stay JSON-escaped."""
        text = str(self._strings[index])
        quoted = len(text) > 1 and text[0] == text[-1] == '"'
        return text[1:-1] if quoted else text


def _target(fields: Mapping[str, Any]) -> int | None:
    target = fields.get("target", fields.get("result"))
    return target if isinstance(target, int) else None


def _one(block: Any) -> tuple[Any, ...]:
    return () if block is None else (block,)
