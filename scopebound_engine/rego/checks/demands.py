"""What the bodies of a plan demand of a call, what they only show, and what they deny."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from scopebound_engine.rego.checks.bodies import Bodies, Body, Plain, starts
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.statements import Local, Statement

TYPE_TESTS: Final = frozenset(
    ("is_array", "is_boolean", "is_number", "is_object", "is_set", "is_string")
)


@dataclass(frozen=True, slots=True)
class Denied:
    """What some violation denies: paths where nothing is, and paths with a value of any kind."""

    absent: frozenset[Plain]
    unfit: frozenset[Plain]


class Demands(Bodies):
    """Bodies, with what they ask for."""

    def __init__(self, values: Values) -> None:
        super().__init__(values)
        self._given: dict[str, bool] = {}
        self.needs = cache(self._needs)

    def shown_only(self, number: int, at: Statement) -> bool:
        """Whether a variable serves nothing but what a violation says."""
        return self._shown(number, at, set())

    def _shown(self, number: int, at: Statement | None, seen: set[int]) -> bool:
        if number in seen:
            return True
        seen.add(number)
        readers = self.plan.readers.get(number, ()) if at is None else self.readers(number, at)
        return all(self._shows(reader, number, seen) for reader in readers)

    def _shows(self, reader: Statement, number: int, seen: set[int]) -> bool:
        if reader.kind in {"IsDefined", "IsUndefined"}:
            return True
        if reader.kind == "ReturnLocal":
            return self._gives_shown(reader.block.function)
        if reader.kind == "SetAdd" and reader in self._ends:
            return True
        if reader.callee in self.plan.functions:
            given = zip(self.plan.functions[reader.callee].params, reader.reads[2:], strict=False)
            params = [param for param, operand in given if operand == Local(number)]
            inside = all(self._shown(param, None, seen) for param in params)
            return inside and self._shown(reader.target or 0, reader, seen)
        goes_on = _goes_to(reader)
        # A result, or that of an `else`, is read outside of the body.
        at = None if reader.kind == "AssignVarOnce" else reader
        return goes_on is not None and self._shown(goes_on, at, seen)

    def _gives_shown(self, name: str) -> bool:
        """Whether all calls of a function only show what it gives."""
        if name not in self._given:
            self._given[name] = True  # what depends on itself adds nothing
            calls = self.plan.calls.get(name, ())
            shown = (self.shown_only(call.target or 0, call) for call in calls)
            self._given[name] = bool(calls) and all(shown)
        return self._given[name]

    @cached_property
    def _ends(self) -> frozenset[Statement]:
        return frozenset(body.end for body in self.violations)

    def _needs(self, body: Body) -> frozenset[Plain]:
        """The paths that a body's author asks for, and the conditions, of helpers too."""
        found = {
            path for path, item in self.reads(body) if not self.shown_only(item.target or 0, item)
        }
        for item in body.statements:
            if item.kind == "Not":
                found.add(("not", *sorted({".".join(path) for path in self._named(item)})))
        for call in self.asked(body):
            found.add(("call", call.callee))
            for inner in self.of(call.callee) if not self._recurs(call) else ():
                found |= self.needs(inner)
        return frozenset(found)

    def _recurs(self, call: Statement) -> bool:
        return call.block.function in self.plan.reachable(call.callee)

    def _named(self, negated: Statement) -> Iterator[Plain]:
        for item in self.inside(negated):
            if item.kind == "Dot":
                yield self.plain(Local(item.target or 0), item)
            elif item.kind == "Call":
                yield ("call", item.callee)

    @cached_property
    def denied(self) -> Denied:
        """What the violations deny for being absent, or for being of another kind."""
        absent, unfit = set[Plain](), set[Plain]()
        for violation, body in self.denying:
            needed = {path for path, _ in self.reads(violation)} | {p for p, _ in self.reads(body)}
            for path, is_kind in self._denied_by(body):
                if is_kind:
                    unfit.add(path)
                if not any(starts(other, path) for other in needed):
                    absent.add(path)
        return Denied(frozenset(absent), frozenset(unfit))

    def _denied_by(self, body: Body) -> Iterator[tuple[Plain, bool]]:
        """The paths whose absence a body denies, each with whether it denies unfit kinds."""
        for item in body.statements:
            if item.kind == "Not":
                yield from self._negated(self.inside(item), set())
            elif item.callee == "object.get" and not self.shown_only(item.target or 0, item):
                key = self.values.literal(item.reads[1])
                if key is not None:
                    path = (*(self.plain(item.reads[0], item) or ("input",)), key)
                    yield path, True
            elif item.callee == "type_name":
                yield self.plain(item.reads[0], item), True

    def _negated(
        self, statements: Sequence[Statement], seen: set[str]
    ) -> Iterator[tuple[Plain, bool]]:
        """What must be there, and of its kind, for negated statements to hold."""
        tested = {
            self.plain(operand, item)
            for item in statements
            if item.callee in TYPE_TESTS | {"type_name"}
            for operand in item.reads
        }
        for item in statements:
            if item.kind == "Dot":
                path = self.plain(Local(item.target or 0), item)
                yield path, path in tested
            elif item.callee in TYPE_TESTS:
                # The value was looked up before the `not`.
                yield self.plain(item.reads[0], item), True
            elif item.callee in self.plan.functions and item.callee not in seen:
                seen.add(item.callee)
                yield from self._negated(self.plan.functions[item.callee].statements, seen)


def _goes_to(reader: Statement) -> int | None:
    """The variable that what a statement reads goes on to; None where something is decided."""
    if reader.kind.startswith("ObjectInsert"):
        return int(reader.fields["object"])
    if reader.kind in {"ArrayAppend", "SetAdd"}:
        return int(reader.fields["array" if reader.kind == "ArrayAppend" else "set"])
    passes_on = reader.kind in {"Call", "Dot"} or reader.kind.startswith("AssignVar")
    return reader.target if passes_on else None
