"""The child's part of `policy cover`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from scopebound_engine.rego.coverage.report import Report
from scopebound_engine.rego.coverage.runs import runs, units_of


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
