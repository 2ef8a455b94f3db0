"""Runs case files: the policies of a folder are asked as a server asks the bundle they make.

The evaluators are those of a server, on facts made by its code; nothing here decides anything.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from scopebound_engine.author.cases.facts import facts_of
from scopebound_engine.author.cases.files import Case
from scopebound_engine.author.subject import Subject
from scopebound_engine.errors import EvaluationError
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.testing.cases import Seen, TestResult
from scopebound_engine.verdict import Verdict, Violation

_SECONDS: Final = 30.0


def run_cases(cases: Sequence[Case], subject: Subject) -> list[TestResult]:
    """How each case went.

    Raises FindingsError where one is not of a call, CompileError, EngineError.
    """
    matchers = subject.matchers()
    asked = [(case, facts_of(case, matchers)) for case in cases]
    if not asked:
        return []
    pool = subject.evaluators()
    try:
        return [_result(case, facts, pool) for case, facts in asked]
    finally:
        pool.close()


def _result(case: Case, facts: Mapping[str, Any], pool: EvaluatorPool) -> TestResult:
    test = TestResult(case.fields.name, case.file, case.line)
    started = time.perf_counter()
    try:
        verdict = pool.evaluate(facts, time.monotonic() + _SECONDS)
    except EvaluationError as error:
        test = replace(test, outcome="error", message=str(error))
    else:
        message = "; ".join(_differences(case, verdict))
        seen = tuple(_seen(verdict, pool.origins(_SECONDS))) if message else ()
        test = replace(test, outcome="failed" if message else "passed", message=message, seen=seen)
    return replace(test, seconds=time.perf_counter() - started)


def _differences(case: Case, verdict: Verdict) -> list[str]:
    """What was expected and is not so, in words."""
    expected = case.expected
    if not expected.deny or verdict.allow:
        wanted = f"deny {expected.deny}" if expected.deny else "allow"
        got = "allow" if verdict.allow else f"deny {verdict.violations[0].code}"
        return [] if wanted == got else [f"expected {wanted}, got {got}"]
    first = verdict.violations[0]
    pairs: list[tuple[str, Any, Any]] = [
        ("deny", expected.deny, first.code),
        ("severity", expected.severity, first.severity),
        ("retry_guidance", expected.retry_guidance, first.retry_guidance),
        ("codes", expected.codes, tuple(one.code for one in verdict.violations)),
    ]
    found = [
        f"expected {name} {_shown(wanted)}, got {_shown(got)}"
        for name, wanted, got in pairs
        if wanted is not None and wanted != got
    ]
    if expected.reason is not None and expected.reason not in first.reason:
        found.append(f"the reason does not contain {expected.reason!r}")
    return found


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _seen(verdict: Verdict, origins: Mapping[str, Sequence[str]]) -> list[Seen]:
    """What the policy said, and where."""
    return [Seen(one.code, _told(one, origins)) for one in verdict.violations]


def _told(one: Violation, origins: Mapping[str, Sequence[str]]) -> str:
    places = ", ".join(origins.get(one.code, ()))
    words = f"{one.reason} ({one.severity}, {one.retry_guidance})"
    return f"{words} at {places}" if places else words
