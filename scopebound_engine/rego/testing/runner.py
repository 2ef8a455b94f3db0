"""Runs the tests of a policy. The gate and the author's workbench share it.

OPA's convention: a rule whose name begins with `test_` is a test and passes if it is true, one that
begins with `todo_test_` is skipped. All of it happens in child processes, the reading of the source
too; a test that crashes or hangs its own is an error of that test alone.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final, Self

from scopebound_engine.errors import CompileError, EngineError, EvaluatorCrashedError
from scopebound_engine.rego.sandbox import decode_record, started
from scopebound_engine.rego.testing.cases import MARK, TestResult, compile_pattern, find_tests

__all__ = ["TestResult", "TestRun", "find_tests", "run_tests"]

SECONDS: Final = 60.0
# Of wall time, on machines that are busy with other things: no test of the shipped policies takes
# more than a twentieth.
SECONDS_EACH: Final = 10.0
_JOB: Final = "scopebound_engine.rego.testing.job:run_all"


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

    __test__ = False  # pytest collects classes that are named like tests

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
        compile_pattern(pattern)
        arguments = (dict(modules), dict(data), pattern, seconds_each)
        self._exit = ExitStack()
        self._values: Iterator[Any] = iter([[]])
        # A process costs a tenth of a second, and most bundles that are only tried hold no test.
        if any(MARK in text for text in modules.values()):
            self._values = self._exit.enter_context(started(_JOB, *arguments, seconds=seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def results(self) -> list[TestResult]:
        """A result for each test, in the order of the files. Raises as `run_tests` does."""
        found = _listed(next(self._values, None))
        results: dict[int, TestResult] = {}
        compiled, why = False, "was not run"
        try:
            for value in self._values:
                compiled = True
                if value is not None:
                    results |= _numbered(value, found)
        except CompileError:
            raise
        except EngineError as error:
            if not compiled:
                raise
            why = str(error)
        return [
            results.get(number)
            or (test if test.is_skipped else replace(test, outcome="error", message=why))
            for number, test in enumerate(found)
        ]


def _listed(value: Any) -> list[TestResult]:
    if not isinstance(value, list):
        raise EvaluatorCrashedError("the child process does not say which tests there are")
    return [decode_record(TestResult, item) for item in value]


def _numbered(value: Any, found: list[TestResult]) -> dict[int, TestResult]:
    number = value.pop("test", None) if isinstance(value, dict) else None
    if type(number) is not int or not 0 <= number < len(found):
        raise EvaluatorCrashedError("the child process answered out of turn")
    return {number: decode_record(TestResult, value)}
