"""Why tests failed: the expression that did it, and what it saw. In a child process only."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.forks import Answer, run_forked
from scopebound_engine.rego.testing.cases import Seen, TestResult
from scopebound_engine.rego.testing.keys import Keys
from scopebound_engine.rego.testing.probes import Step
from scopebound_engine.rego.testing.suite import Suite
from scopebound_engine.rego.testing.terms import Term

UNDEFINED: Final = "undefined"
_PREFIX: Final = "__probe_"
# As many values of one part are shown, where the expressions before have several solutions.
_VALUES: Final = 3

# Makes a suite of modules and entrypoints.
Compile = Callable[[Mapping[str, str], Sequence[str]], Suite]


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed: its number, what is known, its expressions and its keys."""

    number: int
    result: TestResult
    steps: Sequence[Step]
    keys: Keys | None = None


def explained(
    modules: Mapping[str, str], failures: Sequence[Failure], compiled: Compile
) -> Iterator[tuple[int, TestResult]]:
    """The failures with what is known of why."""
    try:
        yield from _explained(modules, failures, compiled)
    except CompileError:
        # What is asked of one of them does not compile: the others are asked apart from it.
        middle = len(failures) // 2
        for half in (failures[:middle], failures[middle:]) if middle else ():
            yield from explained(modules, half, compiled)


def _explained(
    modules: Mapping[str, str], failures: Sequence[Failure], compiled: Compile
) -> Iterator[tuple[int, TestResult]]:
    """Those by the expression alone, and then those with what it saw. Raises CompileError."""
    culprits = _culprits(modules, failures, compiled)
    questions = _Questions(modules)
    asked = [
        (failure, _Inquiry(failure, culprits.get(failure.number), questions))
        for failure in failures
    ]
    yield from ((failure.number, inquiry.conclusion({})) for failure, inquiry in asked)
    answers = questions.answers(compiled, Suite.rows)
    yield from ((failure.number, inquiry.conclusion(answers)) for failure, inquiry in asked)


def _culprits(
    modules: Mapping[str, str], failures: Sequence[Failure], compiled: Compile
) -> dict[int, Step]:
    """The first expression of a test without keys that does not hold, where there is one."""
    questions = _Questions(modules)
    asked = [
        (failure.number, [(questions.ask(step, step.holds()), step) for step in failure.steps])
        for failure in failures
        if failure.keys is None
    ]
    answers = questions.answers(compiled, Suite.run)
    found: dict[int, Step] = {}
    for number, numbered in asked:
        for place, step in numbered:
            if answers.get(place, {}).get("outcome", "passed") != "passed":
                found[number] = step
                break
    return found


class _Questions:
    """Rules that are added to modules, in order to ask for them."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._texts = dict(modules)
        self._entrypoints: list[str] = []

    def ask(self, step: Step, body: str) -> int:
        """The number of the answer."""
        number, module = len(self._entrypoints), step.scope.module
        self._texts[module.source.path] += f"\n{_PREFIX}{number} {body}\n"
        self._entrypoints.append("/".join((*module.source.package, f"{_PREFIX}{number}")))
        return number

    def answers(self, compiled: Compile, ask: Callable[[Suite, int], Answer]) -> dict[int, Answer]:
        """What is answered, by number. Raises CompileError."""
        if not self._entrypoints:
            return {}
        suite = compiled(self._texts, self._entrypoints)
        cores = len(os.sched_getaffinity(0))
        return dict(run_forked(suite.groups(), lambda at: ask(suite, at), suite.lost, cores))


class _Inquiry:
    """What is asked of a failure: the parts of the expression that does not hold.

    Where that stands inside of `every`, or the test has keys, also for which values it does not.
    """

    def __init__(self, failure: Failure, culprit: Step | None, questions: _Questions) -> None:
        self._result, self._step = failure.result, culprit
        inside = culprit.inside() if culprit else []
        if failure.keys is not None:
            inside = [
                replace(step, variables=failure.keys.texts)
                for step in failure.steps[failure.keys.bound_by :]
            ]
        self._keyed = failure.keys is not None
        self._parts = _asked(culprit, questions) if culprit else []
        self._inside = [
            (step, questions.ask(step, step.solutions()), _asked(step, questions))
            for step in inside
        ]
        self._candidates = questions.ask(inside[0], inside[0].candidates()) if inside else -1

    def conclusion(self, answers: Mapping[int, Answer]) -> TestResult:
        """The result with what is known of its failure."""
        every = candidates = _keys(answers, self._candidates)
        first: TestResult | None = None
        for step, number, parts in self._inside:
            if "rows" not in answers.get(number, {}):
                continue
            holding = set(_keys(answers, number))
            failing = next((key for key in candidates if key not in holding), None)
            if failing is not None and first is None:
                seen = [*map(Seen, step.variables, failing), *_seen(parts, answers, failing)]
                first = _with(self._result, step, seen)
            candidates = [key for key in candidates if key in holding]
        missed = [key for key in every if key not in set(candidates)]
        if first is not None:
            return replace(first, message=_missed(missed)) if self._keyed else first
        if self._step is None:
            return self._result
        return _with(self._result, self._step, _seen(self._parts, answers))


def _with(result: TestResult, step: Step, seen: Sequence[Seen]) -> TestResult:
    expression = " ".join(step.text.split())
    return replace(result, line=step.line, expression=expression, seen=tuple(seen))


def _missed(keys: Sequence[tuple[str, ...]]) -> str:
    """For which keys a test fails, in words."""
    names = [" ".join(key) for key in keys]
    more = [f"{len(names) - _VALUES} more"] if len(names) > _VALUES else []
    return "fails for " + ", ".join([*names[:_VALUES], *more])


def _asked(step: Step, questions: _Questions) -> list[tuple[Term, int]]:
    return [(term, questions.ask(step, step.value(term))) for term in step.terms()]


def _rows(answers: Mapping[int, Answer], number: int) -> list[Any]:
    rows: list[Any] = answers.get(number, {}).get("rows", [])
    return rows


def _keys(answers: Mapping[int, Answer], number: int) -> list[tuple[str, ...]]:
    return [tuple(key) for key, _ in _rows(answers, number)]


def _seen(
    parts: Sequence[tuple[Term, int]],
    answers: Mapping[int, Answer],
    key: tuple[str, ...] | None = None,
) -> list[Seen]:
    """The values of these parts, for one key or for all."""
    found = []
    for term, number in parts:
        if "rows" not in answers.get(number, {}):
            continue
        rows = _rows(answers, number)
        values = [value for at, value in rows if key is None or tuple(at) == key]
        distinct = list(dict.fromkeys(values))
        more = f", and {len(distinct) - _VALUES} more" if len(distinct) > _VALUES else ""
        shown = ", then ".join(distinct[:_VALUES]) + more
        found.append(Seen(term.text, shown or UNDEFINED))
    return found
