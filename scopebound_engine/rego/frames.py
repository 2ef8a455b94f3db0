"""Deals out the numbers of a plan's variables like places on a stack, so that there are few.

The engine has one frame with a place for every variable of the whole plan, and copies all of it for
each call of a built-in (rego-cpp's VirtualMachine::run_call, as of regopy 1.5.2). No rule calls
itself, so a function may take the places of any that is not under way when it is, and a block those
of the blocks beside it.

A place is then no longer undefined before its function writes to it. So this is for functions that
give each variable a value before they read it, whatever happens. The variables of all others keep a
place each, in all functions: what `with` replaces a function in is compiled once more, with the
same variables. The document is that of `binary.decode`, or plan.json.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from typing import Any, Final

from scopebound_engine.rego.binary.form import FIELDS
from scopebound_engine.rego.rewriting import inner
from scopebound_engine.rego.statements import DATA, INPUT

_FIXED: Final = (INPUT, DATA)
_NO_VARIABLES: Final = frozenset({"index", "capacity"})
_WRITTEN: Final = frozenset({"target", "result"})


def pack(
    document: Mapping[str, Any],
    callees: Mapping[str, Sequence[str]],
    shared: Sequence[int] = (),
) -> int | None:
    """Renumbers the variables of a plan in place; how many places it needs then.

    `callees` are the names of what each function calls; `shared` are variables that outlive them.
    None, and nothing changed, where it cannot be known which functions are under way together. No
    statement may stand in the document twice.
    """
    functions = {function["name"]: function for function in document["funcs"]["funcs"]}
    plans = document["plans"]["plans"]
    if any(_calls_by_value(part) for part in (*plans, *functions.values())):
        return None
    try:
        order = list(TopologicalSorter(_callers(functions, callees)).static_order())
    except CycleError:
        return None
    fixed = _fixed(functions.values(), (*_FIXED, *shared))
    first = max([len(fixed), *(_Places(plan, fixed).deal(len(fixed)) for plan in plans)])
    bases, ends = dict.fromkeys(functions, first), [first]
    for name in order:
        places = _Places(functions[name], fixed)
        ends.append(places.deal(bases[name]))
        # What stands in no statement may be called at any place.
        calls = dict.fromkeys(callees[name], ends[-1]) | places.calls
        for callee, end in calls.items():
            bases[callee] = max(bases.get(callee, 0), end)
    return max(ends)


def _fixed(functions: Iterable[Mapping[str, Any]], fixed: Sequence[int]) -> Sequence[int]:
    """These and all variables of functions that may read what an earlier call left there."""
    kept = dict.fromkeys(fixed)
    for function in functions:
        if not _writes_first(function, fixed):
            kept |= dict.fromkeys((*function["params"], function["return"]))
            for statement in _statements(function["blocks"]):
                kept |= dict.fromkeys(_named(statement))
    return tuple(kept)


class _Places:
    """The places of the variables of one function or plan.

    A variable belongs to the innermost block that holds all its uses, and no other block beside
    that one can see what it has. `calls` tells for each callee the first place that is free then.
    """

    def __init__(self, part: dict[str, Any], fixed: Sequence[int]) -> None:
        self.calls: dict[str, int] = {}
        self._part = part
        self._places = {number: place for place, number in enumerate(fixed)}
        self._homes: dict[int, tuple[int, ...]] = {}
        for number in (*part.get("params", ()), *_one(part.get("return"))):
            self._homes[number] = ()
        self._settle(part["blocks"], ())

    def deal(self, first: int) -> int:
        """Gives the variables places from this one on; the first that is free after them."""
        end = self._blocks(self._part["blocks"], (), self._take((), first))
        if "return" in self._part:
            self._part["params"] = [self._places[number] for number in self._part["params"]]
            self._part["return"] = self._places[self._part["return"]]
        return end

    def _settle(self, blocks: Iterable[Mapping[str, Any]], path: tuple[int, ...]) -> None:
        for block in blocks:
            home = (*path, id(block))
            for statement in block["stmts"]:
                for number in _named(statement):
                    self._homes[number] = _common(self._homes.get(number, home), home)
                self._settle(inner(statement), home)

    def _take(self, home: tuple[int, ...], first: int) -> int:
        """Gives places to the variables of one block; the first that is free after them."""
        for number, own in self._homes.items():
            if own == home and number not in self._places:
                self._places[number] = first
                first += 1
        return first

    def _blocks(
        self, blocks: Iterable[Mapping[str, Any]], path: tuple[int, ...], first: int
    ) -> int:
        return max((self._block(block, path, first) for block in blocks), default=first)

    def _block(self, block: Mapping[str, Any], path: tuple[int, ...], first: int) -> int:
        home = (*path, id(block))
        first = self._take(home, first)
        ends = [first]
        for statement in block["stmts"]:
            if statement["type"] == "CallStmt":
                callee = statement["stmt"]["func"]
                self.calls[callee] = max(self.calls.get(callee, 0), first)
            self._renumber(statement)
            ends.append(self._blocks(inner(statement), home, first))
        return max(ends)

    def _renumber(self, statement: Mapping[str, Any]) -> None:
        fields = statement["stmt"]
        for name, code in FIELDS[statement["type"]]:
            if code == "u" and name not in _NO_VARIABLES:
                fields[name] = self._places[fields[name]]
            elif code == "o":
                fields[name] = self._moved(fields[name])
            elif code == "O":
                fields[name] = [self._moved(operand) for operand in fields[name]]

    def _moved(self, operand: dict[str, Any]) -> dict[str, Any]:
        # Several statements may share one operand, which therefore stays as it is.
        if operand["type"] != "local":
            return operand
        return {**operand, "value": self._places[operand["value"]]}


def _named(statement: Mapping[str, Any]) -> Iterator[int]:
    """All variables that a statement itself names."""
    fields = statement["stmt"]
    for name, code in FIELDS[statement["type"]]:
        if code == "u" and name not in _NO_VARIABLES:
            yield fields[name]
        elif code in "oO":
            for operand in fields[name] if code == "O" else (fields[name],):
                if operand["type"] == "local":
                    yield operand["value"]


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a for a, b in takewhile(_same, zip(one, other, strict=False)))


def _same(pair: tuple[int, int]) -> bool:
    return pair[0] == pair[1]


def _one(number: int | None) -> tuple[int, ...]:
    return () if number is None else (number,)


def _callers(
    functions: Mapping[str, Any], callees: Mapping[str, Sequence[str]]
) -> dict[str, set[str]]:
    callers: dict[str, set[str]] = {name: set() for name in functions}
    for name in functions:
        for callee in callees[name]:
            if callee in callers:
                callers[callee].add(name)
    return callers


def _calls_by_value(part: Mapping[str, Any]) -> bool:
    return any(item["type"] == "CallDynamicStmt" for item in _statements(part["blocks"]))


def _statements(blocks: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        for statement in block["stmts"]:
            yield statement
            yield from _statements(inner(statement))


def _writes_first(function: Mapping[str, Any], fixed: Sequence[int]) -> bool:
    """Whether each variable has a value of this call's, or none, wherever it is read."""
    return _all_known(function["blocks"], {*fixed, *function["params"]})


