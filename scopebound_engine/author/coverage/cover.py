"""`policy cover`: which lines of a policy its tests evaluate, and how expressions come out there.

Lines are counted as `opa test --coverage` counts them
(https://www.openpolicyagent.org/docs/policy-testing): a line counts where a rule's head, an `else`
or an expression begins, and is covered where an expression was evaluated or the rule held. Beyond
that each expression has to be true in some test and, if it is a condition, false in another.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

from scopebound_engine.author.folder import Sources
from scopebound_engine.errors import ConfigError, EvaluatorCrashedError
from scopebound_engine.rego.coverage.records import ClauseCover, ExpressionCover, TestCover
from scopebound_engine.rego.sandbox import decode_record, run_in_child
from scopebound_engine.rego.testing.cases import compile_pattern

_JOB: Final = "scopebound_engine.rego.coverage.job:cover"
_SECONDS: Final = 120.0
_SECONDS_EACH: Final = 10.0
_Unit = TypeVar("_Unit", ClauseCover, ExpressionCover)


@dataclass(frozen=True)
class FileCover:
    """A file of rules. `by_line` says of each line that counts whether it is covered."""

    file: str
    by_line: Mapping[int, bool]
    clauses: tuple[ClauseCover, ...]
    expressions: tuple[ExpressionCover, ...]

    @property
    def lines(self) -> int:
        """How many lines count."""
        return len(self.by_line)

    @property
    def covered(self) -> int:
        """How many of them are covered."""
        return sum(self.by_line.values())

    @property
    def percent(self) -> float:
        """Of the lines, rounded down to a tenth: 100 is all of them."""
        return _percent(self.covered, self.lines)

    @cached_property
    def uncovered(self) -> tuple[tuple[int, int], ...]:
        """The lines that are not covered: first and last of those without a covered one between."""
        ranges: list[tuple[int, int]] = []
        before = True
        for line, covered in sorted(self.by_line.items()):
            if not covered:
                first = line if before else ranges.pop()[0]
                ranges.append((first, line))
            before = covered
        return tuple(ranges)

    @cached_property
    def never_true(self) -> tuple[ExpressionCover, ...]:
        """The expressions that were evaluated and never true, as far as that is known."""
        return tuple(
            item
            for item in self.expressions
            if item.is_told and item.is_evaluated and not item.is_true
        )

    @cached_property
    def never_false(self) -> tuple[ExpressionCover, ...]:
        """The conditions that were evaluated and never false, as far as that is known."""
        return tuple(
            item
            for item in self.expressions
            if item.is_told and item.is_condition and item.is_evaluated and not item.is_false
        )

    @cached_property
    def never_entered(self) -> tuple[ClauseCover, ...]:
        """The rules of which no test came to evaluate anything."""
        return tuple(item for item in self.clauses if not item.is_entered)


@dataclass(frozen=True)
class Coverage:
    """What the tests of a folder reach of its rules, by file."""

    files: tuple[FileCover, ...]
    tests: tuple[TestCover, ...]
    seconds: float

    @property
    def lines(self) -> int:
        """How many lines count."""
        return sum(file.lines for file in self.files)

    @property
    def covered(self) -> int:
        """How many of them are covered."""
        return sum(file.covered for file in self.files)

    @property
    def percent(self) -> float:
        """Of the lines, rounded down to a tenth: 100 is all of them."""
        return _percent(self.covered, self.lines)

    @cached_property
    def broken(self) -> tuple[TestCover, ...]:
        """The tests that did not pass. Of those that came to no end nothing is counted."""
        return tuple(test for test in self.tests if test.outcome != "passed")


def cover(
    sources: Sources,
    pattern: str | None = None,
    *,
    seconds: float = _SECONDS,
    seconds_each: float = _SECONDS_EACH,
) -> Coverage:
    """Runs the tests in whose name the regular expression `pattern` is found.

    `seconds` bounds it all, `seconds_each` one test. Raises FindingsError where the policies cannot
    be read or compiled, InputError for a bad pattern, ConfigError where there is no test or none
    with such a name, EngineError where the engine fails.
    """
    began = time.perf_counter()
    compile_pattern(pattern)
    modules = dict(sources.sound().modules)
    answer = run_in_child(_JOB, modules, dict(sources.data), pattern, seconds_each, seconds=seconds)
    tests, clauses, expressions = _decoded(answer)
    if not tests:
        named = f" with a name in which {pattern!r} is found" if pattern else ""
        raise ConfigError(f"no tests in {sources.folder}{named}.")
    heads, bodies = _by_file(clauses), _by_file(expressions)
    files = tuple(_file(path, heads.get(path, []), bodies.get(path, [])) for path in sources.rules)
    return Coverage(files, tests, time.perf_counter() - began)


def _by_file(items: Sequence[_Unit]) -> dict[str, list[_Unit]]:
    found: dict[str, list[_Unit]] = {}
    for item in items:
        found.setdefault(item.file, []).append(item)
    return found


def spelled(span: tuple[int, int]) -> str:
    """A span of lines as people write it."""
    first, last = span
    return str(first) if first == last else f"{first}-{last}"


def _percent(covered: int, lines: int) -> float:
    return (1000 * covered // lines) / 10 if lines else 100.0


def _file(
    path: str, clauses: Sequence[ClauseCover], expressions: Sequence[ExpressionCover]
) -> FileCover:
    by_line: dict[int, bool] = {}
    happened = [(item.line, item.is_held) for item in clauses]
    happened += [(item.line, item.is_evaluated) for item in expressions]
    for line, is_covered in happened:
        by_line[line] = by_line.get(line, False) or is_covered
    return FileCover(path, by_line, tuple(clauses), tuple(expressions))


def _decoded(
    answer: Any,
) -> tuple[tuple[TestCover, ...], tuple[ClauseCover, ...], tuple[ExpressionCover, ...]]:
    try:
        tests, clauses, expressions = (answer[key] for key in ("tests", "clauses", "expressions"))
        return (
            tuple(decode_record(TestCover, item) for item in tests),
            tuple(decode_record(ClauseCover, item) for item in clauses),
            tuple(decode_record(ExpressionCover, item) for item in expressions),
        )
    except (KeyError, TypeError) as error:
        raise EvaluatorCrashedError("the child process does not tell what was covered") from error
