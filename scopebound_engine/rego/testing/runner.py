"""Runs the tests of a policy. The gate and the author's workbench share it.

OPA's convention: a rule whose name begins with `test_` is a test and passes if it is true, one that
begins with `todo_test_` is skipped. Tests run in child processes, some files to each; a test that
crashes or hangs its child is an error of that test alone.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluationError,
    EvaluatorCrashedError,
    EvaluatorTimeoutError,
    InputError,
)
from scopebound_engine.rego.sandbox import decode_record, stream_from_child
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source
from scopebound_engine.rego.testing.dependencies import needed
from scopebound_engine.rego.testing.probes import Probe, add_probes

TEST_FILE: Final = "_test.rego"
SECONDS: Final = 60.0
# Of wall time, on machines that are busy with other things: no test of the shipped policies takes
# more than a twentieth.
SECONDS_EACH: Final = 10.0
_JOB: Final = "scopebound_engine.rego.testing.job:run_in_order"
_TEST: Final = "test_"
_SKIPPED: Final = "todo_test_"
# Failures beyond this number are listed without the expression that failed.
_EXPLAINED: Final = 20


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test went; `outcome` is "passed", "failed", "error" or "skipped".

    `name` is the full path of the rule. Of a failed test `expression` is the first one that does
    not hold together with those before it, and `line` is its line instead of the rule's.
    """

    __test__ = False  # pytest collects classes that are named like tests

    name: str
    file: str
    line: int
    outcome: str = "skipped"
    seconds: float = 0.0
    message: str = ""
    expression: str = ""

    @property
    def entrypoint(self) -> str:
        """The name as the engine wants it."""
        return self.name.removeprefix("data.").replace(".", "/")

    @property
    def rule(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the child says of one test."""

    outcome: str
    seconds: float
    message: str


@dataclass(frozen=True, slots=True)
class _Run:
    """What the batches of one run share. `deadline` is on the monotonic clock."""

    modules: Mapping[str, str]
    data: Mapping[str, Any]
    deadline: float
    seconds_each: float


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
    found = find_tests(modules, pattern)
    run = _Run(modules, data, time.monotonic() + seconds, seconds_each)
    wanted = [test for test in found if not _is_skipped(test)]
    with ThreadPoolExecutor() as threads:
        futures = [threads.submit(_Batch(run, tests).results) for tests in _shares(wanted, modules)]
    ran = _gathered(futures)
    return [test if _is_skipped(test) else ran[test.name, test.file] for test in found]


def find_tests(modules: Mapping[str, str], pattern: str | None = None) -> list[TestResult]:
    """The tests in these modules, in order, none of them run. Raises InputError."""
    try:
        matches = re.compile(pattern or "").search
    except re.error as error:
        raise InputError("pattern", f"not a regular expression: {error}") from error
    return [test for test in _tests(modules) if matches(test.name)]


def _is_skipped(test: TestResult) -> bool:
    return test.rule.startswith(_SKIPPED)


def _tests(modules: Mapping[str, str]) -> Iterator[TestResult]:
    for path, text in modules.items():
        source = Source(path, text)
        seen: set[str] = set()
        for rule in Module(source).heads:
            if rule.name in seen or not rule.name.startswith((_TEST, _SKIPPED)):
                continue
            seen.add(rule.name)
            line, _ = source.place(source.tokens[rule.start].start)
            yield TestResult(".".join(("data", *source.package, rule.name)), path, line)


def _shares(tests: Sequence[TestResult], modules: Mapping[str, str]) -> list[list[TestResult]]:
    """The tests dealt out by file, a share for each processor, the longest files first.

    Two files of one package may use a name twice. Compiled together they would be one rule, which
    is true if either is, so they go to different shares.
    """
    shares: list[list[TestResult]] = [[] for _ in range(os.cpu_count() or 1)]
    lengths = [0] * len(shares)
    files = dict.fromkeys(test.file for test in tests)
    for file in sorted(files, key=lambda file: len(modules[file]), reverse=True):
        new = [test for test in tests if test.file == file]
        names = {test.name for test in new}
        fitting = [
            number
            for number, share in enumerate(shares)
            if names.isdisjoint(test.name for test in share)
        ]
        if not fitting:
            fitting = [len(shares)]
            shares.append([])
            lengths.append(0)
        lightest = min(fitting, key=lengths.__getitem__)
        shares[lightest] += new
        lengths[lightest] += len(modules[file])
    return [share for share in shares if share]


def _gathered(
    futures: Sequence["Future[list[TestResult]]"],
) -> dict[tuple[str, str], TestResult]:
    """All results by name and file, or one CompileError with the findings of all."""
    results: dict[tuple[str, str], TestResult] = {}
    refused: list[CompileError] = []
    for future in futures:
        try:
            results |= {(result.name, result.file): result for result in future.result()}
        except CompileError as error:
            refused.append(error)
    if refused:
        findings = dict.fromkeys(finding for error in refused for finding in error.findings)
        raise CompileError(refused[0].summary, tuple(findings))
    return results


class _Batch:
    """Some tests that one child runs, and a further one from where it died."""

    def __init__(self, run: _Run, tests: Sequence[TestResult]) -> None:
        self._run = run
        self._tests = tests
        others = {path for path in run.modules if path.endswith(TEST_FILE)}
        self._modules = needed(run.modules, others - {test.file for test in tests})

    def results(self) -> list[TestResult]:
        """A result for each test. Raises as `run_tests` does."""
        results: list[TestResult] = []
        while len(results) < len(self._tests):
            pending = self._tests[len(results) :]
            answers = self._answers(self._modules, [test.entrypoint for test in pending])
            try:
                next(answers)
            except EvaluationError as error:
                if not results:
                    raise
                # It compiled before: the time of the whole run is up.
                results += [replace(test, outcome="error", message=str(error)) for test in pending]
                break
            results += self._until_death(pending, answers)
        return self._explained(results)

    def _until_death(
        self, pending: Sequence[TestResult], answers: Iterator[_Answer | None]
    ) -> list[TestResult]:
        """The results of one child, which may have died; never empty after the second attempt."""
        results: list[TestResult] = []
        try:
            for test, answer in zip(pending, answers, strict=False):
                results.append(_result(test, answer))
        except EvaluationError as error:
            # Only a test that came first in its child is to blame for the child's death; another
            # gets a child of its own before it is judged.
            if not results:
                late = isinstance(error, EvaluatorTimeoutError)
                message = f"took longer than {self._run.seconds_each:g} s" if late else str(error)
                results.append(replace(pending[0], outcome="error", message=message))
        return results

    def _explained(self, results: Sequence[TestResult]) -> list[TestResult]:
        """The same results; those that failed with the expression that did it."""
        modules: Mapping[str, str] = self._modules
        probes: dict[TestResult, tuple[Probe, ...]] = {}
        failed = [result for result in results if result.outcome == "failed"][:_EXPLAINED]
        for number, result in enumerate(failed):
            modules, probes[result] = add_probes(modules, result.file, result.rule, number)
        every = [probe for found in probes.values() for probe in found]
        names = [probe.entrypoint for probe in every]
        try:
            # The prefix of a body may lack what binds a variable: that is no finding here.
            answers = list(self._answers(modules, names, strict=False))[1:] if names else []
        except EngineError:
            return list(results)
        broken = {
            probe for probe, answer in zip(every, answers, strict=False) if not _holds(answer)
        }
        return [_blamed(result, probes.get(result, ()), broken) for result in results]

    def _answers(
        self, modules: Mapping[str, str], names: Sequence[str], *, strict: bool = True
    ) -> Iterator[_Answer | None]:
        """None once the tests are compiled, then the answer to each."""
        left = max(self._run.deadline - time.monotonic(), 0.0)
        arguments = (dict(modules), dict(self._run.data), names, self._run.seconds_each, strict)
        for value in stream_from_child(_JOB, *arguments, seconds=left):
            yield None if value is None else decode_record(_Answer, value)


def _result(test: TestResult, answer: _Answer | None) -> TestResult:
    if answer is None:
        raise EvaluatorCrashedError("the child process answered out of turn")
    outcome, seconds = answer.outcome, answer.seconds
    return replace(test, outcome=outcome, seconds=seconds, message=answer.message)


def _holds(answer: _Answer | None) -> bool:
    return answer is not None and answer.outcome == "passed"


def _blamed(result: TestResult, probes: Sequence[Probe], broken: set[Probe]) -> TestResult:
    for probe in probes:
        if probe in broken:
            return replace(result, line=probe.line, expression=probe.expression)
    return result
