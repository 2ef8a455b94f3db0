"""Which literal strings a variable of a plan can hold, where it can hold nothing else.

So it is with `name` in `some name in ["hour", "weekday"]`, which a rule then looks facts up with.
"""

from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Local, Operand, Statement

_ASSIGNMENTS = frozenset({"AssignVar", "AssignVarOnce"})
_COLLECTIONS = frozenset({"MakeArray", "MakeSet"})


class LiteralKeys:
    """Answers for one plan; strings are as it has them, JSON-escaped."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[int, frozenset[str] | None] = {}

    def of(self, key: Operand) -> frozenset[str] | None:
        """All that a key can be; None where it can be something else, or that is not known."""
        if isinstance(key, str):
            return frozenset((key,))
        if not isinstance(key, Local):
            return None
        if key.number not in self._known:
            self._known[key.number] = None  # what depends on itself is not known
            self._known[key.number] = self._written(key.number)
        return self._known[key.number]

    def _written(self, number: int) -> frozenset[str] | None:
        # A parameter has no writer, and what callers pass is not looked for.
        return _all([self._given(writer, number) for writer in self._writers(number)])

    def _given(self, writer: Statement, number: int) -> frozenset[str] | None:
        if writer.kind in _ASSIGNMENTS:
            return self.of(writer.reads[0])
        is_element = writer.kind == "Scan" and number != writer.fields["key"]
        return self._elements(writer.fields["source"]) if is_element else None

    def _elements(self, number: int) -> frozenset[str] | None:
        """Those of a collection that is made of literals, and goes by no other name."""
        makers = {writer.kind for writer in self._writers(number)}
        readers = {reader.kind for reader in self._plan.readers.get(number, ())}
        if not makers or makers - _COLLECTIONS or readers & _ASSIGNMENTS:
            return None
        return _all([self.of(fill.reads[0]) for fill in self._plan.fills(number)])

    def _writers(self, number: int) -> list[Statement]:
        writers = self._plan.writers.get(number, ())
        return [writer for writer in writers if writer.kind != "ResetLocal"]


def _all(parts: list[frozenset[str] | None]) -> frozenset[str] | None:
    """What is in any of them; None where there are none, or one is not known."""
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if known and len(known) == len(parts) else None
