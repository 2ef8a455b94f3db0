"""Deals out the numbers of a plan's variables like places on a stack, so that there are few.

The engine has one frame with a place for every variable of the whole plan, and copies all of it for
each call of a built-in (rego-cpp's VirtualMachine::run_call, as of regopy 1.5.2). No rule calls
itself, so a function may take the places of any that is not under way when it is: of the 7,800
places for the tests of the shipped policies 330 are left, and the tests take a third less time.

A place is then no longer undefined before its function writes to it. So this is for functions that
give each variable a value before they read it, whatever happens; all others keep places of their
own. The document is that of `binary.decode`, or plan.json.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from scopebound_engine.rego.binary import FIELDS
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
    fixed = (*_FIXED, *shared)
    functions = {function["name"]: function for function in document["funcs"]["funcs"]}
    plans = document["plans"]["plans"]
    if any(_calls_by_value(part) for part in (*plans, *functions.values())):
        return None
    try:
        order = list(TopologicalSorter(_callers(functions, callees)).static_order())
    except CycleError:
        return None
    first = max([len(fixed), *(_renumber(plan, _Places(len(fixed), fixed)) for plan in plans)])
    bases, ends, own = dict.fromkeys(functions, first), [first], []
    for name in order:
        end = bases[name]
        if _writes_first(functions[name], fixed):
            end = _renumber(functions[name], _Places(end, fixed))
        else:
            own.append(functions[name])
        ends.append(end)
        for callee in callees[name]:
            bases[callee] = max(bases.get(callee, 0), end)
    last = max(ends)
    for function in own:
        last = _renumber(function, _Places(last, fixed))
    return last


class _Places(dict[int, int]):
    """The place of each variable, dealt out from a first one on as they are asked for."""

    def __init__(self, first: int, fixed: Sequence[int]) -> None:
        super().__init__({number: place for place, number in enumerate(fixed)})
        self.end = first

    def __missing__(self, number: int) -> int:
        self[number] = place = self.end
        self.end += 1
        return place


def _callers(
    functions: Mapping[str, Any], callees: Mapping[str, Sequence[str]]
) -> dict[str, set[str]]:
    callers: dict[str, set[str]] = {name: set() for name in functions}
    for name in functions:
        for callee in callees[name]:
            if callee in callers:
                callers[callee].add(name)
    return callers


def _renumber(part: dict[str, Any], places: _Places) -> int:
    """Gives a plan or function its places; the first that is free after them."""
    if "return" in part:
        part["params"] = [places[number] for number in part["params"]]
        part["return"] = places[part["return"]]
    for statement in _statements(part["blocks"]):
        fields = statement["stmt"]
        for name, code in FIELDS[statement["type"]]:
            if code == "u" and name not in _NO_VARIABLES:
                fields[name] = places[fields[name]]
            elif code == "o":
                fields[name] = _moved(fields[name], places)
            elif code == "O":
                fields[name] = [_moved(operand, places) for operand in fields[name]]
    return places.end


def _moved(operand: dict[str, Any], places: _Places) -> dict[str, Any]:
    # Several statements may share one operand, which therefore stays as it is.
    return {**operand, "value": places[operand["value"]]} if operand["type"] == "local" else operand


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
