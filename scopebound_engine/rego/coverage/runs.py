"""Runs the tests of a policy on a marked plan, each with what it did. In a child process only."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scopebound_engine.rego.coverage.marks import Event, Mark, Marker
from scopebound_engine.rego.coverage.suite import MarkedSuite
from scopebound_engine.rego.coverage.units import Clause, Units
from scopebound_engine.rego.forks import run_forked
from scopebound_engine.rego.testing.cases import TestResult, find_tests, is_test_file
from scopebound_engine.rego.testing.job import used_by

# A line of a file.
Line = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """A test that was run, and what it did, by its own marker."""

    test: TestResult
    happened: list[Mark]
    marker: Marker

    @property
    def lines(self) -> frozenset[Line]:
        """The lines that it reached: of all expressions that were evaluated, or may have been, and
        of the heads of all clauses that were tried.

        A change of any other line outside of tests changes no outcome, as long as it came to its
        end: of a test that did not, nothing is known.
        """
        found: set[Line] = set()
        for mark in self.happened:
            unit = mark.unit
            if not isinstance(unit, Clause):
                found.update(_lines(unit.file, unit.start[0], unit.end[0]))
            elif mark.event is Event.TRIED:
                found.update(_lines(unit.file, unit.start[0], unit.head_end[0]))
                for expression in unit.expressions:
                    if not self.marker.is_sure(expression):
                        found.update(_lines(unit.file, expression.start[0], expression.end[0]))
        for clause in self.marker.unknown:
            found.update(_lines(clause.file, clause.start[0], clause.end[0]))
        return frozenset(found)


def units_of(modules: Mapping[str, str]) -> Units:
    """What of these modules is counted: all that is not in a file of tests."""
    return Units(modules, [path for path in modules if is_test_file(path)])


def runs(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    units: Units,
    pattern: str | None,
    seconds_each: float,
) -> Iterator[Run]:
    """Runs the tests that are not still to be done, in any order. Raises CompileError."""
    tests = [test for test in find_tests(modules, pattern) if not test.is_skipped]
    if not tests:
        return
    names = [test.entrypoint for test in tests]
    suite = MarkedSuite(used_by(tests, modules), data, names, seconds_each, units)
    cores = len(os.sched_getaffinity(0))
    for number, answer in run_forked(suite.groups(), suite.run, suite.lost, cores):
        happened = suite.happened(answer)
        answer.pop("marks", None)
        yield Run(replace(tests[number], **answer), happened, suite.marker)


def _lines(file: str, first: int, last: int) -> Iterator[Line]:
    return ((file, line) for line in range(first, last + 1))