def _all_known(blocks: Iterable[Mapping[str, Any]], known: set[int]) -> bool:
    """Whether alternatives read only what is known. Adds what is known after them."""
    for block in blocks:
        within = set(known)
        for statement in block["stmts"]:
            if not _reads_known(statement, within):
                return False
        # A block may end anywhere with nothing lost but what follows in it; resets do not fail.
        for statement in block["stmts"]:
            if statement["type"] != "ResetLocalStmt":
                break
            known.add(statement["stmt"]["target"])
    return True


def _reads_known(statement: Mapping[str, Any], known: set[int]) -> bool:
    kind, fields = statement["type"], statement["stmt"]
    if not known.issuperset(_read(kind, fields)):
        return False
    inside = known
    if kind == "ScanStmt":
        inside = known | {fields["key"], fields["value"]}
    if kind == "WithStmt":
        # It fails where its block does: what comes after it has all that the block gave.
        return all(_reads_known(item, known) for item in fields["block"]["stmts"])
    if not _all_known(inner(statement), inside if kind != "NotStmt" else set(known)):
        return False
    known.update(fields[name] for name in _WRITTEN & fields.keys())
    return True


def _read(kind: str, fields: Mapping[str, Any]) -> Iterator[int]:
    """The variables that a statement reads before it writes any."""
    for name, code in _READS[kind]:
        if code == "u":
            yield fields[name]
        else:
            for operand in fields[name] if code == "O" else (fields[name],):
                if operand["type"] == "local":
                    yield operand["value"]


def _is_read(kind: str, name: str, code: str) -> bool:
    """Whether a statement looks at what this field names."""
    if code != "u":
        return code in "oO"
    if kind == "ScanStmt":
        return name == "source"
    written = name in _WRITTEN and kind != "AssignVarOnceStmt"
    return not written and name not in _NO_VARIABLES


_READS: Final = {
    kind: tuple((name, code) for name, code in fields if _is_read(kind, name, code))
    for kind, fields in FIELDS.items()
}
