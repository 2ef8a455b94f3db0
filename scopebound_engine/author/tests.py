"""Runs what says whether a folder of policies is right: its tests, in Rego, and its case files."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scopebound_engine.author import subject
from scopebound_engine.author.cases import files as case_files
from scopebound_engine.author.cases.files import Case
from scopebound_engine.author.cases.running import run_cases
from scopebound_engine.author.folder import Sources
from scopebound_engine.rego.testing.cases import Seen, TestResult, compile_pattern
from scopebound_engine.rego.testing.runner import TestRun

__all__ = ["BAD", "Report", "Seen", "TestResult", "run"]

# The outcomes that a run does not get by with.
BAD: Final = frozenset({"failed", "error"})


@dataclass(frozen=True, slots=True)
class Report:
    """How tests and cases went: tests in the order of the files, then cases in that of theirs.

    A case's result has the case file as its `file` and the case's name as its `name`. `seconds` is
    what all of it took, which is less than the sum.
    """

    tests: tuple[TestResult, ...]
    cases: tuple[TestResult, ...]
    seconds: float

    @property
    def results(self) -> tuple[TestResult, ...]:
        """Both."""
        return (*self.tests, *self.cases)

    @property
    def bad(self) -> tuple[TestResult, ...]:
        """Those that failed or could not be judged."""
        return tuple(result for result in self.results if result.outcome in BAD)

    def count(self, outcome: str) -> int:
        """How many have this outcome."""
        return Counter(result.outcome for result in self.results)[outcome]


def run(sources: Sources, pattern: str | None = None) -> Report:
    """Runs the tests and cases in whose name the regular expression `pattern` is found.

    Cases are decided by what the folder would be built into, so with them it needs its manifest.
    Raises FindingsError (CompileError, ManifestError, for case files) with all that is wrong,
    EngineError where they cannot be run, InputError for a bad pattern.
    """
    started = time.perf_counter()
    wanted = compile_pattern(pattern)
    sources.sound()
    cases = [
        case
        for case in case_files.read(sources.case_files)
        if wanted.search(f"{case.file}: {case.fields.name}")
    ]
    # The tests run in processes of their own meanwhile.
    with TestRun(sources.modules, sources.data, pattern) as tests:
        decided = _decided(cases, sources)
        results = tests.results()
    return Report(tuple(results), tuple(decided), time.perf_counter() - started)


def _decided(cases: Sequence[Case], sources: Sources) -> list[TestResult]:
    return run_cases(cases, subject.of_folder(sources)) if cases else []
