"""Tests that are compiled together and run in one child process, and what it says of them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from scopebound_engine.errors import EngineError, EvaluatorCrashedError
from scopebound_engine.rego.sandbox import decode_record, started
from scopebound_engine.rego.testing.cases import TestResult
from scopebound_engine.rego.testing.dependencies import needed
from scopebound_engine.rego.testing.probes import Probe, add_probes

_JOB: Final = "scopebound_engine.rego.testing.job:run_all"
_TEST_FILE: Final = "_test.rego"
# Failures beyond this number are listed without the expression that failed.
_EXPLAINED: Final = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What the batches of one run share. `deadline` is on the monotonic clock."""

    modules: Mapping[str, str]
    data: Mapping[str, Any]
    deadline: float
    seconds_each: float


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the child says of one test, by its index."""

    test: int
    outcome: Literal["passed", "failed", "error"]
    seconds: float
    message: str


class Batch:
    """Tests whose names are all different. Begun once, early or by the question for results."""

    def __init__(self, terms: Terms, tests: Sequence[TestResult]) -> None:
        self._terms, self._tests = terms, tests
        others = {path for path in terms.modules if path.endswith(_TEST_FILE)}
        self._modules = needed(terms.modules, others - {test.file for test in tests})
        self._exit = ExitStack()
        self._answers: Iterator[Any] | None = None

    def begin(self) -> Iterator[Any]:
        """Sets a child to work, if none is. Raises EngineError where the system does not let it."""
        if self._answers is None:
            names = [test.entrypoint for test in self._tests]
            self._answers = self._exit.enter_context(self._child(self._modules, names))
        return self._answers

    def close(self) -> None:
        """Ends the child."""
        self._exit.close()

    def results(self) -> list[TestResult]:
        """A result for each test. Raises CompileError, EvaluationError."""
        results = list(self._tests)
        answered: set[int] = set()
        why = "was not run"
        answers = self.begin()
        _expect_compiled(answers)
        try:
            for answer in _answers(answers, len(results)):
                results[answer.test] = _result(results[answer.test], answer)
                answered.add(answer.test)
        except EngineError as error:
            why = str(error)
        self.close()
        for number in set(range(len(results))) - answered:
            results[number] = replace(results[number], outcome="error", message=why)
        return self._explained(results)

    def _explained(self, results: Sequence[TestResult]) -> list[TestResult]:
        """The same results; those that failed with the expression that did it."""
        modules: Mapping[str, str] = self._modules
        probes: dict[TestResult, tuple[Probe, ...]] = {}
        failed = [result for result in results if result.outcome == "failed"][:_EXPLAINED]
        for number, result in enumerate(failed):
            modules, probes[result] = add_probes(modules, result.file, result.rule, number)
        every = [probe for found in probes.values() for probe in found]
        try:
            held = self._holding(modules, every) if every else set()
        except EngineError:
            return list(results)
        return [_blamed(result, probes.get(result, ()), held) for result in results]

    def _holding(self, modules: Mapping[str, str], probes: Sequence[Probe]) -> set[Probe]:
        # The prefix of a body may lack what binds a variable: that is no finding here.
        names = [probe.entrypoint for probe in probes]
        with self._child(modules, names, strict=False) as answers:
            _expect_compiled(answers)
            passed = [item.test for item in _answers(answers, len(probes)) if _passed(item)]
        return {probes[number] for number in passed}

    def _child(
        self, modules: Mapping[str, str], names: Sequence[str], *, strict: bool = True
    ) -> AbstractContextManager[Iterator[Any]]:
        left = max(self._terms.deadline - time.monotonic(), 0.0)
        arguments = (dict(modules), dict(self._terms.data), names, self._terms.seconds_each, strict)
        return started(_JOB, *arguments, seconds=left)


def _expect_compiled(answers: Iterator[Any]) -> None:
    if next(answers, 0) is not None:
        raise _out_of_turn()


def _answers(answers: Iterator[Any], tests: int) -> Iterator[_Answer]:
    for value in answers:
        answer = decode_record(_Answer, value)
        if not 0 <= answer.test < tests:
            raise _out_of_turn()
        yield answer


def _out_of_turn() -> EvaluatorCrashedError:
    return EvaluatorCrashedError("the child process answered out of turn")


def _passed(answer: _Answer) -> bool:
    return answer.outcome == "passed"


def _result(test: TestResult, answer: _Answer) -> TestResult:
    return replace(test, outcome=answer.outcome, seconds=answer.seconds, message=answer.message)


def _blamed(result: TestResult, probes: Sequence[Probe], held: set[Probe]) -> TestResult:
    for probe in probes:
        if probe not in held:
            return replace(result, line=probe.line, expression=probe.expression)
    return result
