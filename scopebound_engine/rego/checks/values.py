"""What is known of a value before anything runs: a literal, certainly a number, certainly a string.

Known from literals, from what built-ins return, from the input's schema (the engine makes the
input, so it has the types of the schema) and from the bundle's data.
"""

from collections.abc import Mapping
from typing import Any, Final

from scopebound_engine.rego.checks.documents import input_schema, values_at
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Local, Operand, Statement

_JSON_KINDS: Final = {str: "string", int: "number", float: "number", list: "array"}


class Values:
    """Questions about the operands of a plan. `data` is the bundle's data document."""

    def __init__(self, plan: Plan, data: Mapping[str, Any]) -> None:
        self.plan = plan
        self._data = data
        self._known: dict[tuple[int, str], bool] = {}

    def origin(self, operand: Operand) -> Operand:
        """What an operand was before it was passed on from variable to variable."""
        while isinstance(operand, Local):
            writer = self.plan.writer(operand.number)
            if writer is None or not writer.kind.startswith("AssignVar"):
                break
            operand = writer.reads[0]
        return operand

    def literal(self, operand: Operand) -> str | None:
        """The literal string that an operand is, directly or by a variable; None otherwise."""
        origin = self.origin(operand)
        return origin if isinstance(origin, str) else None

    def literals(self, operand: Operand) -> frozenset[str]:
        """All literal strings that an operand can be; empty where it can be anything else."""
        found: set[str] = set()
        waiting, seen = [operand], {operand}
        for current in waiting:
            if isinstance(current, str):
                found.add(current)
                continue
            sources = self._sources(current.number) if isinstance(current, Local) else []
            if not sources:
                return frozenset()
            waiting += [source for source in sources if source not in seen]
            seen.update(sources)
        return frozenset(found)

    def _sources(self, number: int) -> list[Operand]:
        """The operands that a variable can have its value from; empty where it is not so simple."""
        sources: list[Operand] = []
        for writer in self.plan.writers.get(number, ()):
            if writer.kind.startswith("AssignVar"):
                sources.append(writer.reads[0])
            elif writer.callee in self.plan.functions:
                sources.append(Local(self.plan.functions[writer.callee].result))
            elif writer.kind != "ResetLocal":
                return []
        return sources

    def is_number(self, operand: Operand) -> bool:
        """Whether an operand, wherever it is defined, is a number."""
        return isinstance(operand, Local) and self._is(operand.number, "number")

    def is_text(self, operand: Operand) -> bool:
        """Whether an operand, wherever it is defined, is a string."""
        if isinstance(operand, Local):
            return self._is(operand.number, "string")
        return isinstance(operand, str)

    def is_array(self, operand: Operand) -> bool:
        """Whether an operand, wherever it is defined, is an array."""
        return isinstance(operand, Local) and self._is(operand.number, "array")

    def _is(self, number: int, kind: str) -> bool:
        key = (number, kind)
        if key not in self._known:
            self._known[key] = False  # what depends on itself is not known
            writers = [
                writer
                for writer in self.plan.writers.get(number, ())
                if writer.kind != "ResetLocal"
            ]
            self._known[key] = bool(writers) and all(
                self._gives(writer, number, kind) for writer in writers
            )
        return self._known[key]

    def _gives(self, writer: Statement, number: int, kind: str) -> bool:
        """Whether this statement gives the variable a value of the kind."""
        if writer.kind.startswith("MakeNumber"):
            return kind == "number"
        if writer.kind == "MakeArray":
            return kind == "array"
        if writer.kind.startswith("AssignVar"):
            source = writer.reads[0]
            if isinstance(source, Local):
                return self._is(source.number, kind)
            return kind == "string" and isinstance(source, str)
        if writer.kind == "Call":
            return self._returns(writer, kind)
        return writer.kind in {"Dot", "Scan"} and self._document_has(number, kind)

    def _returns(self, call: Statement, kind: str) -> bool:
        function = self.plan.functions.get(call.callee)
        if function is not None:
            return self._is(function.result, kind)
        if call.callee == "minus":
            # Of two sets it gives a set; of a number and anything but a number it fails.
            return kind == "number" and any(map(self._is_no_set, call.reads))
        declared = self.plan.builtins.get(call.callee, {}).get("result", {})
        return bool(declared.get("type") == kind)

    def _is_no_set(self, operand: Operand) -> bool:
        if self.is_number(operand):
            return True
        # JSON has no sets.
        return isinstance(operand, Local) and self.plan.path(operand.number)[0] in {"input", "data"}

    def _document_has(self, number: int, kind: str) -> bool:
        path = self.plan.path(number)
        if path[0] == "input":
            # A list of types, as for what may be null, is none of them for certain.
            declared = (input_schema(path) or {}).get("type")
            return declared == kind or (kind == "number" and declared == "integer")
        if path[0] == "data":
            held = values_at(self._data, path)
            return bool(held) and all(_json_kind(value) == kind for value in held)
        return False


def _json_kind(value: Any) -> str:
    return _JSON_KINDS.get(type(value), "other")
