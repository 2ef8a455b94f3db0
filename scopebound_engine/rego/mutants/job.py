"""The child's part of a mutation score: makes the mutants, and runs the tests against each."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby, islice
from typing import Any, Final

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.compiler import compile_fast, parse
from scopebound_engine.rego.coverage.runs import Line, runs, units_of
from scopebound_engine.rego.forks import Answer, run_forked
from scopebound_engine.rego.mutants.catalog import mutations
from scopebound_engine.rego.mutants.grafts import graft
from scopebound_engine.rego.mutants.laboratory import Laboratory
from scopebound_engine.rego.mutants.mutation import Mutation, Test
from scopebound_engine.rego.mutants.trial import Trial
from scopebound_engine.rego.source.syntax import parsed
from scopebound_engine.rego.testing.cases import TEST_FILE, TestResult, find_tests, is_test_file

# So many are compiled at once: memory and the time of a compilation grow with them.
_TOGETHER: Final = 2_000
_RULE: Final = ".rego"

Mutations = dict[int, Mutation]


def listed(modules: Mapping[str, str], rules: Sequence[str], pattern: str) -> list[dict[str, Any]]:
    """A job for the sandbox: the mutations of the modules named `rules`, none of them tried.

    Only those of rules in whose full name the regular expression `pattern` is found.
    """
    return [asdict(mutation) for mutation in mutations(modules, rules, pattern)]


def tried(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    rules: Sequence[str],
    pattern: str,
    enough: int,
    seconds_each: float,
) -> Iterator[Any]:
    """A job for the sandbox that says how each of the mutations of `listed` fares.

    First come the tests and the mutations. Then {"failed": test, "message": …} for each test that
    fails without any, with which it ends. Then, in any order, {"mutant": index, "tests": […],
    "killers": […], "message": …, "alone": …}: the tests that come to its rule and at most `enough`
    of those that notice it (0 for all), by index, and whether that is the only one of all; or
    {"mutant": index, "refused": true} for what does not compile. Raises CompileError.
    """
    found = [test for test in find_tests(modules) if not test.is_skipped]
    chosen = dict(enumerate(mutations(modules, rules, pattern)))
    yield {
        "tests": [asdict(Test(test.name, test.file, test.line)) for test in found],
        "mutations": [asdict(mutation) for mutation in chosen.values()],
    }
    bench = _Bench(modules, data, found, enough)
    failed = list(bench.failures(seconds_each))
    yield from failed
    while chosen and not failed:
        together = dict(islice(chosen.items(), _TOGETHER))
        yield from bench.fates(together)
        chosen = {number: item for number, item in chosen.items() if number not in together}


class _Bench:
    """Tests, by index, and what each takes without a mutant."""

    def __init__(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Any],
        tests: Sequence[TestResult],
        enough: int,
    ) -> None:
        self._modules, self._data, self._tests, self._enough = modules, data, tests, enough
        self._names = [test.entrypoint for test in tests]
        self._seconds = [0.0] * len(tests)
        self._reached: list[frozenset[Line]] = [frozenset()] * len(tests)

    def failures(self, seconds_each: float) -> Iterator[Answer]:
        """The tests that fail as things are. Raises CompileError."""
        if not self._tests:
            # Nothing is compiled then, and what is no Rego has no mutants.
            if findings := parse(self._modules):
                raise CompileError("the policy does not compile", findings)
            return
        units = units_of(self._modules)
        numbers = {test.name: number for number, test in enumerate(self._tests)}
        for run in runs(self._modules, self._data, units, None, seconds_each):
            number = numbers[run.test.name]
            self._seconds[number], self._reached[number] = run.test.seconds, run.lines
            if run.test.outcome != "passed":
                yield {"failed": number, "message": run.test.message}

    def fates(self, chosen: Mutations) -> Iterator[Answer]:
        """How each of some mutants fares."""
        if not self._tests:
            yield from (
                {"mutant": number, "tests": [], "killers": [], "message": ""} for number in chosen
            )
            return
        try:
            laboratory = self._laboratory(chosen)
        except CompileError:
            sound = _compiling(self._modules, chosen)
            yield from (
                {"mutant": number, "refused": True} for number in chosen.keys() - sound.keys()
            )
            laboratory, chosen = self._laboratory(sound), sound
        order = {number: self._order(mutation) for number, mutation in chosen.items()}
        rules = {number: (item.file, item.rule) for number, item in chosen.items()}
        trial = Trial(laboratory, self._names, self._seconds, order, rules, self._enough)
        # What killed a mutant of a rule is likely to kill others of it.
        groups = [list(group) for _, group in groupby(chosen, key=rules.__getitem__)]
        fates = run_forked(groups, trial.run, lambda status: {"lost": status}, _processes())
        for number, answer in fates:
            fate = trial.lost(number, answer["lost"]) if "lost" in answer else answer
            yield {"mutant": number, "tests": sorted(order[number]), **fate}

    def _laboratory(self, chosen: Mutations) -> Laboratory:
        return Laboratory(self._modules, self._data, self._names, chosen)

    def _order(self, mutation: Mutation) -> list[int]:
        """The tests that come to what is changed: those beside it first, then quick ones."""
        lines = {(mutation.file, line) for line in range(mutation.line, mutation.last_line + 1)}
        reaching = [
            test for test, reached in enumerate(self._reached) if not lines.isdisjoint(reached)
        ]
        return sorted(
            reaching,
            key=lambda test: (not self._is_beside(test, mutation.file), self._seconds[test]),
        )

    def _is_beside(self, test: int, rule: str) -> bool:
        return self._tests[test].file.removesuffix(TEST_FILE) == rule.removesuffix(_RULE)


def _compiling(modules: Mapping[str, str], chosen: Mutations) -> Mutations:
    """Those that the compiler takes."""
    rules = {path: text for path, text in modules.items() if not is_test_file(path)}
    file = next(iter(chosen.values())).file
    package = "/".join(parsed(file, modules[file]).source.package)
    try:
        compile_fast(graft(rules, chosen), [package], {})
    except CompileError:
        if len(chosen) == 1:
            return {}
        numbers, half = list(chosen), len(chosen) // 2
        parts = (numbers[:half], numbers[half:])
        return {
            number: item
            for part in parts
            for number, item in _compiling(modules, {name: chosen[name] for name in part}).items()
        }
    return chosen


def _processes() -> int:
    return len(os.sched_getaffinity(0))
