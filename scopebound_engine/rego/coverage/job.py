"""What a child process is asked about the coverage of tests."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from scopebound_engine.rego.coverage.report import Report
from scopebound_engine.rego.coverage.runs import Line, runs, units_of

SECONDS_EACH: Final = 10.0


def reached(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    pattern: str | None = None,
    seconds_each: float = SECONDS_EACH,
) -> dict[str, frozenset[Line]]:
    """Which lines outside of `*_test.rego` each test reaches, by the test's full name.

    Those of all expressions that it evaluated, and of the heads of all clauses that it tried: a
    change in any other place changes no outcome of this test. Only tests that came to their end are
    told of. Forks, so in a child process only. Raises CompileError and InputError.
    """
    return {
        run.test.name: run.lines
        for run in runs(modules, data, units_of(modules), pattern, seconds_each)
        if run.test.outcome in {"passed", "failed"}
    }


def cover(
    modules: Mapping[str, str], data: Mapping[str, Any], pattern: str | None, seconds_each: float
) -> dict[str, Any]:
    """A job for the sandbox: the records of `tests`, `clauses` and `expressions`.

    Raises CompileError and InputError.
    """
    units = units_of(modules)
    report = Report(units, list(runs(modules, data, units, pattern, seconds_each)))
    return {
        "tests": [asdict(item) for item in report.tests()],
        "clauses": [asdict(item) for item in report.clauses()],
        "expressions": [asdict(item) for item in report.expressions()],
    }
