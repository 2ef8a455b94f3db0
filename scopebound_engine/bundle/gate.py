"""Every check that a bundle passes before it may be activated, as a numbered list (`GATE`).

Steps 1 and 2, that its bytes are an archive and that a trusted key signed all of it, made the
VerifiedBundle. What follows runs in child processes with limits and a deadline; a child that dies
or hangs is a finding like any other.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from scopebound_engine.bundle import inspection
from scopebound_engine.bundle.inspection import Candidate
from scopebound_engine.bundle.manifest import Manifest
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.errors import (
    CompileError,
    EngineError,
    EvaluatorCrashedError,
    Finding,
    GateError,
)
from scopebound_engine.rego.sandbox import decode_record, stream_from_child
from scopebound_engine.rego.testing.runner import run_tests

Step = Callable[[Candidate], Iterable[Finding]]

# The numbers are those of the design; 1 and 2 stand in `signature.verify`.
GATE: Final[Mapping[str, Step]] = {
    "3 source": inspection.safe_sources,
    "4 parse": inspection.parsed_sources,
    "5 plan": inspection.sound_plan,
    "6 built-ins": inspection.trusted_builtins,
    "7 shapes": inspection.safe_shapes,
    "8 denials": inspection.declared_denials,
    "8 matchers": inspection.handled_matchers,
    "9 costs": inspection.bearable_costs,
    "10 empty input": inspection.denied_emptiness,
}
# 10 goes on with the bundle's own tests, in children of their own.
_TESTS: Final = "10 tests"

_CHILD: Final = "scopebound_engine.bundle.inspection:inspect"
_SECONDS: Final = 60.0
_TESTS_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the gate found, in the order of its steps, and how many seconds each step took."""

    findings: tuple[Finding, ...]
    timings: tuple[tuple[str, float], ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What refuses the bundle."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What its author should know, and it may be activated all the same."""
        return tuple(finding for finding in self.findings if finding.level == "warning")


def require(
    bundle: VerifiedBundle, *, acknowledge_floor: bool = False, seconds: float = _SECONDS
) -> Report:
    """The report on a bundle without errors. Raises GateError with all findings otherwise."""
    report = check(bundle, acknowledge_floor=acknowledge_floor, seconds=seconds)
    if report.errors:
        raise GateError("the bundle does not pass the gate", report.findings)
    return report


def check(
    bundle: VerifiedBundle, *, acknowledge_floor: bool = False, seconds: float = _SECONDS
) -> Report:
    """All that is to be said of a bundle.

    `acknowledge_floor` makes a warning of what the floor refuses. `seconds` bounds the steps before
    the bundle's own tests.
    """
    candidate = Candidate(
        modules=bundle.modules(),
        rule_files=tuple(bundle.rules()),
        data=bundle.data(),
        entrypoint=bundle.manifest.entrypoint,
        codes={code.code: code.severity for code in bundle.manifest.deny_codes},
        matchers={name: spec.steps for name, spec in bundle.manifest.matchers.items()},
        acknowledge_floor=acknowledge_floor,
    )
    findings, timings = _inspected(candidate, seconds)
    findings += unfit_patterns(bundle.manifest)
    if inspection.can_run(findings):
        started = time.perf_counter()
        findings += failing_tests(candidate)
        timings.append((_TESTS, time.perf_counter() - started))
    return Report(tuple(dict.fromkeys(findings)), tuple(timings))


def _inspected(
    candidate: Candidate, seconds: float
) -> tuple[list[Finding], list[tuple[str, float]]]:
    findings: list[Finding] = []
    timings: list[tuple[str, float]] = []
    steps = iter(GATE)
    names = [step.__name__ for step in GATE.values()]
    try:
        for answer in stream_from_child(_CHILD, asdict(candidate), names, seconds=seconds):
            new, took = _decoded(answer)
            findings += new
            timings.append((next(steps), took))
    except EngineError as error:
        message = f"the check «{next(steps, 'end')}» could not be made: {error}"
        remedy = "the policy crashes or hangs the Rego engine; leave out what you added last"
        findings.append(Finding("sandbox", message, remedy=remedy))
    if not findings and (missing := next(steps, None)):
        findings.append(Finding("sandbox", f"the check «{missing}» was not made"))
    return findings, timings


def _decoded(answer: Any) -> tuple[list[Finding], float]:
    try:
        return [decode_record(Finding, item) for item in answer["findings"]], float(
            answer["seconds"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluatorCrashedError("the child process answered out of turn") from error


def unfit_patterns(manifest: Manifest) -> list[Finding]:
    """What is to be said of the patterns of matchers. In this process, since it takes RE2."""
    if not manifest.matchers:
        return []
    # RE2 and the Rego engine abort in one process, and the tests of the gate load the latter.
    from scopebound_engine.decision.matchers import problems

    return list(problems(manifest))


def failing_tests(candidate: Candidate) -> list[Finding]:
    """The bundle's own tests pass on the bundle as it is. In children of its own."""
    try:
        results = run_tests(candidate.modules, candidate.data, seconds=_TESTS_SECONDS)
    except CompileError as error:
        return list(error.findings)
    except EngineError as error:
        return [Finding("tests", f"the tests cannot be run: {error}")]
    return [
        Finding(
            "tests",
            f"{result.name} {result.outcome}: {result.expression or result.message}",
            result.file,
            result.line,
            1,
        )
        for result in results
        if result.outcome in {"failed", "error"}
    ]
