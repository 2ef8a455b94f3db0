"""The child's part of a test run: finds the tests, runs them, and says why those that fail do."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any, Final

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.forks import Answer, run_forked
from scopebound_engine.rego.testing.cases import TestResult, find_tests
from scopebound_engine.rego.testing.dependencies import needed
from scopebound_engine.rego.testing.probes import Probe, add_probes
from scopebound_engine.rego.testing.suite import Suite

TEST_FILE: Final = "_test.rego"
# Failures beyond this number are listed without the expression that failed.
_EXPLAINED: Final = 20

Tests = Sequence[tuple[int, TestResult]]


def run_all(
    modules: Mapping[str, str], data: Mapping[str, Any], pattern: str | None, seconds_each: float
) -> Iterator[Any]:
    """A job for the sandbox: a list of the tests, None once some are compiled, then their results.

    A result comes with the index of its test, in any order; of a test that failed a better one may
    follow. Raises CompileError.
    """
    found = find_tests(modules, pattern)
    yield [asdict(test) for test in found]
    refused: list[CompileError] = []
    for tests in batches([item for item in enumerate(found) if not item[1].is_skipped]):
        try:
            yield from _Batch(modules, data, tests, seconds_each).results()
        except CompileError as error:
            refused.append(error)
    if refused:
        findings = dict.fromkeys(finding for error in refused for finding in error.findings)
        raise CompileError(refused[0].summary, tuple(findings))


def batches(tests: Tests) -> list[list[tuple[int, TestResult]]]:
    """The tests of as many files together as have no name twice.

    Two files of one package may use a name twice. Compiled together they would be one rule, which
    is true if either is.
    """
    batches: list[list[tuple[int, TestResult]]] = []
    for _, group in groupby(tests, key=lambda item: item[1].file):
        new = list(group)
        names = {test.name for _, test in new}
        fitting = [batch for batch in batches if names.isdisjoint(test.name for _, test in batch)]
        if fitting:
            fitting[0].extend(new)
        else:
            batches.append(new)
    return batches


def used_by(tests: Tests, modules: Mapping[str, str]) -> dict[str, str]:
    """The modules without files of tests that these tests do without."""
    others = {path for path in modules if path.endswith(TEST_FILE)}
    return needed(modules, others - {test.file for _, test in tests})


class _Batch:
    """Tests that are compiled together, with their indices."""

    def __init__(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Any],
        tests: Tests,
        seconds_each: float,
    ) -> None:
        self._data, self._tests, self._seconds_each = data, tests, seconds_each
        self._modules = used_by(tests, modules)

    def results(self) -> Iterator[Any]:
        """None, and then the results. Raises CompileError."""
        names = [test.entrypoint for _, test in self._tests]
        suite = Suite(self._modules, self._data, names, self._seconds_each)
        yield None
        failed: list[tuple[int, TestResult]] = []
        for place, answer in _answers(suite):
            number, test = self._tests[place]
            yield {"test": number, **asdict(replace(test, **answer))}
            if answer["outcome"] == "failed":
                failed.append((number, replace(test, **answer)))
        for number, result in self._explained(failed[:_EXPLAINED]):
            yield {"test": number, **asdict(result)}

    def _explained(self, failed: Tests) -> Iterator[tuple[int, TestResult]]:
        """Those of the failures of which the expression that did it is known, with that."""
        modules: Mapping[str, str] = self._modules
        probes: list[tuple[int, TestResult, Probe]] = []
        for number, result in failed:
            modules, added = add_probes(modules, result.file, result.rule, number)
            probes += [(number, result, probe) for probe in added]
        if not probes:
            return
        names = [probe.entrypoint for _, _, probe in probes]
        # The prefix of a body may lack what binds a variable: that is no finding here.
        suite = Suite(modules, self._data, names, self._seconds_each, strict=False)
        broken = {place for place, answer in _answers(suite) if answer["outcome"] != "passed"}
        seen: set[int] = set()
        for place in sorted(broken):
            number, result, probe = probes[place]
            if number not in seen:
                seen.add(number)
                yield number, replace(result, line=probe.line, expression=probe.expression)


def _answers(suite: Suite) -> Iterator[tuple[int, Answer]]:
    return run_forked(suite.groups(), suite.run, suite.lost, len(os.sched_getaffinity(0)))
