"""Runs the tests of a policy. The gate and the author's workbench share it.

OPA's convention: a rule whose name begins with `test_` is a test and passes if it is true, one that
begins with `todo_test_` is skipped. Tests run in child processes; one that crashes or hangs its own
is an error of that test alone.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final, Self

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.testing.batch import Batch, Terms
from scopebound_engine.rego.testing.cases import TestResult, find_tests

__all__ = ["TestResult", "TestRun", "find_tests", "run_tests"]

SECONDS: Final = 60.0
# Of wall time, on machines that are busy with other things: no test of the shipped policies takes
# more than a twentieth.
SECONDS_EACH: Final = 10.0


def run_tests(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    pattern: str | None = None,
    *,
    seconds: float = SECONDS,
    seconds_each: float = SECONDS_EACH,
) -> list[TestResult]:
    """The results of the tests in whose name the regular expression `pattern` is found.

    `modules` holds rules and tests by path. `seconds` bounds the run, `seconds_each` one test.
    Raises CompileError where they do not compile, EvaluationError where compiling them crashes or
    takes too long, InputError for a bad pattern.
    """
    with TestRun(modules, data, pattern, seconds=seconds, seconds_each=seconds_each) as run:
        return run.results()


class TestRun:
    """`run_tests` in two steps: tests that are under way from now on, and their results.

    A context manager, whose end is that of the run.
    """

    __test__ = False

    def __init__(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Any],
        pattern: str | None = None,
        *,
        seconds: float = SECONDS,
        seconds_each: float = SECONDS_EACH,
    ) -> None:
        """Starts the run. Raises InputError, and EngineError where no process can be started."""
        terms = Terms(modules, data, time.monotonic() + seconds, seconds_each)
        self._found = find_tests(modules, pattern)
        wanted = [test for test in self._found if not test.is_skipped]
        self._batches = [Batch(terms, tests) for tests in _batches(wanted)]
        for batch in self._batches[:1]:
            batch.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for batch in self._batches:
            batch.close()

    def results(self) -> list[TestResult]:
        """A result for each test, in the order of the files. Raises as `run_tests` does."""
        ran: dict[tuple[str, str], TestResult] = {}
        refused: list[CompileError] = []
        for batch in self._batches:
            try:
                ran |= {(result.name, result.file): result for result in batch.results()}
            except CompileError as error:
                refused.append(error)
        if refused:
            findings = dict.fromkeys(finding for error in refused for finding in error.findings)
            raise CompileError(refused[0].summary, tuple(findings))
        return [test if test.is_skipped else ran[test.name, test.file] for test in self._found]


def _batches(tests: Sequence[TestResult]) -> list[list[TestResult]]:
    """The tests of as many files together as have no name twice.

    Two files of one package may use a name twice. Compiled together they would be one rule, which
    is true if either is.
    """
    batches: list[list[TestResult]] = []
    for _, group in groupby(tests, key=lambda test: test.file):
        new = list(group)
        names = {test.name for test in new}
        fitting = [batch for batch in batches if names.isdisjoint(test.name for test in batch)]
        if fitting:
            fitting[0].extend(new)
        else:
            batches.append(new)
    return batches
