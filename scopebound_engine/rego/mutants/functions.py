"""The functions of a plan, and those of the mutants that can take their places.

A rule is the function `g0.data.<package>.<rule>`. Where a test replaces functions or rules, the
compiler copies those that are on the way to them, as `g1.data.…` and so on: a mutant needs a copy
like that as well, which calls what the copy calls.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any

from scopebound_engine.rego.mutants.grafts import PREFIX
from scopebound_engine.rego.rewriting import Raw, listings, reset, walk

# The package and name of a rule, without the "g0" before it.
Path = tuple[str, ...]


class Functions:
    """The functions of a document, among them those that `grafts` made of mutants."""

    def __init__(self, document: Mapping[str, Any], rules: Mapping[int, Path]) -> None:
        """`rules` are the paths of the rules that the mutants change, by their number."""
        _part_mutants(document)
        self._rules = rules
        self._all: dict[str, Raw] = {item["name"]: item for item in document["funcs"]["funcs"]}
        self._calls = {name: _calls(function) for name, function in self._all.items()}
        # Of mutants by number and the path they stand for; of all others by path.
        self._mutants: dict[int, dict[Path, str]] = {number: {} for number in rules}
        self._originals: dict[Path, list[str]] = {}
        for name, function in self._all.items():
            number, path = _identity(function["path"][1:])
            if number is None:
                self._originals.setdefault(path, []).append(name)
            else:
                self._mutants[number][path] = name

    @cached_property
    def callees(self) -> dict[str, Sequence[str]]:
        """What each function may call, as though every mutant stood beside its original."""
        callees = {name: dict.fromkeys(calls) for name, calls in self._calls.items()}
        standing: dict[str, list[str]] = {}
        for mutants in self._mutants.values():
            for path, mutant in mutants.items():
                for original in self._originals.get(path, ()):
                    callees[mutant] |= callees[original]
                    standing.setdefault(original, []).append(mutant)
        return {
            name: [*calls, *(mutant for call in calls for mutant in standing.get(call, ()))]
            for name, calls in callees.items()
        }

    def needed(self, starts: Iterable[str]) -> frozenset[str]:
        """The functions that some need, themselves included, but for mutants."""
        found = {*starts} & self._all.keys()
        waiting = list(found)
        for name in waiting:
            new = {*self._calls[name]} & self._all.keys() - found
            found |= new
            waiting += new
        return frozenset(found)

    def instead(self, number: int, needed: Sequence[str]) -> list[Raw] | None:
        """What takes the place of a mutant's rule among those needed.

        None where the plan does not tell how: with the mutant it would be another.
        """
        rule = self._rules[number]
        changed = [
            name for name in needed if tuple(self._all[name]["path"][1:][: len(rule)]) == rule
        ]
        found = [self._standing_for(number, name) for name in changed]
        return None if None in found else [function for function in found if function]

    def _standing_for(self, number: int, original: str) -> Raw | None:
        function = self._all[original]
        path = tuple(function["path"][1:])
        mutant = self._mutants[number].get(path)
        if mutant is None:
            # A rule of several names, one of which is gone: never given a value.
            return {**function, "blocks": [function["blocks"][0], function["blocks"][-1]]}
        calls = self._renamed_calls(original)
        if calls is None:
            return None
        return {**_calling(self._all[mutant], calls), "name": original, "path": function["path"]}

    def _renamed_calls(self, copy: str) -> dict[str, str] | None:
        """What a copy of a rule calls in the place of what the rule itself calls."""
        mine, its = self._calls.get(f"g0.{copy.partition('.')[2]}"), self._calls[copy]
        if mine is None or len(mine) != len(its):
            return None
        renamed = dict(zip(mine, its, strict=True))
        fits = [renamed[name] for name in mine] == its
        return {name: new for name, new in renamed.items() if name != new} if fits else None


def _part_mutants(document: Mapping[str, Any]) -> None:
    """Takes out the calls of mutants: who reads a whole package has all of its rules called."""
    mutants = {
        function["name"]
        for function in document["funcs"]["funcs"]
        if _identity(function["path"])[0] is not None
    }
    for listing in walk(document):
        for index, statement in enumerate(listing.statements):
            if statement["type"] == "CallStmt" and statement["stmt"]["func"] in mutants:
                listing.statements[index] = reset(statement["stmt"]["result"])


def _identity(path: Sequence[str]) -> tuple[int | None, Path]:
    """The number of a mutant, None for what is none; and the path of the rule itself."""
    for at, part in enumerate(path):
        if part.startswith(PREFIX):
            number, _, name = part.removeprefix(PREFIX).partition("_")
            return int(number), (*path[:at], name, *path[at + 1 :])
    return None, tuple(path)


def _calls(function: Mapping[str, Any]) -> list[str]:
    return [
        statement["stmt"]["func"]
        for listing in listings(function)
        for statement in listing.statements
        if statement["type"] == "CallStmt"
    ]


def _calling(function: Raw, renamed: Mapping[str, str]) -> Raw:
    """The function with other names for what it calls."""
    if not renamed:
        return function
    copy = deepcopy(function)
    for listing in listings(copy):
        for statement in listing.statements:
            if statement["type"] == "CallStmt":
                called = statement["stmt"]["func"]
                statement["stmt"]["func"] = renamed.get(called, called)
    return copy
