"""Marks in a compiled plan: variables that outlive calls and tell what a query evaluated.

An expression is pending from where its statements begin to where they end: if it still is when they
begin again, or when the query is over, one of them failed. The marks change nothing else, for none
of the added statements can fail but in alternatives of their own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from scopebound_engine.rego import rewriting as ir
from scopebound_engine.rego.coverage.clauses import bodies
from scopebound_engine.rego.coverage.groups import Group, GroupReader
from scopebound_engine.rego.coverage.places import Places
from scopebound_engine.rego.coverage.units import Clause, Expression, Units
from scopebound_engine.rego.rewriting import Raw, Strings, Variables
from scopebound_engine.rego.statements import DATA, INPUT
from scopebound_engine.rego.testing.lowering import Lowered

# No package has a name without "data".
TELLER: Final = "g0.marks"
_RESULT: Final = '"result"'
_DOCUMENTS: Final = (ir.local(INPUT), ir.local(DATA))


class Event(StrEnum):
    """What a mark says of an expression (true, false) or of a clause (tried, held)."""

    TRUE = "true"
    FALSE = "false"
    TRIED = "tried"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Mark:
    """A variable that is defined where this happened."""

    variable: int
    event: Event
    unit: Expression | Clause


class Marker:
    """Marks the plan of lowered modules, in place; `units` are those of the author's modules.

    An entrypoint of the marked plan gives two arrays: none or one `{"result": value}`, its own, and
    the indices in `marks` of what happened, as strings.
    """

    def __init__(
        self, document: dict[str, Any], lowered: Lowered, units: Units, variables: Variables
    ) -> None:
        self.marks: list[Mark] = []
        self._document, self._variables = document, variables
        self._places = Places(document, lowered, units)
        self._expressions: dict[Expression, tuple[int, int, int]] = {}
        # Those that are evaluated in parts with others between, and those that are true at one end.
        self._split: set[Expression] = set()
        self._decided: set[Expression] = set()
        # Clauses of compiled rules that are not told apart in the plan.
        self.unknown: set[Clause] = set()
        self._known: set[Clause] = set()
        self._strings = Strings(document["static"]["strings"])
        self._rules: dict[tuple[str, ...], list[Clause]] = {}
        for clause in units.clauses:
            self._rules.setdefault(clause.rule, []).append(clause)
        for function in document["funcs"]["funcs"]:
            self._mark_function(function)
        for plan in document["plans"]["plans"]:
            plan["blocks"] = [{"stmts": self._entry(plan)}]
        document["funcs"]["funcs"].append(self._teller())

    @property
    def marked(self) -> Collection[Expression]:
        """The expressions that can be told apart in the plan; others have no or not all marks."""
        return self._decided

    def is_sure(self, expression: Expression) -> bool:
        """Whether none of its statements was evaluated unless it is marked as true or as false."""
        return expression in self._decided and expression not in self._split

    def variable(self, event: Event, unit: Expression | Clause) -> int:
        """A new variable for a mark."""
        self.marks.append(Mark(self._variables.new(), event, unit))
        return self.marks[-1].variable

    def _mark_function(self, function: Mapping[str, Any]) -> None:
        clauses = self._rules.get(tuple(function["path"][1:]), [])
        within = None if clauses else self._places.outermost(function)
        if not clauses and within is None:
            return
        self.unknown.update(clause for clause in clauses if clause not in self._known)
        lists = _ListMarker(self, GroupReader(self._places.expression, function["params"][2:]))
        for body in list(bodies(function, clauses, self._places.clause)):
            last = lists.mark(body.statements, within)
            if body.clause is not None:
                self._mark_clause(body.clause, body.statements, last)

    def _mark_clause(self, clause: Clause, statements: list[Raw], last: list[Raw]) -> None:
        """Marks where a clause begins, and in the list that it ends in that it held."""
        is_choice = [item["type"] for item in statements[:1]] == ["IsUndefinedStmt"]
        tried = ir.assign(ir.boolean(True), self.variable(Event.TRIED, clause))
        statements.insert(int(is_choice), tried)
        last.append(ir.assign(ir.boolean(True), self.variable(Event.HELD, clause)))
        self._known.add(clause)
        self.unknown.discard(clause)

    def expression(self, expression: Expression) -> tuple[int, int, int]:
        """The variables that say that an expression was true, was false, and is pending."""
        if expression not in self._expressions:
            events = (Event.TRUE, Event.FALSE, Event.FALSE)
            true, false, pending = (self.variable(event, expression) for event in events)
            self._expressions[expression] = (true, false, pending)
        return self._expressions[expression]

    def ended(self, group: Group) -> list[Raw]:
        """What stands after a group that is not open."""
        true, _, pending = self.expression(group.expression)
        if group.outcome == "true":
            self._decided.add(group.expression)
            return [ir.reset(pending), ir.assign(ir.boolean(True), true)]
        self._split.add(group.expression)
        return [ir.reset(pending)]

    def _entry(self, plan: Mapping[str, Any]) -> list[Raw]:
        """The statements of an entrypoint: its own, but for where its value goes."""
        values, marks, both, result = (self._variables.new() for _ in range(4))
        own = [block["stmts"] for block in plan["blocks"]]
        for statements in own:
            for at, statement in enumerate(statements):
                if statement["type"] == "ResultSetAddStmt":
                    statements[at] = ir.append(values, ir.local(statement["stmt"]["value"]))
        return [
            ir.make_array(values),
            ir.alternatives(*own),
            ir.call(TELLER, _DOCUMENTS, marks),
            ir.make_array(both),
            ir.append(both, ir.local(values)),
            ir.append(both, ir.local(marks)),
            ir.make_object(result),
            ir.insert(result, ir.text(self._strings.index(_RESULT)), ir.local(both)),
            ir.add_result(result),
        ]

    def _teller(self) -> dict[str, Any]:
        """The function that returns what is marked."""
        found = self._variables.new()
        told = [
            [
                ir.defined(mark.variable),
                ir.append(found, ir.text(self._strings.index(f'"{index}"'))),
            ]
            for index, mark in enumerate(self.marks)
        ]
        return {
            "name": TELLER,
            "path": TELLER.split("."),
            "params": [INPUT, DATA],
            "return": found,
            "blocks": [{"stmts": [ir.make_array(found), ir.alternatives(*told), ir.give(found)]}],
        }


class _ListMarker:
    """Marks the lists of one function."""

    def __init__(self, marker: Marker, reader: GroupReader) -> None:
        self._marker, self._reader = marker, reader

    def mark(
        self, statements: list[Raw], within: Expression | None, opened: Expression | None = None
    ) -> list[Raw]:
        """Marks a list and all inside of it; the list that a body so far ends in.

        It is part of the expression `within`, and begins in the middle of the one that is `opened`.
        """
        found = self._reader.groups(statements)
        groups = [group for group in found if group.expression.is_within(within)]
        marked, at, before = [], 0, list(statements)
        for group in groups:
            marked += before[at : group.first]
            if opened is not group.expression:
                marked += self._dropped(opened) + self._begun(group.expression)
            marked += before[group.first : group.end]
            opened = group.expression if group.outcome == "open" else None
            marked += self._marker.ended(group) if opened is None else []
            at = group.end
        statements[:] = marked + before[at:]
        last = statements
        for index, statement in enumerate(before):
            goes_on = statement["type"] == "ScanStmt" and index + 1 == len(before)
            owners = [group.expression for group in groups if group.first <= index < group.end]
            for part in ir.inner(statement):
                if goes_on:
                    last = self._scanned(part["stmts"], within, opened)
                else:
                    self.mark(part["stmts"], [*owners, within][0])
        if last is statements:
            last += self._dropped(opened)
        return last

    def _scanned(
        self, statements: list[Raw], within: Expression | None, opened: Expression | None
    ) -> list[Raw]:
        """Marks a list that is gone through for each element that `opened` has found."""
        if opened is None or opened.is_condition:
            return self.mark(statements, within, opened)
        last = self.mark(statements, within)
        statements[:0] = self._marker.ended(Group(opened, 0, 0, "true"))
        return last

    def _begun(self, expression: Expression) -> list[Raw]:
        _, false, pending = self._marker.expression(expression)
        return [
            ir.alternatives([ir.defined(pending), ir.assign(ir.boolean(True), false)]),
            ir.assign(ir.boolean(True), pending),
        ]

    def _dropped(self, opened: Expression | None) -> list[Raw]:
        return [] if opened is None else self._marker.ended(Group(opened, 0, 0, "passed"))
