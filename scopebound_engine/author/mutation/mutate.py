"""`policy mutate`: does any test notice when a rule is wrong? The share of faults that one does.

Each mutant is the policy with one small fault in it (`rego/mutants`). It is killed by a test that
then fails, takes far longer, or whose process the engine ends; it survives if there is none. The
score leaves out those that are listed as equivalent to the policy as it is.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from scopebound_engine.author.folder import Sources
from scopebound_engine.author.mutation.equivalents import Equivalents
from scopebound_engine.author.mutation.mutants import Mutant, Score, diff
from scopebound_engine.errors import (
    ConfigError,
    EvaluatorCrashedError,
    Finding,
    FindingsError,
)
from scopebound_engine.rego.mutants.mutation import Mutation, Test
from scopebound_engine.rego.sandbox import decode_record, run_in_child, started
from scopebound_engine.rego.testing.cases import compile_pattern

_TRIED: Final = "scopebound_engine.rego.mutants.job:tried"
_LISTED: Final = "scopebound_engine.rego.mutants.job:listed"
# For what nobody has thought of: each test has a limit of its own.
_SECONDS: Final = 3600.0
_SECONDS_EACH: Final = 10.0
_STEP: Final = "mutate"

# Told how many mutants were tried, of how many.
Progress = Callable[[int, int], None]


def mutants(sources: Sources, pattern: str = "") -> list[Mutation]:
    """The mutations of the rules in whose full name a regular expression is found, not tried.

    Raises InputError for a bad pattern, ConfigError where there is nothing to change, FindingsError
    where not all can be read.
    """
    compile_pattern(pattern)
    modules, rules = _modules(sources)
    values = run_in_child(_LISTED, modules, rules, pattern, seconds=_SECONDS)
    return _mutations(values, pattern)


def score(
    sources: Sources,
    pattern: str = "",
    *,
    killers: int = 1,
    progress: Progress = lambda _done, _all: None,
) -> Score:
    """How the mutants of `mutants` fare. `killers` are looked for of each, 0 for all there are.

    With two it is known which tests are redundant, in the shortest time.

    Raises as `mutants` does, FindingsError also where tests fail without any fault, CompileError
    where the policies do not compile.
    """
    compile_pattern(pattern)
    equivalents = Equivalents.of(sources)
    modules, rules = _modules(sources)
    begun = time.perf_counter()
    arguments = (modules, dict(sources.data), rules, pattern, killers, _SECONDS_EACH)
    with started(_TRIED, *arguments, seconds=_SECONDS) as values:
        run = _Run(sources, pattern, next(values, None))
        run.follow(values, progress)
    found = run.mutants(equivalents)
    findings = equivalents.findings(found, whole=not pattern)
    names = tuple(test.name for test in run.tests)
    return Score(found, names, findings, time.perf_counter() - begun)


def _modules(sources: Sources) -> tuple[dict[str, str], list[str]]:
    """All modules, and the paths of those that are no tests."""
    modules = dict(sources.sound().modules)
    rules = list(sources.rules)
    if not rules:
        raise ConfigError(f"{sources.folder} holds tests only; there is no rule to change.")
    return modules, rules


def _mutations(values: Any, pattern: str) -> list[Mutation]:
    if not isinstance(values, list):
        raise EvaluatorCrashedError("the child process does not say which mutants there are")
    if not values:
        which = f"no rule matches {pattern}" if pattern else "there is no rule"
        raise ConfigError(f"{which}, so there is nothing to change.")
    return [decode_record(Mutation, value) for value in values]


class _Run:
    """What the child says, read as it arrives."""

    def __init__(self, sources: Sources, pattern: str, first: Any) -> None:
        if not isinstance(first, dict) or not isinstance(first.get("tests"), list):
            raise EvaluatorCrashedError("the child process does not say which tests there are")
        self._sources = sources
        self.tests = [decode_record(Test, test) for test in first["tests"]]
        self._mutations = _mutations(first.get("mutations"), pattern)
        self._fates: dict[int, dict[str, Any]] = {}

    def follow(self, values: Iterator[Any], progress: Progress) -> None:
        """Reads to the end. Raises FindingsError where tests fail without any fault."""
        failed: list[Finding] = []
        progress(0, len(self._mutations))
        for value in values:
            if "failed" in value:
                failed.append(self._failure(value))
                continue
            self._fates[_index(value.get("mutant"), self._mutations)] = value
            progress(len(self._fates), len(self._mutations))
        if failed:
            raise FindingsError("tests fail without any mutation; mend them first", failed)
        if len(self._fates) != len(self._mutations):
            raise EvaluatorCrashedError("the child process ended before all mutants were tried")

    def mutants(self, equivalents: Equivalents) -> tuple[Mutant, ...]:
        """All mutants, as they fared."""
        return tuple(
            self._mutant(mutation, self._fates[number], equivalents)
            for number, mutation in enumerate(self._mutations)
        )

    def _failure(self, value: Mapping[str, Any]) -> Finding:
        test = self.tests[_index(value["failed"], self.tests)]
        message = f"{test.name} {value.get('message') or 'is not true'}"
        return Finding(_STEP, message, test.file, test.line, 1)

    def _mutant(
        self, mutation: Mutation, fate: Mapping[str, Any], equivalents: Equivalents
    ) -> Mutant:
        if fate.get("refused") is True:
            return Mutant(mutation, "refused")
        tests, killers = self._names(fate.get("tests")), self._names(fate.get("killers"))
        if killers:
            message, alone = str(fate.get("message", "")), fate.get("alone") is True
            return Mutant(mutation, "killed", tests, killers, message, alone)
        source, path = self._sources.modules[mutation.file], self._sources.path(mutation.file)
        shown = diff(mutation, source, path)
        reason = equivalents.reason(mutation)
        if reason:
            return Mutant(mutation, "equivalent", tests, reason=reason, diff=shown)
        return Mutant(mutation, "survived" if tests else "unreached", tests, diff=shown)

    def _names(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise EvaluatorCrashedError("the child process names no tests")
        return tuple(self.tests[_index(item, self.tests)].name for item in value)


def _index(value: Any, items: list[Any]) -> int:
    if type(value) is not int or not 0 <= value < len(items):
        raise EvaluatorCrashedError("the child process answered out of turn")
    return value
