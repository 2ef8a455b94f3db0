"""Values that are only shown: in a field of a violation, or in a text that ends up in one."""

from typing import Final

from scopebound_engine.rego.checks.denials import objects
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Local, Statement

# Built-ins that make a text of what they are given.
_SHOWING: Final = frozenset({"sprintf", "concat"})


class Texts:
    """Answers for the variables of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.violations = {made.target for made, _ in objects(plan)}

    def only_shown(self, number: int) -> bool:
        """Whether nothing is done with a variable but to show it."""
        return self._shown(number, set())

    def shows(self, statement: Statement, number: int) -> bool:
        """Whether a statement reads a variable to show it."""
        return self._shows(statement, number, set())

    def _shown(self, number: int, seen: set[int]) -> bool:
        if number in seen:
            return True
        seen.add(number)
        return all(
            self._shows(reader, number, seen) for reader in self._plan.readers.get(number, ())
        )

    def _shows(self, reader: Statement, number: int, seen: set[int]) -> bool:
        if reader.kind in {"IsDefined", "IsUndefined"}:
            return True
        if reader.kind == "ReturnLocal":
            calls = self._plan.calls.get(reader.block.function, ())
            return bool(calls) and all(self._shown(call.target or 0, seen) for call in calls)
        if reader.kind in {"ObjectInsert", "ObjectInsertOnce"}:
            return reader.fields["object"] in self.violations
        if reader.kind == "ArrayAppend":
            return self._shown(reader.fields["array"], seen)
        if reader.callee in self._plan.functions:
            return all(self._shown(param, seen) for param in self._params(reader, number))
        passes_on = reader.kind.startswith("AssignVar") or reader.callee in _SHOWING
        return passes_on and self._shown(reader.target or 0, seen)

    def _params(self, call: Statement, number: int) -> list[int]:
        """The parameters that a call passes a variable for."""
        params = self._plan.functions[call.callee].params
        given = zip(params, call.reads[2:], strict=False)
        return [param for param, operand in given if operand == Local(number)]
