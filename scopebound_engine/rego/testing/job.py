"""The child's part of a test run: finds the tests, runs them, and says why those that fail do."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from scopebound_engine.rego.forks import Answer, run_forked
from scopebound_engine.rego.source.syntax import parsed
from scopebound_engine.rego.testing.cases import (
    Definition,
    TestResult,
    compile_pattern,
    definitions,
    is_test_file,
    told_apart,
)
from scopebound_engine.rego.testing.dependencies import needed
from scopebound_engine.rego.testing.failures import Failure, explained
from scopebound_engine.rego.testing.keys import keys_of
from scopebound_engine.rego.testing.probes import steps
from scopebound_engine.rego.testing.scopes import Scope, rule_paths
from scopebound_engine.rego.testing.suite import Suite

# Failures beyond this number are listed without the expression that failed.
_EXPLAINED: Final = 50
_UNCALLED: Final = "takes arguments: a test has none; give it another name if others call it"

Found = Mapping[int, Definition]


def run_all(
    modules: Mapping[str, str], data: Mapping[str, Any], pattern: str | None, seconds_each: float
) -> Iterator[Any]:
    """A job for the sandbox: a list of the tests, None once they are compiled, then their results.

    A result comes with the index of its test, in any order; of a test that failed a better one may
    follow. Raises CompileError.
    """
    wanted = compile_pattern(pattern)
    named = told_apart(modules)
    found = [item for item in definitions(named) if wanted.search(item.result.name)]
    yield [asdict(item.result) for item in found]
    todo = {number: item for number, item in enumerate(found) if not item.result.is_skipped}
    for number, item in todo.items():
        if item.is_function:
            result = replace(item.result, outcome="failed", message=_UNCALLED)
            yield {"test": number, **asdict(result)}
    chosen = {number: item for number, item in todo.items() if not item.is_function}
    if chosen:
        used = used_by((item.result for item in chosen.values()), named)
        yield from _results(used, data, chosen, seconds_each)


def used_by(tests: Iterable[TestResult], modules: Mapping[str, str]) -> dict[str, str]:
    """The modules without files of tests that these tests do without."""
    others = {path for path in modules if is_test_file(path)}
    return needed(told_apart(modules), others - {test.file for test in tests})


def _results(
    modules: Mapping[str, str], data: Mapping[str, Any], found: Found, seconds_each: float
) -> Iterator[Any]:
    numbers = list(found)
    names = [found[number].result.entrypoint for number in numbers]
    suite = Suite(modules, data, names, seconds_each)
    yield None
    failed: dict[int, TestResult] = {}
    for place, answer in _answers(suite):
        number = numbers[place]
        result = replace(found[number].result, **answer)
        yield {"test": number, **asdict(result)}
        if result.outcome == "failed":
            failed[number] = result

    def compiled(modules: Mapping[str, str], names: Sequence[str]) -> Suite:
        # What comes before an expression may lack what binds a variable: no finding here.
        return Suite(modules, data, names, seconds_each, strict=False)

    places = [names.index(result.entrypoint) for result in failed.values()]
    for place, answer in run_forked([places], suite.value, suite.lost, 1):
        if "value" in answer:
            number = numbers[place]
            failed[number] = replace(failed[number], message=f"its value is {answer['value']}")
            yield {"test": number, **asdict(failed[number])}
    failures = _failures(modules, found, dict(list(failed.items())[:_EXPLAINED]))
    for number, result in explained(modules, failures, compiled):
        yield {"test": number, **asdict(result)}


def _failures(
    modules: Mapping[str, str], found: Found, failed: Mapping[int, TestResult]
) -> list[Failure]:
    rules = rule_paths({path: parsed(path, text) for path, text in modules.items()})
    failures = []
    for number, result in sorted(failed.items()):
        item = found[number]
        rule = next(rule for rule in item.module.rules if rule.start == item.head.start)
        scope = Scope(item.module, rules)
        failures.append(
            Failure(number, result, steps(item.module, rule, scope), keys_of(item, rule, scope))
        )
    return failures


def _answers(suite: Suite) -> Iterator[tuple[int, Answer]]:
    return run_forked(suite.groups(), suite.run, suite.lost, len(os.sched_getaffinity(0)))
