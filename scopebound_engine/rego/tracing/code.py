"""A compiled plan as a tree that an evaluation can be followed in, and the marks that tell of it.

Every statement has a number. `mark` changes the document so that its evaluation leaves a list: a
mark for each statement that could have failed and did not, with the value where a built-in made
one; and marks for what is begun: a function, a call of one, a turn of a scan, with its key. That is
enough to know all else, see `replay.py`. Which marks a value follows is fixed, so that no value can
pass for a mark.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError
from scopebound_engine.rego import rewriting as ir
from scopebound_engine.rego.rewriting import Raw, Spot, Strings, Variables

# Those that never fail, and those whose success nothing depends on.
_SILENT: Final = frozenset(
    (
        *("AssignVar", "AssignVarOnce", "AssignInt", "Block", "ResetLocal", "ReturnLocal"),
        *("MakeArray", "MakeNull", "MakeNumberInt", "MakeNumberRef", "MakeObject", "MakeSet"),
        *("ArrayAppend", "ObjectInsert", "ObjectInsertOnce", "SetAdd", "ResultSetAdd"),
    )
)
_RESULT: Final = "result"


def begun(number: int) -> int:
    """The mark that is left where this statement or function begins."""
    return number * 2


def held(number: int) -> int:
    """The mark that is left where this statement did not fail."""
    return number * 2 + 1


@dataclass(frozen=True, eq=False, slots=True)
class Statement:
    """One statement. `kind` is OPA's name without "Stmt"; `blocks` are the lists inside of it."""

    number: int
    kind: str
    fields: Mapping[str, Any]
    spot: Spot | None
    blocks: tuple["Listing", ...]

    @property
    def is_silent(self) -> bool:
        """Whether it leaves no mark."""
        return self.kind in _SILENT


Listing = tuple[Statement, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Function:
    """A rule or function. `params` begin with input and data; `number` is that of its beginning."""

    number: int
    name: str
    params: tuple[int, ...]
    result: int
    blocks: tuple[Listing, ...]


class Code:
    """The functions of a document, and what its constants are."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._numbers: dict[int, int] = {}
        self._count = 0
        self.strings = [entry["value"] for entry in document["static"]["strings"]]
        self.files = [entry["value"] for entry in document["static"]["files"]]
        self.functions = {raw["name"]: self._function(raw) for raw in document["funcs"]["funcs"]}

    def number_of(self, raw: Raw) -> int:
        """The number of a statement, or function, of the document."""
        return self._numbers[id(raw)]

    def text(self, index: int) -> str:
        """A string constant, as the author meant it."""
        text = self.strings[index]
        quoted = text if len(text) > 1 and text[0] == text[-1] == '"' else f'"{text}"'
        try:
            return str(json.loads(quoted))
        except ValueError:
            return str(text)

    def figure(self, index: int) -> Any:
        """A number constant; its text where it is none that JSON has."""
        try:
            return strict_json.loads(self.strings[index].encode())
        except InputError:
            return self.strings[index]

    def _new(self, raw: Raw) -> int:
        self._numbers[id(raw)] = self._count
        self._count += 1
        return self._count - 1

    def _function(self, raw: Raw) -> Function:
        number = self._new(raw)
        spots = {
            id(statement): spot
            for listing in ir.listings(raw)
            for statement, spot in zip(listing.statements, listing.spots, strict=True)
        }
        blocks = tuple(self._listing(block, spots) for block in raw["blocks"])
        return Function(number, raw["name"], tuple(raw["params"]), raw["return"], blocks)

    def _listing(self, block: Raw, spots: Mapping[int, Spot | None]) -> Listing:
        return tuple(self._statement(raw, spots) for raw in block["stmts"])

    def _statement(self, raw: Raw, spots: Mapping[int, Spot | None]) -> Statement:
        return Statement(
            self._new(raw),
            raw["type"].removesuffix("Stmt"),
            raw["stmt"],
            spots[id(raw)],
            tuple(self._listing(block, spots) for block in ir.inner(raw)),
        )


def mark(document: Raw, code: Code, variables: Variables) -> None:
    """Makes the plans of a document, whose code this is, answer `[result, list]`, in place."""
    marker = _Marker(code, Strings(document["static"]["strings"]), variables)
    for function in document["funcs"]["funcs"]:
        marker.enter(function)
    for plan in document["plans"]["plans"]:
        marker.answer(plan)


class _Marker:
    def __init__(self, code: Code, strings: Strings, variables: Variables) -> None:
        self._code, self._strings, self._variables = code, strings, variables
        self._list = variables.new()

    def enter(self, function: Raw) -> None:
        for block in function["blocks"]:
            self._mark(block["stmts"])
        function["blocks"][0]["stmts"][:0] = self._note(begun(self._code.number_of(function)))

    def answer(self, plan: Raw) -> None:
        """The last block of a plan makes the result, of what the others left in a variable."""
        *asked, last = plan["blocks"]
        (insert,) = (item for item in last["stmts"] if item["type"] == "ObjectInsertStmt")
        pair, result = self._variables.new(), self._variables.new()
        key = ir.text(self._strings.index(_RESULT))
        plan["blocks"] = [
            {
                "stmts": [
                    ir.make_array(self._list),
                    ir.alternatives(*(block["stmts"] for block in asked)),
                    ir.make_array(pair),
                    ir.append(pair, insert["stmt"]["value"]),
                    ir.append(pair, ir.local(self._list)),
                    ir.make_object(result),
                    ir.insert(result, key, ir.local(pair)),
                    ir.add_result(result),
                ]
            }
        ]

    def _mark(self, statements: list[Raw]) -> None:
        marked: list[Raw] = []
        for statement in statements:
            marked += self._before(statement)
            marked.append(statement)
            marked += self._after(statement)
            for block in ir.inner(statement):
                self._mark(block["stmts"])
                if statement["type"] == "ScanStmt":
                    number = self._code.number_of(statement)
                    block["stmts"][:0] = self._note(begun(number), statement["stmt"]["key"])
        statements[:] = marked

    def _before(self, statement: Raw) -> Iterator[Raw]:
        """That a rule is asked is told at once: whether it was already known, what follows says."""
        if self._is_rule(statement):
            yield from self._note(begun(self._code.number_of(statement)))

    def _after(self, statement: Raw) -> Iterator[Raw]:
        kind, fields = statement["type"].removesuffix("Stmt"), statement["stmt"]
        if kind not in _SILENT:
            made = fields["result"] if kind == "Call" and not self._is_rule(statement) else None
            yield from self._note(held(self._code.number_of(statement)), made)

    def _is_rule(self, statement: Raw) -> bool:
        return statement["stmt"].get("func") in self._code.functions

    def _note(self, mark: int, value: int | None = None) -> Sequence[Raw]:
        noted = [ir.append(self._list, ir.text(self._strings.index(str(mark))))]
        return noted if value is None else [*noted, ir.append(self._list, ir.local(value))]
