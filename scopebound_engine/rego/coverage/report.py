"""What all tests together reached."""

from collections.abc import Iterator, Sequence

from scopebound_engine.rego.coverage.marks import Event
from scopebound_engine.rego.coverage.records import ClauseCover, ExpressionCover, TestCover
from scopebound_engine.rego.coverage.runs import Run
from scopebound_engine.rego.coverage.units import Clause, Expression, Units


class Report:
    """The records of all units, in the order of the source."""

    def __init__(self, units: Units, runs: Sequence[Run]) -> None:
        self._units, self._runs = units, runs
        self._marked = {item for run in runs for item in run.marker.marked}
        self._happened = {(mark.unit, mark.event) for run in runs for mark in run.happened}

    def tests(self) -> Iterator[TestCover]:
        """All tests that were run, in the order of the source."""
        for test in sorted(
            (run.test for run in self._runs), key=lambda test: (test.file, test.line)
        ):
            yield TestCover(test.name, test.file, test.line, test.outcome, test.message)

    def clauses(self) -> Iterator[ClauseCover]:
        """All clauses."""
        for clause in self._units.clauses:
            # Whether a head alone was only compared with the arguments of a call cannot be told.
            is_tried = (clause, Event.TRIED) in self._happened and not clause.expressions
            is_held = (clause, Event.HELD) in self._happened
            yield ClauseCover(
                clause.file,
                *clause.start,
                *clause.head_end,
                rule=".".join(clause.rule),
                is_entered=is_held or is_tried or any(map(self._is_known, clause.expressions)),
                is_held=is_held,
            )

    def expressions(self) -> Iterator[ExpressionCover]:
        """All expressions, outer ones before those inside of them."""
        for clause in self._units.clauses:
            for expression in clause.expressions:
                is_told = expression in self._marked
                yield ExpressionCover(
                    expression.file,
                    *expression.start,
                    *expression.end,
                    text=expression.text,
                    is_condition=expression.is_condition,
                    is_told=is_told,
                    is_evaluated=self._is_known(expression)
                    or (not is_told and self._is_concluded(clause, expression)),
                    is_true=(expression, Event.TRUE) in self._happened,
                    is_false=(expression, Event.FALSE) in self._happened,
                )

    def _is_known(self, expression: Expression) -> bool:
        events = (Event.TRUE, Event.FALSE)
        return any((expression, event) in self._happened for event in events)

    def _is_concluded(self, clause: Clause, expression: Expression) -> bool:
        """Whether an expression was evaluated that has no marks: if the one after it was, or else
        the one before it was true, or else it is the whole body and its clause held.
        """
        beside = [
            item
            for item in clause.expressions
            if item.parent is expression.parent and item in self._marked
        ]
        after = [item for item in beside if item.start > expression.start]
        if after:
            return self._is_known(after[0])
        unit, event = (beside[-1], Event.TRUE) if beside else (clause, Event.HELD)
        return (unit, event) in self._happened
