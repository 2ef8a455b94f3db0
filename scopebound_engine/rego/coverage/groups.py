"""Which statements of a compiled plan make up an expression of the source, and where it is decided.

The engine reorders what it compiles, and its places are not those of the source throughout. What
can be relied on, as of regopy 1.5.2: an expression that is tested ends in `NotEqual … false` of
what the statement before computed; one that gives a variable its value in two assignments, of the
value and of `true`; a negation is one `Not`. A scan at the end of a list holds what follows in the
body, any other what belongs to its own expression. What unpacks arguments or a pattern is placed at
the first expression of the body, and is nobody's.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from scopebound_engine.rego.coverage.units import Expression
from scopebound_engine.rego.rewriting import Raw, boolean, local

# Tells the expression that a statement's own place is in; None where it has none.
Finder = Callable[[Raw], Expression | None]

_FALSE: Final = boolean(False)
_TRUE: Final = boolean(True)


@dataclass(frozen=True, slots=True)
class Group:
    """The statements from `first` to before `end` of a list, any of which may fail.

    After them their expression is "true", or only a part of it has "passed", or it is "open": what
    comes next of it stands in the scan that is the last of them.
    """

    expression: Expression
    first: int
    end: int
    outcome: Literal["true", "passed", "open"]


class GroupReader:
    """Reads the lists of one function, outer ones first; `params` are its own parameters."""

    def __init__(self, find: Finder, params: Collection[int]) -> None:
        self._find = find
        # Parameters, patterns and what was taken out of them.
        self._unpacked = set(params)
        self._scanned: dict[int, Expression | None] = {}

    def groups(self, statements: Sequence[Raw]) -> list[Group]:
        """The groups of a list, in order."""
        found: list[Group] = []
        start = 0
        for index, statement in enumerate(statements):
            self._note(statement)
            if (outcome := self._outcome(statements, index)) is None:
                continue
            expression = self._owner(statements, index)
            if expression is not None:
                if outcome == "true" and _binds(statements, index) and expression.is_condition:
                    outcome = "passed"
                first = self._first(statements[start : index + 1], expression)
                found.append(Group(expression, start + first, index + 1, outcome))
            start = index + 1
        return found

    def _note(self, statement: Raw) -> None:
        kind, fields = statement["type"], statement["stmt"]
        if kind == "ScanStmt":
            owner = self._find(statement)
            self._scanned |= {fields["key"]: owner, fields["value"]: owner}
        elif kind in {"IsArrayStmt", "IsObjectStmt"}:
            self._unpacked.add(_number(fields["source"]))
        elif kind in {"LenStmt", "DotStmt"} and _number(fields["source"]) in self._unpacked:
            self._unpacked.add(fields["target"])

    def _outcome(
        self, statements: Sequence[Raw], index: int
    ) -> Literal["true", "passed", "open"] | None:
        """How a group ends with this statement; None where none does."""
        kind = statements[index]["type"]
        if kind == "ScanStmt":
            return "open" if index + 1 == len(statements) else None
        if kind == "NotStmt" or _binds(statements, index):
            return "true"
        if kind == "NotEqualStmt" and statements[index]["stmt"]["b"] == _FALSE:
            tested = statements[index]["stmt"]["a"]
            after = statements[index + 1] if index + 1 < len(statements) else None
            is_scanned = (
                after is not None
                and after["type"] == "ScanStmt"
                and local(after["stmt"]["source"]) == tested
            )
            return None if is_scanned else "true"
        return None

    def _owner(self, statements: Sequence[Raw], index: int) -> Expression | None:
        """The expression of the group that ends here; None where it is nobody's."""
        statement = statements[index]
        if statement["type"] in {"ScanStmt", "NotStmt"}:
            return self._find(statement)
        before = statements[index - 1] if index else None
        if _binds(statements, index):
            return self._bound(statements, index)
        tested = _number(statement["stmt"]["a"])
        if before is not None and _target(before) == tested:
            equal = statements[index - 2]["stmt"] if index > 1 else {}
            compared = {_number(equal[side]) for side in ("a", "b") if side in equal}
            is_assigned = before["type"] == "AssignVarStmt"
            is_pattern = is_assigned and not compared.isdisjoint(self._unpacked)
            return None if is_pattern else self._find(before)
        return self._scanned.get(tested)

    def _bound(self, statements: Sequence[Raw], index: int) -> Expression | None:
        fields = statements[index - 1]["stmt"]
        after = statements[index + 1] if index + 1 < len(statements) else None
        is_unpacked = _number(fields["source"]) in self._unpacked or (
            after is not None
            and after["type"] in {"IsArrayStmt", "IsObjectStmt"}
            and _number(after["stmt"]["source"]) == fields["target"]
        )
        return None if is_unpacked else self._find(statements[index - 1])

    def _first(self, statements: Sequence[Raw], expression: Expression) -> int:
        """Where what belongs to the expression begins, in statements that end with it."""
        for index, statement in enumerate(statements):
            owner = self._find(statement)
            if owner is not None and (owner is expression or owner.is_within(expression)):
                return index
        return len(statements) - 1


def _binds(statements: Sequence[Raw], index: int) -> bool:
    """Whether a statement is the second assignment of those that give a variable its value."""
    return (
        index > 0
        and statements[index]["type"] == statements[index - 1]["type"] == "AssignVarStmt"
        and statements[index]["stmt"]["source"] == _TRUE
    )


def _target(statement: Raw) -> int | None:
    fields: Mapping[str, Any] = statement["stmt"]
    found: int | None = fields.get("target", fields.get("result"))
    return found


def _number(operand: Mapping[str, Any]) -> int:
    """The variable that an operand is; -1 for a constant."""
    return int(operand["value"]) if operand["type"] == "local" else -1
