"""Tests that tell what they reached, each with its outcome. In a child process only."""

from collections.abc import Mapping, Sequence
from typing import Any

from scopebound_engine.rego.binary.form import Frame
from scopebound_engine.rego.compiler import LoadedPlan, compile_placed
from scopebound_engine.rego.coverage.marks import TELLER, Mark, Marker
from scopebound_engine.rego.coverage.units import Units
from scopebound_engine.rego.forks import Answer
from scopebound_engine.rego.rewriting import Variables
from scopebound_engine.rego.testing.lowering import Lowered
from scopebound_engine.rego.testing.suite import Added, Suite


class MarkedSuite(Suite):
    """A suite whose answers hold "marks": as a number in hexadecimal, a bit for each of `marks`."""

    def __init__(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Any],
        entrypoints: Sequence[str],
        seconds_each: float,
        units: Units,
    ) -> None:
        """`units` are what is marked. Raises CompileError."""
        self._units = units
        super().__init__(modules, data, entrypoints, seconds_each)

    def happened(self, answer: Answer) -> list[Mark]:
        """The marks of an answer; none where the test came to no end."""
        bits = int(answer.get("marks", "0"), 16)
        return [mark for index, mark in enumerate(self.marker.marks) if bits >> index & 1]

    def _compiled(self, lowered: Lowered, data: Mapping[str, Any]) -> tuple[dict[str, Any], Frame]:
        return compile_placed(lowered.modules, self._tests, data)

    def _instrumented(self, document: dict[str, Any], frame: Frame, lowered: Lowered) -> Added:
        variables = Variables(frame.locals)
        self.marker = Marker(document, lowered, self._units, variables)
        shared = [mark.variable for mark in self.marker.marks]
        return Added(variables.count, shared, [TELLER])

    def _answer(self, plan: LoadedPlan, test: str) -> Answer:
        values, marks = plan.value(test)
        # A test holds where it is true, and not 1.
        holds = any(value["result"] is True for value in values)
        bits = sum(1 << int(mark) for mark in marks)
        return {"outcome": "passed" if holds else "failed", "marks": f"{bits:x}"}
