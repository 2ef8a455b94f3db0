"""What is known of a value before anything runs: which literals it can be, and of which kinds.

Known from literals, from what built-ins return, from the input's schema (the engine makes the
input, so it has the types of the schema) and from the bundle's data.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.rego.checks.documents import input_schema, values_at
from scopebound_engine.rego.plan import Element, Path, Plan
from scopebound_engine.rego.statements import Local, Operand, Statement

Kinds = frozenset[str]
ANY: Final[Kinds] = frozenset(
    ("array", "boolean", "null", "number", "object", "set", "string"),
)
_JSON_KINDS: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
# What the engine declares otherwise than it returns.
_RETURNED: Final[Mapping[str, str]] = {
    "concat": "string",
    "object.filter": "object",
    "object.remove": "object",
}
_MADE: Final[Mapping[str, str]] = {
    "MakeArray": "array",
    "MakeSet": "set",
    "MakeObject": "object",
    "MakeNull": "null",
    "MakeNumberInt": "number",
    "MakeNumberRef": "number",
    "Len": "number",
}


class Values:
    """Questions about the operands of a plan. `data` is the bundle's data document."""

    def __init__(self, plan: Plan, data: Mapping[str, Any]) -> None:
        self.plan = plan
        self._data = data
        self._known: dict[int, Kinds] = {}

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
        origins = self.origins(operand)
        found = frozenset(origin for origin in origins if isinstance(origin, str))
        return found if len(found) == len(origins) else frozenset()

    def elements(self, operand: Operand) -> Sequence[Statement] | None:
        """The statements that put the elements into an array or a set; None where unknown."""
        makers = [self._maker(origin) for origin in self.origins(operand)]
        if not makers or None in makers:
            return None
        return [fill for maker in makers if maker is not None for fill in self.plan.fills(maker)]

    def _maker(self, operand: Operand) -> int | None:
        """The number of a variable that is made as an array or a set, filled step by step."""
        if not isinstance(operand, Local):
            return None
        writers = [item.kind for item in self.plan.writers.get(operand.number, ())]
        made = {*writers} - {"ResetLocal"}
        return operand.number if made and made <= {"MakeArray", "MakeSet"} else None

    def origins(self, operand: Operand) -> Sequence[Operand]:
        """All that an operand can have been before it was passed on, from rules as well."""
        found: list[Operand] = []
        waiting, seen = [operand], {operand}
        for current in waiting:
            sources = self._sources(current.number) if isinstance(current, Local) else []
            if not sources:
                found.append(current)
            waiting += [source for source in sources if source not in seen]
            seen.update(sources)
        return found

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
        return self.kinds(operand) == {"number"}

    def is_array(self, operand: Operand) -> bool:
        """Whether an operand, wherever it is defined, is an array."""
        return self.kinds(operand) == {"array"}

    def kinds(self, operand: Operand) -> Kinds:
        """What an operand can be, wherever it is defined: some of `ANY`."""
        if isinstance(operand, str):
            return frozenset(("string",))
        if isinstance(operand, bool):
            return frozenset(("boolean",))
        number = operand.number
        if number not in self._known:
            self._known[number] = ANY  # what depends on itself is not known
            given = [
                self._given(writer, number)
                for writer in self.plan.writers.get(number, ())
                if writer.kind != "ResetLocal"
            ]
            given += [self.kinds(operand) for _, operand in self.plan.callers(number)]
            self._known[number] = frozenset().union(*given) if given else self._held(number)
        return self._known[number]

    def _given(self, writer: Statement, number: int) -> Kinds:
        """What this statement makes of the variable."""
        if writer.kind in _MADE:
            return frozenset((_MADE[writer.kind],))
        if writer.kind.startswith("AssignVar"):
            return self.kinds(writer.reads[0])
        if writer.kind == "Call":
            return self._returned(writer)
        if writer.kind == "Scan" and number == writer.fields["value"]:
            return self._scanned(writer.reads[0], number)
        return self._held(number) if writer.kind in {"Dot", "Scan"} else ANY

    def _scanned(self, collection: Operand, number: int) -> Kinds:
        """What an element of a collection can be: of one that is made here, what is put into it."""
        made = [origin for origin in self.origins(collection) if isinstance(origin, Local)]
        writers = [item for origin in made for item in self.plan.writers.get(origin.number, ())]
        inserts = [item for origin in made for item in self.plan.inserts(origin.number)]
        kinds = {item.kind for item in writers} - {"ResetLocal"}
        if kinds == {"MakeObject"} and inserts:
            return frozenset().union(*(self.kinds(item.reads[1]) for item in inserts))
        fills = self.elements(collection)
        if fills:
            return frozenset().union(*(self.kinds(fill.reads[0]) for fill in fills))
        return self._held(number)

    def _returned(self, call: Statement) -> Kinds:
        function = self.plan.functions.get(call.callee)
        if function is not None:
            return self.kinds(Local(function.result))
        if call.callee == "minus":
            # Of two sets it gives a set; of a number and anything but a number it fails.
            sets = all("set" in self.kinds(operand) for operand in call.reads)
            return frozenset(("number", "set") if sets else ("number",))
        declared = self.plan.builtins.get(call.callee, {}).get("result", {}).get("type")
        return frozenset((_RETURNED.get(call.callee, declared),)) & ANY or ANY

    def _held(self, number: int) -> Kinds:
        """What a document holds where the variable is traced to."""
        return self._kinds_at(self.plan.path(number))

    def element_kinds(self, operand: Operand) -> Kinds:
        """What the elements of an array or set can be."""
        fills = self.elements(operand)
        if fills is not None:
            return frozenset().union(*(self.kinds(fill.reads[0]) for fill in fills))
        if not isinstance(operand, Local) or not self.is_array(operand):
            return ANY
        root, steps = self.plan.path(operand.number)
        return self._kinds_at((root, (*steps, Element(operand.number))))

    def entry_kinds(self, operand: Operand) -> Kinds:
        """What the values of an object can be, of one that is written out or in a document."""
        origin = self.origin(operand)
        if not isinstance(origin, Local) or self.kinds(origin) != {"object"}:
            return ANY
        writers = {writer.kind for writer in self.plan.writers.get(origin.number, ())}
        if writers == {"MakeObject"}:
            inserts = self.plan.inserts(origin.number)
            return frozenset().union(*(self.kinds(item.reads[1]) for item in inserts))
        root, steps = self.plan.path(origin.number)
        return self._kinds_at((root, (*steps, Element(origin.number))))

    def _kinds_at(self, path: Path) -> Kinds:
        found: Iterable[str] = ()
        if path[0] == "input":
            declared = (input_schema(path) or {}).get("type", ())
            names = (declared,) if isinstance(declared, str) else declared
            found = ("number" if name == "integer" else name for name in names)
            # JSON has no sets.
            return frozenset(found) or ANY - {"set"}
        if path[0] == "data":
            found = (_JSON_KINDS[type(value)] for value in values_at(self._data, path))
        return frozenset(found) or ANY


def listed(kinds: Kinds) -> str:
    """Kinds as a text: "an array or null"."""
    return " or ".join(
        kind if kind == "null" else f"{'an' if kind[0] in 'ao' else 'a'} {kind}"
        for kind in sorted(kinds)
    )
